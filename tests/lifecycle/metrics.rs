//! What is counted, under which labels, and how many of them there may be.

use crate::PRICED;
use crate::support::dialect::{ANTHROPIC, OPENAI};
use crate::support::{Request, Worker};

#[test]
fn a_call_is_counted_under_its_labels() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&OPENAI, true));
    worker.advance(40);
    call.answer(200, &[], &OPENAI.sse());
    worker.advance(60);
    call.end();
    let labels =
        "tenant=.=acme;.;feature=.=none;.;provider=.=openai;.;model=.=gpt-4o-mini-2024-07-18;.;";
    #[rustfmt::skip]
    let expected = [
        ("kind=.=cache_read;.;tollgate_tokens_total", 40),
        ("kind=.=input;.;tollgate_tokens_total",      60),
        ("kind=.=output;.;tollgate_tokens_total",     20),
        ("kind=.=reasoning;.;tollgate_tokens_total",  5),
        ("outcome=.=ok;.;tollgate_requests_total",    1),
        ("tollgate_cost_nano_usd_total",              314_000),
    ];
    let expected = expected.map(|(name, value)| (format!("{labels}{name}"), value));
    let (priced, counters): (Vec<_>, Vec<_>) =
        worker.counters().into_iter().partition(|(name, _)| name.starts_with("prices"));
    assert_eq!(counters, expected);
    assert_eq!(priced, [("prices=.=configured;.;tollgate_priced_total".to_owned(), 1)]);
    let speed = "provider=.=openai;.;model=.=gpt-4o-mini-2024-07-18;.;";
    let expected = [("tollgate_duration_ms", vec![100]), ("tollgate_ttft_ms", vec![40])];
    let expected = expected.map(|(name, values)| (format!("{speed}{name}"), values));
    assert_eq!(worker.samples().into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_metric_is_defined_once_however_often_it_moves() {
    let worker = Worker::new(PRICED);
    for _ in 0..50 {
        worker.exchange(&Request::of(&ANTHROPIC, false), &[ANTHROPIC.json()]);
    }
    assert_eq!(worker.counted(&["tollgate_requests_total"]), 50);
    let mut names = worker.host(|host| host.metrics.clone());
    let defined = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), defined);
}

fn of_tenant(tenant: &str) -> Request {
    Request::of(&OPENAI, false).without("x-tenant-id").with("x-tenant-id", tenant)
}

#[test]
fn tenants_beyond_the_bound_are_counted_as_other_and_logged_by_name() {
    let worker = Worker::new(
        r#"{"tenant": [{"header": "x-tenant-id"}], "metrics": {"max_values": {"tenant": 2}}}"#,
    );
    let names = ["a", "b", "c", "d", "a"]
        .map(|tenant| worker.exchange(&of_tenant(tenant), &[OPENAI.json()]).field("tenant"));
    assert_eq!(names, ["a", "b", "c", "d", "a"]);
    let of = |tenant: &str| worker.counted(&[&format!("tenant=.={tenant};"), "requests_total"]);
    assert_eq!(["a", "b", "c", "d", "other"].map(of), [2, 1, 0, 0, 2]);
}

#[test]
fn models_and_features_have_bounds_of_their_own() {
    let worker = Worker::new(
        r#"{"feature": [{"header": "x-feature"}],
            "metrics": {"max_values": {"feature": 1, "model": 1}}}"#,
    );
    for (feature, model) in [("one", "m-1"), ("two", "m-2"), ("one", "m-1")] {
        let answer = String::from_utf8(OPENAI.json()).unwrap().replace(OPENAI.answered, model);
        worker.exchange(&Request::of(&OPENAI, false).with("x-feature", feature), &[answer]);
    }
    let counted = |labels: &str| worker.counted(&[labels, "requests_total"]);
    assert_eq!(counted("feature=.=one;.;provider=.=openai;.;model=.=m-1;"), 2);
    assert_eq!(counted("feature=.=other;.;provider=.=openai;.;model=.=other;"), 1);
    assert!(worker.samples().keys().all(|name| !name.contains("m-2")));
}

#[test]
fn all_series_together_are_bounded_and_nothing_goes_uncounted() {
    let worker =
        Worker::new(r#"{"tenant": [{"header": "x-tenant-id"}], "metrics": {"max_series": 100}}"#);
    for tenant in 0..60 {
        worker.exchange(&of_tenant(&format!("t{tenant}")), &[OPENAI.json()]);
    }
    assert_eq!(worker.counted(&["tollgate_requests_total"]), 60);
    assert_eq!(worker.counted(&["kind=.=output;", "tollgate_tokens_total"]), 60 * 20);
    let series = worker.counters().len() + worker.samples().len();
    assert!((60..=100).contains(&series), "{series}");
    assert!(worker.counted(&["tenant=.=other;"]) > 0);
}

#[test]
fn a_name_cannot_pose_as_another_label() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-tenant-id"}]}"#);
    let sly = "a;.;model=.=free;.;";
    let call = worker.exchange(&of_tenant(sly), &[OPENAI.json()]);
    assert_eq!(call.field("tenant"), sly, "the log has the name as it is");
    for name in worker.counters().into_keys() {
        let models = usize::from(!name.ends_with("tollgate_priced_total"));
        assert_eq!(name.matches("model=.=").count(), models, "{name}");
    }
}
