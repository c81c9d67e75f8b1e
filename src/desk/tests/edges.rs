//! Where leases, windows and calls that wait meet.

use super::*;
use crate::sync::{Holding, Recall};

fn waiting(id: &str, wait_ms: u32) -> Budget {
    let holding = Holding { wait_ms, ..Holding::default() };
    Budget { holding, ..budget(id, refuse(), 1_000) }
}

#[test]
fn what_is_lent_to_a_call_that_waits_is_not_called_back_with_the_same_answer() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    assert_eq!(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0)).unwrap();
    let grant = Grant { budget: "b".into(), window: 1, amount: 100, ..Grant::default() };
    let answer = Answer {
        seq: ask.seq,
        grants: vec![Grant { admit_ms: 30_000, ..grant }],
        recalls: vec![Recall { budget: "b".into(), window: 1 }],
        ..Answer::default()
    };
    desk.on_answer(&mut store, answer, 1);
    passed(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 1));
}

#[test]
fn a_call_that_waits_for_a_part_of_a_budget_asks_for_that_part() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let per = vec![Facet::Feature];
    let known = known(vec![Budget { per, ..waiting("b", 900) }]);
    let of = |waited_ms| {
        let scope = Scope { feature: Some("chat"), ..Default::default() };
        Call { scope, waited_ms, can_wait: waited_ms == 0, ..call(100) }
    };
    assert_eq!(desk.admit(&mut store, &known, of(0), OnFailure::Allow, 0), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0)).unwrap();
    let part = ask.wants[0].budget.clone();
    assert_ne!(part, "b");
    let grant = Grant { budget: part.clone(), window: 1, amount: 50, ..Grant::default() };
    let grants = vec![Grant { lent: 50, admit_ms: 30_000, ..grant }];
    desk.on_answer(&mut store, Answer { seq: ask.seq, grants, ..Answer::default() }, 0);
    assert_eq!(desk.admit(&mut store, &known, of(300), OnFailure::Allow, 300), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(300)).unwrap();
    assert_eq!(ask.wants[0].budget, part);
}

#[test]
fn a_stream_whose_window_is_over_is_not_ended_for_want_of_money() {
    let own = own(r#"[{"limit": {"tokens": 1000}, "window": "minute", "action": "refuse",
        "outrun": "end"}]"#);
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let mut admit = |desk: &mut Desk, now_ms| {
        let known = desk.known(&mut store, &own, "a", now_ms);
        passed(desk.admit(&mut store, &known, call(100), OnFailure::Allow, now_ms))
    };
    let mut old = admit(&mut desk, 0);
    admit(&mut desk, 60_000);
    let more = Expected { tokens: 200, ..call(100).expected.most };
    let grown = desk.grow(&mut store, &mut old, &more, 60_001);
    assert_eq!(grown, Grown::Short);
}

#[test]
fn what_is_refused_anyway_does_not_wait_for_a_lease() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let full = known(vec![budget("full", refuse(), 1)]);
    assert_eq!(desk.admit(&mut store, &full, call(9), OnFailure::Allow, 0), Verdict::Wait);
    answer(&mut desk, &mut store, &[("full", 0, 0)]);
    let both = known(vec![budget("full", refuse(), 1), budget("other", refuse(), 1_000)]);
    let verdict = desk.admit(&mut store, &both, call(9), OnFailure::Allow, 0);
    assert_eq!(code(&verdict), "budget_exceeded");
}

#[test]
fn a_worst_case_that_only_warns_passes_while_the_service_is_away() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let holding = Holding { worst_case: true, ..Holding::default() };
    let known = known(vec![Budget { holding, ..budget("b", Action::Warn, 1_000) }]);
    let call = Call { can_wait: false, ..call(1) };
    let call = Call { worst: Some(Ok(call.expected)), ..call };
    passed(desk.admit(&mut store, &known, call, OnFailure::Allow, 0));
    assert_eq!(desk.book.take_counts().1, 1, "and is counted as not covered, once");
}

#[test]
fn the_parts_of_a_budget_whose_limit_is_lowered_are_called_back_too() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let each = |limit| Budget { per: vec![Facet::Feature], ..budget("b", refuse(), limit) };
    desk.tenants.learn(&mut store, tenant(vec![each(1_000)]), 0);
    let known = desk.tenants.last_known(&store, "acme", 0).unwrap();
    let of = |feature| Call { scope: Scope { feature, ..call(5).scope }, ..call(5) };
    for feature in [Some("chat"), Some("search"), Some("\u{7}")] {
        assert_eq!(desk.admit(&mut store, &known, of(feature), OnFailure::Allow, 0), Verdict::Wait);
    }
    let parts = ["b/feature=*", "b/feature=chat", "b/feature=search"];
    answer(&mut desk, &mut store, &parts.map(|part| (part, 50, 900)));
    passed(desk.admit(&mut store, &known, of(Some("chat")), OnFailure::Allow, 1));
    desk.book.want(Want::default());
    let ask = desk.book.next(&mut desk.tenants, &sender(1), tick(1)).unwrap();
    let tenants = vec![tenant(vec![each(500)])];
    desk.on_answer(&mut store, Answer { seq: ask.seq, tenants, ..Answer::default() }, 2);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(2)).unwrap();
    let mut back: Vec<_> =
        ask.returns.iter().map(|back| (back.budget.as_str(), back.amount)).collect();
    back.sort_unstable();
    assert_eq!(back, [(parts[0], 50), (parts[1], 45), (parts[2], 50)]);
}
