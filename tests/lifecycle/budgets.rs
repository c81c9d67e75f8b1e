//! Budgets of the configuration: what becomes of calls at a limit.

use std::sync::{Arc, Mutex};

use crate::support::dialect::OPENAI;
use crate::support::{Process, Request, Worker};

fn configuration(budgets: &str) -> String {
    format!(
        r#"{{"tenant": [{{"header": "x-tenant-id"}}], "feature": [{{"header": "x-feature"}}],
            "prices": [{{"model": "*", "rates": {{"input": "1", "cache_read": "0.1", "output": "10"}}}}],
            "budgets": {budgets}}}"#
    )
}

fn of(tenant: &str) -> Request {
    Request::of(&OPENAI, false).without("x-tenant-id").with("x-tenant-id", tenant)
}

/// What is decided about a whole call.
fn decision(worker: &Worker, request: &Request) -> String {
    let call = worker.ask(request);
    if call.reply().is_none() {
        call.answer(200, &[], &[OPENAI.json()]);
    }
    call.end();
    call.field("decision")
}

const TWO: &str = r#"[{"tenant": "*", "limit": {"requests": 2}, "window": "day", "warn_at": [],
    "action": {"refuse": {"status": 402, "message": "{used} of {limit} {unit} this {window}"}}}]"#;

#[test]
fn workers_share_what_a_tenant_may_use_and_a_new_configuration_keeps_it() {
    let process: Arc<Mutex<Process>> = Arc::default();
    let [one, two] = [(), ()].map(|()| Worker::in_process(&process));
    for worker in [&one, &two] {
        assert!(worker.configure(&configuration(TWO)));
    }
    assert_eq!(decision(&one, &of("acme")), "pass");
    assert_eq!(decision(&two, &of("acme")), "pass");
    assert_eq!(decision(&one, &of("acme")), "refuse");
    assert_eq!(decision(&two, &of("other")), "pass");
    let call = two.ask(&of("acme"));
    let reply = call.reply().unwrap();
    assert_eq!(reply.status, 402);
    assert!(String::from_utf8_lossy(&reply.body).contains("2 of 2 requests this day"));
    call.end();
    assert_eq!(call.field("budget"), "requests-day/acme");
    assert_eq!(call.upstream().body, b"", "no prompt goes upstream");
    assert!(two.configure(&configuration(&TWO.replace("\"requests\": 2", "\"requests\": 3"))));
    assert_eq!(decision(&two, &of("acme")), "pass");
    assert_eq!(decision(&two, &of("acme")), "refuse");
}

#[test]
fn a_call_that_is_gone_gives_back_what_it_did_not_use() {
    let tokens = r#"[{"limit": {"tokens": 10000}, "window": "day", "action": "refuse"}]"#;
    let worker = Worker::new(&configuration(tokens));
    for _ in 0..20 {
        assert_ne!(
            decision(&worker, &of("acme")),
            "refuse",
            "each holds its maximum and uses little"
        );
    }
}

#[test]
fn a_new_day_begins_with_nothing_used() {
    let worker = Worker::new(&configuration(TWO));
    let decisions = |n: usize| (0..n).map(|_| decision(&worker, &of("a"))).collect::<Vec<_>>();
    assert_eq!(decisions(3), ["pass", "pass", "refuse"]);
    worker.advance(86_400_000);
    worker.tick();
    assert_eq!(decisions(3), ["pass", "pass", "refuse"]);
}

#[test]
fn budgets_beside_a_service_are_refused() {
    let worker = Worker::new("{}");
    let both = configuration(TWO).replacen('{', r#"{"service": {"cluster": "quota"}, "#, 1);
    assert!(!worker.configure(&both));
    assert!(
        worker.log().iter().any(|line| line.contains("`budgets` must not stand beside `service`"))
    );
}

/// The models' budgets of a configuration in which `gpt-4o` and its like are dear.
fn of_models(small: u64) -> String {
    configuration(&format!(
        r#"[{{"tenant": "*", "id": "dear", "match": {{"model": "gpt-5*"}}, "limit": {{"requests": 1}},
             "window": "day", "warn_at": [], "action": {{"downgrade": {{"models": {{"*": "small-1"}}}}}}}},
            {{"tenant": "*", "id": "small", "match": {{"model": ["small-*"]}}, "warn_at": [],
             "limit": {{"requests": {small}}}, "window": "day", "action": "refuse"}}]"#
    ))
}

fn asks_for(model: &str) -> Request {
    let mut request = of("acme");
    let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    body["model"] = model.into();
    request.body = body.to_string().into();
    request
}

#[test]
fn a_call_that_is_moved_counts_for_the_model_that_serves_it() {
    let worker = Worker::new(&of_models(2));
    let decisions: Vec<_> = ["gpt-5", "gpt-5-nano", "other", "gpt-5", "small-1", "gpt-5"]
        .map(|model| decision(&worker, &asks_for(model)))
        .into();
    // The first has the dear one's place; two are moved, and fill the small one's two.
    assert_eq!(decisions, ["pass", "downgrade", "pass", "downgrade", "refuse", "refuse"]);
    let call = worker.ask(&asks_for("gpt-5"));
    call.end();
    assert_eq!(call.field("budget"), "small.requests-day/acme", "the one that refuses is named");
}

#[test]
fn what_a_moved_call_was_given_of_the_other_model_is_given_back() {
    let all = r#"{"tenant": "*", "limit": {"requests": 3}, "window": "day", "warn_at": [], "action": "refuse"},"#;
    let worker =
        Worker::new(&of_models(9).replacen("\"budgets\": [", &format!("\"budgets\": [{all}"), 1));
    let decisions: Vec<_> = [(); 4].map(|()| decision(&worker, &asks_for("gpt-5"))).into();
    assert_eq!(decisions, ["pass", "downgrade", "downgrade", "refuse"], "each counts once");
}

#[test]
fn a_call_whose_model_cannot_be_changed_is_refused_and_not_moved() {
    let worker = Worker::new(&of_models(9));
    let mut request = of("acme");
    request.path = "/ml/v1/text/chat?version=1".to_owned();
    request.body = br#"{"model_id":"gpt-5","messages":[]}"#.to_vec();
    assert_eq!([(); 2].map(|()| decision(&worker, &request)), ["pass", "refuse"]);
}

#[test]
fn maps_that_send_a_call_round_refuse_it() {
    let to = |id: &str, from: &str, to: &str| {
        format!(
            r#"{{"id": "{id}", "match": {{"model": "{from}"}}, "limit": {{"requests": 0}}, "window": "day",
                "action": {{"downgrade": {{"models": {{"{from}": "{to}"}}}}}}}}"#
        )
    };
    let budgets = format!("[{}, {}]", to("one", "a", "b"), to("two", "b", "a"));
    let worker = Worker::new(&configuration(&budgets));
    assert_eq!(decision(&worker, &asks_for("a")), "refuse");
}

#[test]
fn each_feature_has_its_own_and_a_group_of_tenants_has_one_together() {
    let each = r#"[{"tenant": "*", "id": "each", "per": ["feature"], "warn_at": [], "limit": {"requests": 1}, "window": "day", "action": "refuse"},
        {"id": "group", "warn_at": [], "match": {"tenant": ["eu-*", "acme"]}, "limit": {"requests": 3}, "window": "day", "action": "refuse"}]"#;
    let worker = Worker::new(&configuration(each));
    let by = |tenant: &str, feature: &str| {
        let call = worker.ask(&of(tenant).with("x-feature", feature));
        if call.reply().is_none() {
            call.answer(200, &[], &[OPENAI.json()]);
        }
        call.end();
        call.fields(["decision", "budget"]).join(" ")
    };
    assert!(by("acme", "chat").starts_with("pass"));
    assert!(by("acme", "search").starts_with("pass"));
    assert_eq!(by("acme", "chat"), "refuse each.requests-day/acme/feature=chat");
    assert!(by("eu-1", "chat").starts_with("pass"));
    assert_eq!(by("eu-2", "chat"), "refuse group.requests-day");
    assert!(by("us-1", "chat").starts_with("pass"), "it is not of the group");
}

#[test]
fn work_in_the_background_is_charged_to_budgets_when_it_is_told() {
    let tokens = r#"[{"tenant": "*", "limit": {"tokens": 100000}, "window": "day", "warn_at": [],
        "action": "refuse"}]"#;
    let worker = Worker::new(&configuration(tokens));
    let ask = |method: &'static str, path: &str, body: &str| {
        let (path, body) = (path.to_owned(), body.as_bytes().to_vec());
        worker.ask(&Request { method, path, body, ..of("acme") })
    };
    let begin = || ask("POST", "/v1/responses", r#"{"model":"m","background":true,"input":"hi"}"#);
    let told = |status: &str, usage: &str| {
        format!(
            r#"{{"id":"r1","model":"m","background":true,"status":"{status}","usage":{usage}}}"#
        )
    };
    let call = begin();
    call.answer(200, &[], &[told("queued", "null")]);
    call.end();
    assert_eq!(call.fields(["decision", "usage"]), ["pass", "absent"]);
    for usage in ["reported", "absent"] {
        let call = ask("GET", "/v1/responses/r1", "");
        let used = r#"{"input_tokens":40000,"output_tokens":59000,"total_tokens":99000}"#;
        call.answer(200, &[], &[told("completed", used)]);
        call.end();
        assert_eq!(call.field("usage"), usage, "it is told twice, and counts once");
    }
    let call = begin();
    assert_eq!(call.reply().map(|reply| reply.status), Some(429));
    call.end();
}
