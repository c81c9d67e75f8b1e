//! What a customer pays against what it costs, in whole numbers.
//!
//! Margin is (revenue − cost) ÷ revenue. Cost without revenue is −100 %: everything spent on it is
//! lost. Neither revenue nor cost is no margin at all. Revenue of a part of a month is prorated by
//! day; a plan holds from its day on. Fractions are kept exact and rounded half up once, at the end.

use jiff::civil::Date;

use super::calendar::Days;

/// What a customer has been paying a month, and since when: in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices(Vec<(Date, u64)>);

impl Prices {
    /// Prices in nano-dollars a month, each from its day on until the next.
    pub(crate) fn new(mut prices: Vec<(Date, u64)>) -> Self {
        prices.sort_by_key(|(from, _)| *from);
        Self(prices)
    }

    /// The revenue of some days, in nano-dollars.
    ///
    /// A whole month at one price is exactly that price, however many days it has.
    pub(crate) fn revenue(&self, days: Days) -> i128 {
        let mut sum: i128 = 0;
        for part in days.by_month() {
            let month = Days::month_of(part.first).count();
            let weight = MONTHS.checked_div(i128::from(month)).unwrap_or(0);
            for (within, price) in self.held(part) {
                let share = i128::from(within.count()).saturating_mul(weight);
                sum = sum.saturating_add(i128::from(price).saturating_mul(share));
            }
        }
        divide(sum, MONTHS).unwrap_or(0)
    }

    /// Whether one of them holds on any of some days.
    pub(crate) fn hold_in(&self, days: Days) -> bool {
        self.held(days).next().is_some()
    }

    /// The parts of some days in which one price held, with that price.
    fn held(&self, days: Days) -> impl Iterator<Item = (Days, u64)> {
        let ends = self.0.iter().skip(1).map(|(from, _)| from.yesterday().ok());
        let ends = ends.chain([Some(Date::MAX)]);
        self.0.iter().zip(ends).filter_map(move |((from, price), end)| {
            Some((days.overlap(Days::new(*from, end?)?)?, *price))
        })
    }
}

/// The margin as a whole percentage, rounded half up.
pub(crate) fn percent(revenue: i128, cost: i128) -> Option<i128> {
    of_revenue(revenue, cost, 100)
}

/// The margin in basis points, rounded half up.
pub(crate) fn basis_points(revenue: i128, cost: i128) -> Option<i128> {
    of_revenue(revenue, cost, 10_000)
}

fn of_revenue(revenue: i128, cost: i128, whole: i128) -> Option<i128> {
    if revenue <= 0 {
        return (cost > 0).then_some(whole.saturating_neg());
    }
    divide(revenue.saturating_sub(cost).saturating_mul(whole), revenue)
}

/// What a month will have cost if it goes on as it began, or `None` in its first day: an hour of
/// traffic says nothing about a month.
pub(crate) fn forecast(cost: i128, elapsed: i64, whole: i64) -> Option<i128> {
    if elapsed < DAY {
        return None;
    }
    divide(cost.saturating_mul(i128::from(whole)), i128::from(elapsed.min(whole)))
}

/// A share of a whole in basis points, rounded half up; `None` of nothing.
pub(crate) fn share(part: i128, whole: i128) -> Option<i128> {
    divide(part.saturating_mul(10_000), whole)
}

/// The quotient rounded half up, which is upwards also below zero; `None` if nothing divides.
pub(crate) fn divide(number: i128, by: i128) -> Option<i128> {
    if by <= 0 {
        return None;
    }
    let twice = number.saturating_mul(2).saturating_add(by);
    twice.checked_div_euclid(by.saturating_mul(2))
}

/// What all lengths of a month divide: 28 · 29 · 30 · 31 without what they share.
const MONTHS: i128 = 377_580;
/// Seconds in a day.
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: i128 = 1_000_000_000;
    const CENT: i128 = 10_000_000;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn margins_are_whole_percentages_rounded_half_up() {
        #[rustfmt::skip]
        let cases = [
            // name                       revenue      cost            percent      basis points
            ("Acme Corp",                 4_900 * CENT, 320 * CENT,    Some(93),    Some(9_347)),
            ("MegaCo",                    4_900 * CENT, 8_740 * CENT,  Some(-78),   Some(-7_837)),
            ("StartupXY, free",           0,            80 * CENT,     Some(-100),  Some(-10_000)),
            ("free and idle",             0,            0,             None,        None),
            ("idle",                      4_900 * CENT, 0,             Some(100),   Some(10_000)),
            ("breaks even",               4_900 * CENT, 4_900 * CENT,  Some(0),     Some(0)),
            ("a half goes up",            200,          189,           Some(6),     Some(550)),
            ("a half goes up below zero", 200,          201,           Some(0),     Some(-50)),
            ("three halves below zero",   200,          203,           Some(-1),    Some(-150)),
            ("far below zero",            1,            i64::MAX as i128, Some(-922_337_203_685_477_580_600), Some(-92_233_720_368_547_758_060_000)),
        ];
        for (name, revenue, cost, whole, points) in cases {
            assert_eq!(percent(revenue, cost), whole, "{name}");
            assert_eq!(basis_points(revenue, cost), points, "{name}");
        }
    }

    #[test]
    fn revenue_is_prorated_by_day() {
        let pro = Prices::new(vec![(date("2020-01-01"), 49_000_000_000)]);
        let begun = Prices::new(vec![(date("2026-11-16"), 49_000_000_000)]);
        let changed = Prices::new(vec![
            (date("2026-11-11"), 99_000_000_000),
            (date("2026-11-01"), 0),
            (date("2026-12-01"), 10_000_000_000),
        ]);
        #[rustfmt::skip]
        let cases = [
            // name                       prices    first         last          nano-dollars
            ("a month of 30 days",        &pro,     "2026-11-01", "2026-11-30", 49 * DOLLAR),
            ("a month of 31 days",        &pro,     "2026-12-01", "2026-12-31", 49 * DOLLAR),
            ("a short month",             &pro,     "2027-02-01", "2027-02-28", 49 * DOLLAR),
            ("a leap month",              &pro,     "2028-02-01", "2028-02-29", 49 * DOLLAR),
            ("two months",                &pro,     "2026-11-01", "2026-12-31", 98 * DOLLAR),
            ("a day of 30",               &pro,     "2026-11-05", "2026-11-05", 1_633_333_333),
            ("over the end of a month",   &pro,     "2026-11-30", "2026-12-01", 3_213_978_495),
            ("before it was a customer",  &begun,   "2026-10-01", "2026-10-31", 0),
            ("since the middle",          &begun,   "2026-11-01", "2026-11-30", 24_500_000_000),
            ("a plan changed",            &changed, "2026-11-01", "2026-11-30", 66 * DOLLAR),
            ("and again",                 &changed, "2026-11-01", "2026-12-31", 76 * DOLLAR),
            ("no prices",                 &Prices::default(), "2026-11-01", "2026-11-30", 0),
        ];
        for (name, prices, first, last, nanos) in cases {
            let days = Days::new(date(first), date(last)).unwrap();
            assert_eq!(prices.revenue(days), nanos, "{name}");
        }
    }

    #[test]
    fn a_forecast_is_linear_in_the_elapsed_time() {
        #[rustfmt::skip]
        let cases = [
            // name           cost          elapsed    whole      forecast
            ("half a month",  50 * DOLLAR,  15 * DAY,  30 * DAY,  Some(100 * DOLLAR)),
            ("all of it",     50 * DOLLAR,  30 * DAY,  30 * DAY,  Some(50 * DOLLAR)),
            ("over",          50 * DOLLAR,  31 * DAY,  30 * DAY,  Some(50 * DOLLAR)),
            ("a third of it", 1,            10 * DAY,  31 * DAY,  Some(3)),
            ("no traffic",    0,            10 * DAY,  30 * DAY,  Some(0)),
            ("too early",     50 * DOLLAR,  DAY - 1,   30 * DAY,  None),
        ];
        for (name, cost, elapsed, whole, expected) in cases {
            assert_eq!(forecast(cost, elapsed, whole), expected, "{name}");
        }
    }
}
