use super::*;
use crate::budget::Expected;
use crate::config::OnFailure;
use crate::scope::{Facet, Match};
use crate::shared::fake::Store;
use crate::sync::{
    Action, Answer, Ask, Budget, Charge, Counted, Grant, Return, Row, Tenant, Tokens, Unit, Want,
    Window,
};

mod edges;
mod units;

fn budget(id: &str, action: Action, limit: u64) -> Budget {
    let window = Window { id: 1, name: "month".into(), ends_in_ms: 60_000, ..Window::default() };
    Budget { id: id.into(), unit: Unit::Tokens, action, limit, window, ..Budget::default() }
}

fn refuse() -> Action {
    Action::Refuse { status: 429, message: String::new() }
}

fn tenant(budgets: Vec<Budget>) -> Tenant {
    Tenant { name: "acme".into(), id: "acme".into(), budgets, ttl_ms: 30_000, ..Tenant::default() }
}

fn known(budgets: Vec<Budget>) -> Known {
    Known { tenant: tenant(budgets), told_ms: 0, crowded: false, edition: 0 }
}

fn call(tokens: u64) -> Call<'static> {
    let most = Expected { tokens, ..Expected::default() };
    let expected = Demand { most, ..Demand::default() };
    let scope = Scope { feature: Some("chat"), model: Some("big"), ..Scope::default() };
    Call {
        scope,
        expected,
        worst: None,
        shortest: None,
        output: None,
        waited_ms: 0,
        can_change: true,
        can_wait: true,
    }
}

fn sender(worker: u64) -> Sender {
    Sender { gateway: "g".into(), node: String::new(), worker, prices: None }
}

fn alone() -> Cadence {
    Cadence::of(1, 1_000)
}

fn tick(now_ms: u64) -> Moment {
    Moment { now_ms, is_tick: true, patience_ms: 200 }
}

fn between(now_ms: u64) -> Moment {
    Moment { is_tick: false, ..tick(now_ms) }
}

/// A service that answers one ask with these loans.
fn answer(desk: &mut Desk, store: &mut Store, grants: &[(&str, u64, u64)]) -> Ask {
    let Desk { tenants, book, .. } = desk;
    let ask = book.next(tenants, &sender(1), tick(0)).unwrap();
    let grants = grants.iter().map(|&(budget, amount, left)| Grant {
        budget: budget.into(),
        window: 1,
        amount,
        left,
        lent: amount,
        admit_ms: 30_000,
        used: 0,
    });
    let answer = Answer { seq: ask.seq, grants: grants.collect(), ..Answer::default() };
    book.on_answer(tenants, store, answer, 0);
    ask
}

fn passed(verdict: Verdict) -> Vec<Hold> {
    match verdict {
        Verdict::Pass(holds, None) => holds,
        other => panic!("{other:?}"),
    }
}

fn code(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Refuse(refused) => refused.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_waits_once_for_a_lease_and_then_is_decided_from_memory() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    let mut same = store.clone();
    let mut admit =
        |desk: &mut Desk, n| desk.admit(&mut same, &known, call(n), OnFailure::Allow, 0);
    assert_eq!(admit(&mut desk, 100), Verdict::Wait);
    let ask = answer(&mut desk, &mut store, &[("b", 250, 0)]);
    assert_eq!((ask.wants[0].need, ask.wants[0].want), (100, 1_000));
    let first = passed(admit(&mut desk, 100));
    let second = passed(admit(&mut desk, 100));
    assert_eq!(code(&admit(&mut desk, 100)), "budget_exceeded", "the service has no more");
    let used = Used { tokens: 30, ..Used::default() };
    let charges = desk.settle(&mut store, first, &used);
    assert_eq!((charges[0].amount, charges[0].beyond), (30, 0));
    passed(admit(&mut desk, 100));
    desk.release(&mut store, second);
    passed(admit(&mut desk, 100));
}

#[test]
fn calls_that_wait_together_are_lent_for_together() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000_000)]);
    for _ in 0..256 {
        let verdict = desk.admit(&mut store, &known, call(100), OnFailure::Refuse, 0);
        assert_eq!(verdict, Verdict::Wait);
    }
    let ask = answer(&mut desk, &mut store, &[("b", 26_500, 0)]);
    assert_eq!((ask.wants[0].need, ask.wants[0].want), (100, 26_500));
    for _ in 0..256 {
        passed(desk.admit(&mut store, &known, call(100), OnFailure::Refuse, 0));
    }
}

#[test]
fn all_budgets_are_taken_or_none() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let both = known(vec![budget("a", refuse(), 9), budget("b", refuse(), 9)]);
    let only = known(vec![budget("a", refuse(), 9)]);
    assert_eq!(desk.admit(&mut store, &both, call(5), OnFailure::Allow, 0), Verdict::Wait);
    answer(&mut desk, &mut store, &[("a", 9, 0), ("b", 3, 0)]);
    assert_eq!(
        code(&desk.admit(&mut store, &both, call(5), OnFailure::Allow, 0)),
        "budget_exceeded"
    );
    passed(desk.admit(&mut store, &only, call(9), OnFailure::Allow, 0));
}

#[test]
fn a_budget_of_another_feature_does_not_count() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let search = Budget { feature: Some("search".into()), ..budget("b", refuse(), 0) };
    passed(desk.admit(&mut store, &known(vec![search]), call(5), OnFailure::Allow, 0));
}

#[test]
fn a_call_takes_of_the_budgets_that_match_it_alone() {
    let of_model = |id: &str, model: &str| {
        let matches = Match { model: vec![model.into()], ..Match::default() };
        Budget { matches, ..budget(id, refuse(), 10) }
    };
    let mut all: Vec<_> = (0..19).map(|n| of_model(&format!("b{n}"), "small*")).collect();
    all.push(of_model("own", "bi*"));
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let known = known(all);
    for budget in &known.tenant.budgets {
        slice::open(&mut store, &budget.id, 1, budget.limit, 60_000).unwrap();
    }
    let holds = passed(desk.admit(&mut store, &known, call(4), OnFailure::Allow, 0));
    let charges = desk.settle(&mut store, holds, &Used { tokens: 4, ..Used::default() });
    assert_eq!(charges.iter().map(|charge| charge.budget.as_str()).collect::<Vec<_>>(), ["own"]);
    let left = |id: &str| slice::Lease::of(&store, id).unwrap().available;
    assert_eq!((left("own"), left("b0")), (6, 10));
}

#[test]
fn parts_of_a_budget_are_leased_and_used_up_by_themselves() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let per = Budget { per: vec![Facet::Feature], warn_at: vec![80], ..budget("b", refuse(), 100) };
    let known = known(vec![per]);
    let of = |feature| Call { scope: Scope { feature, ..call(5).scope }, ..call(5) };
    for feature in [Some("chat"), None] {
        let verdict = desk.admit(&mut store, &known, of(feature), OnFailure::Allow, 0);
        assert_eq!(verdict, Verdict::Wait);
    }
    let ask = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    let wants: Vec<_> = ask.wants.iter().map(|want| want.budget.as_str()).collect();
    assert_eq!(wants, ["b/feature=", "b/feature=chat"]);
    assert_eq!(ask.level, 1, "the service must know that parts are kept here");
    let grants = [("b/feature=", 10, 0), ("b/feature=chat", 5, 85)];
    let grants = grants.map(|(budget, amount, used)| Grant {
        budget: budget.into(),
        window: 1,
        amount,
        used,
        admit_ms: 30_000,
        ..Grant::default()
    });
    let answer = Answer { seq: ask.seq, grants: grants.into(), ..Answer::default() };
    let mut same = store.clone();
    desk.book.on_answer(&mut desk.tenants, &mut same, answer, 0);
    let mut admit = |feature| desk.admit(&mut same, &known, of(feature), OnFailure::Allow, 0);
    let Verdict::Pass(_, Some(Mark::Warn(warned))) = admit(Some("chat")) else { panic!() };
    assert_eq!(warned, "b/feature=chat", "of this part, 85 of 100 are used");
    passed(admit(None));
    let Verdict::Refuse(refused) = admit(Some("chat")) else { panic!() };
    assert_eq!(refused.budget.as_deref(), Some("b/feature=chat"));
}

#[test]
fn tokens_count_by_their_kind() {
    use crate::budget::Kinds;
    let kinds = [
        (Tokens::Total, 30, 12),
        (Tokens::Input, 20, 7),
        (Tokens::Output, 10, 5),
        (Tokens::CacheRead, 20, 2),
        (Tokens::CacheWrite, 20, 1),
        (Tokens::Reasoning, 10, 3),
    ];
    let used = Kinds { input: 7, output: 5, cache_read: 2, cache_write: 1, reasoning: 3 };
    let used = Used { tokens: 12, kinds: used, ..Used::default() };
    for (tokens, held, amount) in kinds {
        let (mut desk, mut store) = (Desk::alone(), Store::default());
        let known = known(vec![Budget { tokens, ..budget("b", refuse(), 100) }]);
        slice::open(&mut store, "b", 1, 100, 60_000).unwrap();
        let most = Expected { tokens: 30, output: 10, ..Expected::default() };
        let expected = Demand { most, ..Demand::default() };
        let call = Call { expected, ..call(0) };
        let holds = passed(desk.admit(&mut store, &known, call, OnFailure::Allow, 0));
        assert_eq!(slice::Lease::of(&store, "b").unwrap().used(), held, "{tokens:?}");
        assert_eq!(desk.settle(&mut store, holds, &used)[0].amount, amount, "{tokens:?}");
    }
}

#[test]
fn the_strictest_consequence_wins() {
    let models = [("big".to_owned(), "small".to_owned())].into();
    let downgrade = Action::Downgrade { models, message: String::new() };
    let shadow = Budget { shadow: true, ..budget("s", refuse(), 0) };
    let lists: [(Vec<Budget>, &str); 5] = [
        (vec![shadow.clone()], "shadow s"),
        (vec![shadow.clone(), budget("w", Action::Warn, 0)], "warn w"),
        (vec![budget("d", downgrade.clone(), 0), budget("w", Action::Warn, 0)], "small d"),
        (vec![budget("d", downgrade, 0), budget("r", refuse(), 0), shadow], "refuse r"),
        (vec![Budget { warn_at: vec![80], used: 80, ..budget("h", refuse(), 100) }], "warn h"),
    ];
    for (budgets, expected) in lists {
        let (mut desk, mut store) = (Desk::alone(), Store::default());
        let known = known(budgets);
        for budget in &known.tenant.budgets {
            slice::open(&mut store, &budget.id, 1, budget.limit, 60_000).unwrap();
            slice::owe(&mut store, &budget.id, 1, budget.used).unwrap();
        }
        let shown = match desk.admit(&mut store, &known, call(5), OnFailure::Allow, 0) {
            Verdict::Pass(_, Some(Mark::Warn(id))) => format!("warn {id}"),
            Verdict::Pass(_, Some(Mark::Shadow(id))) => format!("shadow {id}"),
            Verdict::Downgrade(_, to, id) => format!("{to} {id}"),
            Verdict::Refuse(refused) => format!("refuse {}", refused.budget.unwrap()),
            other => format!("{other:?}"),
        };
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_model_that_cannot_be_changed_any_more_is_refused() {
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let models = [("big".to_owned(), "small".to_owned())].into();
    let action = Action::Downgrade { models, message: String::new() };
    let known = known(vec![budget("d", action, 0)]);
    let late = Call { can_change: false, ..call(5) };
    assert_eq!(code(&desk.admit(&mut store, &known, late, OnFailure::Allow, 0)), "budget_exceeded");
}

#[test]
fn the_service_away_means_what_the_operator_said() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    assert_eq!(desk.admit(&mut store, &known, call(5), OnFailure::Allow, 0), Verdict::Wait);
    let first = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    desk.book.on_failure(&sender(1), 0);
    assert_eq!(desk.book.next(&mut desk.tenants, &sender(1), tick(500)), None, "not so soon again");
    let holds = passed(desk.admit(&mut store, &known, call(5), OnFailure::Allow, 500));
    let charges = desk.settle(&mut store, holds, &Used { tokens: 7, ..Used::default() });
    assert_eq!((charges[0].amount, charges[0].beyond), (7, 7));
    assert_eq!(desk.book.take_counts(), (0, 1));
    assert_eq!(
        code(&desk.admit(&mut store, &known, call(5), OnFailure::Refuse, 500)),
        "quota_unavailable"
    );
    let again = desk.book.next(&mut desk.tenants, &sender(1), tick(5_000)).unwrap();
    assert_eq!(again, first, "the same ask under the same number");
}

#[test]
fn an_ask_that_is_late_holds_up_nobody_and_its_answer_is_good() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    assert_eq!(desk.admit(&mut store, &known, call(5), OnFailure::Allow, 0), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0)).unwrap();
    assert_eq!(desk.admit(&mut store, &known, call(5), OnFailure::Refuse, 199), Verdict::Wait);
    let late = desk.admit(&mut store, &known, call(5), OnFailure::Refuse, 200);
    assert_eq!(code(&late), "quota_unavailable");
    let grant =
        Grant { budget: "b".into(), window: 1, amount: 10, admit_ms: 30_000, ..Grant::default() };
    let answer = Answer { seq: ask.seq, grants: vec![grant], ..Answer::default() };
    desk.book.on_answer(&mut desk.tenants, &mut store, answer, 700);
    passed(desk.admit(&mut store, &known, call(5), OnFailure::Refuse, 700));
}

#[test]
fn calls_are_reported_at_ticks_and_nobody_waits_for_one() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    desk.book.add(Row::default());
    assert_eq!(desk.book.next(&mut desk.tenants, &sender(1), between(0)), None);
    let free = Call { expected: Demand::default(), ..call(0) };
    let known = known(vec![budget("b", refuse(), 1_000)]);
    assert_eq!(desk.admit(&mut store, &known, free, OnFailure::Allow, 0), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0)).unwrap();
    assert_eq!((ask.rows.len(), ask.wants.len()), (1, 1));
}

#[test]
fn many_wishes_are_many_asks_and_who_waits_comes_first() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    for n in 0..600 {
        desk.book.want(Want { budget: format!("a-{n}"), ..Want::default() });
    }
    desk.book.need(Want { budget: "urgent".into(), need: 5, ..Want::default() });
    let mut next = |at| {
        let ask = desk.book.next(&mut desk.tenants, &sender(1), at)?;
        let answer = Answer { seq: ask.seq, ..Answer::default() };
        desk.book.on_answer(&mut desk.tenants, &mut store, answer, 0);
        Some(ask.wants)
    };
    let first = next(between(0)).unwrap();
    assert_eq!(next(between(0)), None, "the others can wait for the next report");
    let second = next(tick(0)).unwrap();
    assert_eq!((first[0].budget.as_str(), first.len() + second.len()), ("urgent", 601));
    assert_eq!(next(tick(0)), None);
}

#[test]
fn an_ask_that_is_refused_does_not_stop_the_next() {
    let mut desk = Desk::default();
    desk.book.add(Row::default());
    let first = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    desk.book.on_refusal(&sender(1), 0);
    desk.book.add(Row::default());
    let second = desk.book.next(&mut desk.tenants, &sender(1), tick(5_000)).unwrap();
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(desk.book.take_counts(), (1, 0));
}

#[test]
fn a_late_answer_is_not_lent_twice() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    let Verdict::Wait = desk.admit(&mut store, &known, call(5), OnFailure::Allow, 0) else {
        panic!()
    };
    let ask = answer(&mut desk, &mut store, &[("b", 10, 0)]);
    let again = Answer {
        seq: ask.seq,
        grants: vec![Grant { budget: "b".into(), window: 1, amount: 10, ..Grant::default() }],
        ..Answer::default()
    };
    desk.book.on_answer(&mut desk.tenants, &mut store, again, 0);
    assert_eq!(slice::Lease::of(&store, "b").unwrap().available, 10);
}

#[test]
fn one_worker_asks_for_a_name_and_all_learn_of_it() {
    let mut store = Store::default();
    let (mut one, mut two) = (Desk::default(), Desk::default());
    for _ in 0..32 {
        assert_eq!(one.tenants.standing(&mut store, "acme", 0), Standing::Asked);
        assert_eq!(two.tenants.standing(&mut store, "acme", 0), Standing::Asked);
    }
    assert_eq!((one.tenants.take_asks(), two.tenants.take_asks()), (vec!["acme".into()], vec![]));
    one.tenants.learn(&mut store, tenant(Vec::new()), 0);
    let Standing::Known(known) = two.tenants.standing(&mut store, "acme", 10) else { panic!() };
    assert_eq!(known.tenant.id, "acme");
    assert_eq!(
        two.tenants.standing(&mut store, "acme", 40_000),
        Standing::Asked,
        "too old by then"
    );
    assert!(two.tenants.last_known(&store, "acme", 40_000).is_some());
}

#[test]
fn a_flood_of_names_costs_nothing_that_lasts() {
    let (mut store, mut desk) = (Store::default(), Desk::default());
    for n in 0..20_000 {
        desk.tenants.standing(&mut store, &format!("forged-{n}"), 0);
    }
    assert!(desk.tenants.take_asks().len() <= 256);
    assert!(store.0.borrow().len() <= 256);
    for n in 0..20_000 {
        desk.tenants.learn_unknown(&mut store, format!("forged-{n}"), 0);
    }
    assert_eq!(desk.tenants.standing(&mut store, "forged-19999", 1), Standing::Unknown);
}

#[test]
fn a_window_that_is_over_is_asked_for_anew() {
    let (mut store, mut desk) = (Store::default(), Desk::default());
    let short = Tenant { ttl_ms: 900_000, ..tenant(vec![budget("b", refuse(), 1)]) };
    desk.tenants.learn(&mut store, short, 0);
    assert!(matches!(desk.tenants.standing(&mut store, "acme", 59_999), Standing::Known(_)));
    assert_eq!(desk.tenants.standing(&mut store, "acme", 60_000), Standing::Asked);
    assert_eq!(desk.tenants.last_known(&store, "acme", 60_000), None);
}

#[test]
fn the_lease_of_a_slow_customer_is_filled_up_before_a_call_must_wait() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 100_000)]);
    let _ = desk.admit(&mut store, &known, call(1), OnFailure::Allow, 0);
    answer(&mut desk, &mut store, &[("b", 10, 90_000)]);
    let used = Used { tokens: 1, ..Used::default() };
    for second in 0..100 {
        let now_ms = second * 100;
        if second % 2 == 0 {
            let holds = passed(desk.admit(&mut store, &known, call(1), OnFailure::Allow, now_ms));
            desk.settle(&mut store, holds, &used);
        }
        desk.tick(&mut store, alone(), now_ms);
        let Some(ask) = desk.book.next(&mut desk.tenants, &sender(1), tick(now_ms)) else {
            continue;
        };
        let grants = ask.wants.into_iter().map(|Want { budget, want, .. }| Grant {
            budget,
            window: 1,
            amount: want,
            left: 90_000,
            lent: want,
            admit_ms: 30_000,
            used: 0,
        });
        let answer = Answer { seq: ask.seq, grants: grants.collect(), ..Answer::default() };
        desk.book.on_answer(&mut desk.tenants, &mut store, answer, now_ms);
    }
}

#[test]
fn an_idle_budget_is_given_back_and_then_nothing_is_said() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    let _ = desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0);
    answer(&mut desk, &mut store, &[("b", 1_000, 0)]);
    let holds = passed(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0));
    desk.settle(&mut store, holds, &Used { tokens: 40, ..Used::default() });
    for _ in 0..12 {
        desk.tick(&mut store, alone(), 0);
    }
    let ask = answer(&mut desk, &mut store, &[]);
    assert_eq!(ask.returns[0].amount, 960);
    desk.tick(&mut store, alone(), 0);
    assert_eq!(desk.book.next(&mut desk.tenants, &sender(1), tick(0)), None);
}

fn charged() -> Row {
    Row { charges: vec![Charge { amount: 1, ..Charge::default() }], ..Row::default() }
}

#[test]
fn rows_beyond_what_can_be_kept_are_counted() {
    let mut desk = Desk::default();
    for _ in 0..20_001 {
        desk.book.add(charged());
    }
    assert_eq!(desk.book.take_counts(), (1, 0));
    let ask = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    assert_eq!((ask.rows.len(), ask.seq), (2_000, 1));
}

#[test]
fn a_full_outbox_has_room_for_calls_under_way_but_not_for_what_is_charged_to_nobody() {
    let mut desk = Desk::default();
    for _ in 0..15_999 {
        desk.book.add(Row::default());
    }
    assert!(!desk.book.is_full());
    desk.book.add(Row::default());
    assert!(desk.book.is_full());
    desk.book.add(Row::default());
    desk.book.add(charged());
    assert_eq!(desk.book.take_counts(), (1, 0));
}

#[test]
fn a_worker_whose_number_was_passed_says_its_rows_again_and_gives_back_nothing_twice() {
    let mut desk = Desk::default();
    desk.book.add(charged());
    desk.book.give_back("b".into(), 1, 5);
    let first = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    desk.book.on_stale(7, &sender(1), 0);
    let again = desk.book.next(&mut desk.tenants, &sender(1), tick(5_000)).unwrap();
    assert_eq!((again.seq, again.rows == first.rows, again.returns.len()), (8, true, 0));
    assert_eq!(desk.book.take_counts(), (0, 0));
}

#[test]
fn rows_that_are_refused_go_in_parts_until_the_one_that_cannot_be_taken_is_found() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let row = |id: u64| Row { call: crate::sync::Document::new(id.to_string()), ..charged() };
    (0..50).for_each(|id| desk.book.add(row(id)));
    let (mut heard, mut now_ms) = (Vec::new(), 0);
    while let Some(ask) = desk.book.next(&mut desk.tenants, &sender(1), tick(now_ms)) {
        if ask.rows.contains(&row(17)) {
            desk.book.on_refusal(&sender(1), now_ms);
            assert_eq!(desk.book.is_away(now_ms), ask.rows.len() == 1, "leases do not wait for it");
        } else {
            heard.extend(ask.rows);
            let answer = Answer { seq: ask.seq, ..Answer::default() };
            desk.book.on_answer(&mut desk.tenants, &mut store, answer, now_ms);
        }
        now_ms += 20_000;
    }
    assert_eq!(heard.len(), 49);
    assert_eq!(desk.book.take_counts(), (1, 0));
}

#[test]
fn what_is_known_is_asked_for_again_before_a_call_must_wait_for_it() {
    let mut store = Store::default();
    let (mut one, mut two) = (Desk::default(), Desk::default());
    one.tenants.learn(&mut store, tenant(Vec::new()), 0);
    let mut knows = |desk: &mut Desk, now_ms| {
        matches!(desk.tenants.standing(&mut store, "acme", now_ms), Standing::Known(_))
    };
    assert!(knows(&mut one, 14_999) && !one.tenants.has_refreshes());
    assert!(knows(&mut one, 15_000) && one.tenants.has_refreshes() && !one.tenants.has_asks());
    assert!(knows(&mut two, 15_001) && !two.tenants.has_refreshes(), "one of them is enough");
    assert_eq!(one.book.next(&mut one.tenants, &sender(1), between(15_001)), None, "no hurry");
    let ask = one.book.next(&mut one.tenants, &sender(1), tick(15_001)).unwrap();
    assert_eq!(ask.tenants, ["acme"]);
    let told = tenant(Vec::new());
    let answer = Answer { seq: ask.seq, edition: 9, tenants: vec![told], ..Answer::default() };
    one.book.on_answer(&mut one.tenants, &mut store, answer, 15_100);
    let mut knows = |desk: &mut Desk, now_ms| {
        matches!(desk.tenants.standing(&mut store, "acme", now_ms), Standing::Known(_))
    };
    assert!(knows(&mut one, 30_099) && !one.tenants.has_refreshes());
    one.tenants.on_edition(10);
    assert!(knows(&mut one, 30_099) && one.tenants.has_refreshes(), "customers have changed");
}

/// A desk that has 900 of a budget of 1,000 and a call of 100 under way on it, and what it gives
/// back once the service says this of its customer, or that it is none.
fn recalled(said: Option<Tenant>) -> (Desk, Store, Vec<Return>) {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let before = tenant(vec![budget("b", refuse(), 1_000)]);
    desk.tenants.learn(&mut store, before.clone(), 0);
    let known = Known { tenant: before, told_ms: 0, crowded: false, edition: 0 };
    let _ = desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0);
    answer(&mut desk, &mut store, &[("b", 1_000, 0)]);
    let _ = desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0);
    desk.book.add(charged());
    let ask = desk.book.next(&mut desk.tenants, &sender(1), tick(0)).unwrap();
    let unknown = if said.is_none() { vec!["acme".to_owned()] } else { Vec::new() };
    let tenants = said.into_iter().collect();
    let answer = Answer { seq: ask.seq, tenants, unknown, ..Answer::default() };
    desk.book.on_answer(&mut desk.tenants, &mut store, answer, 0);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0));
    (desk, store, ask.map_or_else(Vec::new, |ask| ask.returns))
}

#[test]
fn what_is_lent_is_called_back_when_a_customer_may_have_less() {
    let lower = tenant(vec![budget("b", refuse(), 500)]);
    let other = tenant(vec![budget("c", refuse(), 1_000)]);
    let suspended = Tenant { suspended: true, ..tenant(vec![budget("b", refuse(), 1_000)]) };
    for said in [Some(lower), Some(other), Some(suspended), None] {
        let (mut desk, mut store, returns) = recalled(said.clone());
        assert_eq!(returns.len(), 1, "{said:?}");
        assert_eq!(returns[0].amount, 900, "what no call holds goes back at once");
        match (said, desk.tenants.standing(&mut store, "acme", 1)) {
            (Some(said), Standing::Known(known)) => assert_eq!(known.tenant, said),
            (None, Standing::Unknown) => {}
            (said, standing) => panic!("{said:?}: {standing:?}"),
        }
    }
    let higher = tenant(vec![budget("b", refuse(), 2_000)]);
    assert_eq!(recalled(Some(higher)).2, []);
}

#[test]
fn other_workers_hear_of_a_change_at_their_next_tick() {
    let mut store = Store::default();
    let (mut one, mut two) = (Desk::default(), Desk::default());
    one.tenants.learn(&mut store, tenant(Vec::new()), 0);
    let Standing::Known(_) = two.tenants.standing(&mut store, "acme", 1) else { panic!() };
    let suspended = Tenant { suspended: true, ..tenant(Vec::new()) };
    one.tenants.learn(&mut store, suspended, 2);
    two.tick(&mut store, alone(), 3);
    let Standing::Known(known) = two.tenants.standing(&mut store, "acme", 3) else { panic!() };
    assert!(known.tenant.suspended);
    one.tenants.learn_unknown(&mut store, "acme".into(), 4);
    two.tick(&mut store, alone(), 5);
    assert_eq!(two.tenants.standing(&mut store, "acme", 5), Standing::Asked);
    assert_eq!(one.tenants.standing(&mut store, "acme", 5), Standing::Unknown);
}

#[test]
fn one_worker_asks_for_more_of_a_lease_that_both_use() {
    let (mut store, both) = (Store::default(), Cadence::of(2, 1_000));
    let (mut one, mut two) = (Desk::default(), Desk::default());
    let known = known(vec![budget("b", refuse(), 1_000_000)]);
    let _ = one.admit(&mut store, &known, call(100), OnFailure::Allow, 0);
    answer(&mut one, &mut store, &[("b", 400, 900_000)]);
    for desk in [&mut one, &mut two] {
        passed(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0));
        desk.tick(&mut store, both, 1_000);
    }
    let ask = one.book.next(&mut one.tenants, &sender(0), tick(1_000)).unwrap();
    assert_eq!(ask.wants.len(), 1);
    assert_eq!(two.book.next(&mut two.tenants, &sender(1), tick(1_000)), None);
}

/// Budgets of the configuration, with UTC days.
fn own(budgets: &str) -> Own {
    let json = format!(r#"{{"budgets": {budgets}}}"#);
    Own::of(&crate::config::Config::parse(json.as_bytes()).unwrap()).unwrap()
}

/// What becomes of a call at a desk without a service: the budget that refuses it, or nothing.
fn refused(desk: &mut Desk, store: &mut Store, own: &Own, (name, now_ms): (&str, u64)) -> String {
    let known = desk.known(store, own, name, now_ms);
    match desk.admit(store, &known, call(1), OnFailure::Allow, now_ms) {
        Verdict::Pass(holds, _) => {
            desk.settle(store, holds, &Used { tokens: 1, ..Used::default() });
            String::new()
        }
        Verdict::Refuse(refused) => refused.budget.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn budgets_of_the_configuration_are_for_whom_it_says() {
    let own = own(
        r#"[{"tenant": "*", "limit": {"requests": 1}, "window": "day", "action": "refuse"},
            {"tenant": "big", "limit": {"requests": 2}, "window": "day", "action": "refuse"},
            {"tenant": "a", "id": "mine", "limit": {"requests": 1}, "window": "once", "action": "refuse"},
            {"limit": {"requests": 6}, "window": "month", "action": "refuse"},
            {"feature": "other", "limit": {"requests": 0}, "window": "day", "action": "refuse"}]"#,
    );
    let mut store = Store::default();
    let (mut one, mut two) = (Desk::alone(), Desk::alone());
    #[rustfmt::skip]
    let calls = [
        ("big", ""), ("big", ""), ("big", "requests-day/big"),
        ("a", ""), ("a", "requests-day/a"),
        ("b", ""), ("b", "requests-day/b"),
        ("c", ""), ("d", ""), ("e", "requests-month"),
    ];
    for (at, (name, expected)) in calls.into_iter().enumerate() {
        let desk = if at % 2 == 0 { &mut one } else { &mut two };
        assert_eq!(refused(desk, &mut store, &own, (name, 0)), expected, "{at} {name}");
    }
    let next_day = 86_400_000;
    assert_eq!(refused(&mut one, &mut store, &own, ("a", next_day)), "mine.requests-once/a");
    assert_eq!(refused(&mut two, &mut store, &own, ("b", next_day)), "requests-month");
    assert_eq!(refused(&mut two, &mut store, &own, ("b", 32 * next_day)), "");
}

#[test]
fn a_new_window_is_a_new_lease_and_a_late_end_does_not_touch_it() {
    let own = own(r#"[{"limit": {"tokens": 10}, "window": "minute", "action": "refuse"}]"#);
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let known = desk.known(&mut store, &own, "a", 59_000);
    let late = passed(desk.admit(&mut store, &known, call(10), OnFailure::Allow, 59_000));
    let Verdict::Refuse(full) = desk.admit(&mut store, &known, call(1), OnFailure::Allow, 59_000)
    else {
        panic!()
    };
    assert_eq!(full.retry_after, Some(1));
    let known = desk.known(&mut store, &own, "a", 60_000);
    let holds = passed(desk.admit(&mut store, &known, call(4), OnFailure::Allow, 60_000));
    desk.settle(&mut store, late, &Used { tokens: 99, ..Used::default() });
    desk.settle(&mut store, holds, &Used { tokens: 4, ..Used::default() });
    assert_eq!(slice::Lease::of(&store, "tokens-minute").unwrap().available, 6);
}

#[test]
fn what_a_call_uses_beyond_its_hold_is_made_up_for() {
    let own = own(r#"[{"limit": {"tokens": 100}, "window": "day", "action": "refuse"}]"#);
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let mut hold = |desk: &mut Desk, tokens| {
        let known = desk.known(&mut store, &own, "a", 0);
        desk.admit(&mut store, &known, call(tokens), OnFailure::Allow, 0)
    };
    let (first, second) = (passed(hold(&mut desk, 60)), passed(hold(&mut desk, 40)));
    let mut shared = store.clone();
    desk.settle(&mut shared, first, &Used { tokens: 85, ..Used::default() });
    assert_eq!(slice::Lease::of(&shared, "tokens-day").unwrap().used(), 125);
    desk.settle(&mut shared, second, &Used { tokens: 10, ..Used::default() });
    let lease = slice::Lease::of(&shared, "tokens-day").unwrap();
    assert_eq!((lease.used(), lease.available, lease.debt), (95, 5, 0));
}

#[test]
fn a_changed_limit_counts_at_once_and_what_was_used_stays() {
    let of = |limit: u64| {
        own(&format!(
            r#"[{{"limit": {{"requests": {limit}}}, "window": "day", "action": "refuse"}}]"#
        ))
    };
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let mut passes = |own: &Own, calls: usize| {
        let refused = (0..calls).map(|_| refused(&mut desk, &mut store, own, ("a", 0)));
        refused.filter(String::is_empty).count()
    };
    assert_eq!(passes(&of(3), 5), 3);
    assert_eq!(passes(&of(3), 5), 0);
    assert_eq!(passes(&of(5), 5), 2);
    assert_eq!(passes(&of(1), 5), 0);
    assert_eq!(passes(&of(6), 5), 1);
}

#[test]
fn too_many_tenants_share_one_record() {
    let own =
        own(r#"[{"tenant": "*", "limit": {"requests": 1}, "window": "day", "action": "refuse"},
            {"tenant": "late", "id": "x", "limit": {"requests": 9}, "window": "day"}]"#);
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    for n in 0..10_000 {
        assert_eq!(refused(&mut desk, &mut store, &own, (&format!("t{n}"), 0)), "");
    }
    let before = store.0.borrow().len();
    let mut next = |name: &str| refused(&mut desk, &mut store, &own, (name, 0));
    assert_eq!(next("t3"), "requests-day/t3", "a tenant that is in stays in");
    assert_eq!(next("new"), "");
    assert_eq!(next("newer"), "requests-day/*");
    assert_eq!(next("late"), "", "a tenant that the configuration names is not crowded out");
    assert_eq!(next("anonymous"), "");
    for n in 0..20_000 {
        next(&format!("flood{n}"));
    }
    assert_eq!(desk.take_crowded(), 20_002);
    assert_eq!(store.0.borrow().len(), before + 4);
}

#[test]
fn a_lease_that_is_called_back_goes_at_once_but_for_what_calls_hold() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = known(vec![budget("b", refuse(), 1_000)]);
    assert_eq!(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0), Verdict::Wait);
    answer(&mut desk, &mut store, &[("b", 400, 0)]);
    let holds = passed(desk.admit(&mut store, &known, call(100), OnFailure::Allow, 0));
    let recalls = vec![crate::sync::Recall { budget: "b".into(), window: 1 }];
    desk.recalled(&mut store, recalls);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(1)).unwrap();
    assert_eq!((ask.returns.len(), ask.returns[0].amount), (1, 300), "without a tick");
    let used = Used { tokens: 60, ..Used::default() };
    assert_eq!(desk.settle(&mut store, holds, &used)[0].beyond, 0);
}

#[test]
fn a_call_waits_for_what_is_lent_and_asks_for_it_again() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let holding = crate::sync::Holding { wait_ms: 700, ..Default::default() };
    let known = known(vec![Budget { holding, ..budget("b", refuse(), 1_000) }]);
    let waited = |waited_ms| Call { waited_ms, can_wait: waited_ms == 0, ..call(100) };
    let admit = |desk: &mut Desk, store: &mut Store, ms| {
        desk.admit(store, &known, waited(ms), OnFailure::Allow, ms)
    };
    assert_eq!(admit(&mut desk, &mut store, 0), Verdict::Wait);
    answer(&mut desk, &mut store, &[("b", 50, 0)]);
    assert_eq!(admit(&mut desk, &mut store, 10), Verdict::Wait, "50 are lent, and may come back");
    assert_eq!(desk.book.next(&mut desk.tenants, &sender(1), between(10)), None);
    assert_eq!(admit(&mut desk, &mut store, 300), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(300)).unwrap();
    assert_eq!((ask.wants[0].need, ask.wants[0].want), (50, 50));
    assert_eq!(code(&admit(&mut desk, &mut store, 700)), "budget_exceeded");
}

#[test]
fn a_firm_budget_passes_nobody_while_the_service_is_away() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let holding = crate::sync::Holding { worst_case: true, ..Default::default() };
    let known = known(vec![Budget { holding, ..budget("b", refuse(), 1_000) }]);
    let call = Call { can_wait: false, ..call(1) };
    assert_eq!(desk.admit(&mut store, &known, call, OnFailure::Allow, 0), Verdict::Survey);
    let call = Call { worst: Some(Ok(call.expected)), ..call };
    let verdict = desk.admit(&mut store, &known, call, OnFailure::Allow, 0);
    assert_eq!(code(&verdict), "quota_unavailable");
}

#[test]
fn a_budget_that_rolls_goes_on_without_a_word_and_its_old_steps_are_given_back() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let window =
        Window { id: 1, name: "day".into(), ends_in_ms: 60_000, step: 60, ..Window::default() };
    let known = known(vec![Budget { window, ..budget("b", refuse(), 1_000) }]);
    assert!(known.is_current(10_000_000), "nobody need be asked for the tenant anew");
    let budget = &known.tenant.budgets[0];
    let windows = [0, 59_999, 60_000, 119_999, 120_000].map(|now_ms| known.window(budget, now_ms));
    assert_eq!(windows, [(1, 60_000), (1, 60_000), (61, 120_000), (61, 120_000), (121, 180_000)]);
    let admit = |desk: &mut Desk, store: &mut Store, now_ms| {
        desk.admit(store, &known, call(10), OnFailure::Allow, now_ms)
    };
    assert_eq!(admit(&mut desk, &mut store, 0), Verdict::Wait);
    answer(&mut desk, &mut store, &[("b", 100, 0)]);
    let late = passed(admit(&mut desk, &mut store, 0));
    assert_eq!(admit(&mut desk, &mut store, 60_000), Verdict::Wait, "a step has its own lease");
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(60_000)).unwrap();
    assert_eq!(ask.wants[0].window, 61);
    assert_eq!((ask.returns[0].window, ask.returns[0].amount), (1, 90), "before more is lent");
    let grants = vec![Grant {
        budget: "b".into(),
        window: 61,
        amount: 50,
        admit_ms: 30_000,
        ..Grant::default()
    }];
    let answer = Answer { seq: ask.seq, grants, ..Answer::default() };
    desk.book.on_answer(&mut desk.tenants, &mut store, answer, 60_000);
    passed(admit(&mut desk, &mut store, 60_001));
    let charges = desk.settle(&mut store, late, &Used { tokens: 4, ..Used::default() });
    assert_eq!((charges[0].window, charges[0].amount, charges[0].beyond), (1, 4, 0));
    desk.tick(&mut store, alone(), 60_100);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), tick(60_100)).unwrap();
    let back: Vec<_> = ask.returns.iter().map(|back| (back.window, back.amount)).collect();
    assert_eq!(
        back.iter().map(|(_, amount)| amount).sum::<u64>(),
        6,
        "all but what was used: {back:?}"
    );
    assert!(back.iter().all(|(window, _)| *window == 1));
}
