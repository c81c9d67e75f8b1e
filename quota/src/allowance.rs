//! How much of a budget may be used in a window, and how much of it is.
//!
//! The limit of the file is the beginning. A raise counts from its first moment to its end, a credit
//! in the window in which its day is. What was left of the window before may be rolled over, and of a
//! budget that rolls along, what was used in the steps before takes from what the present one may.
//! All of it follows from the file, the time and the balances: nothing is kept beside them.

use std::{collections::BTreeMap, ops::Range};

use jiff::{Timestamp, tz::TimeZone};
use sqlx::Row as _;
use tollgate::{
    calendar::{Cycle, Window, window_of},
    rule::Rule,
};

use crate::{
    customers::{Book, Extra, Found, Owner},
    lending::{Key, Lending},
    statement::{BATCH, Statement},
    store::{Connection, Kind, StoreError, Tx, amount},
};

/// The most that may be used in the window of `at`, by the file alone.
#[must_use]
pub fn base(owner: Owner<'_>, rule: &Rule, zone: &TimeZone, at: Timestamp) -> u64 {
    let today = at.to_zoned_datetime(zone.clone()).date();
    let first = window_of(rule.cycle, zone, at).start.date();
    let (mut most, mut credits) = (rule.limit, 0_u64);
    for extra in owner.extras().iter().filter(|extra| extra.budget() == rule.key) {
        match extra {
            Extra::Raise { limit, from, until, .. } => {
                if from.is_none_or(|from| from <= today) && today < *until {
                    most = most.max(*limit);
                }
            }
            Extra::Credit { amount, on, .. } => {
                if (first..=today).contains(on) {
                    credits = credits.saturating_add(*amount);
                }
            }
        }
    }
    most.saturating_add(credits)
}

/// What of the limit was used beside a window, or is left over from before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Used, lent or in suspense in the other steps that count.
    pub taken: u64,
    /// Of that, used.
    pub settled: u64,
    /// What is rolled over.
    pub carried: u64,
}

/// The first of the windows that count beside the one of `now`.
#[must_use]
pub fn since(rule: &Rule, zone: &TimeZone, now: Timestamp) -> Option<i64> {
    let window = window_of(rule.cycle, zone, now);
    match rule.cycle {
        Cycle::Rolling { .. } => Some(window.id().saturating_sub(rule.cycle.reach())),
        _ if rule.roll_over > 0 => Some(preceding(rule.cycle, zone, &window).id()),
        _ => None,
    }
}

/// The windows that count beside the one of `now`, which may be among them. Of what rolls along also
/// later ones do: a replica whose clock is ahead of this one's may have lent of the next step.
fn beside(rule: &Rule, zone: &TimeZone, now: Timestamp) -> Option<Range<i64>> {
    let since = since(rule, zone, now)?;
    let end = match rule.cycle {
        Cycle::Rolling { .. } => i64::MAX,
        cycle => window_of(cycle, zone, now).id(),
    };
    Some(since..end)
}

/// The moment of the window that began at `start` that is closest to `now`.
#[must_use]
pub fn moment(cycle: Cycle, zone: &TimeZone, start: i64, now: Timestamp) -> Timestamp {
    let Ok(first) = Timestamp::from_second(start) else { return now };
    let end = window_of(cycle, zone, first).end;
    let last = end.map_or(now, |end| second_before(end.timestamp().as_second()));
    now.min(last).max(first)
}

/// The row that all who lend of such a budget lock first, so that they do it one after the other: the
/// window before, or, of one that rolls, a row that stands for all of its steps.
#[must_use]
pub fn lock_of(id: &str, rule: &Rule, zone: &TimeZone, now: Timestamp) -> Option<Key> {
    let window = since(rule, zone, now)?;
    let window = if matches!(rule.cycle, Cycle::Rolling { .. }) { 0 } else { window };
    Some((id.to_owned(), window))
}

/// A budget at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Its id; that of a part, if it is divided.
    pub id: &'a str,
    /// Whose it is.
    pub owner: Owner<'a>,
    /// What it says.
    pub rule: &'a Rule,
    /// When.
    pub at: Timestamp,
}

/// What counts beside the windows of these moments, in their order, of the balances as they are in
/// the database.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn before(
    db: &mut Connection,
    zone: &TimeZone,
    moments: &[Moment<'_>],
) -> Result<Vec<Before>, StoreError> {
    let key = |moment: &Moment<'_>| {
        (moment.id.to_owned(), window_of(moment.rule.cycle, zone, moment.at).id())
    };
    let beside = moments
        .iter()
        .filter_map(|moment| Some((key(moment), beside(moment.rule, zone, moment.at)?)));
    let beside: BTreeMap<_, _> = beside.collect();
    let stored = stored(db, &beside).await?;
    let before = moments.iter().map(|moment| {
        let key = key(moment);
        if !beside.contains_key(&key) {
            return Before::default();
        }
        let window = window_of(moment.rule.cycle, zone, moment.at);
        let sums = stored.get(&key).copied().unwrap_or_default();
        of(sums, (moment.owner, moment.rule), zone, &window)
    });
    Ok(before.collect())
}

/// What follows from what was `settled` and `taken` beside a window.
fn of(
    (settled, taken): (u64, u64),
    (owner, rule): (Owner<'_>, &Rule),
    zone: &TimeZone,
    window: &Window,
) -> Before {
    match rule.cycle {
        Cycle::Rolling { .. } => Before { taken, settled, carried: 0 },
        // Of a window in which nothing was used nobody knows whether there was a customer.
        _ if taken == 0 => Before::default(),
        _ => {
            let most = base(owner, rule, zone, last_second_before(window));
            let carried = most.saturating_sub(taken).min(rule.roll_over);
            Before { carried, ..Before::default() }
        }
    }
}

/// The most that may be used in a window, with all that counts beside it.
#[must_use]
pub const fn limit(base: u64, before: Before) -> u64 {
    base.saturating_add(before.carried).saturating_sub(before.taken)
}

/// Sets the limits of all accounts in their present windows. What this transaction has changed of
/// the windows beside them counts too.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn apply(
    tx: &mut Tx,
    lending: &mut Lending<'_>,
    book: &Book,
    now: Timestamp,
) -> Result<BTreeMap<Key, u64>, StoreError> {
    let zone = &book.business.zone;
    let keys: Vec<Key> = lending.accounts.keys().cloned().collect();
    let present = keys.iter().filter_map(|key| {
        let Found { owner, rule, .. } = book.budget(&key.0, now)?;
        let window = window_of(rule.cycle, zone, now);
        (window.id() == key.1).then_some((key, (owner, rule, window)))
    });
    let present: Vec<_> = present.collect();
    let beside = present
        .iter()
        .filter_map(|(key, (_, rule, _))| Some(((*key).clone(), beside(rule, zone, now)?)));
    let beside: BTreeMap<_, _> = beside.collect();
    let stored = stored(tx, &beside).await?;
    let mut used_before = BTreeMap::new();
    for (key, (owner, rule, window)) in present {
        let mut before = Before::default();
        if let Some(windows) = beside.get(key) {
            let stored = stored.get(key).copied().unwrap_or_default();
            let sums = lending.changed(key, windows.clone(), stored);
            before = of(sums, (owner, rule), zone, &window);
            used_before.insert(key.clone(), before.settled);
        }
        lending.allow(key, limit(base(owner, rule, zone, now), before));
    }
    Ok(used_before)
}

/// What the database has settled and taken of budgets in these windows, without the ones of the keys;
/// where there is anything.
async fn stored(
    db: &mut Connection,
    beside: &BTreeMap<Key, Range<i64>>,
) -> Result<BTreeMap<Key, (u64, u64)>, StoreError> {
    let mut sums = BTreeMap::new();
    let beside: Vec<_> = beside.iter().collect();
    for some in beside.chunks(BATCH) {
        let columns = "budget, own, since, until";
        let mut query =
            Statement::about(Kind::of(db), columns, some, |row, ((budget, own), windows)| {
                row.bind(budget).bind(own).bind(windows.start).bind(windows.end);
            });
        query.push(
            "SELECT asked.budget, asked.own, CAST(SUM(b.settled) AS BIGINT), \
             CAST(SUM(b.settled + b.on_loan + b.suspense) AS BIGINT) \
             FROM asked CROSS JOIN balance AS b WHERE b.budget = asked.budget \
             AND b.window_start >= asked.since AND b.window_start < asked.until \
             AND b.window_start <> asked.own GROUP BY asked.budget, asked.own",
        );
        for row in query.query().fetch_all(&mut *db).await? {
            let sum = (amount(row.try_get(2)?), amount(row.try_get(3)?));
            sums.insert((row.try_get(0)?, row.try_get(1)?), sum);
        }
    }
    Ok(sums)
}

fn preceding(cycle: Cycle, zone: &TimeZone, window: &Window) -> Window {
    window_of(cycle, zone, last_second_before(window))
}

/// Windows begin with a second.
fn last_second_before(window: &Window) -> Timestamp {
    second_before(window.id())
}

fn second_before(second: i64) -> Timestamp {
    Timestamp::from_second(second.saturating_sub(1)).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = r#"
business: {name: Acme, time_zone: Europe/Berlin}
plans: [{name: Pro, price: 9, budgets: [{id: guard, limit: {usd: "10"}, window: month, roll_over: {usd: "4"}}]}]
customers:
  - id: acme
    plan: Pro
    raises:
      - {budget: guard, limit: {usd: "25"}, from: 2026-10-20, until: 2026-11-03}
      - {budget: guard, limit: {usd: "5"}, until: 2027-01-01}
    credits: [{budget: guard, amount: {usd: "3"}, on: 2026-11-15}, {budget: guard, amount: {usd: "1"}, on: 2026-11-20}]
    budgets: [{limit: {requests: 5}, rolling: 24h}]
"#;

    #[test]
    fn raises_end_and_credits_are_of_their_window() {
        let book = Book::parse(BOOK).unwrap();
        let (id, at) = ("acme/guard.usd-month", "2026-11-01T00:00:00Z".parse().unwrap());
        let found = book.budget(id, at).unwrap();
        #[rustfmt::skip]
        let cases = [
            ("before the raise",              "2026-10-19T21:59:59Z", 10),
            ("from its day on, in the zone",  "2026-10-19T22:00:00Z", 25),
            ("into the next month",           "2026-11-02T22:59:59Z", 25),
            ("its end; the lower one is none", "2026-11-02T23:00:00Z", 10),
            ("a credit",                      "2026-11-14T23:00:00Z", 13),
            ("another",                       "2026-11-30T22:59:59Z", 14),
            ("in their window only",          "2026-11-30T23:00:00Z", 10),
        ];
        for (name, at, dollars) in cases {
            let limit = base(found.owner, found.rule, &book.business.zone, at.parse().unwrap());
            assert_eq!(limit, dollars * 1_000_000_000, "{name}");
        }
    }

    #[test]
    fn what_was_left_is_rolled_over_once() {
        let book = Book::parse(BOOK).unwrap();
        let at = "2026-12-10T00:00:00Z".parse().unwrap();
        let found = book.budget("acme/guard.usd-month", at).unwrap();
        let zone = &book.business.zone;
        let window = window_of(found.rule.cycle, zone, at);
        let usd = 1_000_000_000;
        #[rustfmt::skip]
        let cases = [
            ("nothing was used, so nothing is known", 0,          0),
            ("most was left: at most what the file says", usd,    4 * usd),
            ("of the credits, too",                   11 * usd,   3 * usd),
            ("all was used",                          14 * usd,   0),
            ("more than all",                         20 * usd,   0),
        ];
        for (name, taken, carried) in cases {
            let before = of((taken, taken), (found.owner, found.rule), zone, &window);
            assert_eq!((before.carried, before.taken), (carried, 0), "{name}");
        }
        let november = since(found.rule, zone, at).unwrap();
        assert_eq!(november, "2026-10-31T23:00:00Z".parse::<Timestamp>().unwrap().as_second());
    }

    #[test]
    fn a_late_call_is_measured_at_the_moment_of_its_window_that_is_closest() {
        let zone = Book::parse(BOOK).unwrap().business.zone;
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-12-10T00:00:00Z");
        let month = Cycle::Month { day: 1 };
        #[rustfmt::skip]
        let cases = [
            ("the present one",   month,       "2026-11-30T23:00:00Z", "2026-12-10T00:00:00Z"),
            ("the one before",    month,       "2026-10-31T23:00:00Z", "2026-11-30T22:59:59Z"),
            ("one to come",       month,       "2026-12-31T23:00:00Z", "2026-12-31T23:00:00Z"),
            ("the only one",      Cycle::Once, "1970-01-01T00:00:00Z", "2026-12-10T00:00:00Z"),
        ];
        for (name, cycle, start, moment_of) in cases {
            let start = at(start).as_second();
            assert_eq!(moment(cycle, &zone, start, now), at(moment_of), "{name}");
        }
        let last = Timestamp::MAX.as_second();
        assert_eq!(moment(month, &zone, last, now).as_second(), last, "the end of time");
        assert_eq!(moment(month, &zone, i64::MAX, now), now, "none");
    }

    #[test]
    fn a_budget_that_rolls_counts_all_of_its_time_and_at_most_a_step_more() {
        let book = Book::parse(BOOK).unwrap();
        let at: Timestamp = "2026-10-25T12:10:00Z".parse().unwrap();
        let found = book.budget("acme/requests-rolling-24h", at).unwrap();
        let since = since(found.rule, &book.business.zone, at).unwrap();
        let reach = at.as_second() - since;
        assert!(
            (86_400..=86_400 + 24 * 60).contains(&reach),
            "{reach}: also over a change of clocks"
        );
        let before = Before { taken: 4, settled: 3, carried: 0 };
        assert_eq!(limit(found.rule.limit, before), 1);
    }
}
