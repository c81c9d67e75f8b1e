//! Money as whole nano-dollars.
//!
//! Vendors quote prices per million tokens, in dollars with a few decimals. In nano-dollars every
//! such price is a whole number, so costs add up without a float and without drift.

use core::fmt;

/// An amount of US dollars in billionths, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(u64);

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount of `nanos` billionths of a dollar.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The whole amount in billionths of a dollar.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The sum, which stops at the largest amount: it errs towards having spent more.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Reads dollars written as a decimal, such as `0.0375` or `12`: at most nine decimals.
    ///
    /// Returns `None` where the text is not such a number, is negative, has more decimals than
    /// nano-dollars can hold, or is too large. An exponent is read (`1e-3`), because JSON writers
    /// use one for small numbers.
    #[must_use]
    pub fn from_dollars(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let digits = [whole, fraction].concat();
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self::ZERO);
        }
        let decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let shift = DECIMALS.checked_sub(decimals)?;
        shifted(digits, shift).map(Self)
    }

    /// Reads dollars as [`Self::from_dollars`] does, but rounds decimals beyond nine, half up.
    #[must_use]
    pub fn near_dollars(text: &str) -> Option<Self> {
        Self::from_dollars(text).or_else(|| {
            let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let exponent = exponent.parse::<i32>().ok()?.checked_add(DECIMALS)?;
            let digits = [whole, fraction].concat();
            let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
            if digits.is_empty() || !is_digits(&digits) {
                return None;
            }
            // The nano-dollars end at `point`; what comes behind decides by its first digit.
            let Ok(point) = usize::try_from(point) else { return Some(Self::ZERO) };
            let (nanos, rest) = digits.split_at_checked(point)?;
            let nanos: u64 = if nanos.is_empty() { 0 } else { nanos.parse().ok()? };
            let up = rest.bytes().next().is_some_and(|digit| digit >= b'5');
            Some(Self(nanos.saturating_add(up.into())))
        })
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with all nine decimals, such as `0.001250000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / PER_DOLLAR, self.0 % PER_DOLLAR);
        write!(f, "{dollars}.{nanos:09}")
    }
}

/// The number that `digits` followed by `shift` zeros stands for; a negative shift drops zeros,
/// and only zeros: anything else would be lost money.
fn shifted(digits: &str, shift: i32) -> Option<u64> {
    let count = usize::try_from(shift.unsigned_abs()).ok()?;
    if shift < 0 {
        let kept = digits.len().checked_sub(count)?;
        let (kept, dropped) = digits.split_at(kept);
        if dropped.bytes().any(|b| b != b'0') {
            return None;
        }
        return kept.parse().ok();
    }
    if count > MAX_ZEROS {
        return None;
    }
    let mut number = digits.to_owned();
    number.extend(core::iter::repeat_n('0', count));
    number.parse().ok()
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Nano-dollars in a dollar.
const PER_DOLLAR: u64 = 1_000_000_000;
/// Decimals of a dollar that a nano-dollar can hold.
const DECIMALS: i32 = 9;
/// More zeros than any `u64` has digits: a longer number cannot fit.
const MAX_ZEROS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly_or_not_at_all() {
        #[rustfmt::skip]
        let cases = [
            ("0",              Some(0)),
            ("12",             Some(12_000_000_000)),
            ("0.0375",         Some(37_500_000)),
            (".5",             Some(500_000_000)),
            ("5.",             Some(5_000_000_000)),
            ("1e-3",           Some(1_000_000)),
            ("2.5E2",          Some(250_000_000_000)),
            ("0.000000001",    Some(1)),
            ("1.0000000000",   Some(1_000_000_000)),
            ("0.0000000001",   None),
            ("-1",             None),
            ("",               None),
            (".",              None),
            ("1,5",            None),
            ("NaN",            None),
            ("99999999999999", None),
            ("1e99",           None),
            ("1e-99999999999", None),
            ("0e2147483647",   Some(0)),
        ];
        for (text, nanos) in cases {
            assert_eq!(NanoUsd::from_dollars(text).map(NanoUsd::nanos), nanos, "{text}");
        }
    }

    #[test]
    fn amounts_finer_than_a_nano_dollar_are_rounded() {
        #[rustfmt::skip]
        let cases = [
            ("0.00008265",      Some(82_650)),
            ("0.0000123456",    Some(12_346)),
            ("0.00000001449",   Some(14)),
            ("0.0000000145",    Some(15)),
            ("2.8e-8",          Some(28)),
            ("2.85e-8",         Some(29)),
            ("4.9e-10",         Some(0)),
            ("5e-10",           Some(1)),
            ("9e-11",           Some(0)),
            ("12.00000000049",  Some(12_000_000_000)),
            ("-1e-12",          None),
            ("e-12",            None),
            ("x",               None),
        ];
        for (text, nanos) in cases {
            assert_eq!(NanoUsd::near_dollars(text).map(NanoUsd::nanos), nanos, "{text}");
        }
    }

    #[test]
    fn amounts_print_with_all_their_decimals() {
        assert_eq!(NanoUsd::new(1_250_000).to_string(), "0.001250000");
        assert_eq!(NanoUsd::new(87_400_000_001).to_string(), "87.400000001");
    }
}
