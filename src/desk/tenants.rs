//! Which names are customers, as far as this worker knows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::shared::{NAMESPACE, Shared, Version, hash, update};
use crate::sync::{Budget, Tenant};

/// A customer, and since when it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What the service said of it, or what the configuration says.
    pub tenant: Tenant,
    /// When, in milliseconds of this machine's clock.
    pub told_ms: u64,
    /// Whether it shares its records with other tenants, because there are too many.
    #[serde(skip)]
    pub crowded: bool,
}

impl Known {
    /// When the window of one of its budgets ends.
    #[must_use]
    pub const fn ends_ms(&self, budget: &Budget) -> u64 {
        self.told_ms.saturating_add(budget.window.ends_in_ms)
    }

    fn is_fresh(&self, now_ms: u64) -> bool {
        let fresh = now_ms < self.told_ms.saturating_add(self.tenant.ttl_ms);
        fresh && self.is_current(now_ms)
    }

    /// Whether none of its windows is over.
    pub(super) fn is_current(&self, now_ms: u64) -> bool {
        self.tenant.budgets.iter().all(|budget| now_ms < self.ends_ms(budget))
    }
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is this customer's.
    Known(Rc<Known>),
    /// No customer has it.
    Unknown,
    /// It is being asked for.
    Asked,
}

/// What one worker knows of names.
#[derive(Debug, Default)]
pub struct Tenants {
    known: BTreeMap<String, (Rc<Known>, Version)>,
    unknown: BTreeMap<String, u64>,
    /// Names to be asked for.
    asks: BTreeSet<String>,
}

impl Tenants {
    /// What is known of `name`. If nothing is, it is asked for with the next ask, unless another
    /// worker is about to.
    pub fn standing(&mut self, shared: &mut impl Shared, name: &str, now_ms: u64) -> Standing {
        if let Some((known, _)) = self.known.get(name).filter(|(known, _)| known.is_fresh(now_ms)) {
            return Standing::Known(Rc::clone(known));
        }
        if self.unknown.get(name).is_some_and(|&until| now_ms < until) {
            return Standing::Unknown;
        }
        if let Some(known) = self.load(shared, name).filter(|known| known.is_fresh(now_ms)) {
            return Standing::Known(known);
        }
        if self.asks.len() >= MAX_ASKS && !self.asks.contains(name) {
            // A flood of new names waits for nobody.
            return Standing::Unknown;
        }
        if claim(shared, name, now_ms) {
            self.asks.insert(name.to_owned());
        }
        Standing::Asked
    }

    /// What was last known of `name`, however old, as long as its windows last: for times when the
    /// service is away.
    pub fn last_known(
        &mut self,
        shared: &impl Shared,
        name: &str,
        now_ms: u64,
    ) -> Option<Rc<Known>> {
        self.load(shared, name).filter(|known| known.is_current(now_ms))
    }

    /// Takes the names to be asked for now.
    pub fn take_asks(&mut self) -> Vec<String> {
        core::mem::take(&mut self.asks).into_iter().collect()
    }

    /// Whether there are names to be asked for.
    #[must_use]
    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Learns what the service says of a name, for all workers.
    pub fn learn(&mut self, shared: &mut impl Shared, tenant: Tenant, now_ms: u64) {
        let name = tenant.name.clone();
        let known = Rc::new(Known { tenant, told_ms: now_ms, crowded: false });
        if let Ok(text) = serde_json::to_vec(&*known) {
            // Where too many races are lost, the other workers ask for themselves.
            let _ = update(shared, &key(&name), |_| (Some(text.clone()), ()));
        }
        self.keep(name, known, Version(0));
    }

    /// Learns that no customer has a name.
    pub fn learn_unknown(&mut self, name: String, now_ms: u64) {
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(name, now_ms.saturating_add(UNKNOWN_MS));
    }

    fn load(&mut self, shared: &impl Shared, name: &str) -> Option<Rc<Known>> {
        let Some((bytes, version)) = shared.load(&key(name)) else {
            return self.known.get(name).map(|(known, _)| Rc::clone(known));
        };
        if let Some((known, at)) = self.known.get(name)
            && *at == version
        {
            return Some(Rc::clone(known));
        }
        let known: Rc<Known> = Rc::new(serde_json::from_slice(&bytes).ok()?);
        self.keep(name.to_owned(), Rc::clone(&known), version);
        Some(known)
    }

    fn keep(&mut self, name: String, known: Rc<Known>, version: Version) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(name, (known, version));
    }
}

/// Whether this worker is the one to ask for `name`. What others are asking for stands in a fixed
/// number of slots: two names in one slot are asked for by whoever comes.
fn claim(shared: &mut impl Shared, name: &str, now_ms: u64) -> bool {
    let hash = hash(name.as_bytes());
    let slot = format!("{NAMESPACE}asked/{}", hash % SLOTS);
    let claimed = update(shared, &slot, |old| {
        let (other, since) = old.map_or((0, 0), |old| {
            let (name, since) = old.split_at_checked(8).unwrap_or_default();
            (crate::shared::number(name), crate::shared::number(since))
        });
        if other == hash && now_ms.saturating_sub(since) < CLAIM_MS {
            return (None, false);
        }
        (Some([hash.to_le_bytes(), now_ms.to_le_bytes()].concat()), true)
    });
    claimed.unwrap_or(true)
}

fn key(name: &str) -> String {
    format!("{NAMESPACE}tenant/{name}")
}

/// Customers that one worker remembers; with more, it reads them from shared data again.
const MAX_KNOWN: usize = 10_000;
/// Names that no customer has: enough for a client's typing errors, and no more.
const MAX_UNKNOWN: usize = 4_096;
/// New names that may wait at once for the next ask.
const MAX_ASKS: usize = 256;
/// For how long a name is believed to be no customer's.
const UNKNOWN_MS: u64 = 30_000;
/// For how long a name is left to the worker that asks for it.
const CLAIM_MS: u64 = 500;
/// Slots for the names that are being asked for.
const SLOTS: u64 = 256;
