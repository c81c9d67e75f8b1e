//! Calls that end otherwise than with a whole answer, and the order in which they are ended.

use crate::PRICED;
use crate::support::dialect::{ALL, OPENAI};
use crate::support::{Call, Order, Request, Worker};

fn estimate(bytes: usize) -> String {
    bytes.div_ceil(4).to_string()
}

#[test]
fn a_stream_that_breaks_off_is_charged_what_was_seen_of_it() {
    #[rustfmt::skip]
    let cases = [
        // details                                   outcome
        ("downstream_remote_disconnect",             "aborted"),
        ("upstream_reset_after_response_started{connection_termination}", "upstream_error"),
        ("stream_idle_timeout",                      "upstream_error"),
        ("",                                         "aborted"),
    ];
    for (details, outcome) in cases {
        for dialect in ALL {
            let worker = Worker::new(PRICED);
            let request = Request::of(&dialect, true);
            let call = worker.ask(&request);
            call.answer_headers(200, &[("content-type", "text/event-stream")], false);
            // All but the events that would tell the usage.
            let text = if dialect.provider == "openai" { 2 } else { dialect.sse().len() / 2 };
            dialect.sse()[..text].iter().for_each(|chunk| call.answer_body(chunk, false));
            call.break_off(details);

            let [usage, input, output, cost] =
                call.fields(["usage", "input_tokens", "output_tokens", "cost_nano_usd"]);
            assert_eq!(usage, "estimated", "{details} of {}", dialect.provider);
            let told = if dialect.provider == "openai" {
                estimate(request.body.len())
            } else {
                "100".into()
            };
            assert_eq!(input, told, "the provider's own count, where it has given one");
            assert!(output.parse::<u64>().unwrap() > 5, "{output}");
            assert_ne!(cost, "0");
            assert_eq!(worker.counted(&["tollgate_requests_total", outcome]), 1, "{details}");
            assert_eq!(worker.counted(&["tollgate_estimated_total"]), 1);
        }
    }
}

#[test]
fn a_client_that_leaves_after_the_usage_is_charged_what_was_reported() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&OPENAI, true));
    call.answer_headers(200, &[], false);
    call.answer_body(&OPENAI.sse()[..4].concat(), false);
    call.break_off("downstream_remote_disconnect");
    assert_eq!(call.fields(["usage", "cost_nano_usd"]), ["reported", "314000"]);
    assert_eq!(worker.counted(&["outcome=.=aborted;"]), 1);
}

#[test]
fn a_call_that_was_sent_and_never_answered_is_estimated() {
    #[rustfmt::skip]
    let cases = [
        // details                                                         usage        outcome
        ("downstream_remote_disconnect",                                   "estimated", "aborted"),
        ("upstream_reset_before_response_started{connection_termination}", "estimated", "upstream_error"),
        ("upstream_reset_before_response_started{connection_failure}",     "absent",    "upstream_error"),
        ("",                                                               "absent",    "aborted"),
    ];
    for (details, usage, outcome) in cases {
        let worker = Worker::new(PRICED);
        let request = Request::of(&OPENAI, false);
        let call = worker.ask(&request);
        call.break_off(details);
        let tokens = if usage == "absent" {
            ["-".into(), "-".into()]
        } else {
            [estimate(request.body.len()), "99".into()]
        };
        assert_eq!(call.field("usage"), usage, "{details}");
        assert_eq!(call.fields(["input_tokens", "output_tokens"]), tokens, "{details}");
        assert_eq!(worker.counted(&["tollgate_requests_total", outcome]), 1, "{details}");
    }
}

#[test]
fn a_call_that_ends_while_it_waits_for_the_quota_service_is_not_charged() {
    let service = PRICED.replacen('{', r#"{"service": {"cluster": "quota"}, "#, 1);
    for details in ["downstream_remote_disconnect", "stream_idle_timeout"] {
        let worker = Worker::new(&service);
        let call = worker.ask(&Request::of(&OPENAI, false));
        assert_eq!(call.upstream().body, b"", "it waits");
        call.break_off(details);
        assert_eq!(call.fields(["usage", "cost_nano_usd"]), ["absent", "0"], "{details}");
    }
}

#[test]
fn a_request_that_never_went_out_whole_is_not_charged() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&OPENAI, false);
    let call = worker.stream();
    call.request_headers(&request, false);
    call.request_body(&request.body[..40], false);
    call.break_off("downstream_remote_disconnect");
    assert_eq!(call.fields(["usage", "cost_nano_usd", "tenant"]), ["absent", "0", "acme"]);
}

#[test]
fn answers_of_envoy_itself_are_charged_only_if_the_upstream_had_the_call() {
    #[rustfmt::skip]
    let cases = [
        // status  details                                                           usage
        (503,      "no_healthy_upstream",                                            "absent"),
        (503,      "upstream_reset_before_response_started{connection_failure}",     "absent"),
        (503,      "upstream_reset_before_response_started{overflow}",               "absent"),
        (404,      "route_not_found",                                                "absent"),
        (429,      "local_rate_limited",                                             "absent"),
        (403,      "rbac_access_denied_matched_policy[none]",                        "absent"),
        (504,      "upstream_response_timeout",                                      "estimated"),
        (504,      "upstream_per_try_timeout",                                       "estimated"),
        (504,      "response_timeout",                                               "estimated"),
        (408,      "stream_idle_timeout",                                            "estimated"),
        (503,      "upstream_reset_before_response_started{connection_termination}", "estimated"),
    ];
    for (status, details, usage) in cases {
        let worker = Worker::new(PRICED);
        let call = worker.ask(&Request::of(&OPENAI, false));
        call.answer_by_envoy(status, details);
        call.end();
        assert_eq!(call.field("usage"), usage, "{details}");
        assert_eq!(call.field("cost_nano_usd") == "0", usage == "absent", "{details}");
        assert_eq!(worker.counted(&["tollgate_parse_failures_total"]), 0, "{details}");
    }
}

#[test]
fn a_timeout_before_the_request_was_sent_whole_is_not_charged() {
    let worker = Worker::new(PRICED);
    let call = worker.stream();
    call.request_headers(&Request::of(&OPENAI, false), false);
    call.answer_by_envoy(408, "stream_idle_timeout");
    call.end();
    assert_eq!(call.field("usage"), "absent");
}

#[test]
fn a_stream_is_recorded_once_in_whatever_order_it_ends() {
    for order in [Order::LogDoneDelete, Order::DoneLogDelete, Order::DoneDeleteLog] {
        let worker = Worker::new(PRICED);
        let call = worker.ask(&Request::of(&OPENAI, false));
        call.answer(200, &[], &[OPENAI.json()]);
        call.end_in(order);
        assert_eq!(call.fields(["usage", "cost_nano_usd"]), ["reported", "314000"], "{order:?}");
        assert_eq!(worker.counted(&["tollgate_requests_total"]), 1, "{order:?}");
        assert_eq!(worker.counted(&["tollgate_cost_nano_usd_total"]), 314_000, "{order:?}");
        assert_eq!(worker.samples().len(), 2, "{order:?}");

        let elsewhere = Request { path: "/health".into(), ..Request::of(&OPENAI, false) };
        worker.ask(&elsewhere).end_in(order);
        assert_eq!(worker.counted(&["tollgate_skipped_total"]), 1, "{order:?}");
    }
}

#[test]
fn what_comes_after_the_record_changes_nothing() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&OPENAI, false));
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    let (row, counters) = (call.row(), worker.counters());
    call.request_body(b"late", true);
    call.answer(500, &[], &["late"]);
    call.answer_trailers();
    call.end_in(Order::DoneDeleteLog);
    assert_eq!((call.row(), worker.counters()), (row, counters));
}

#[test]
fn a_stream_of_which_nothing_came_leaves_no_trace() {
    let worker = Worker::new(PRICED);
    for order in [Order::LogDoneDelete, Order::DoneDeleteLog] {
        let call = worker.stream();
        call.end_in(order);
        assert!(call.row().is_empty());
    }
    assert!(worker.counters().is_empty());
}

#[test]
fn an_answer_without_a_body_ends_with_its_headers() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&OPENAI, false));
    call.answer_headers(204, &[], true);
    call.end();
    assert_eq!(worker.counted(&["outcome=.=ok;"]), 1);
    assert_eq!(call.field("ttft_ms"), "-");
}

#[test]
fn a_stream_without_usage_is_estimated_from_its_text() {
    let worker = Worker::new(PRICED);
    let events = OPENAI.sse();
    let call = worker.exchange(&Request::of(&OPENAI, true), &[events[..3].concat()]);
    let text = (OPENAI.events)()[1].clone();
    let text: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = text["choices"][0]["delta"]["content"].to_string().len() + r#""""#.len();
    assert_eq!(call.fields(["usage", "output_tokens"]), ["estimated".to_owned(), estimate(bytes)]);
    assert_eq!(worker.counted(&["outcome=.=ok;"]), 1);
}

#[test]
fn attempts_are_estimated_but_for_those_that_the_router_logs_as_failed() {
    let (mine, other) = ("request-1", "request-2");
    let connection = 7_u64.to_le_bytes();
    let ended = |worker: &Worker, id: &str, connected: bool, status: i64| {
        let mut told = vec![("request\0id", id.as_bytes()), ("connection\0id", &connection[..])];
        let status = status.to_le_bytes();
        if connected {
            told.push(("upstream\0local_address", b"10.0.0.1:5"));
        }
        told.push(("response\0code", &status));
        worker.end_attempt(&told);
    };
    #[rustfmt::skip]
    let cases = [
        // what became of the first     whose   connected  status  usage
        ("no connection",               mine,   false,     0,      "reported"),
        ("refused by status",           mine,   true,      503,    "reported"),
        ("reset without an answer",     mine,   true,      0,      "estimated"),
        ("another call's",              other,  false,     0,      "estimated"),
    ];
    for (what, whose, connected, status, usage) in cases {
        let worker = Worker::new(PRICED);
        for again in [true, false] {
            let call = worker.ask(&Request::of(&OPENAI, false));
            if again {
                ended(&worker, whose, connected, status);
                ended(&worker, mine, true, 200);
            }
            call.answer(200, &[], &[OPENAI.json()]);
            call.set_property("upstream\0request_attempt_count", 2_u64.to_le_bytes());
            call.set_property("request\0id", mine);
            call.set_property("connection\0id", connection);
            call.end();
            // What was logged for one call does not count for the next.
            let usage = if again { usage } else { "estimated" };
            assert_eq!(call.fields(["attempts", "usage"]), ["2", usage], "{what}");
        }
    }
}

#[test]
fn what_failed_beside_the_calls_is_no_attempt_of_one_of_the_same_id() {
    let connection = 7_u64.to_le_bytes();
    for is_ours in [true, false] {
        let worker = Worker::new(PRICED);
        let named = |call: &Call<'_>| {
            call.set_property("request\0id", "same");
            call.set_property("connection\0id", connection);
        };
        worker.end_attempt(&[("request\0id", b"same"), ("connection\0id", &connection)]);
        if is_ours {
            let path = "/v1/models/none".to_owned();
            let skipped = worker.ask(&Request { path, ..Request::of(&OPENAI, false) });
            named(&skipped);
            skipped.end();
        }
        let call = worker.stream();
        named(&call);
        call.request(&Request::of(&OPENAI, false));
        call.answer(200, &[], &[OPENAI.json()]);
        call.set_property("upstream\0request_attempt_count", 2_u64.to_le_bytes());
        call.end();
        assert_eq!(call.field("usage"), "estimated", "{is_ours}");
    }
}

#[test]
fn what_failed_alone_is_no_attempt_of_a_later_call_of_the_same_id() {
    let worker = Worker::new(PRICED);
    let connection = 7_u64.to_le_bytes();
    let named = |call: &Call<'_>| {
        call.set_property("request\0id", "same");
        call.set_property("connection\0id", connection);
    };
    let failed = worker.ask(&Request::of(&OPENAI, false));
    worker.end_attempt(&[("request\0id", b"same"), ("connection\0id", &connection)]);
    failed.answer(503, &[], &[b"{}"]);
    named(&failed);
    failed.end();
    let call = worker.ask(&Request::of(&OPENAI, false));
    call.answer(200, &[], &[OPENAI.json()]);
    call.set_property("upstream\0request_attempt_count", 2_u64.to_le_bytes());
    named(&call);
    call.end();
    assert_eq!(call.field("usage"), "estimated");
}
