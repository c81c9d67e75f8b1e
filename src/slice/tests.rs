use super::*;
use crate::shared::fake::Store;

fn loan(amount: u64) -> Loan {
    Loan { window: 1, amount, left: 0, used: 0, lent: 0, until_ms: 1_000 }
}

fn available(store: &Store) -> u64 {
    Lease::of(store, "b").unwrap().available
}

#[test]
fn what_is_taken_is_taken_from_the_lease_once() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(100), 0).unwrap();
    assert_eq!(slices.take(&mut store, "b", 1, 60, 0), Ok(()));
    assert_eq!(slices.take(&mut store, "b", 1, 60, 0), Err(Short::Empty));
    assert_eq!(slices.put(&mut store, "b", 1, 60, 10), 0);
    assert_eq!(slices.take(&mut store, "b", 1, 90, 0), Ok(()));
    assert_eq!(available(&store), 0);
}

#[test]
fn why_there_is_too_little_is_told() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    assert_eq!(slices.take(&mut store, "b", 1, 1, 0), Err(Short::Missing));
    lend(&mut store, "b", Loan { left: 50, ..loan(10) }, 0).unwrap();
    #[rustfmt::skip]
    let cases = [
        // window  need  now    why
        (1,        20,   0,     Short::Low),
        (1,        70,   0,     Short::Empty),
        (1,        70,   1_000, Short::Missing),
        (2,        1,    0,     Short::Missing),
    ];
    for (window, need, now, why) in cases {
        let mut slices = Slices::default();
        assert_eq!(slices.take(&mut store, "b", window, need, now), Err(why), "{window} {need}");
    }
    lend(&mut store, "b", Loan { until_ms: 9_000, ..loan(0) }, 0).unwrap();
    assert_eq!(slices.take(&mut store, "b", 1, 70, 1_500), Err(Short::Low), "old news");
}

#[test]
fn a_worker_draws_ahead_only_while_there_is_plenty() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(1_000), 0).unwrap();
    for _ in 0..4 {
        slices.take(&mut store, "b", 1, 10, 0).unwrap();
    }
    slices.tick(&mut store);
    slices.take(&mut store, "b", 1, 10, 0).unwrap();
    assert_eq!(available(&store), 1_000 - 50 - 20, "the pace of half a tick ahead");
    let mut short = Store::default();
    lend(&mut short, "b", loan(12), 0).unwrap();
    let mut slices = Slices::default();
    slices.take(&mut short, "b", 1, 10, 0).unwrap();
    assert_eq!(available(&short), 2);
}

#[test]
fn what_one_call_did_not_use_is_there_for_another_worker_at_once() {
    let mut store = Store::default();
    let (mut one, mut other) = (Slices::default(), Slices::default());
    lend(&mut store, "b", Loan { left: 20, ..loan(90) }, 0).unwrap();
    one.take(&mut store, "b", 1, 90, 0).unwrap();
    assert_eq!(other.take(&mut store, "b", 1, 90, 0), Err(Short::Empty));
    assert_eq!(one.put(&mut store, "b", 1, 90, 10), 0);
    assert_eq!(other.take(&mut store, "b", 1, 90, 0), Err(Short::Low));
    assert_eq!(other.missing(&store, "b", 1, 90), 10, "of which the service has 20");
    lend(&mut store, "b", loan(10), 0).unwrap();
    assert_eq!(other.take(&mut store, "b", 1, 90, 0), Ok(()));
}

#[test]
fn nothing_of_a_short_lease_is_kept_for_calls_to_come() {
    let mut store = Store::default();
    let (mut one, mut other) = (Slices::default(), Slices::default());
    lend(&mut store, "b", loan(9_000), 0).unwrap();
    one.take(&mut store, "b", 1, 6_000, 0).unwrap();
    one.tick(&mut store);
    assert_eq!(one.put(&mut store, "b", 1, 6_000, 100), 0);
    assert_eq!(other.take(&mut store, "b", 1, 6_000, 0), Ok(()), "a pace of 3,000 is not kept");
}

#[test]
fn what_was_drawn_ahead_comes_back_with_the_tick_when_the_lease_is_short() {
    let mut store = Store::default();
    let (mut one, mut other) = (Slices::default(), Slices::default());
    lend(&mut store, "b", loan(1_000), 0).unwrap();
    for _ in 0..40 {
        one.take(&mut store, "b", 1, 10, 0).unwrap();
        one.put(&mut store, "b", 1, 10, 0);
    }
    one.tick(&mut store);
    one.take(&mut store, "b", 1, 10, 0).unwrap();
    one.put(&mut store, "b", 1, 10, 0);
    let rest = available(&store);
    assert!(rest < 1_000, "there is plenty: some is kept");
    other.take(&mut store, "b", 1, rest, 0).unwrap();
    one.tick(&mut store);
    assert_eq!(available(&store), 1_000 - rest);
}

#[test]
fn an_idle_worker_lets_go_of_everything() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(1_000), 0).unwrap();
    for _ in 0..8 {
        slices.take(&mut store, "b", 1, 10, 0).unwrap();
    }
    slices.tick(&mut store);
    slices.take(&mut store, "b", 1, 10, 0).unwrap();
    for _ in 0..9 {
        assert_eq!(slices.put(&mut store, "b", 1, 10, 0), 0);
    }
    let mut last = Vec::new();
    while let activity @ [_, ..] = &*slices.tick(&mut store) {
        last = activity.to_vec();
    }
    assert_eq!(last[0].idle, IDLE_TICKS);
    assert_eq!(available(&store), 1_000);
    assert_eq!(drain(&mut store, "b", 1, 0), Ok(1_000));
    assert_eq!(drain(&mut store, "b", 1, 0), Ok(0));
}

#[test]
fn a_lease_that_another_worker_draws_from_is_not_given_back() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(100), 0).unwrap();
    slices.take(&mut store, "b", 1, 10, 500).unwrap();
    assert_eq!(drain(&mut store, "b", 1, 499), Ok(0));
    assert_eq!(drain(&mut store, "b", 1, 500), Ok(90));
}

#[test]
fn what_a_call_uses_beyond_its_hold_comes_from_the_lease_while_it_can() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(40), 0).unwrap();
    slices.take(&mut store, "b", 1, 10, 0).unwrap();
    assert_eq!(slices.put(&mut store, "b", 1, 10, 25), 0);
    assert_eq!(available(&store), 15);
    slices.take(&mut store, "b", 1, 10, 0).unwrap();
    assert_eq!(slices.put(&mut store, "b", 1, 10, 25), 10, "5 of 15 were left");
}

#[test]
fn a_new_window_forgets_the_old_one() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(10), 0).unwrap();
    slices.take(&mut store, "b", 1, 10, 0).unwrap();
    lend(&mut store, "b", Loan { window: 2, ..loan(5) }, 0).unwrap();
    lend(&mut store, "b", loan(99), 0).unwrap();
    assert_eq!(available(&store), 5, "a loan for a window that is over is too late");
    slices.take(&mut store, "b", 2, 5, 0).unwrap();
    assert_eq!(slices.put(&mut store, "b", 1, 10, 3), 0);
    assert_eq!(slices.take(&mut store, "b", 2, 1, 0), Err(Short::Empty));
}

#[test]
fn a_debt_is_paid_before_anything_is_available_again() {
    let mut store = Store::default();
    open(&mut store, "b", 1, 10, 9_000).unwrap();
    open(&mut store, "b", 1, 10, 9_000).unwrap();
    owe(&mut store, "b", 1, 14).unwrap();
    assert_eq!(available(&store), 0);
    back(&mut store, "b", 1, (6, 0)).unwrap();
    assert_eq!(available(&store), 2);
}

#[test]
fn a_lease_is_opened_once_in_a_window() {
    #[rustfmt::skip]
    let cases = [
        // name                              window  limit  until_ms   available  used
        ("the same",                         10,     100,   20_000,    60,        40),
        ("a limit that was raised",          10,     150,   20_000,    110,       40),
        ("a limit that was lowered",         10,     50,    20_000,    10,        40),
        ("lowered below what is used",       10,     30,    20_000,    0,         40),
        ("the next window",                  20,     100,   30_000,    100,       0),
        ("the one before, too late",         5,      100,   10_000,    60,        40),
        ("another calendar, begun earlier",  5,      100,   25_000,    100,       0),
        ("one that does not end",            0,      100,   u64::MAX,  100,       0),
    ];
    for (name, window, limit, until_ms, left, used) in cases {
        let (mut store, mut slices) = (Store::default(), Slices::exact());
        open(&mut store, "b", 10, 100, 20_000).unwrap();
        slices.take(&mut store, "b", 10, 40, 0).unwrap();
        open(&mut store, "b", window, limit, until_ms).unwrap();
        let lease = Lease::of(&store, "b").unwrap();
        assert_eq!((lease.available, lease.used()), (left, used), "{name}");
    }
}

#[test]
fn a_slice_of_a_later_window_does_not_outlive_its_calendar() {
    let (mut store, mut slices) = (Store::default(), Slices::exact());
    open(&mut store, "b", 10, 100, 20_000).unwrap();
    slices.take(&mut store, "b", 10, 40, 0).unwrap();
    open(&mut store, "b", 5, 100, 25_000).unwrap();
    slices.begin("b", 5);
    assert_eq!(slices.take(&mut store, "b", 5, 100, 0), Ok(()));
    assert_eq!(slices.put(&mut store, "b", 10, 40, 50), 10, "of the old one nothing comes back");
    assert_eq!(slices.take(&mut store, "b", 5, 1, 0), Err(Short::Empty));
}

#[test]
fn exact_slices_leave_everything_to_other_workers() {
    let (mut store, mut one) = (Store::default(), Slices::exact());
    open(&mut store, "b", 1, 1_000, 9_000).unwrap();
    for _ in 0..4 {
        for _ in 0..8 {
            one.take(&mut store, "b", 1, 10, 0).unwrap();
            one.put(&mut store, "b", 1, 10, 1);
        }
        one.tick(&mut store);
    }
    assert_eq!(available(&store), 1_000 - 32);
}

#[test]
fn what_comes_back_to_a_lease_of_a_later_window_is_left_over_and_not_lost() {
    let mut store = Store::default();
    let (mut one, mut other) = (Slices::default(), Slices::default());
    lend(&mut store, "b", loan(100), 0).unwrap();
    one.take(&mut store, "b", 1, 60, 0).unwrap();
    assert_eq!(lend(&mut store, "b", Loan { window: 2, ..loan(5) }, 0), Ok((1, 40)));
    other.take(&mut store, "b", 2, 5, 0).unwrap();
    assert_eq!(one.put(&mut store, "b", 1, 60, 10), 0);
    assert_eq!(one.take_over(), [("b".to_owned(), 1, 50)]);
    one.tick(&mut store);
    one.let_go(&mut store, "b");
    assert_eq!(one.take_over(), [], "once");
}

#[test]
fn a_call_that_takes_and_gives_back_again_and_again_has_no_pace() {
    let (mut store, mut slices) = (Store::default(), Slices::default());
    lend(&mut store, "b", loan(1_000), 0).unwrap();
    for _ in 0..100 {
        slices.take(&mut store, "b", 1, 10, 0).unwrap();
        slices.undo(&mut store, "b", 1, 10);
    }
    assert_eq!(slices.tick(&mut store)[0].pace, 0);
}
