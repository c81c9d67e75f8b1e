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
