//! Amounts as people read them.

/// Dollars and cents, such as `$1,234.50`. Less than half a cent, but something, is `<$0.01`.
pub(crate) fn usd(nanos: i128) -> String {
    let cents = divide(nanos.saturating_abs(), CENT);
    if cents == 0 && nanos > 0 {
        return "<$0.01".to_owned();
    }
    let sign = if nanos < 0 && cents > 0 { MINUS } else { "" };
    let (dollars, cents) = (cents.checked_div(100), cents.checked_rem(100));
    format!("{sign}${}.{:02}", grouped(dollars.unwrap_or(0)), cents.unwrap_or(0))
}

/// A price: whole dollars without cents, such as `$49`.
pub(crate) fn price(nanos: i128) -> String {
    let text = usd(nanos);
    text.strip_suffix(".00").map_or_else(|| text.clone(), str::to_owned)
}

/// A percentage, such as `−78 %`.
pub(crate) fn percent(percent: i128) -> String {
    let sign = if percent < 0 { MINUS } else { "" };
    format!("{sign}{} %", grouped(percent.saturating_abs()))
}

/// Basis points as a percentage with one decimal, cut off so that 100 % is only ever the whole.
pub(crate) fn share(points: i128) -> String {
    let tenths = points.max(0).checked_div(10).unwrap_or(0);
    let (whole, tenth) = (tenths.checked_div(10).unwrap_or(0), tenths.checked_rem(10).unwrap_or(0));
    if tenth == 0 { percent(whole) } else { format!("{whole}.{tenth} %") }
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: i128) -> String {
    let digits = number.to_string();
    let (sign, digits) =
        digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| (MINUS, rest));
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn divide(number: i128, by: i128) -> i128 {
    super::margin::divide(number, by).unwrap_or(0)
}

/// The minus sign of print, as wide as a digit.
const MINUS: &str = "\u{2212}";
/// Nano-dollars in a cent.
const CENT: i128 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_on_an_invoice() {
        #[rustfmt::skip]
        let cases = [
            (0,                          "$0.00",         "$0"),
            (1,                          "<$0.01",        "<$0.01"),
            (5_000_000,                  "$0.01",         "$0.01"),
            (3_200_000_000,              "$3.20",         "$3.20"),
            (49_000_000_000,             "$49.00",        "$49"),
            (87_404_999_999,             "$87.40",        "$87.40"),
            (87_405_000_000,             "$87.41",        "$87.41"),
            (1_234_567_890_000_000,      "$1,234,567.89", "$1,234,567.89"),
            (-38_400_000_000,            "−$38.40",       "−$38.40"),
            (-1,                         "$0.00",         "$0"),
        ];
        for (nanos, exact, short) in cases {
            assert_eq!((usd(nanos).as_str(), price(nanos).as_str()), (exact, short), "{nanos}");
        }
    }

    #[test]
    fn percentages_have_a_real_minus() {
        assert_eq!(percent(93), "93 %");
        assert_eq!(percent(-78), "−78 %");
        assert_eq!(percent(-1_234), "−1,234 %");
    }

    #[test]
    fn all_but_a_little_is_not_all() {
        #[rustfmt::skip]
        let cases = [(10_000, "100 %"), (9_999, "99.9 %"), (9_740, "97.4 %"), (50, "0.5 %"), (0, "0 %")];
        for (points, text) in cases {
            assert_eq!(share(points), text);
        }
    }
}
