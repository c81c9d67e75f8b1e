use super::*;

const MONTH: Cycle = Cycle::Month { day: 1 };
const WEEK: Cycle = Cycle::Week { first: Weekday::Monday };

fn quarter(month: i8, day: i8) -> Cycle {
    Cycle::Quarter { month, day }
}

fn year(month: i8, day: i8) -> Cycle {
    Cycle::Year { month, day }
}

/// Each row: zone, cycle, now, when its window begins, and when the next one does.
fn assert_windows(cases: &[(&str, Cycle, &str, &str, &str)]) {
    for &(zone, cycle, now, start, end) in cases {
        let zone = super::zone(zone).unwrap();
        let window = window_of(cycle, &zone, now.parse().unwrap());
        let start: Timestamp = start.parse().unwrap();
        assert_eq!(window.id(), start.as_second(), "{now} {cycle:?}: {window:?}");
        assert_eq!(window.resets_at(), end, "{now} {cycle:?}");
        let next = window_of(cycle, &zone, window.end.clone().unwrap().timestamp());
        assert_eq!(Some(next.start), window.end, "{now} {cycle:?}: one follows the other");
        let last = window.end.unwrap().timestamp().saturating_sub(1.nanosecond()).unwrap();
        assert_eq!(
            window_of(cycle, &zone, last).id(),
            start.as_second(),
            "{now} {cycle:?}: to its end"
        );
    }
}

#[test]
fn days_and_weeks_follow_the_calendar_of_the_zone() {
    let sunday = Cycle::Week { first: Weekday::Sunday };
    #[rustfmt::skip]
    assert_windows(&[
        // zone             cycle       now                     start                        end
        ("Asia/Kolkata",    Cycle::Day, "2026-11-23T18:29:59Z", "2026-11-23T00:00:00+05:30", "2026-11-24T00:00:00+05:30"),
        ("Asia/Kolkata",    Cycle::Day, "2026-11-23T18:30:00Z", "2026-11-24T00:00:00+05:30", "2026-11-25T00:00:00+05:30"),
        ("UTC",             Cycle::Day, "2028-02-28T12:00:00Z", "2028-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("UTC",             Cycle::Day, "2026-12-31T23:59:59Z", "2026-12-31T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        // Days of 23 and 25 hours; one that begins at 01:00; one whose first hour comes twice.
        ("Europe/Berlin",   Cycle::Day, "2026-03-29T12:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("Europe/Berlin",   Cycle::Day, "2026-10-25T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("America/Asuncion", Cycle::Day, "2023-10-01T12:00:00Z", "2023-10-01T01:00:00-03:00", "2023-10-02T00:00:00-03:00"),
        ("America/Havana",  Cycle::Day, "2024-11-03T05:30:00Z", "2024-11-03T00:00:00-04:00", "2024-11-04T00:00:00-05:00"),
        // The last hour of a day comes twice, and a day that never was.
        ("America/Asuncion", Cycle::Day, "2024-03-24T03:30:00Z", "2024-03-23T00:00:00-03:00", "2024-03-24T00:00:00-04:00"),
        ("Pacific/Apia",    Cycle::Day, "2011-12-30T09:59:59Z", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00"),
        ("UTC",             WEEK,       "2026-11-23T00:00:00Z", "2026-11-23T00:00:00+00:00", "2026-11-30T00:00:00+00:00"),
        ("UTC",             WEEK,       "2026-11-22T23:59:59Z", "2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("UTC",             sunday,     "2026-11-23T12:00:00Z", "2026-11-22T00:00:00+00:00", "2026-11-29T00:00:00+00:00"),
        ("UTC",             WEEK,       "2027-01-01T12:00:00Z", "2026-12-28T00:00:00+00:00", "2027-01-04T00:00:00+00:00"),
        ("Europe/Berlin",   WEEK,       "2026-10-25T12:00:00Z", "2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
    ]);
}

#[test]
fn months_quarters_and_years_begin_on_their_day_or_the_last_one() {
    let month = |day| Cycle::Month { day };
    #[rustfmt::skip]
    assert_windows(&[
        // zone               cycle           now                     start                        end
        ("UTC",               MONTH,          "2026-11-23T12:00:00Z", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
        ("UTC",               MONTH,          "2026-12-01T00:00:00Z", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("UTC",               MONTH,          "2026-11-30T23:59:59Z", "2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"),
        ("America/New_York",  MONTH,          "2026-12-01T04:59:59Z", "2026-11-01T00:00:00-04:00", "2026-12-01T00:00:00-05:00"),
        ("UTC",               month(15),      "2026-11-14T12:00:00Z", "2026-10-15T00:00:00+00:00", "2026-11-15T00:00:00+00:00"),
        ("UTC",               month(15),      "2026-11-15T00:00:00Z", "2026-11-15T00:00:00+00:00", "2026-12-15T00:00:00+00:00"),
        ("UTC",               month(31),      "2027-02-27T12:00:00Z", "2027-01-31T00:00:00+00:00", "2027-02-28T00:00:00+00:00"),
        ("UTC",               month(31),      "2027-02-28T12:00:00Z", "2027-02-28T00:00:00+00:00", "2027-03-31T00:00:00+00:00"),
        ("UTC",               month(30),      "2028-02-29T00:00:00Z", "2028-02-29T00:00:00+00:00", "2028-03-30T00:00:00+00:00"),
        ("UTC",               month(29),      "2027-03-01T00:00:00Z", "2027-02-28T00:00:00+00:00", "2027-03-29T00:00:00+00:00"),
        ("UTC",               month(15),      "2027-01-02T12:00:00Z", "2026-12-15T00:00:00+00:00", "2027-01-15T00:00:00+00:00"),
        ("UTC",               quarter(1, 1),  "2026-11-23T12:00:00Z", "2026-10-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("UTC",               quarter(1, 1),  "2026-03-31T23:59:59Z", "2026-01-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"),
        ("Europe/Berlin",     quarter(1, 1),  "2026-03-31T22:00:00Z", "2026-04-01T00:00:00+02:00", "2026-07-01T00:00:00+02:00"),
        ("UTC",               quarter(2, 1),  "2026-01-23T12:00:00Z", "2025-11-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("UTC",               quarter(11, 1), "2026-02-01T00:00:00Z", "2026-02-01T00:00:00+00:00", "2026-05-01T00:00:00+00:00"),
        ("UTC",               quarter(2, 31), "2026-02-27T12:00:00Z", "2025-11-30T00:00:00+00:00", "2026-02-28T00:00:00+00:00"),
        ("UTC",               quarter(2, 31), "2026-02-28T00:00:00Z", "2026-02-28T00:00:00+00:00", "2026-05-31T00:00:00+00:00"),
        ("UTC",               year(1, 1),     "2026-11-23T12:00:00Z", "2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("UTC",               year(7, 1),     "2026-06-30T23:59:59Z", "2025-07-01T00:00:00+00:00", "2026-07-01T00:00:00+00:00"),
        ("UTC",               year(2, 29),    "2027-06-01T00:00:00Z", "2027-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("UTC",               year(2, 29),    "2028-02-28T23:59:59Z", "2027-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        // The first day of the window begins at 01:00.
        ("America/Asuncion",  MONTH,          "2023-10-15T12:00:00Z", "2023-10-01T01:00:00-03:00", "2023-11-01T00:00:00-03:00"),
    ]);
}

#[test]
fn minutes_and_hours_follow_the_clock() {
    #[rustfmt::skip]
    assert_windows(&[
        // zone                 cycle          now                     start                        end
        ("UTC",                 Cycle::Minute, "2026-11-23T18:45:12Z", "2026-11-23T18:45:00+00:00", "2026-11-23T18:46:00+00:00"),
        ("UTC",                 Cycle::Hour,   "2026-11-23T18:45:12Z", "2026-11-23T18:00:00+00:00", "2026-11-23T19:00:00+00:00"),
        ("Asia/Kathmandu",      Cycle::Hour,   "2026-11-23T18:45:12Z", "2026-11-24T00:00:00+05:45", "2026-11-24T01:00:00+05:45"),
        // An hour that is skipped, and one that comes twice.
        ("Europe/Berlin",       Cycle::Hour,   "2026-03-29T00:30:00Z", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("Europe/Berlin",       Cycle::Hour,   "2026-10-25T00:30:00Z", "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"),
        ("Europe/Berlin",       Cycle::Hour,   "2026-10-25T01:00:00Z", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
        // Clocks that are changed by half an hour.
        ("Australia/Lord_Howe", Cycle::Hour,   "2026-10-03T15:20:00Z", "2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00"),
        ("Australia/Lord_Howe", Cycle::Hour,   "2026-10-03T15:45:00Z", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"),
        ("Australia/Lord_Howe", Cycle::Hour,   "2026-04-04T15:20:00Z", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"),
        ("Australia/Lord_Howe", Cycle::Minute, "2026-04-04T15:00:00Z", "2026-04-05T01:30:00+10:30", "2026-04-05T01:31:00+10:30"),
    ]);
}

#[test]
fn a_window_that_is_once_does_not_end() {
    let zone = zone("Asia/Kolkata").unwrap();
    for now in ["1970-01-01T00:00:00Z", "2026-11-23T12:00:00Z", "9999-12-30T00:00:00Z"] {
        let now = now.parse().unwrap();
        let window = window_of(Cycle::Once, &zone, now);
        assert_eq!((window.id(), window.ends_in_ms(now)), (0, NEVER));
        assert_eq!(window.resets_at(), "");
    }
}

#[test]
fn what_is_left_of_a_window_is_told_in_milliseconds() {
    let now: Timestamp = "2026-11-23T18:45:59.250Z".parse().unwrap();
    assert_eq!(window_of(Cycle::Minute, &TimeZone::UTC, now).ends_in_ms(now), 750);
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
        let zone = super::zone(zone).unwrap();
        assert_eq!(hour_of(&zone, at.as_millisecond()), hour.as_second());
    }
}

#[test]
fn rolling_windows_go_on_by_steps_whatever_the_clock_shows() {
    let (day, minute) = (Cycle::Rolling { minutes: 1_440 }, Cycle::Rolling { minutes: 1 });
    #[rustfmt::skip]
    assert_windows(&[
        ("UTC",           day,    "2028-02-29T00:10:00Z", "2028-02-29T00:00:00+00:00", "2028-02-29T00:24:00+00:00"),
        ("Europe/Berlin", day,    "2026-10-25T00:59:59Z", "2026-10-25T02:48:00+02:00", "2026-10-25T02:12:00+01:00"),
        ("Europe/Berlin", day,    "2026-03-29T01:00:00Z", "2026-03-29T01:48:00+01:00", "2026-03-29T03:12:00+02:00"),
        ("UTC",           minute, "2026-12-31T23:59:59Z", "2026-12-31T23:59:55+00:00", "2027-01-01T00:00:00+00:00"),
    ]);
    assert_eq!((day.reach(), minute.reach()), (86_400, 60));
    assert_eq!(Cycle::Rolling { minutes: 7 }.reach(), 420);
}

#[test]
fn lengths_are_read_and_named() {
    #[rustfmt::skip]
    let cases = [
        ("1m", Some((1, "rolling-1m", "minute"))),        ("90m", Some((90, "rolling-90m", "90 minutes"))),
        ("60m", Some((60, "rolling-1h", "hour"))),        ("1d", Some((1_440, "rolling-24h", "24 hours"))),
        ("24h", Some((1_440, "rolling-24h", "24 hours"))), ("30d", Some((43_200, "rolling-30d", "30 days"))),
        ("0m", None), ("", None), ("m", None), ("+5m", None), ("367d", None), ("5", None), ("1w", None), ("9é", None),
    ];
    for (text, expected) in cases {
        let seen = length(text).map(|minutes| {
            let cycle = Cycle::Rolling { minutes };
            (minutes, cycle.tag(), cycle.words())
        });
        let expected =
            expected.map(|(n, tag, words): (u32, &str, &str)| (n, tag.into(), words.into()));
        assert_eq!(seen, expected, "{text}");
    }
}
