//! Leases that are called back, because calls of other gateways wait for what is in them.
//!
//! What is remembered is a hint, and each replica has its own: without it, a lease that nobody needs
//! comes back all the same, when its gateway has been idle for a while. So it is kept in memory, for
//! no longer than calls wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use crate::lending::Key;

/// The budgets of which somebody wanted more than there was, a moment ago.
#[derive(Debug, Default)]
pub struct Shortages(Mutex<BTreeMap<Key, Short>>);

/// A budget of which there is too little.
#[derive(Clone, Debug)]
struct Short {
    /// Who wanted it last.
    gateway: String,
    until_ms: i64,
}

impl Shortages {
    /// Notes that a call of `gateway` waits for more of a budget than there is.
    pub fn note(&self, key: &Key, gateway: &str, now_ms: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_SHORT {
            all.retain(|_, short| now_ms < short.until_ms);
        }
        if all.len() < MAX_SHORT || all.contains_key(key) {
            let until_ms = now_ms.saturating_add(SHORT_MS);
            all.insert(key.clone(), Short { gateway: gateway.to_owned(), until_ms });
        }
    }

    /// Forgets that a gateway waits for more of a budget: it has been served.
    pub fn met(&self, key: &Key, gateway: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(key).is_some_and(|short| short.gateway == gateway) {
            all.remove(key);
        }
    }

    /// The budgets that others than `gateway` wait for.
    #[must_use]
    pub fn of_others(&self, gateway: &str, now_ms: i64) -> BTreeSet<Key> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, short| now_ms < short.until_ms);
        let others = all.iter().filter(|(_, short)| short.gateway != gateway);
        others.map(|(key, _)| key.clone()).take(MAX_RECALLED).collect()
    }
}

/// For how long a budget is short. A call that still waits says so again.
const SHORT_MS: i64 = 2_000;
/// Budgets that are short at once. Of more, none is called back.
const MAX_SHORT: usize = 10_000;
/// Budgets that one ask is compared with.
const MAX_RECALLED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wait_for_is_remembered_for_a_moment() {
        let (shortages, key) = (Shortages::default(), ("b".to_owned(), 7));
        shortages.note(&key, "g", 1_000);
        assert!(shortages.of_others("g", 1_000).is_empty(), "its own");
        assert!(shortages.of_others("h", 1_000).contains(&key));
        shortages.met(&key, "h");
        assert!(shortages.of_others("h", 1_000).contains(&key), "another one was served");
        shortages.met(&key, "g");
        assert!(shortages.of_others("h", 1_000).is_empty(), "served");
        shortages.note(&key, "g", 1_000);
        assert!(shortages.of_others("h", 3_000).is_empty(), "too long ago");
        for at in 0..20_000 {
            shortages.note(&(at.to_string(), 0), "g", 5_000);
        }
        assert_eq!(shortages.of_others("h", 5_000).len(), MAX_RECALLED);
    }
}
