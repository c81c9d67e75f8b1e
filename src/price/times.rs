//! By how much a price is multiplied: exactly, in millionths.

use core::fmt;

/// How many times a price is charged, in millionths; never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times(u32);

impl Times {
    /// Once: as it is.
    pub const ONE: Self = Self(MILLION);

    /// Reads a decimal such as `1.1`: above zero, at most a thousand, at most six decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let number = |digits: &str| {
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
        };
        let missing = u32::try_from(DECIMALS.checked_sub(decimals.len())?).ok()?;
        let fraction = number(decimals)?.checked_mul(10_u32.checked_pow(missing)?)?;
        let millionths = number(whole)?.checked_mul(MILLION)?.checked_add(fraction)?;
        (1..=MOST).contains(&millionths).then_some(Self(millionths))
    }

    pub(super) fn millionths(self) -> u128 {
        self.0.into()
    }

    /// So many times `amount`, rounded up.
    pub(super) fn at_most(self, amount: u128) -> u128 {
        amount.saturating_mul(self.millionths()).div_ceil(MILLION.into())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / MILLION, self.0 % MILLION);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

const MILLION: u32 = 1_000_000;
/// Decimals that a millionth takes.
const DECIMALS: usize = 6;
/// A thousand times.
const MOST: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_are_read_exactly_or_not_at_all() {
        #[rustfmt::skip]
        let cases = [
            ("1",         Some("1")),
            ("1.1",       Some("1.1")),
            ("0.925",     Some("0.925")),
            ("0.000001",  Some("0.000001")),
            ("1000",      Some("1000")),
            ("10.50",     Some("10.5")),
            ("0",         None),
            ("0.0",       None),
            ("1000.1",    None),
            ("0.0000001", None),
            ("99999",     None),
            ("1.",        None),
            (".5",        None),
            ("-1",        None),
            ("+1",        None),
            ("1.+1",      None),
            ("1e1",       None),
            ("1,1",       None),
            (" 1",        None),
            ("",          None),
        ];
        for (text, shown) in cases {
            let read = Times::parse(text).map(|times| times.to_string());
            assert_eq!(read.as_deref(), shown, "{text}");
        }
    }
}
