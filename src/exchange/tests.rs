use super::*;
use crate::config::Config;
use crate::money::NanoUsd;
use crate::record::Price;
use crate::shared::{Conflict, Version};
use crate::usage::Unit;

fn gate(config: &str) -> Rc<Gate> {
    Rc::new(Gate::new(Config::parse(config.as_bytes()).unwrap()).unwrap())
}

/// A store that is never read.
struct Nothing;

impl Shared for Nothing {
    fn load(&self, _: &str) -> Option<(Vec<u8>, Version)> {
        None
    }

    fn store(&mut self, _: &str, _: &[u8], _: Option<Version>) -> Result<(), Conflict> {
        Ok(())
    }
}

fn teller_at(now_ms: u64) -> Teller<'static, Nothing> {
    Teller { desk: Box::leak(Box::default()), shared: Box::leak(Box::new(Nothing)), now_ms }
}

fn teller() -> Teller<'static, Nothing> {
    teller_at(10_000)
}

/// Opens a chat call; `headers` stand for all places outside the body.
fn open(config: &str, headers: &[(&str, &str)]) -> Exchange {
    let gate = gate(config);
    let target = gate.target("POST", "/v1/chat/completions", "api.openai.com", "").unwrap();
    Exchange::open(gate, target, "id".into(), 10_000, |origin| match origin {
        Origin::Header(name) => headers
            .iter()
            .find(|(header, _)| header == name)
            .map_or(Lookup::Absent, |(_, value)| Lookup::Value(value.as_bytes().to_vec())),
        Origin::Body(_) => Lookup::NotYet,
        _ => Lookup::Absent,
    })
}

const REQUEST: &[u8] = br#"{"model":"gpt-4o","stream":true,"user":"u7","max_tokens":70,
    "stream_options":{"include_usage":true}}"#;
const ANSWER: &[u8] =
    br#"{"model":"gpt-4o-2024-08-06","usage":{"prompt_tokens":1000,"completion_tokens":10}}"#;

fn ask(exchange: &mut Exchange) {
    assert_eq!(exchange.on_request_headers(false, teller()), Step::Continue);
    assert_eq!(exchange.on_request_body(REQUEST, true, teller()), Step::Continue);
}

#[test]
fn an_answered_call_is_named_counted_and_priced() {
    let config =
        r#"{"tenant":[{"header":"x-t"}],"feature":[{"body":"/user"}],"user":[{"body":"/user"}]}"#;
    let mut exchange = open(config, &[("x-t", "acme")]);
    ask(&mut exchange);
    exchange.on_answer_head(200, "", "via_upstream", |_| None);
    exchange.on_answer_body(ANSWER, false, || 10_250);
    exchange.on_answer_body(b"", true, || panic!("the first byte has come already"));
    let record = exchange.close(Close::new("via_upstream"), teller_at(10_400)).0;
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    assert_eq!(
        [name(&record.tenant), name(&record.feature), name(&record.user)],
        ["acme", "u7", "u7"]
    );
    assert_eq!((record.ttft_ms, record.duration_ms), (Some(250), 400));
    // gpt-4o: 2.50 and 10 dollars per million.
    assert_eq!(record.price.known().unwrap().nanos(), 1_000 * 2_500 + 10 * 10_000);
    assert_eq!(name(&record.request_model), "gpt-4o");
    assert_eq!(name(&record.model), "gpt-4o-2024-08-06");
    assert!(record.stream && record.outcome == Outcome::Ok);
}

#[test]
fn a_source_in_the_body_can_come_before_one_in_a_header() {
    let config = r#"{"tenant":[{"body":"/user"},{"header":"x-t"}]}"#;
    for (request, tenant) in [(REQUEST, "u7"), (&b"{}"[..], "acme")] {
        let mut exchange = open(config, &[("x-t", "acme")]);
        assert_eq!(exchange.on_request_headers(false, teller()), Step::Continue);
        assert_eq!(exchange.on_request_body(request, true, teller()), Step::Continue);
        assert_eq!(exchange.close(Close::new(""), teller_at(0)).0.tenant.as_deref(), Some(tenant));
    }
}

const STRICT: &str =
    r#"{"tenant":[{"header":"x-t"},{"body":"/user"}],"anonymous":"refuse","max_buffered":1024}"#;

#[test]
fn a_request_waits_for_its_body_only_if_the_body_decides() {
    let mut known = open(STRICT, &[("x-t", "acme")]);
    assert_eq!(known.on_request_headers(false, teller()), Step::Continue);

    let mut unknown = open(STRICT, &[]);
    assert_eq!(unknown.on_request_headers(false, teller()), Step::Hold);
    let (head, tail) = REQUEST.split_at(20);
    assert_eq!(unknown.on_request_body(head, false, teller()), Step::Hold);
    assert_eq!(unknown.on_request_body(tail, true, teller()), Step::Continue);
    assert_eq!(unknown.close(Close::new(""), teller_at(0)).0.tenant.as_deref(), Some("u7"));
}

#[test]
fn who_is_not_known_is_refused_where_the_operator_says_so() {
    #[rustfmt::skip]
    let cases = [
        // body                          ended  status
        (b"{}".to_vec(),                 true,  401),
        (b"not json".to_vec(),           true,  401),
        (vec![b' '; 1025],               false, 413),
    ];
    for (body, end, status) in cases {
        let mut exchange = open(STRICT, &[("x-t", "\n")]);
        assert_eq!(exchange.on_request_headers(false, teller()), Step::Hold);
        let Step::Refuse(refusal) = exchange.on_request_body(&body, end, teller()) else {
            panic!("{status}")
        };
        assert_eq!(refusal.status, status);
        assert!(exchange.is_refused());
        assert_eq!(exchange.on_request_body(b"more", true, teller()), Step::Continue);
        exchange.on_answer_head(u32::from(status), "", "", |_| None);
        let record = exchange.close(Close::new("tollgate_refused"), teller_at(0)).0;
        assert_eq!((record.outcome, record.status), (Outcome::Refused, status.into()));
        assert_eq!((record.amount, record.price), (Amount::Absent, Price::Nothing));
    }
}

#[test]
fn what_a_call_used_follows_from_how_it_ended() {
    use Outcome::{Aborted, ClientError, Ok, UpstreamError};
    let text: &[u8] = br#"{"choices":[{"message":{"content":"12345678"}}]}"#;
    #[rustfmt::skip]
    let cases = [
        // status, made by,                              body,   whole, ended by,                       usage,       output, outcome
        (200, "",                                        ANSWER, true,  "via_upstream",                 "reported",  10,     Ok),
        (200, "",                                        text,   true,  "via_upstream",                 "estimated", 3,      Ok),
        (200, "",                                        text,   false, "downstream_remote_disconnect", "estimated", 3,      Aborted),
        (200, "",                                        text,   false, "upstream_reset_after_response_started{remote_reset}", "estimated", 3, UpstreamError),
        (200, "",                                        b"{\"error\":{}}", true, "via_upstream",       "absent",    0,      UpstreamError),
        (429, "via_upstream",                            b"{\"error\":{}}", true, "via_upstream",       "absent",    0,      ClientError),
        (500, "via_upstream",                            b"<html>", true, "via_upstream",               "absent",    0,      UpstreamError),
        (500, "via_upstream",                            ANSWER, true,  "via_upstream",                 "reported",  10,     UpstreamError),
        (503, "no_healthy_upstream",                     b"no",  true,  "no_healthy_upstream",          "absent",    0,      UpstreamError),
        (503, "upstream_reset_before_response_started{connection_failure}", b"no", true, "x",           "absent",    0,      UpstreamError),
        (503, "upstream_reset_before_response_started{remote_reset}",       b"no", true, "x",           "estimated", 70,     UpstreamError),
        (504, "response_timeout",                        b"no",  true,  "response_timeout",             "estimated", 70,     UpstreamError),
        (404, "route_not_found",                         b"",    true,  "route_not_found",              "absent",    0,      ClientError),
    ];
    for (status, made_by, body, whole, ended_by, usage, output, outcome) in cases {
        let mut exchange = open("{}", &[]);
        ask(&mut exchange);
        exchange.on_answer_head(status, "", made_by, |_| None);
        exchange.on_answer_body(body, whole, || 0);
        let record = exchange.close(Close::new(ended_by), teller_at(0)).0;
        let name = format!("{status} {made_by} {ended_by}");
        assert_eq!(record.field(crate::config::LogField::Usage).unwrap(), usage, "{name}");
        let tokens = record.amount.known().map_or(0, |known| known.usage.output_tokens());
        assert_eq!((tokens, record.outcome), (output, outcome), "{name}");
        assert_eq!(record.trouble, None, "{name}");
    }
}

#[test]
fn what_is_told_again_counts_where_it_was_not_told_before() {
    let response = |background: bool, status: &str| {
        format!(
            r#"{{"id":"r","model":"gpt-5","status":"{status}","background":{background},"usage":{{"input_tokens":5,"output_tokens":2}}}}"#
        )
    };
    #[rustfmt::skip]
    let cases = [
        // method, path,          body,                            usage
        ("POST", "/v1/responses",   response(false, "completed"),   "reported"),
        ("GET",  "/v1/responses/r", response(false, "completed"),   "absent"),
        ("POST", "/v1/responses",   response(true,  "queued"),      "absent"),
        ("GET",  "/v1/responses/r", response(true,  "in_progress"), "absent"),
        ("GET",  "/v1/responses/r", response(true,  "completed"),   "reported"),
        ("GET",  "/v1/responses/r", response(true,  "incomplete"),  "reported"),
    ];
    for (method, path, body, usage) in cases {
        assert_told((method, path, "api.openai.com"), (200, &body), usage);
    }
}

#[test]
fn what_is_deferred_counts_when_it_is_asked_for() {
    let (xai, perplexity) = ("api.x.ai", "api.perplexity.ai");
    let (chat, polled) = ("/v1/chat/completions", "/v1/chat/deferred-completion/r");
    let done = r#"{"id":"c","model":"grok-4","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
    let deferred = r#"{"request_id":"r"}"#;
    let (asked, poll) = ("/async/chat/completions", "/async/chat/completions/p");
    let job = |status: &str, response: &str| {
        format!(r#"{{"id":"p","model":"sonar-pro","status":"{status}","response":{response}}}"#)
    };
    let (begun, failed) = (job("CREATED", "null"), job("FAILED", "null"));
    let (ended, at_work) = (job("COMPLETED", done), job("IN_PROGRESS", "null"));
    #[rustfmt::skip]
    let cases = [
        // method, path,  host              status  body       usage
        ("POST", chat,   xai,               200,    deferred,  "absent"),
        ("POST", chat,   "api.openai.com",  200,    deferred,  "estimated"),
        ("POST", chat,   xai,               200,    "{}",      "estimated"),
        ("POST", chat,   xai,               200,    done,      "reported"),
        ("GET",  polled, xai,               202,    "",        "absent"),
        ("GET",  polled, xai,               200,    done,      "reported"),
        ("GET",  polled, xai,               404,    "{}",      "absent"),
        ("POST", asked,  perplexity,        200,    &*begun,   "absent"),
        ("POST", asked,  perplexity,        200,    "{}",      "estimated"),
        ("GET",  poll,   perplexity,        200,    &*at_work, "absent"),
        ("GET",  poll,   perplexity,        200,    &*failed,  "absent"),
        ("GET",  poll,   perplexity,        200,    &*ended,   "reported"),
    ];
    for (method, path, host, status, body, usage) in cases {
        assert_told((method, path, host), (status, body), usage);
    }
}

#[test]
fn what_is_told_once_and_breaks_off_is_charged_for() {
    let polled = ("GET", "/v1/chat/deferred-completion/r", "api.x.ai");
    let job = ("GET", "/async/chat/completions/p", "api.perplexity.ai");
    let response = ("GET", "/v1/responses/r", "api.openai.com");
    let text = r#"{"id":"c","model":"grok-4","choices":[{"message":{"content":"four tokens of it"#;
    let (usage, at_work) =
        (r#""usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}"#, "");
    let counted = format!(r#"{{"id":"c","model":"grok-4",{usage},"choices":[{{"message":{{"#);
    let done = format!(r#"{{"id":"p","status":"COMPLETED","response":{{{usage},"choices":[{{"#);
    let begun = format!(r#"{{"id":"p","status":"IN_PROGRESS","response":{{{usage},"choices":[{{"#);
    #[rustfmt::skip]
    let cases = [
        // call    status  body        usage        output
        (polled,   200,    text,       "estimated", "5"),
        (polled,   200,    &*counted,  "reported",  "2"),
        (polled,   202,    at_work,    "absent",    "-"),
        (job,      200,    &*done,     "reported",  "2"),
        (job,      200,    &*begun,    "absent",    "-"),
        (response, 200,    r#"{"id":"r","background":true,"status":"completed","#, "absent", "-"),
    ];
    for ((method, path, host), status, body, usage, output) in cases {
        let gate = gate("{}");
        let target = gate.target(method, path, host, "").unwrap();
        let mut exchange = Exchange::open(gate, target, "id".into(), 0, |_| Lookup::Absent);
        assert_eq!(exchange.on_request_headers(true, teller()), Step::Continue);
        exchange.on_answer_head(status, "", "", |_| None);
        exchange.on_answer_body(body.as_bytes(), false, || 0);
        let end = Close::new("downstream_remote_disconnect");
        let record = exchange.close(end, teller()).0;
        let told = [crate::config::LogField::Usage, crate::config::LogField::OutputTokens]
            .map(|field| record.field(field));
        let told = told.map(|text| text.unwrap_or_else(|| "-".to_owned()));
        assert_eq!(told, [usage, output], "{host} {body}");
    }
}

#[test]
fn a_poll_without_an_answer_costs_nothing_unless_it_is_told_once() {
    #[rustfmt::skip]
    let cases = [
        // path,                              host,                                usage
        ("/v1/responses/r",                   "api.openai.com",                    "absent"),
        ("/async/chat/completions/p",         "api.perplexity.ai",                 "absent"),
        ("/v1beta/interactions/i",            "generativelanguage.googleapis.com", "absent"),
        ("/v1/chat/deferred-completion/r",    "api.x.ai",                          "estimated"),
    ];
    for (path, host, usage) in cases {
        let gate = gate("{}");
        let target = gate.target("GET", path, host, "").unwrap();
        let mut exchange = Exchange::open(gate, target, "id".into(), 0, |_| Lookup::Absent);
        assert_eq!(exchange.on_request_headers(true, teller()), Step::Continue);
        exchange.on_answer_head(504, "", "response_timeout", |_| None);
        exchange.on_answer_body(b"upstream request timeout", true, || 0);
        let record = exchange.close(Close::new("response_timeout"), teller()).0;
        assert_eq!(record.field(crate::config::LogField::Usage).unwrap(), usage, "{host}");
    }
}

/// Asserts what comes of a call that is answered so.
fn assert_told((method, path, host): (&str, &str, &str), (status, body): (u32, &str), usage: &str) {
    let gate = gate("{}");
    let target = gate.target(method, path, host, "").unwrap();
    let mut exchange = Exchange::open(gate, target, "id".into(), 0, |_| Lookup::Absent);
    assert_eq!(exchange.on_request_headers(true, teller()), Step::Continue);
    exchange.on_answer_head(status, "", if status < 300 { "" } else { "via_upstream" }, |_| None);
    exchange.on_answer_body(body.as_bytes(), true, || 0);
    let record = exchange.close(Close::new("via_upstream"), teller()).0;
    let told = record.field(crate::config::LogField::Usage).unwrap();
    assert_eq!(told, usage, "{method} {host} {body}");
}

#[test]
fn attempts_of_what_is_free_are_free() {
    #[rustfmt::skip]
    let cases = [
        ("POST", "/v1/messages/count_tokens", "absent"),
        ("GET",  "/v1/responses/r",           "absent"),
        ("POST", "/v1/messages",              "estimated"),
    ];
    for (method, path, usage) in cases {
        let gate = gate("{}");
        let target = gate.target(method, path, "", "").unwrap();
        let mut exchange = Exchange::open(gate, target, "id".into(), 0, |_| Lookup::Absent);
        assert_eq!(exchange.on_request_headers(true, teller()), Step::Continue);
        exchange.on_answer_head(200, "", "", |_| None);
        exchange.on_answer_body(b"{\"usage\":{\"input_tokens\":5}}", true, || 0);
        let record =
            exchange.close(Close { attempts: 3, ..Close::new("via_upstream") }, teller()).0;
        assert_eq!(record.field(crate::config::LogField::Usage).unwrap(), usage, "{path}");
    }
}

#[test]
fn attempts_that_are_known_to_have_cost_nothing_are_free() {
    #[rustfmt::skip]
    let cases = [
        // status  attempts  spared  usage        output
        (200,      1,        0,      "reported",  10),
        (200,      3,        0,      "estimated", 150),
        (200,      3,        1,      "estimated", 80),
        (200,      3,        2,      "reported",  10),
        (200,      3,        9,      "reported",  10),
        // One of them may be the last.
        (503,      2,        1,      "estimated", 70),
        (503,      2,        2,      "absent",    0),
    ];
    for (status, attempts, spared, usage, output) in cases {
        let mut exchange = open("{}", &[]);
        ask(&mut exchange);
        exchange.on_answer_head(status, "", "via_upstream", |_| None);
        exchange.on_answer_body(if status == 200 { ANSWER } else { b"{}" }, true, || 0);
        let end = Close { attempts, spared, ..Close::new("via_upstream") };
        let record = exchange.close(end, teller()).0;
        let name = format!("{status} {attempts} {spared}");
        assert_eq!(record.field(crate::config::LogField::Usage).unwrap(), usage, "{name}");
        let tokens = record.amount.known().map_or(0, |known| known.usage.output_tokens());
        assert_eq!((tokens, record.attempts), (output, attempts), "{name}");
    }
}

#[test]
fn what_envoy_answers_itself_costs_nothing() {
    let body = br#"{"model":"gpt-4o","usage":{"prompt_tokens":5}}"#;
    #[rustfmt::skip]
    let cases = [
        // attempts  details             usage
        (0,          "direct_response",  "absent"),
        (0,          "via_upstream",     "reported"),
        (0,          "",                 "reported"),
        (1,          "",                 "reported"),
    ];
    for (attempts, details, usage) in cases {
        let mut exchange = open("{}", &[]);
        ask(&mut exchange);
        exchange.on_answer_head(200, "", "", |_| None);
        exchange.on_answer_body(body, true, || 0);
        let record = exchange.close(Close { attempts, ..Close::new(details) }, teller_at(0)).0;
        let told = record.field(crate::config::LogField::Usage).unwrap();
        assert_eq!(told, usage, "{attempts} {details}");
    }
}

#[test]
fn a_call_without_an_answer_costs_what_it_may_have_cost() {
    #[rustfmt::skip]
    let cases = [
        // sent   ended by                        output
        (true,  "downstream_remote_disconnect",   Some(70)),
        (false, "downstream_remote_disconnect",   None),
        (true,  "",                               None),
    ];
    for (sent, details, output) in cases {
        let mut exchange = open("{}", &[]);
        assert_eq!(exchange.on_request_headers(false, teller()), Step::Continue);
        assert_eq!(exchange.on_request_body(REQUEST, sent, teller()), Step::Continue);
        let record = exchange.close(Close::new(details), teller_at(0)).0;
        let tokens = record.amount.known().map(|known| known.usage.of(Unit::Output));
        assert_eq!((tokens, record.outcome), (output, Outcome::Aborted), "{sent} {details}");
    }
}

#[test]
fn a_model_without_a_price_is_not_free() {
    let mut exchange = open("{}", &[]);
    ask(&mut exchange);
    exchange.on_answer_head(200, "", "", |_| None);
    exchange.on_answer_body(br#"{"model":"who","usage":{"prompt_tokens":1}}"#, true, || 0);
    assert_eq!(exchange.close(Close::new(""), teller_at(0)).0.price, Price::Unpriced);
}

#[test]
fn a_call_without_a_price_ends_as_the_operator_says() {
    let fallback = r#"{"unpriced":{"rates":{"input":"3","output":"5"}}}"#;
    let alias = r#"{"models":[{"provider":"openai","model":"who*","as":"openai/gpt-4o"}]}"#;
    #[rustfmt::skip]
    let cases = [
        // config                  model     price
        (r#"{"unpriced":"pass"}"#, "whoami", None),
        (fallback,                 "whoami", Some((3_000, "fallback"))),
        (fallback,                 "gpt-4o", Some((2_500, "book"))),
        (alias,                    "whoami", Some((2_500, "book"))),
        (alias,                    "i",      None),
    ];
    for (config, model, expected) in cases {
        let mut exchange = open(config, &[]);
        let request = format!(r#"{{"model":"{model}"}}"#);
        assert_eq!(exchange.on_request_headers(false, teller()), Step::Continue);
        assert_eq!(exchange.on_request_body(request.as_bytes(), true, teller()), Step::Continue);
        exchange.on_answer_head(200, "", "via_upstream", |_| None);
        let answer = format!(r#"{{"model":"{model}","usage":{{"prompt_tokens":1}}}}"#);
        exchange.on_answer_body(answer.as_bytes(), true, || 0);
        let record = exchange.close(Close::new("via_upstream"), teller_at(0)).0;
        let is_book = |version: &str| version.contains("genai-prices");
        let price = record.price.version().map(|version| {
            let version = if is_book(version) { "book" } else { version };
            (record.price.known().unwrap().nanos(), version.to_owned())
        });
        assert_eq!(price, expected.map(|(n, v)| (n, v.to_owned())), "{config} {model}");
    }
}

#[test]
fn a_call_without_a_price_is_refused_before_it_costs_anything() {
    let refuse = |rest: &str| format!(r#"{{"unpriced":"refuse"{rest}}}"#);
    let priced = refuse(r#","prices":[{"model":"mine","rates":{"input":"0"}}]"#);
    let named = refuse(r#","models":[{"model":"mine","as":"openai/gpt-4o"}]"#);
    let unnamed = refuse(r#","models":[{"model":"mine","as":"openai/nothing"}]"#);
    #[rustfmt::skip]
    let cases = [
        (refuse(""), r#"{"model":"gpt-4o"}"#,  true),
        (refuse(""), r#"{"model":"mine"}"#,    false),
        (refuse(""), r#"{"input":"no model"}"#, false),
        (priced,     r#"{"model":"mine"}"#,    true),
        (named,      r#"{"model":"mine"}"#,    true),
        (unnamed,    r#"{"model":"mine"}"#,    false),
    ];
    for (config, request, passes) in cases {
        let mut exchange = open(&config, &[]);
        assert_eq!(exchange.on_request_headers(false, teller()), Step::Hold, "{config}");
        let step = exchange.on_request_body(request.as_bytes(), true, teller());
        let Step::Refuse(refusal) = step else {
            assert!(passes && step == Step::Continue, "{config} {request} {step:?}");
            continue;
        };
        assert!(!passes, "{config} {request}");
        assert_eq!((refusal.status, refusal.code), (403, "model_unpriced"));
        let record = exchange.close(Close::new("tollgate_refused"), teller_at(0)).0;
        assert_eq!((record.outcome, record.price), (Outcome::Refused, Price::Nothing));
    }
}

#[test]
fn what_the_provider_says_counts_where_the_operator_says_so() {
    let of = |config: &str, model: &str| {
        let config =
            format!(r#"{{{config}"providers":[{{"host":"api.openai.com","provider":"xai"}}]}}"#);
        let mut exchange = open(&config, &[]);
        ask(&mut exchange);
        exchange.on_answer_head(200, "", "via_upstream", |_| None);
        let answer = format!(
            r#"{{"model":"{model}","usage":{{"prompt_tokens":1,"cost_in_usd_ticks":70004}}}}"#
        );
        exchange.on_answer_body(answer.as_bytes(), true, || 0);
        let record = exchange.close(Close::new("via_upstream"), teller_at(0)).0;
        let said = record.said_cost.unwrap();
        assert_eq!(said.cost.nanos(), 7_000);
        let version = record.price.version().unwrap() == "provider";
        (record.price.known().unwrap().nanos(), version, said.listed.map(NanoUsd::nanos))
    };
    let provider = r#""cost_source":"provider","#;
    assert_eq!(of("", "grok-4"), (3_000, false, Some(3_000)));
    assert_eq!(of(provider, "grok-4"), (7_000, true, Some(3_000)));
    assert_eq!(of("", "unheard-of"), (7_000, true, None));
    let fallback = r#""unpriced":{"rates":{"input":"9"}},"#;
    assert_eq!(of(fallback, "unheard-of"), (7_000, true, None));
}

#[test]
fn the_name_that_was_asked_for_counts_only_where_the_operator_has_named_it() {
    let of = |config: &str, answered: &str| {
        let mut exchange = open(config, &[]);
        ask(&mut exchange);
        exchange.on_answer_head(200, "", "via_upstream", |_| None);
        let answer = format!(r#"{{"model":"{answered}","usage":{{"prompt_tokens":1}}}}"#);
        exchange.on_answer_body(answer.as_bytes(), true, || 0);
        exchange.close(Close::new("via_upstream"), teller_at(0)).0.price.known().map(NanoUsd::nanos)
    };
    // The request asks for gpt-4o.
    let named = r#"{"models":[{"model":"gpt-4o","as":"openai/gpt-4o-mini"}]}"#;
    assert_eq!(of("{}", "some-name-of-a-server"), None);
    assert_eq!(of(named, "some-name-of-a-server"), Some(150));
    assert_eq!(of(named, "gpt-4.1"), Some(2_000));
    assert_eq!(of(named, "gpt-4o-2024-08-06.ft-0123"), None);
    assert_eq!(of(named, "ft:gpt-4.1-2025-04-14:acme::id"), None);
}

#[test]
fn answers_are_asked_for_in_a_coding_that_can_be_read() {
    #[rustfmt::skip]
    let cases = [
        ("",                          None),
        ("gzip",                      None),
        ("identity, GZIP;q=0.5",      None),
        ("gzip, deflate, br, zstd",   Some("gzip")),
        ("br",                        Some("identity")),
        ("*",                         Some("identity")),
        ("deflate",                   Some("identity")),
    ];
    for (accepted, becomes) in cases {
        assert_eq!(readable_encoding(accepted), becomes, "{accepted}");
    }
}

#[test]
fn what_a_client_has_signed_is_known() {
    let signed = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host;accept-encoding, Signature=c";
    assert!(is_signed(signed, "/") && is_signed("", "/model/m/invoke?X-Amz-Signature=c"));
    assert!(!is_signed("Bearer AWS4-", "/model/m/invoke"));
    assert!(
        covers(signed, "Accept-Encoding") && !covers(signed, "encoding") && !covers("", "host")
    );
}
