//! Days that cost far more than the days before them.
//!
//! A day is a spike if it costs at least three times the median of the up to 14 days before it,
//! and at least a dollar more. The median does not follow a single bad day, as a mean would, so
//! the second day of a flood is marked as well. With fewer than seven days before it, nothing is
//! usual yet and nothing is marked.

/// A day that stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spike {
    /// Which of the days.
    pub(crate) at: usize,
    /// What it cost, in nano-dollars.
    pub(crate) cost: i128,
    /// The median of the days before it.
    pub(crate) usual: i128,
}

/// The spikes among the costs of successive days, the first of which is the customer's first.
pub(crate) fn find(costs: &[i128]) -> Vec<Spike> {
    let mut spikes = Vec::new();
    for (at, &cost) in costs.iter().enumerate().skip(FEWEST) {
        let before = costs.get(at.saturating_sub(MOST)..at).unwrap_or_default();
        let usual = median(before);
        let is_far = cost >= usual.saturating_mul(TIMES);
        if is_far && cost.saturating_sub(usual) >= LEAST {
            spikes.push(Spike { at, cost, usual });
        }
    }
    spikes
}

/// The lower of the two middle values if their number is even: it errs towards marking.
fn median(costs: &[i128]) -> i128 {
    let mut sorted = costs.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// Days before a day without which nothing is usual.
const FEWEST: usize = 7;
/// Days before a day that say what is usual: two weeks, so that each weekday is in them twice.
const MOST: usize = 14;
/// How many times the usual cost is far too much.
const TIMES: i128 = 3;
/// Nano-dollars that are worth a look: a customer of pennies is no news.
const LEAST: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_stand_out_of_the_days_before_them() {
        #[rustfmt::skip]
        let cases: [(&str, &[i128], &[usize]); 8] = [
            // name, dollars by day, days that are spikes
            ("nothing",                   &[],                                      &[]),
            ("even",                      &[2, 2, 2, 2, 2, 2, 2, 2],                &[]),
            ("three times",               &[2, 2, 2, 2, 2, 2, 2, 6],                &[7]),
            ("just under three times",    &[2, 2, 2, 2, 2, 2, 2, 5],                &[]),
            ("two days of flood",         &[2, 2, 2, 2, 2, 2, 2, 9, 9, 2],          &[7, 8]),
            ("too early to say",          &[2, 2, 2, 2, 2, 2, 9],                   &[]),
            ("out of nothing",            &[0, 0, 0, 0, 0, 0, 0, 1],                &[7]),
            ("one bad day is not usual",  &[2, 90, 2, 2, 2, 2, 2, 7],               &[7]),
        ];
        for (name, dollars, at) in cases {
            let costs: Vec<i128> = dollars.iter().map(|d| d * LEAST).collect();
            let found: Vec<usize> = find(&costs).iter().map(|spike| spike.at).collect();
            assert_eq!(found, at, "{name}");
        }
    }

    #[test]
    fn pennies_are_no_news() {
        let cents: Vec<i128> = [1, 1, 1, 1, 1, 1, 1, 90].map(|c| c * LEAST / 100).to_vec();
        assert_eq!(find(&cents), []);
    }

    #[test]
    fn only_the_last_two_weeks_are_usual() {
        let mut costs = vec![50 * LEAST; 10];
        costs.extend([LEAST; 14]);
        costs.push(20 * LEAST);
        let spike = Spike { at: 24, cost: 20 * LEAST, usual: LEAST };
        assert_eq!(find(&costs), [spike]);
    }
}
