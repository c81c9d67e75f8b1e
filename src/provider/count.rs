//! Numbers as providers write them: integers, floats, strings, null, or not at all.

use serde_json::Value;

/// Reads counts out of one usage object, and notes what cannot be true.
pub(super) struct Counts<'a> {
    object: &'a Value,
    /// Whether a count was negative or larger than any call can have.
    pub(super) absurd: bool,
}

impl<'a> Counts<'a> {
    pub(super) const fn new(object: &'a Value) -> Self {
        Self { object, absurd: false }
    }

    /// The count at a path such as `/details/cached`, or `None` where nothing readable stands there.
    pub(super) fn at(&mut self, path: &str) -> Option<u64> {
        let mut keys = path.split('/').skip(1);
        let count = keys.try_fold(self.object, |value, key| value.get(key)).and_then(read)?;
        match u64::try_from(count) {
            Ok(count) if count <= MOST => Some(count),
            _ => {
                self.absurd = true;
                Some(if count < 0 { 0 } else { MOST })
            }
        }
    }

    /// The first count that stands at one of several places.
    pub(super) fn first(&mut self, pointers: &[&str]) -> Option<u64> {
        pointers.iter().find_map(|pointer| self.at(pointer))
    }

    /// The count at a place, where there is something under `key` too.
    pub(super) fn beside(&mut self, key: &str, pointer: &str) -> Option<u64> {
        self.object.get(key)?;
        self.at(pointer)
    }

    /// The count at a place, or zero where there is none.
    pub(super) fn or_zero(&mut self, pointer: &str) -> u64 {
        self.at(pointer).unwrap_or(0)
    }
}

/// The whole number that a JSON value stands for, rounded where it has decimals.
pub(super) fn read(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(rounded)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(rounded))
        }
        _ => None,
    }
}

fn rounded(number: f64) -> Option<i128> {
    let bound = if number.is_sign_negative() { i128::MIN } else { i128::MAX };
    number.is_finite().then(|| format!("{number:.0}").parse().unwrap_or(bound))
}

/// More tokens than any one call can have: a thousand times the largest context there is.
pub(super) const MOST: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_read_from_whatever_stands_there() {
        #[rustfmt::skip]
        let cases = [
            // value             count                 absurd
            (json!(12),          Some(12),             false),
            (json!(12.0),        Some(12),             false),
            (json!("12"),        Some(12),             false),
            (json!(" 1.2e1 "),   Some(12),             false),
            (json!(1e3),         Some(1000),           false),
            (json!(-1),          Some(0),              true),
            (json!(u64::MAX),    Some(MOST),           true),
            (json!(1e300),       Some(MOST),           true),
            (json!(null),        None,                 false),
            (json!("many"),      None,                 false),
            (json!("NaN"),       None,                 false),
            (json!([1]),         None,                 false),
            (json!(true),        None,                 false),
        ];
        for (value, count, absurd) in cases {
            let object = json!({ "n": value });
            let mut counts = Counts::new(&object);
            assert_eq!((counts.at("/n"), counts.absurd), (count, absurd), "{value}");
        }
        assert_eq!(Counts::new(&json!(null)).first(&["/a", "/b"]), None);
    }
}
