//! Windows and hours on the business's calendar, in its time zone.
//!
//! A window is a stretch of time as the business's clock and calendar say it, with daylight saving:
//! a day may be 23 or 25 hours long, and where midnight does not exist it begins when the clock
//! moves on. An hour that the clock shows twice is two hours. Windows are named by when they began,
//! in seconds since 1970 UTC.

use jiff::{
    Span, Timestamp, ToSpan, ZonedDateTime,
    civil::{Date, Weekday},
    tz::TimeZone,
};

mod zones;

pub use zones::zone;

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// With each minute of the clock.
    Minute,
    /// With each hour of the clock.
    Hour,
    /// At midnight.
    Day,
    /// At midnight of this day.
    Week {
        /// The week's first day.
        first: Weekday,
    },
    /// At midnight of a day of each month.
    Month {
        /// 1 to 31; the month's last day where it is shorter.
        day: i8,
    },
    /// At midnight of a day of every third month.
    Quarter {
        /// One of the months in which a quarter begins: 1 to 12.
        month: i8,
        /// As in `Month`.
        day: i8,
    },
    /// At midnight of a day of one month.
    Year {
        /// The month in which the year begins: 1 to 12.
        month: i8,
        /// As in `Month`.
        day: i8,
    },
    /// Never: what was used so long ago counts no more, step by step.
    Rolling {
        /// How long.
        minutes: u32,
    },
    /// Never.
    Once,
}

impl Cycle {
    /// The name in configuration, protocol and messages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week { .. } => "week",
            Self::Month { .. } => "month",
            Self::Quarter { .. } => "quarter",
            Self::Year { .. } => "year",
            Self::Rolling { .. } => ROLLING,
            Self::Once => ONCE,
        }
    }

    /// The name in ids, such as `month` or `rolling-24h`.
    #[must_use]
    pub fn tag(self) -> String {
        match self {
            Self::Rolling { minutes } => match (minutes % DAY_MINUTES, minutes % HOUR_MINUTES) {
                (0, _) if minutes > DAY_MINUTES => format!("{ROLLING}-{}d", minutes / DAY_MINUTES),
                (_, 0) => format!("{ROLLING}-{}h", minutes / HOUR_MINUTES),
                _ => format!("{ROLLING}-{minutes}m"),
            },
            other => other.label().to_owned(),
        }
    }

    /// The name in front of people, such as `month` or `24 hours`.
    #[must_use]
    pub fn words(self) -> String {
        let some = |number: u32, unit: &str| {
            if number == 1 { unit.to_owned() } else { format!("{number} {unit}s") }
        };
        match self {
            Self::Rolling { minutes } => match (minutes % DAY_MINUTES, minutes % HOUR_MINUTES) {
                (0, _) if minutes > DAY_MINUTES => some(minutes / DAY_MINUTES, "day"),
                (_, 0) => some(minutes / HOUR_MINUTES, "hour"),
                _ => some(minutes, "minute"),
            },
            other => other.label().to_owned(),
        }
    }

    /// In which steps it rolls, in seconds; zero if it does not. A sixtieth of its length, but so
    /// long that gateways need not ask all the time.
    #[must_use]
    pub const fn step(self) -> i64 {
        match self {
            Self::Rolling { minutes } if minutes < SHORTEST_STEP => SHORTEST_STEP as i64,
            Self::Rolling { minutes } => minutes as i64,
            _ => 0,
        }
    }

    /// How far before the present step those begin that count, in seconds: with the present one they
    /// cover the whole length at each of its moments.
    #[must_use]
    pub const fn reach(self) -> i64 {
        match self {
            Self::Rolling { minutes } => {
                let (step, length) = (self.step(), (minutes as i64).saturating_mul(MINUTE));
                match length.saturating_add(step).saturating_sub(1).checked_div(step) {
                    Some(steps) => steps.saturating_mul(step),
                    None => 0,
                }
            }
            _ => 0,
        }
    }
}

/// The length of a rolling window: `90m`, `24h` or `30d`, in minutes, up to a year.
#[must_use]
pub fn length(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 1,
        "h" => HOUR_MINUTES,
        "d" => DAY_MINUTES,
        _ => return None,
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| digits)?;
    number.checked_mul(unit).filter(|minutes| (1..=366 * DAY_MINUTES).contains(minutes))
}

/// A stretch of time from `start` to just before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub start: ZonedDateTime,
    /// When the next one begins, if one ever does.
    pub end: Option<ZonedDateTime>,
}

impl Window {
    /// When it began, in seconds since 1970 UTC: its name.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.start.timestamp().as_second()
    }

    /// How long it still lasts: [`NEVER`] if it does not end.
    #[must_use]
    pub fn ends_in_ms(&self, now: Timestamp) -> u64 {
        let Some(end) = &self.end else { return NEVER };
        let ms = end.timestamp().as_millisecond().saturating_sub(now.as_millisecond());
        u64::try_from(ms).unwrap_or(0)
    }

    /// When the next one begins, in RFC 3339 with the zone's offset; nothing if it never does.
    #[must_use]
    pub fn resets_at(&self) -> String {
        self.end.as_ref().map_or_else(String::new, rfc_3339)
    }
}

/// The window of `cycle` in which `now` falls.
#[must_use]
pub fn window_of(cycle: Cycle, zone: &TimeZone, now: Timestamp) -> Window {
    let here = now.to_zoned_datetime(zone.clone());
    let today = here.date();
    let (first, next) = match cycle {
        Cycle::Once => {
            return Window {
                start: Timestamp::UNIX_EPOCH.to_zoned_datetime(zone.clone()),
                end: None,
            };
        }
        Cycle::Rolling { .. } => {
            let step = cycle.step();
            let start = now.as_second().saturating_sub(now.as_second().rem_euclid(step));
            let at = |second| {
                Timestamp::from_second(second).unwrap_or(now).to_zoned_datetime(zone.clone())
            };
            return Window { start: at(start), end: Some(at(start.saturating_add(step))) };
        }
        Cycle::Minute => return of_clock(&here, MINUTE),
        Cycle::Hour => return of_clock(&here, HOUR),
        Cycle::Day => (today, today.saturating_add(1.day())),
        Cycle::Week { first } => {
            let first = today.saturating_sub(i64::from(today.weekday().since(first)).days());
            (first, first.saturating_add(7.days()))
        }
        Cycle::Month { day } => months(today, 1, 1, day),
        Cycle::Quarter { month, day } => months(today, 3, month, day),
        Cycle::Year { month, day } => months(today, 12, month, day),
    };
    Window { start: midnight(first, zone, now), end: Some(midnight(next, zone, now)) }
}

/// The minute or hour of the clock at `here`. Where the clock was changed within it, it begins or
/// ends there.
fn of_clock(here: &ZonedDateTime, length: i64) -> Window {
    let (zone, now) = (here.time_zone(), here.timestamp());
    let start = begun(zone, now.as_second(), length);
    let end = start.saturating_add(length);
    let changed =
        |at: Option<jiff::tz::TimeZoneTransition<'_>>| at.map(|at| at.timestamp().as_second());
    // A change at this very moment has happened.
    let next_instant = Timestamp::from_nanosecond(now.as_nanosecond().saturating_add(1));
    let last = changed(zone.preceding(next_instant.unwrap_or(now)).next());
    let next = changed(zone.following(now).next());
    let at = |second| Timestamp::from_second(second).unwrap_or(now).to_zoned_datetime(zone.clone());
    Window {
        start: at(last.map_or(start, |last| start.max(last))),
        end: Some(at(next.map_or(end, |next| end.min(next)))),
    }
}

/// The days on which the stretch of `every` months begins in which `today` is, and the next one.
/// One stretch begins in `month`.
fn months(today: Date, every: i64, month: i8, day: i8) -> (Date, Date) {
    let since = i64::from(today.month()).saturating_sub(month.into()).rem_euclid(every);
    let begin = |months: i64| {
        let first = today.first_of_month();
        // What panics would bring all messages of `jiff` into the filter.
        let span = Span::new().try_months(months.saturating_sub(since));
        anchored(span.map_or(first, |span| first.saturating_add(span)), day)
    };
    let this = begin(0);
    if this <= today { (this, begin(every)) } else { (begin(every.saturating_neg()), this) }
}

/// When the hour of the business's clock began in which `at_ms` falls, in seconds.
///
/// In a zone that is half an hour off, an hour by UTC would belong to two days.
#[must_use]
pub fn hour_of(zone: &TimeZone, at_ms: i64) -> i64 {
    begun(zone, timestamp(at_ms).as_second(), HOUR)
}

/// To the second. A format of `jiff` would bring all of its formats into the filter.
fn rfc_3339(at: &ZonedDateTime) -> String {
    let offset = at.offset().seconds();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.unsigned_abs() / 3_600, offset.unsigned_abs() / 60 % 60);
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{hours:02}:{minutes:02}"
    )
}

/// The last moment up to `second` at which the clock showed a whole `length`.
fn begun(zone: &TimeZone, second: i64, length: i64) -> i64 {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let offset = i64::from(zone.to_offset(at).seconds());
    second.saturating_sub(second.saturating_add(offset).rem_euclid(length))
}

/// The first moment of a day, which need not be 00:00 where clocks are put forward at midnight.
#[must_use]
pub fn midnight(date: Date, zone: &TimeZone, otherwise: Timestamp) -> ZonedDateTime {
    let found = date.to_zoned_datetime(zone.clone()).and_then(|noon| noon.start_of_day());
    found.unwrap_or_else(|_| otherwise.to_zoned_datetime(zone.clone()))
}

/// The time `ms` milliseconds after 1970, or the end of time where that is beyond it.
#[must_use]
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// The day `anchor` of the month of `date`, or its last one.
fn anchored(date: Date, anchor: i8) -> Date {
    let day = anchor.clamp(1, date.days_in_month());
    date.with().day(day).build().unwrap_or(date)
}

/// How long a window lasts that does not end, in milliseconds.
pub const NEVER: u64 = u64::MAX;
/// The name of a window that does not end.
pub const ONCE: &str = "once";
const ROLLING: &str = "rolling";
const HOUR_MINUTES: u32 = 60;
const DAY_MINUTES: u32 = 1_440;
/// Seconds of the shortest step, and minutes of what has longer ones: a step is a sixtieth.
const SHORTEST_STEP: u32 = 5;
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

#[cfg(test)]
mod tests;
