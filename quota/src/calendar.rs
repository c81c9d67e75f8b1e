//! Windows and hours on the business's calendar.
//!
//! A window is a day or a month as the business's clock and calendar say it, with daylight saving.
//! Hours too are the business's: in a zone that is half an hour off, an hour by UTC would belong
//! to two days. Both are named by when they began, in seconds since 1970 UTC.

use jiff::{Span, Timestamp, ZonedDateTime, civil::Date, tz::TimeZone};

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// At midnight.
    Day,
    /// At midnight of this day of the month, or of the month's last day where it is shorter.
    Month {
        /// 1 to 31.
        anchor: i8,
    },
}

impl Cycle {
    /// The name in configuration, protocol and messages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month { .. } => "month",
        }
    }
}

/// A stretch of time from `start` to just before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub start: ZonedDateTime,
    /// When the next one begins.
    pub end: ZonedDateTime,
}

impl Window {
    /// When it began, in seconds since 1970 UTC: its name.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.start.timestamp().as_second()
    }

    /// How long it still lasts.
    #[must_use]
    pub fn ends_in_ms(&self, now: Timestamp) -> u64 {
        let ms = self.end.timestamp().as_millisecond().saturating_sub(now.as_millisecond());
        u64::try_from(ms).unwrap_or(0)
    }

    /// When the next one begins, in RFC 3339 with the zone's offset.
    #[must_use]
    pub fn resets_at(&self) -> String {
        self.end.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }
}

/// The window of `cycle` in which `now` falls.
#[must_use]
pub fn window_of(cycle: Cycle, zone: &TimeZone, now: Timestamp) -> Window {
    let today = now.to_zoned_datetime(zone.clone()).date();
    let (first, next) = match cycle {
        Cycle::Day => (today, today.saturating_add(Span::new().days(1))),
        Cycle::Month { anchor } => {
            let this = anchored(today, anchor);
            let month = |months: i64| {
                let first = today.first_of_month();
                anchored(first.saturating_add(Span::new().months(months)), anchor)
            };
            if this <= today { (this, month(1)) } else { (month(-1), this) }
        }
    };
    Window { start: midnight(first, zone, now), end: midnight(next, zone, now) }
}

/// When the hour of the business's clock began in which `at_ms` falls, in seconds.
#[must_use]
pub fn hour_of(zone: &TimeZone, at_ms: i64) -> i64 {
    let second = at_ms.div_euclid(MS);
    let offset = i64::from(zone.to_offset(crate::clock::timestamp(at_ms)).seconds());
    let into = second.saturating_add(offset).rem_euclid(HOUR);
    second.saturating_sub(into)
}

/// The first moment of a day, which need not be 00:00 where clocks are put forward at midnight.
#[must_use]
pub fn midnight(date: Date, zone: &TimeZone, otherwise: Timestamp) -> ZonedDateTime {
    let found = date.to_zoned_datetime(zone.clone()).and_then(|noon| noon.start_of_day());
    found.unwrap_or_else(|_| otherwise.to_zoned_datetime(zone.clone()))
}

/// The day `anchor` of the month of `date`, or its last one.
fn anchored(date: Date, anchor: i8) -> Date {
    let day = anchor.clamp(1, date.days_in_month());
    date.with().day(day).build().unwrap_or(date)
}

const MS: i64 = 1_000;
const HOUR: i64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_the_calendar_of_the_zone() {
        let month = |anchor| Cycle::Month { anchor };
        #[rustfmt::skip]
        let cases = [
            // zone               cycle      now                     start                        end
            ("UTC",               month(1),  "2026-11-23T12:00:00Z", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
            ("UTC",               month(1),  "2026-12-01T00:00:00Z", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
            ("UTC",               month(1),  "2026-11-30T23:59:59Z", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
            ("America/New_York",  month(1),  "2026-12-01T04:59:59Z", "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00"),
            ("UTC",               month(15), "2026-11-14T12:00:00Z", "2026-10-15T00:00:00+00:00", "2026-11-15T00:00:00+00:00"),
            ("UTC",               month(15), "2026-11-15T00:00:00Z", "2026-11-15T00:00:00+00:00", "2026-12-15T00:00:00+00:00"),
            ("UTC",               month(31), "2027-02-27T12:00:00Z", "2027-01-31T00:00:00+00:00", "2027-02-28T00:00:00+00:00"),
            ("UTC",               month(31), "2027-02-28T12:00:00Z", "2027-02-28T00:00:00+00:00", "2027-03-31T00:00:00+00:00"),
            ("UTC",               month(15), "2027-01-02T12:00:00Z", "2026-12-15T00:00:00+00:00", "2027-01-15T00:00:00+00:00"),
            ("Asia/Kolkata",      Cycle::Day, "2026-11-23T18:29:59Z", "2026-11-23T00:00:00+05:30", "2026-11-24T00:00:00+05:30"),
            ("Asia/Kolkata",      Cycle::Day, "2026-11-23T18:30:00Z", "2026-11-24T00:00:00+05:30", "2026-11-25T00:00:00+05:30"),
            // A day of 25 hours, and one that begins at 01:00.
            ("Europe/Berlin",     Cycle::Day, "2026-10-25T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
            ("America/Asuncion",  Cycle::Day, "2023-10-01T12:00:00Z", "2023-10-01T01:00:00-03:00", "2023-10-02T00:00:00-03:00"),
        ];
        for (zone, cycle, now, start, end) in cases {
            let zone = TimeZone::get(zone).unwrap();
            let window = window_of(cycle, &zone, now.parse().unwrap());
            let start: Timestamp = start.parse().unwrap();
            assert_eq!(window.id(), start.as_second(), "{now} {cycle:?}: {window:?}");
            assert_eq!(window.resets_at(), end, "{now} {cycle:?}");
        }
    }

    #[test]
    fn hours_begin_when_the_business_says() {
        let at: Timestamp = "2026-11-23T18:45:12.345Z".parse().unwrap();
        #[rustfmt::skip]
        let cases = [
            ("UTC",            "2026-11-23T18:00:00Z"),
            ("Asia/Kolkata",   "2026-11-23T18:30:00Z"),
            ("Asia/Kathmandu", "2026-11-23T18:15:00Z"),
        ];
        for (zone, hour) in cases {
            let hour: Timestamp = hour.parse().unwrap();
            let zone = TimeZone::get(zone).unwrap();
            assert_eq!(hour_of(&zone, at.as_millisecond()), hour.as_second());
        }
    }
}
