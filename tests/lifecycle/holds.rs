//! What calls hold of budgets while they are under way, and what becomes of that.

use serde_json::{Value, json};

use crate::support::dialect::{ANTHROPIC, Dialect, GEMINI, OPENAI};
use crate::support::{Call, Order, Request, Worker};

/// A token of a prompt costs 1,000 nano-dollars, one of an answer 10,000. What is left is told.
fn configuration(budget: &Value, more: &str) -> String {
    format!(
        r#"{{"tenant": [{{"header": "x-tenant-id"}}], "tell": ["remaining", "cost"], {more}
            "prices": [{{"model": "*", "rates": {{"input": "1", "cache_read": "0.1", "output": "10"}}}}],
            "budgets": [{budget}]}}"#
    )
}

const HELD: &str = r#""hold_headers": true,"#;

fn worker(budget: &Value) -> Worker {
    Worker::new(&configuration(budget, HELD)).that_lets_headers_be_held()
}

fn budget(limit: &Value, more: &Value) -> Value {
    let mut budget = json!({"limit": limit, "window": "day", "action": "refuse"});
    budget.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    budget
}

fn firm(usd: &str) -> Value {
    budget(&json!({"usd": usd}), &json!({"hold": "worst_case"}))
}

fn chat(more: &Value) -> Request {
    of(&OPENAI, more)
}

fn of(dialect: &Dialect, more: &Value) -> Request {
    let mut body = dialect.request(false);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Request { body: body.to_string().into(), ..Request::of(dialect, false) }
}

/// The most that the plain request can cost.
fn most() -> u64 {
    (chat(&json!({})).body.len() as u64 + 1_024) * 1_000 + 99 * 10_000
}

fn nanos(dollars: &str) -> u64 {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    let part = format!("{part:0<9}");
    whole.parse::<u64>().unwrap() * 1_000_000_000 + part.parse::<u64>().unwrap()
}

/// What is left when nothing is held but by a call that is made to ask.
fn left(worker: &Worker) -> u64 {
    let call = worker.ask(&chat(&json!({})));
    call.answer_headers(503, &[], true);
    let (left, held) = (call.told("x-ratelimit-remaining"), call.told("x-tollgate-cost-held"));
    call.end();
    nanos(&left) + nanos(&held)
}

fn code(call: &Call<'_>) -> String {
    let reply = call.reply().expect("a refusal");
    reply.details
}

#[test]
fn calls_at_once_hold_the_most_that_they_can_cost() {
    let limit = format!("0.{:09}", 2 * most() + 1);
    let worker = worker(&firm(&limit));
    let calls = [(), ()].map(|()| worker.ask(&chat(&json!({}))));
    let third = worker.ask(&chat(&json!({})));
    assert_eq!(code(&third), "tollgate_budget_exceeded");
    for call in calls {
        assert_eq!(call.reply(), None);
        call.answer(200, &[], &[OPENAI.json()]);
        assert_eq!(nanos(&call.told("x-tollgate-cost-held")), most());
        call.end();
        assert_eq!(call.field("hold"), "firm");
    }
    // Each answer costs 314,000 nano-dollars.
    assert_eq!(left(&worker), 2 * most() + 1 - 2 * 314_000);
    assert_eq!(worker.ask(&chat(&json!({}))).reply(), None, "what was not used is free again");
}

#[test]
fn what_has_no_bound_is_refused_where_nothing_may_be_overspent() {
    let worker = worker(&firm("100"));
    #[rustfmt::skip]
    let cases = [
        json!({"max_tokens": null}),
        json!({"max_tokens": -1}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"web_search_options": {}}),
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]}),
    ];
    for more in cases {
        let call = worker.ask(&chat(&more));
        assert_eq!(code(&call), "tollgate_hold_unbounded", "{more}");
        assert!(call.upstream().headers.is_none(), "{more}");
        call.end();
        assert_eq!(
            call.fields(["decision", "cost_nano_usd", "budget"]),
            ["refuse", "0", "usd-day"]
        );
    }
    assert_eq!(left(&worker), 100_000_000_000);
}

#[test]
fn what_has_no_bound_passes_where_a_limit_only_warns() {
    let warns = budget(&json!({"usd": "100"}), &json!({"hold": "worst_case", "action": "warn"}));
    let call = worker(&warns).exchange_of(&chat(&json!({"max_tokens": null})));
    assert_eq!(call, "soft");
}

#[test]
fn content_that_is_elsewhere_is_bounded_by_the_context_window() {
    let configuration = json!({"budgets": [firm("1")], "hold_headers": true, "tell": ["cost"]});
    let worker = Worker::new(&configuration.to_string()).that_lets_headers_be_held();
    let part = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let image = json!({"messages": [{"role": "user", "content": part}], "model": "gpt-4o-mini"});
    let call = worker.ask(&chat(&image));
    call.answer_headers(200, &[], false);
    // 128,000 tokens of input at 0.15 dollars a million or dearer, and 99 of output.
    assert!(nanos(&call.told("x-tollgate-cost-held")) >= 128_000 * 150 + 99 * 600);
}

#[test]
fn a_firm_call_is_sent_as_often_as_is_held_for() {
    let call_by = |more: &str, held: bool| {
        let worker = Worker::new(&configuration(&firm("1"), more));
        let worker = if held { worker.that_lets_headers_be_held() } else { worker };
        let call = worker.ask(&chat(&json!({})));
        let refused = call.reply().map(|reply| reply.details);
        call.answer_headers(200, &[], false);
        (refused, call.sent_header("x-envoy-max-retries"), call.told("x-tollgate-cost-held"))
    };
    let (_, retries, held) = call_by(HELD, true);
    assert_eq!((retries.as_deref(), nanos(&held)), (Some("0"), most()));
    let (_, retries, held) = call_by(r#""hold_headers": true, "max_attempts": 3,"#, true);
    assert_eq!((retries.as_deref(), nanos(&held)), (Some("2"), 3 * most()));
    let (_, retries, held) = call_by(r#""max_attempts": 2,"#, false);
    assert_eq!((retries.as_deref(), nanos(&held)), (Some("1"), 2 * most()));
    let (refused, ..) = call_by("", false);
    assert_eq!(refused.as_deref(), Some("tollgate_hold_unbounded"));
}

type End = fn(&Call<'_>);

#[test]
fn a_hold_is_settled_once_however_the_call_ends() {
    let worker = worker(&firm("1"));
    let mut expected = 1_000_000_000;
    let ways: [(&str, End, u64); 8] = [
        (
            "an answer",
            |call| {
                call.answer(200, &[], &[OPENAI.json()]);
                call.end();
            },
            314_000,
        ),
        (
            "an answer, in another order",
            |call| {
                call.answer(200, &[], &[OPENAI.json()]);
                call.end_in(Order::DoneDeleteLog);
            },
            314_000,
        ),
        (
            "an error",
            |call| {
                call.answer(500, &[], &[b"{}"]);
                call.end();
            },
            0,
        ),
        (
            "a refusal by Envoy",
            |call| {
                call.answer_by_envoy(503, "no_healthy_upstream");
                call.end();
            },
            0,
        ),
        (
            "a client that leaves",
            |call| {
                call.answer_headers(200, &[], false);
                call.answer_body(b"{", false);
                call.break_off("downstream_remote_disconnect");
            },
            1,
        ),
        (
            "an upstream that breaks off",
            |call| {
                call.answer_headers(200, &[], false);
                call.break_off("upstream_reset_after_response_started{connection_termination}");
            },
            1,
        ),
        (
            "silence",
            |call| {
                call.break_off("downstream_remote_disconnect");
            },
            1,
        ),
        (
            "the end told twice",
            |call| {
                call.answer(200, &[], &[OPENAI.json()]);
                call.end_in(Order::DoneLogDelete);
            },
            314_000,
        ),
    ];
    for (way, end, cost) in ways {
        let call = worker.ask(&chat(&json!({})));
        end(&call);
        let charged: u64 = call.field("cost_nano_usd").parse().unwrap();
        assert!(
            if cost == 1 { charged > 0 && charged <= most() } else { charged == cost },
            "{way}: {charged}"
        );
        expected -= charged;
        assert_eq!(left(&worker), expected, "{way}");
    }
}

#[test]
fn attempts_of_envoys_are_held_for_and_settled_once() {
    let worker =
        Worker::new(&configuration(&firm("1"), r#""hold_headers": true, "max_attempts": 3,"#));
    let worker = worker.that_lets_headers_be_held();
    let call = worker.ask(&chat(&json!({})));
    call.set_property("upstream\0request_attempt_count", 3_u64.to_le_bytes());
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    let charged: u64 = call.field("cost_nano_usd").parse().unwrap();
    assert!(charged > 314_000 && charged <= 3 * most(), "{charged}");
    assert_eq!(call.field("attempts"), "3");
}

#[test]
fn a_reload_keeps_what_calls_under_way_hold() {
    let worker = worker(&firm("1"));
    let call = worker.ask(&chat(&json!({})));
    assert!(worker.configure(&configuration(&firm("1"), HELD)));
    assert_eq!(left(&worker), 1_000_000_000 - most());
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    assert_eq!(left(&worker), 1_000_000_000 - 314_000);
}

#[test]
fn what_a_dead_worker_held_is_not_lent_again() {
    let process = std::sync::Arc::default();
    let workers = [(), ()].map(|()| {
        let worker = Worker::in_process(&process).that_lets_headers_be_held();
        assert!(worker.configure(&configuration(&firm("1"), HELD)));
        worker
    });
    let [dead, alive] = workers;
    // Its VM is gone: nothing of it is called ever again.
    assert_eq!(dead.ask(&chat(&json!({}))).reply(), None);
    drop(dead);
    assert_eq!(left(&alive), 1_000_000_000 - most());
}

const LOWER: &str = r#"{"too_large": "lower", "hold": "worst_case"}"#;

#[test]
fn a_request_that_is_too_large_asks_for_what_can_be_afforded() {
    let lower: Value = serde_json::from_str(LOWER).unwrap();
    for (dialect, pointer) in [
        (OPENAI, "/max_tokens"),
        (ANTHROPIC, "/max_tokens"),
        (GEMINI, "/generationConfig/maxOutputTokens"),
    ] {
        let worker = worker(&budget(&json!({"tokens": 2_000}), &lower));
        let more = match dialect.provider {
            "google" => json!({"generationConfig": {"maxOutputTokens": 90_000}}),
            _ => json!({"max_tokens": 90_000}),
        };
        let request = of(&dialect, &more);
        let call = worker.ask(&request);
        let sent: Value = serde_json::from_slice(&call.upstream().body).unwrap();
        let afforded = 2_000 - request.body.len() as u64 - 1_024;
        assert_eq!(sent.pointer(pointer), Some(&json!(afforded)), "{sent}");
        call.answer(200, &[], &[dialect.json()]);
        assert_eq!(call.told("x-tollgate-max-output"), afforded.to_string());
        call.end();
        assert_eq!(call.fields(["decision", "hold"]), ["pass", "firm"]);
        let next = worker.ask(&request);
        assert_eq!(next.reply(), None, "125 tokens were used");
    }
}

#[test]
fn a_request_that_cannot_be_made_small_enough_is_refused() {
    let lower: Value = serde_json::from_str(LOWER).unwrap();
    let worker = worker(&budget(&json!({"tokens": 1_040}), &lower));
    assert_eq!(
        code(&worker.ask(&chat(&json!({"max_tokens": 90_000})))),
        "tollgate_budget_exceeded"
    );
    // Thought takes more than can be afforded.
    let worker = self::worker(&budget(&json!({"tokens": 2_000}), &lower));
    let thinking =
        json!({"max_tokens": 9_000, "thinking": {"type": "enabled", "budget_tokens": 5_000}});
    assert_eq!(code(&worker.ask(&of(&ANTHROPIC, &thinking))), "tollgate_budget_exceeded");
}

/// The events of a long answer, a chunk each, and what ends it.
fn long_answer(events: usize) -> Vec<Vec<u8>> {
    let text = "x".repeat(400);
    let event = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    vec![format!("data: {event}\n\n").into_bytes(); events]
}

fn soft(tokens: u64, more: &Value) -> Value {
    budget(&json!({"tokens": tokens}), more)
}

#[test]
fn a_stream_that_outgrows_its_hold_takes_more() {
    let worker = worker(&soft(12_000, &json!({})));
    let open = chat(&json!({"max_tokens": null, "stream": true}));
    let call = worker.ask(&open);
    let other = worker.ask(&open);
    assert_eq!(other.reply(), None, "4,096 tokens of each answer fit twice");
    call.answer_headers(200, &[], false);
    for chunk in long_answer(40) {
        call.answer_body(&chunk, false);
    }
    // So far 4,000 tokens of text; 6,400 and more are held, but the other call has its 4,096.
    let third = chat(&json!({"max_tokens": 1_500}));
    let refused = worker.ask(&third).reply().is_some();
    assert!(refused, "the stream has taken what the third needs");
    call.break_off("downstream_remote_disconnect");
    assert_eq!(call.fields(["hold", "decision"]), ["soft", "pass"]);
}

#[test]
fn a_stream_with_no_more_money_goes_on_by_default() {
    let worker = worker(&soft(4_500, &json!({})));
    let call = worker.ask(&chat(&json!({"max_tokens": null, "stream": true})));
    let answer = long_answer(80);
    call.answer(200, &[], &answer);
    call.end();
    assert_eq!(call.client_bytes(), answer.concat());
    assert_eq!(call.field("decision"), "pass");
    assert!(call.field("output_tokens").parse::<u64>().unwrap() > 7_000);
}

#[test]
fn a_stream_with_no_more_money_is_ended_by_an_error_of_its_dialect() {
    let worker = worker(&soft(4_500, &json!({"outrun": "end"})));
    let call = worker.ask(&chat(&json!({"max_tokens": null, "stream": true})));
    call.answer_headers(200, &[], false);
    let whole = long_answer(200).concat();
    // Cut anywhere: the error comes behind a whole event.
    for chunk in whole.chunks(331) {
        call.answer_body(chunk, false);
    }
    assert!(call.is_closed());
    let client = call.client();
    let (written, error) = client.split_at(client.rfind("data: {\"error\"").expect("an error"));
    assert!(whole.starts_with(written.as_bytes()) && written.ends_with("\n\n"));
    assert!(written.len() < 30_000, "{}", written.len());
    let error: Value = serde_json::from_str(error.trim_start_matches("data: ").trim()).unwrap();
    assert_eq!(error["error"]["code"], "budget_exceeded");
    call.break_off("wasm_close_stream");
    assert_eq!(call.fields(["decision", "usage", "budget"]), ["end", "estimated", "tokens-day"]);
    let tokens: u64 = call.field("output_tokens").parse().unwrap();
    assert!((3_000..9_000).contains(&tokens), "{tokens}");
}

#[test]
fn a_stream_of_which_nothing_more_comes_is_closed_with_the_next_tick() {
    let worker = worker(&soft(4_500, &json!({"outrun": "end"})));
    let call = worker.ask(&chat(&json!({"max_tokens": null, "stream": true})));
    call.answer_headers(200, &[], false);
    call.answer_body(&long_answer(60).concat(), false);
    assert!(call.client().contains("budget_exceeded") && !call.is_closed());
    worker.tick();
    assert!(call.is_closed());
}

#[test]
fn what_cannot_be_ended_by_an_event_is_closed() {
    let worker = worker(&soft(4_500, &json!({"outrun": "end"})));
    let call = worker.ask(&chat(&json!({"max_tokens": null, "stream": true})));
    call.answer_headers(200, &[], false);
    let text = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{}", "x".repeat(30_000));
    call.answer_body(text.as_bytes(), false);
    call.answer_body(b"more", false);
    assert!(call.is_closed());
    assert_eq!(call.client(), "");
}

#[test]
fn a_call_waits_for_what_others_hold() {
    let worker = worker(&soft(4_500, &json!({"wait_ms": 500})));
    let open = chat(&json!({"max_tokens": null}));
    let first = worker.ask(&open);
    let second = worker.ask(&open);
    worker.advance(100);
    worker.tick();
    assert!(second.reply().is_none() && second.upstream().body.is_empty(), "it waits");
    first.answer(200, &[], &[OPENAI.json()]);
    first.end();
    worker.tick();
    assert_eq!(second.upstream().body, open.body);
    let third = worker.ask(&open);
    worker.advance(501);
    worker.tick();
    assert_eq!(code(&third), "tollgate_budget_exceeded");
}

#[test]
fn nobody_waits_for_what_is_spent() {
    let worker = worker(&soft(4_200, &json!({"wait_ms": 500})));
    let open = chat(&json!({"max_tokens": null}));
    let call = worker.ask(&open);
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    assert_eq!(code(&worker.ask(&open)), "tollgate_budget_exceeded");
}

#[test]
fn dollars_are_told_as_a_percentage_unless_costs_are_told_too() {
    let quiet =
        configuration(&firm("1"), HELD).replace(r#"["remaining", "cost"]"#, r#"["remaining"]"#);
    let worker = Worker::new(&quiet).that_lets_headers_be_held();
    let call = worker.ask(&chat(&json!({})));
    call.answer(200, &[], &[OPENAI.json()]);
    let told = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-tollgate-cost-held"];
    assert_eq!(told.map(|name| call.told(name)), ["100", "99", "-"]);
    assert!(call.told("x-ratelimit-reset").parse::<u64>().unwrap() <= 86_400);
}

trait Exchanged {
    fn exchange_of(&self, request: &Request) -> String;
}

impl Exchanged for Worker {
    /// How much a whole call has held: firm or soft.
    fn exchange_of(&self, request: &Request) -> String {
        let call = self.exchange(request, &[OPENAI.json()]);
        call.field("hold")
    }
}
