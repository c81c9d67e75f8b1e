//! The business's calendar: which instants a day or a month of its time zone holds.
//!
//! Totals are kept by hours of the business's clock, so its days can be put together from them
//! exactly, also where the zone is half an hour off. A day may be 23 or 25 hours long; where
//! midnight does not exist, the day begins when the clock moves on.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Days from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first day.
    pub(crate) first: Date,
    /// The last day, never before the first.
    pub(crate) last: Date,
}

/// A stretch of time in seconds since 1970 UTC: from the start, up to but without the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its first second.
    pub(crate) start: i64,
    /// The first second after it.
    pub(crate) end: i64,
}

impl Days {
    /// The days from `first` to `last`, or `None` if they are the wrong way round.
    pub(crate) fn new(first: Date, last: Date) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The whole month that a day is in.
    pub(crate) fn month_of(day: Date) -> Self {
        Self { first: day.first_of_month(), last: day.last_of_month() }
    }

    /// The `count` days that end with `last`.
    pub(crate) fn up_to(last: Date, count: i64) -> Self {
        let back = count.saturating_sub(1).max(0);
        Self { first: last.saturating_sub(back.days()), last }
    }

    /// How many days they are.
    pub(crate) fn count(self) -> i64 {
        days_between(self.first, self.last).saturating_add(1)
    }

    /// Each day in turn.
    pub(crate) fn each(self) -> impl Iterator<Item = Date> {
        self.first.series(1.day()).take_while(move |day| *day <= self.last)
    }

    /// Each month that they touch, as the part of it that lies within them.
    pub(crate) fn by_month(self) -> impl Iterator<Item = Self> {
        let months = self.first.first_of_month().series(1.month());
        months.take_while(move |month| *month <= self.last).map(move |month| Self {
            first: month.max(self.first),
            last: month.last_of_month().min(self.last),
        })
    }

    /// What they have in common with others.
    pub(crate) fn overlap(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// The instants that they hold in a time zone.
    pub(crate) fn stretch(self, zone: &TimeZone) -> Stretch {
        let next = self.last.saturating_add(1.day());
        Stretch { start: midnight(self.first, zone), end: midnight(next, zone) }
    }
}

/// The `count` months up to the one that a day is in, the oldest first.
pub(crate) fn months_up_to(day: Date, count: i64) -> Vec<Days> {
    let back = count.saturating_sub(1).max(0);
    let first = day.first_of_month().saturating_sub(back.months());
    Days { first, last: day.last_of_month() }.by_month().collect()
}

/// The day of an instant, given in seconds since 1970 UTC.
pub(crate) fn day_of(seconds: i64, zone: &TimeZone) -> Date {
    let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    instant.to_zoned_datetime(zone.clone()).date()
}

/// How many days lie between two, without the last.
pub(crate) fn days_between(first: Date, last: Date) -> i64 {
    first.until(last).map_or(0, |span| i64::from(span.get_days()))
}

fn midnight(day: Date, zone: &TimeZone) -> i64 {
    tollgate::calendar::midnight(day, zone, Timestamp::UNIX_EPOCH).timestamp().as_second()
}

#[cfg(test)]
mod tests {
    use tollgate::calendar;

    use super::*;

    fn days(first: &str, last: &str) -> Days {
        Days::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_day_holds_the_instants_of_its_time_zone() {
        #[rustfmt::skip]
        let cases = [
            // zone                  day           start in UTC            hours, in quarters
            ("UTC",                  "2026-11-23", "2026-11-23T00:00:00Z", 96),
            ("Europe/Berlin",        "2026-11-23", "2026-11-22T23:00:00Z", 96),
            ("Europe/Berlin",        "2026-03-29", "2026-03-28T23:00:00Z", 92),
            ("Europe/Berlin",        "2026-10-25", "2026-10-24T22:00:00Z", 100),
            ("America/Los_Angeles",  "2026-11-01", "2026-11-01T07:00:00Z", 100),
            ("Asia/Kolkata",         "2026-11-23", "2026-11-22T18:30:00Z", 96),
            ("Asia/Kathmandu",       "2026-11-23", "2026-11-22T18:15:00Z", 96),
            ("Pacific/Chatham",      "2026-11-23", "2026-11-22T10:15:00Z", 96),
            ("Australia/Lord_Howe",  "2026-10-04", "2026-10-03T13:30:00Z", 94),
            // Midnight does not exist: the day begins at one.
            ("America/Santiago",     "2026-09-06", "2026-09-06T04:00:00Z", 92),
        ];
        for (zone, day, start, quarters) in cases {
            let stretch = days(day, day).stretch(&calendar::zone(zone).unwrap());
            let start: Timestamp = start.parse().unwrap();
            assert_eq!(stretch.start, start.as_second(), "{zone} {day}");
            assert_eq!(stretch.end - stretch.start, quarters * 900, "{zone} {day}");
            assert_eq!(stretch.start % 900, 0, "{zone} {day}");
            assert_eq!(day_of(stretch.start, &calendar::zone(zone).unwrap()).to_string(), day);
        }
    }

    #[test]
    fn days_follow_each_other_without_gap() {
        let zone = calendar::zone("Europe/Berlin").unwrap();
        let year = days("2026-01-01", "2026-12-31");
        let mut end = year.stretch(&zone).start;
        for day in year.each() {
            let stretch = Days { first: day, last: day }.stretch(&zone);
            assert_eq!(stretch.start, end, "{day}");
            end = stretch.end;
        }
        assert_eq!(end, year.stretch(&zone).end);
        assert_eq!(year.count(), 365);
    }

    #[test]
    fn ranges_fall_into_their_months() {
        let parts: Vec<_> = days("2027-01-30", "2027-03-02").by_month().collect();
        assert_eq!(
            parts,
            [
                days("2027-01-30", "2027-01-31"),
                days("2027-02-01", "2027-02-28"),
                days("2027-03-01", "2027-03-02"),
            ]
        );
    }

    #[test]
    fn months_are_counted_backwards_over_the_year() {
        let months = months_up_to("2026-02-14".parse().unwrap(), 3);
        let firsts: Vec<_> = months.iter().map(|month| month.first.to_string()).collect();
        assert_eq!(firsts, ["2025-12-01", "2026-01-01", "2026-02-01"]);
    }
}
