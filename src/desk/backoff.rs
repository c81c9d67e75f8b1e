//! How long a worker waits before it asks a service again that did not answer.
//!
//! The wait doubles up to a bound and is cut by up to a half, by a number made of who asks and how
//! often: gateways that failed together do not come back together, and a test knows the time.

use super::Sender;
use crate::shared::hash;

/// One worker's failures.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
    until_ms: u64,
}

impl BackOff {
    /// Whether the service failed a moment ago.
    pub(super) const fn is_on(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// An ask has failed.
    pub(super) fn fail(&mut self, from: &Sender, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        self.until_ms = now_ms.saturating_add(wait_ms(from, self.failures));
    }
}

/// How long to wait after so many failures in a row, counted from 1: half to all of a second, of
/// two, and so on up to 16.
fn wait_ms(from: &Sender, failures: u32) -> u64 {
    let whole = FIRST_MS << failures.saturating_sub(1).min(MAX_DOUBLINGS);
    let Sender { gateway, worker, .. } = from;
    let cut = hash(format!("{failures}.{worker}.{gateway}").as_bytes());
    // The low bits of this hash are worse than the others.
    whole.saturating_sub((cut >> 16).checked_rem(whole / 2).unwrap_or(0))
}

/// The wait after the first failure, before it is cut.
const FIRST_MS: u64 = 1_000;
/// The wait doubles so many times: to 16 seconds.
const MAX_DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(gateway: u64, worker: u64) -> Sender {
        Sender { gateway: format!("{gateway:016x}"), node: "edge".into(), worker, prices: None }
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let whole = [1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000];
        for (failures, whole) in (1..).zip(whole) {
            let wait = wait_ms(&sender(7, 0), failures);
            assert!(wait > whole / 2 && wait <= whole, "{failures}: {wait} of {whole}");
        }
        assert_ne!(wait_ms(&sender(7, 0), 6), wait_ms(&sender(7, 0), 7), "not in step for ever");
        assert!((8_001..=16_000).contains(&wait_ms(&sender(7, 0), u32::MAX)));
    }

    #[test]
    fn a_thousand_gateways_that_failed_together_come_back_one_by_one() {
        for failures in [1, 3, 6] {
            let whole = FIRST_MS << (failures - 1).min(MAX_DOUBLINGS);
            let mut tenths = [0; 10];
            for gateway in 0..500 {
                for worker in 0..2 {
                    let wait = wait_ms(&sender(gateway, worker), failures) - whole / 2;
                    let tenth = usize::try_from((wait - 1) * 20 / whole).unwrap();
                    tenths[tenth] += 1;
                }
            }
            assert!(tenths.iter().all(|some| (60..=140).contains(some)), "{failures}: {tenths:?}");
        }
    }
}
