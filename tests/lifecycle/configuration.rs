//! Loading a configuration, and loading another while calls are on their way.

use crate::PRICED;
use crate::support::dialect::OPENAI;
use crate::support::{Request, Status, Worker};

#[test]
fn a_fault_is_refused_with_its_path_and_the_last_good_configuration_stays() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"tenant": [{"header": "x", "capture": "("}]}"#,         "`tenant[0].capture`"),
        (r#"{"tenant": [{"header": "authorization"}]}"#,             "`tenant[0].header`"),
        (r#"{"tenants": []}"#,                                       "`tenants`"),
        (r#"{"anonymous": "refuse"}"#,                               "`anonymous`"),
        (r#"{"max_buffered": 1}"#,                                   "`max_buffered`"),
        (r#"{"strip": [":path"]}"#,                                  "`strip[0]`"),
        (r#"{"access_log": ["tenant", "nothing"]}"#,                 "`access_log[1]`"),
        (r#"{"metrics": {"max_values": {"tenant": 0}}}"#,            "`metrics.max_values.tenant`"),
        (r#"{"prices": [{"model": "m", "rates": {"input": "a"}}]}"#, "`prices[0].rates.input`"),
        (r#"{"tenant": "#,                                           "JSON"),
        ("no JSON",                                                  "JSON"),
    ];
    let worker = Worker::new(PRICED);
    for (faulty, path) in cases {
        assert!(!worker.configure(faulty), "{faulty}");
        let line = worker.log().pop().unwrap();
        assert!(line.contains("configuration refused") && line.contains(path), "{line}");
        let call = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
        assert_eq!(call.fields(["tenant", "cost_nano_usd"]), ["acme", "314000"]);
    }
}

#[test]
fn a_price_that_cannot_be_used_is_refused() {
    let worker = Worker::new("{}");
    let taken = worker.configure(r#"{"prices": [{"model": "a*b", "rates": {"input": "1"}}]}"#);
    assert!(!taken, "{:?}", worker.log());
}

#[test]
fn no_configuration_at_all_meters_everybody_as_anonymous() {
    let worker = Worker::new("");
    let call = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
    assert_eq!(call.fields(["tenant", "usage"]), ["anonymous", "reported"]);
}

#[test]
fn a_plugin_without_a_configuration_lets_everything_pass() {
    let worker = Worker::in_process(&Default::default());
    let call = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
    assert!(call.upstream().ended && call.row().is_empty());
}

#[test]
fn a_call_keeps_the_configuration_it_came_in_by() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&OPENAI, false).with("x-org", "other");
    let asked = worker.ask(&request);
    let answering = worker.ask(&request);
    answering.answer_headers(200, &[], false);
    let refusing = r#"{"tenant": [{"header": "x-org"}], "access_log": ["tenant", "cost_nano_usd"],
        "prices": [{"model": "*", "rates": {"input": "0", "output": "0"}}]}"#;
    assert!(worker.configure(refusing));
    asked.answer_headers(200, &[], false);
    for call in [asked, answering] {
        call.answer_body(&OPENAI.json(), true);
        call.end();
        assert_eq!(
            call.fields(["tenant", "cost_nano_usd", "usage"]),
            ["acme", "314000", "reported"]
        );
    }
    let next = worker.exchange(&request, &[OPENAI.json()]);
    assert_eq!(next.fields(["tenant", "cost_nano_usd", "usage"]), ["other", "0", "-"]);
}

#[test]
fn a_held_call_is_decided_by_the_configuration_it_came_in_by() {
    let held = r#"{"tenant": [{"body": "/user"}], "anonymous": "refuse", "hold_headers": true}"#;
    let worker = Worker::new(held).that_lets_headers_be_held();
    let request = Request { body: b"{}".to_vec(), ..Request::of(&OPENAI, false) };
    let call = worker.stream();
    call.request_headers(&request, false);
    assert!(worker.configure(PRICED));
    call.request_body(&request.body, true);
    assert_eq!(call.reply().unwrap().status, 401);
}

#[test]
fn only_the_fields_asked_for_are_written() {
    let worker =
        Worker::new(r#"{"access_log": ["model", "usage"], "metrics": {"enabled": false}}"#);
    let call = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
    assert_eq!(call.row().into_keys().collect::<Vec<_>>(), ["model", "usage"]);
    worker.ask(&Request { path: "/".into(), ..Request::of(&OPENAI, false) }).end();
    assert!(worker.counters().is_empty() && worker.samples().is_empty());
}

#[test]
fn headers_are_not_held_where_envoy_gives_no_tick() {
    let worker = Worker::new(PRICED);
    worker.fail(Some("proxy_set_tick_period_milliseconds"), Status::InternalFailure);
    assert!(!worker.configure(r#"{"hold_headers": true}"#));
    assert!(worker.log().pop().unwrap().contains("tick"));
    assert!(worker.configure("{}"), "without holding, no tick is needed");
}
