//! Budgets of units that each count once.

use super::*;

fn units(limit: u64) -> Known {
    known(vec![Budget { unit: Unit::Units, ..budget("b", refuse(), limit) }])
}

fn of(unit: &'static str) -> Call<'static> {
    Call { scope: Scope { unit: Some(unit), ..call(1).scope }, ..call(1) }
}

const SUCCESS: Used =
    Used { success: true, nano_usd: 0, tokens: 0, kinds: crate::budget::Kinds::NONE };

#[test]
fn calls_of_one_unit_take_one_however_many_there_are() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = units(2);
    let mut same = store.clone();
    let mut admit =
        |desk: &mut Desk, unit| desk.admit(&mut same, &known, of(unit), OnFailure::Allow, 0);
    assert_eq!(admit(&mut desk, "a"), Verdict::Wait);
    answer(&mut desk, &mut store, &[("b", 2, 0)]);
    let first = passed(admit(&mut desk, "a"));
    let second = passed(admit(&mut desk, "a"));
    let other = passed(admit(&mut desk, "b"));
    let third = passed(admit(&mut desk, "a"));
    assert_eq!(desk.settle(&mut store, second, &SUCCESS), [], "it came on the first one's account");
    let charges = desk.settle(&mut store, first, &SUCCESS);
    assert_eq!((charges[0].amount, charges[0].beyond, charges[0].unit.as_str()), (1, 0, "a"));
    assert_eq!(desk.settle(&mut store, other, &Used::default()), [], "it failed");
    assert_eq!(desk.settle(&mut store, third, &SUCCESS), []);
    let again = passed(admit(&mut desk, "c"));
    assert_eq!(desk.settle(&mut store, again, &SUCCESS)[0].unit, "c");
}

#[test]
fn a_unit_that_is_new_here_is_asked_for_before_it_is_refused() {
    let (mut desk, mut store) = (Desk::default(), Store::default());
    let known = units(1);
    let mut same = store.clone();
    let mut admit =
        |desk: &mut Desk, unit| desk.admit(&mut same, &known, of(unit), OnFailure::Allow, 0);
    assert_eq!(admit(&mut desk, "x"), Verdict::Wait);
    answer(&mut desk, &mut store, &[("b", 0, 0)]);
    assert_eq!(admit(&mut desk, "elsewhere"), Verdict::Wait);
    assert_eq!(admit(&mut desk, "x"), Verdict::Wait);
    let ask = desk.book.next(&mut desk.tenants, &sender(1), between(0)).unwrap();
    let unit = |unit: &str| Counted { budget: "b".into(), window: 1, unit: unit.into() };
    assert_eq!(ask.units, [unit("elsewhere"), unit("x")]);
    let counted = vec![unit("elsewhere")];
    let answer = Answer { seq: ask.seq, counted, ..Answer::default() };
    desk.on_answer(&mut store, answer, 0);
    let holds = passed(admit(&mut desk, "elsewhere"));
    assert_eq!(desk.settle(&mut store, holds, &SUCCESS), [], "it is counted already");
    assert_eq!(code(&admit(&mut desk, "x")), "budget_exceeded");
    assert_eq!(
        desk.book.next(&mut desk.tenants, &sender(1), between(0)),
        None,
        "not so soon again"
    );
}

#[test]
fn a_call_that_does_not_pass_leaves_its_unit_free() {
    let (mut desk, mut store) = (Desk::alone(), Store::default());
    let narrow = Budget { unit: Unit::Requests, ..budget("a", refuse(), 0) };
    let wide = Budget { unit: Unit::Units, ..budget("b", refuse(), 9) };
    let known = known(vec![wide, narrow]);
    slice::open(&mut store, "a", 1, 0, 60_000).unwrap();
    slice::open(&mut store, "b", 1, 9, 60_000).unwrap();
    let refused = desk.admit(&mut store, &known, of("a"), OnFailure::Allow, 0);
    assert_eq!(code(&refused), "budget_exceeded");
    let lease = slice::Lease::of(&store, "b").unwrap();
    assert_eq!((lease.available, lease.lent), (9, 0));
    let only = Known { tenant: tenant(vec![known.tenant.budgets[0].clone()]), ..known };
    let holds = passed(desk.admit(&mut store, &only, of("a"), OnFailure::Allow, 0));
    assert_eq!(desk.settle(&mut store, holds, &SUCCESS)[0].amount, 1);
}
