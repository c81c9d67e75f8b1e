use super::*;
use crate::provider::{Api, Reported, Trouble};
use crate::record::{Decision, Price};
use crate::usage::{Unit, Usage};

/// Bounds that let through what they are told to.
struct Only(&'static [&'static str], usize);

impl Bounds for Only {
    fn value(&mut self, _: Label, value: &str) -> bool {
        self.0.contains(&value)
    }

    fn series(&mut self, _: &str) -> bool {
        let left = self.1.checked_sub(1);
        self.1 = left.unwrap_or(0);
        left.is_some()
    }
}

fn record() -> Record {
    let usage = Usage::default().with(Unit::Input, 7).with(Unit::Output, 3);
    Record {
        call_id: String::new(),
        began_ms: 0,
        duration_ms: 20,
        ttft_ms: Some(5),
        tenant: Some("acme".into()),
        feature: None,
        user: Some("u1".into()),
        unit: None,
        provider: "openai".into(),
        api: Api::OpenAiChat,
        request_model: None,
        model: Some("gpt-5".into()),
        model_exists: true,
        stream: false,
        service_tier: None,
        region: None,
        status: 200,
        attempts: 1,
        amount: Amount::Estimated(Reported { usage, ..Reported::default() }),
        price: Price::Of(NanoUsd::new(9), "v".into()),
        said_cost: None,
        decision: Decision::Pass,
        budget: None,
        firm: None,
        outcome: Outcome::Ok,
        trouble: Some(Trouble::Usage),
    }
}

#[test]
fn a_call_moves_each_metric_once_under_its_labels() {
    let labels = "tenant=.=acme;.;feature=.=none;.;provider=.=openai;.;model=.=gpt-5;.;";
    let count = |name: &str, by| Move::Count(format!("{labels}{name}"), by);
    let plain = |name: &str, by| Move::Count(name.into(), by);
    let sample =
        |name: &str, by| Move::Sample(format!("provider=.=openai;.;model=.=gpt-5;.;{name}"), by);
    assert_eq!(
        moves(&record(), &mut Only(&["acme", "gpt-5"], 99)),
        [
            count("outcome=.=ok;.;tollgate_requests_total", 1),
            count("kind=.=input;.;tollgate_tokens_total", 7),
            count("kind=.=output;.;tollgate_tokens_total", 3),
            count("tollgate_cost_nano_usd_total", 9),
            count("tollgate_estimated_total", 1),
            plain("prices=.=v;.;tollgate_priced_total", 1),
            plain("provider=.=openai;.;reason=.=usage;.;tollgate_parse_failures_total", 1),
            sample("tollgate_ttft_ms", 5),
            sample("tollgate_duration_ms", 20),
        ]
    );
}

#[test]
fn what_is_beyond_the_bounds_is_other() {
    let first = |bounds: &mut Only| match moves(&record(), bounds).remove(0) {
        Move::Count(name, 1) => name,
        other => panic!("{other:?}"),
    };
    let unknown_tenant = first(&mut Only(&["gpt-5"], 99));
    assert!(unknown_tenant.starts_with("tenant=.=other;.;feature=.=none;.;"), "{unknown_tenant}");
    assert!(unknown_tenant.contains("model=.=gpt-5;.;"), "{unknown_tenant}");
    let no_room = first(&mut Only(&["acme", "gpt-5"], 0));
    assert!(
        no_room.starts_with("tenant=.=other;.;feature=.=other;.;provider=.=other;.;model=.=other")
    );
}

#[test]
fn a_model_that_nobody_has_is_no_label() {
    let invented = Record { model_exists: false, ..record() };
    let Move::Count(name, _) = &moves(&invented, &mut Only(&["acme", "gpt-5"], 99))[0] else {
        panic!()
    };
    assert!(name.contains("model=.=none;.;"), "{name}");
}

#[test]
fn a_value_cannot_pose_as_another_label() {
    #[rustfmt::skip]
    let cases = [
        ("plain/v1:2",                "plain/v1:2"),
        ("a;.;tenant=.=b",            "a,.,tenant_._b"),
        ("a\nb",                      "a_b"),
        ("user@example.com",          "user@example.com"),
        ("acme..",                    "acme__"),
        ("other",                     "other_"),
        ("none",                      "none_"),
    ];
    for (value, expected) in cases {
        assert_eq!(clean(value), expected);
    }
    assert_eq!(clean(&"ü".repeat(100)), "ü".repeat(64));
}
