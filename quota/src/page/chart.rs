//! What each day cost, as series for the chart.
//!
//! A chart shows the few dearest names of its days and the rest as one: more colours tell nobody
//! anything. Spikes are found per customer, over all its days that are known, also those before
//! the chart begins.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use crate::report::{margin, spike};

/// The series of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Chart {
    /// The days, as the axis names them.
    pub(crate) days: Vec<String>,
    /// What each name cost on each day.
    pub(crate) series: Vec<Series>,
    /// The days that stand out.
    pub(crate) spikes: Vec<Mark>,
}

/// One name's days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Series {
    /// The name, as people read it.
    pub(crate) name: String,
    /// Whether it is one name.
    pub(crate) kind: Kind,
    /// Nano-dollars by day.
    pub(crate) nanos: Vec<i64>,
}

/// What a series is the sum of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// One name.
    #[default]
    Name,
    /// The names that have no series of their own.
    Rest,
    /// What has no name.
    None,
}

/// A customer's day that stands out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mark {
    /// Which of the chart's days.
    pub(crate) at: usize,
    /// The customer's id.
    #[serde(skip)]
    pub(crate) id: String,
    /// The customer's name.
    pub(crate) name: String,
    /// How many times the usual, such as `4.1 times`.
    pub(crate) times: String,
    /// Nano-dollars of the day.
    #[serde(skip)]
    pub(crate) cost: i128,
    /// Nano-dollars of a usual day.
    #[serde(skip)]
    pub(crate) usual: i128,
}

/// Nano-dollars by day, by name.
pub(crate) type ByDay = BTreeMap<String, Vec<i64>>;

/// Sorts nano-dollars, each of a day and a name, into days.
pub(crate) fn by_day(costs: Vec<(usize, String, i64)>, days: usize) -> ByDay {
    let mut by_day = ByDay::new();
    for (at, name, cost) in costs {
        let costs = by_day.entry(name).or_insert_with(|| vec![0; days]);
        if let Some(sum) = costs.get_mut(at) {
            *sum = sum.saturating_add(cost);
        }
    }
    by_day
}

/// The series of the last `shown` days: the dearest by name, then the rest, then what has no name.
pub(crate) fn series(
    by_day: &ByDay,
    shown: usize,
    none: &str,
    call: impl Fn(&str) -> String,
) -> Vec<Series> {
    let cut =
        |costs: &[i64]| costs.get(costs.len().saturating_sub(shown)..).unwrap_or(costs).to_vec();
    let total = |costs: &[i64]| {
        costs.iter().fold(0_i128, |sum, cost| sum.saturating_add(i128::from(*cost)))
    };
    let mut named: Vec<(&str, Vec<i64>)> = by_day
        .iter()
        .map(|(name, costs)| (name.as_str(), cut(costs)))
        .filter(|(_, costs)| total(costs) > 0)
        .collect();
    named.sort_by_key(|(name, costs)| (name.is_empty(), core::cmp::Reverse(total(costs))));
    let unnamed = named.pop_if(|(name, _)| name.is_empty());
    let rest = named.split_off(named.len().min(MOST));
    let mut series: Vec<Series> = named
        .into_iter()
        .map(|(name, nanos)| Series { name: call(name), kind: Kind::Name, nanos })
        .collect();
    if !rest.is_empty() {
        let mut nanos = vec![0_i64; shown];
        for (_, costs) in &rest {
            for (sum, cost) in nanos.iter_mut().zip(costs) {
                *sum = sum.saturating_add(*cost);
            }
        }
        series.push(Series { name: format!("{} others", rest.len()), kind: Kind::Rest, nanos });
    }
    series.extend(unnamed.map(|(_, nanos)| Series {
        name: none.to_owned(),
        kind: Kind::None,
        nanos,
    }));
    series
}

/// The spikes of all customers in the last `shown` days, by day.
pub(crate) fn marks(by_day: &ByDay, shown: usize, call: impl Fn(&str) -> String) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (id, costs) in by_day.iter().filter(|(id, _)| !id.is_empty()) {
        let before = costs.iter().take_while(|cost| **cost == 0).count();
        let lived: Vec<i128> = costs.iter().skip(before).map(|cost| i128::from(*cost)).collect();
        let hidden = costs.len().saturating_sub(shown);
        for spike in spike::find(&lived) {
            let Some(at) = spike.at.saturating_add(before).checked_sub(hidden) else { continue };
            let (cost, usual) = (spike.cost, spike.usual);
            marks.push(Mark {
                at,
                id: id.clone(),
                name: call(id),
                times: times(cost, usual),
                cost,
                usual,
            });
        }
    }
    marks.sort_by_key(|mark| (mark.at, core::cmp::Reverse(mark.cost)));
    marks
}

/// The days as the axis names them.
pub(crate) fn labels(days: impl Iterator<Item = Date>) -> Vec<String> {
    days.map(|day| day.strftime("%-d %b").to_string()).collect()
}

fn times(cost: i128, usual: i128) -> String {
    margin::divide(cost.saturating_mul(10), usual).map_or_else(
        || "out of nothing".to_owned(),
        |tenths| format!("{}.{} times", tenths / 10, tenths % 10),
    )
}

/// Names with a colour of their own.
const MOST: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(at: usize, name: &str, nanos: i64) -> (usize, String, i64) {
        (at, name.to_owned(), nanos)
    }

    #[test]
    fn the_dearest_have_their_own_series_and_nothing_is_left_out() {
        let mut costs = vec![cost(0, "", 5), cost(2, "b", 900), cost(0, "hidden", 1)];
        costs.extend((0..9).map(|n| cost(1, &format!("n{n}"), 10 + n)));
        let by_day = by_day(costs, 3);
        let series = series(&by_day, 2, "Anonymous", str::to_uppercase);
        let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["B", "N8", "N7", "N6", "N5", "N4", "N3", "3 others"]);
        assert_eq!(series[0].nanos, [0, 900]);
        assert_eq!(series[7].nanos, [10 + 11 + 12, 0]);
    }

    #[test]
    fn what_has_no_name_comes_last() {
        let by_day = by_day(vec![cost(0, "", 500), cost(0, "a", 1)], 1);
        let names: Vec<_> = series(&by_day, 1, "Anonymous", str::to_owned)
            .into_iter()
            .map(|s| (s.name, s.kind))
            .collect();
        assert_eq!(names, [("a".to_owned(), Kind::Name), ("Anonymous".to_owned(), Kind::None)]);
    }

    #[test]
    fn spikes_are_placed_on_the_days_of_the_chart() {
        let dollar = 1_000_000_000;
        let mut costs: Vec<_> = (2..10).map(|day| cost(day, "a", 2 * dollar)).collect();
        costs.extend([cost(10, "a", 9 * dollar), cost(10, "", 99 * dollar)]);
        let marks = marks(&by_day(costs, 12), 4, |id| id.to_uppercase());
        let seen: Vec<_> =
            marks.iter().map(|m| (m.at, m.name.as_str(), m.times.as_str())).collect();
        assert_eq!(seen, [(2, "A", "4.5 times")]);
    }
}
