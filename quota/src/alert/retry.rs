//! When a delivery that failed is tried again.
//!
//! The wait doubles from five seconds up to four hours and is cut by up to a half, by a number
//! made from the alert and the attempt: replicas and alerts do not knock in step, and a test knows
//! the time. After the last attempt, about two days on, the delivery has failed.

use sha2::{Digest as _, Sha256};

/// How many milliseconds to wait after this attempt, counted from 1; `None` after the last.
pub(crate) fn wait_ms(alert: &str, attempt: u32) -> Option<i64> {
    if attempt >= ATTEMPTS {
        return None;
    }
    let doubled = FIRST_MS.checked_shl(attempt.saturating_sub(1)).unwrap_or(LONGEST_MS);
    let whole = doubled.min(LONGEST_MS);
    let half = whole / 2;
    let cut = jitter(alert, attempt).checked_rem(half).unwrap_or(0);
    i64::try_from(whole.saturating_sub(cut)).ok()
}

fn jitter(alert: &str, attempt: u32) -> u64 {
    let hash = Sha256::digest(format!("{alert}.{attempt}"));
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Attempts at a delivery.
const ATTEMPTS: u32 = 24;
/// The wait after the first.
const FIRST_MS: u64 = 5_000;
/// No wait is longer.
const LONGEST_MS: u64 = 4 * 3_600 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let mut whole = 5_000;
        let mut sum = 0;
        for attempt in 1..24 {
            let wait = wait_ms("a", attempt).unwrap();
            assert!(wait > whole / 2 && wait <= whole, "{attempt}: {wait} of {whole}");
            whole = (whole * 2).min(14_400_000);
            sum += wait;
        }
        assert_eq!(wait_ms("a", 24), None);
        let hours = sum / 3_600_000;
        assert!((24..60).contains(&hours), "{hours}");
    }

    #[test]
    fn two_alerts_do_not_knock_in_step() {
        assert_ne!(wait_ms("a", 5), wait_ms("b", 5));
    }
}
