//! Which names are customers, as far as this worker knows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::shared::{NAMESPACE, Shared, Version, count_up, hash, number, update};
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
    /// The edition of the customers in which the service found it.
    #[serde(default)]
    pub edition: u64,
}

impl Known {
    /// When the window of one of its budgets ends.
    #[must_use]
    pub const fn ends_ms(&self, budget: &Budget) -> u64 {
        self.told_ms.saturating_add(budget.window.ends_in_ms)
    }

    /// Whether it is time to ask for it again, while what is known still holds.
    fn is_aging(&self, edition: u64, now_ms: u64) -> bool {
        let half_ms = self.tenant.ttl_ms / 2;
        now_ms >= self.told_ms.saturating_add(half_ms) || self.edition != edition
    }

    /// The window that one of its budgets is in, and when that ends. Of one that rolls along, the
    /// next ones follow of themselves.
    #[must_use]
    pub const fn window(&self, budget: &Budget, now_ms: u64) -> (u64, u64) {
        let (id, ends_ms) = (budget.window.id, self.ends_ms(budget));
        let step_ms = budget.window.step.saturating_mul(1_000);
        match now_ms.saturating_sub(ends_ms).checked_div(step_ms) {
            Some(whole) if now_ms >= ends_ms => {
                let steps = whole.saturating_add(1);
                let later = steps.saturating_mul(budget.window.step);
                let ends_ms = ends_ms.saturating_add(steps.saturating_mul(step_ms));
                (id.saturating_add(later), ends_ms)
            }
            _ => (id, ends_ms),
        }
    }

    fn is_fresh(&self, now_ms: u64) -> bool {
        let fresh = now_ms < self.told_ms.saturating_add(self.tenant.ttl_ms);
        fresh && self.is_current(now_ms)
    }

    /// Whether none of its windows is over.
    pub(super) fn is_current(&self, now_ms: u64) -> bool {
        let mut budgets = self.tenant.budgets.iter();
        budgets.all(|budget| budget.window.step > 0 || now_ms < self.ends_ms(budget))
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
    known: BTreeMap<String, Entry>,
    unknown: BTreeMap<String, u64>,
    /// Names to be asked for: calls wait.
    asks: BTreeSet<String>,
    /// Names to be asked for with the next report, before what is known of them is too old.
    refreshes: BTreeSet<String>,
    /// Counts the changes of tenants in this process, as far as this worker has seen them.
    changes: u64,
    /// The edition of the customers that the service last named.
    edition: u64,
}

/// What one worker remembers of what all workers know.
#[derive(Debug)]
struct Entry {
    known: Rc<Known>,
    version: Version,
    /// The number of changes at which it was read.
    changes: u64,
}

impl Tenants {
    /// What is known of `name`. If nothing is, it is asked for with the next ask, unless another
    /// worker is about to. What is known is asked for again before it is too old: no call waits for
    /// that.
    pub fn standing(&mut self, shared: &mut impl Shared, name: &str, now_ms: u64) -> Standing {
        let (changes, edition) = (self.changes, self.edition);
        if let Some(Entry { known, changes: read, .. }) = self.known.get(name)
            && *read == changes
            && known.is_fresh(now_ms)
            && (self.refreshes.contains(name) || !known.is_aging(edition, now_ms))
        {
            return Standing::Known(Rc::clone(known));
        }
        if self.unknown.get(name).is_some_and(|&until| now_ms < until) {
            return Standing::Unknown;
        }
        if let Some(known) = self.load(shared, name).filter(|known| known.is_fresh(now_ms)) {
            let room = self.refreshes.len() < MAX_REFRESHES;
            if known.is_aging(edition, now_ms)
                && room
                && claim(shared, name, (now_ms, REFRESH_CLAIM_MS))
            {
                self.refreshes.insert(name.to_owned());
            }
            return Standing::Known(known);
        }
        if self.asks.len() >= MAX_ASKS && !self.asks.contains(name) {
            // A flood of new names waits for nobody.
            return Standing::Unknown;
        }
        if claim(shared, name, (now_ms, CLAIM_MS)) {
            self.asks.insert(name.to_owned());
        }
        Standing::Asked
    }

    /// Looks whether tenants have changed, as other workers were told.
    pub fn look(&mut self, shared: &impl Shared) {
        self.changes = changes(shared);
    }

    /// Notes the edition of the customers that an answer was written by.
    pub const fn on_edition(&mut self, edition: u64) {
        self.edition = edition;
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
        let mut names = core::mem::take(&mut self.asks);
        names.append(&mut self.refreshes);
        names.into_iter().collect()
    }

    /// Whether there are names to be asked for, for which calls wait.
    #[must_use]
    pub fn has_asks(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Whether there are names to be asked for again.
    #[must_use]
    pub fn has_refreshes(&self) -> bool {
        !self.refreshes.is_empty()
    }

    /// Learns what the service says of a name, for all workers. Returns what was known before, if
    /// that was something else.
    pub fn learn(
        &mut self,
        shared: &mut impl Shared,
        tenant: Tenant,
        now_ms: u64,
    ) -> Option<Rc<Known>> {
        let name = tenant.name.clone();
        let old = self.load(shared, &name);
        let old = old.filter(|old| definition(&old.tenant) != definition(&tenant));
        let edition = self.edition;
        let known = Rc::new(Known { tenant, told_ms: now_ms, crowded: false, edition });
        if let Ok(text) = serde_json::to_vec(&*known) {
            // Where too many races are lost, the other workers ask for themselves.
            let _ = update(shared, &key(&name), |_| (Some(text.clone()), ()));
        }
        self.unknown.remove(&name);
        if old.is_some() {
            self.note_change(shared);
        }
        self.keep(name, known, Version(0));
        old
    }

    /// Learns that no customer has a name. Returns what was known of it, if it was a customer's.
    pub fn learn_unknown(
        &mut self,
        shared: &mut impl Shared,
        name: String,
        now_ms: u64,
    ) -> Option<Rc<Known>> {
        let old = self.load(shared, &name);
        self.known.remove(&name);
        if old.is_some() {
            // Only names that were customers' have a key: strangers make none.
            let _ = update(shared, &key(&name), |_| (Some(Vec::new()), ()));
            self.note_change(shared);
        }
        if self.unknown.len() >= MAX_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(name, now_ms.saturating_add(UNKNOWN_MS));
        old
    }

    /// Lets all workers read again what they know, at their next ticks.
    fn note_change(&mut self, shared: &mut impl Shared) {
        let counted = count_up(shared, &format!("{NAMESPACE}{CHANGES}"), u64::MAX);
        // Where the races are lost, others have counted.
        self.changes = counted.ok().flatten().unwrap_or_else(|| changes(shared));
    }

    fn load(&mut self, shared: &impl Shared, name: &str) -> Option<Rc<Known>> {
        let changes = self.changes;
        let Some((bytes, version)) = shared.load(&key(name)) else {
            return self.known.get(name).map(|entry| Rc::clone(&entry.known));
        };
        if let Some(entry) = self.known.get_mut(name)
            && entry.version == version
        {
            entry.changes = changes;
            return Some(Rc::clone(&entry.known));
        }
        let known: Option<Rc<Known>> = serde_json::from_slice(&bytes).ok().map(Rc::new);
        match &known {
            Some(known) => self.keep(name.to_owned(), Rc::clone(known), version),
            // It was a customer's once.
            None => _ = self.known.remove(name),
        }
        known
    }

    fn keep(&mut self, name: String, known: Rc<Known>, version: Version) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(name, Entry { known, version, changes: self.changes });
    }
}

/// What of a tenant does not change with time and use.
fn definition(tenant: &Tenant) -> Tenant {
    let mut tenant = Tenant { ttl_ms: 0, ..tenant.clone() };
    for budget in &mut tenant.budgets {
        (budget.used, budget.window.ends_in_ms) = (0, 0);
        if budget.window.step > 0 {
            // It moves on without anybody's word.
            budget.window.id = 0;
            budget.window.resets_at.clear();
        }
    }
    tenant
}

fn changes(shared: &impl Shared) -> u64 {
    shared.load(&format!("{NAMESPACE}{CHANGES}")).map_or(0, |(count, _)| number(&count))
}

/// Whether this worker is the one to ask for `name`. What others are asking for stands in a fixed
/// number of slots: two names in one slot are asked for by whoever comes.
fn claim(shared: &mut impl Shared, name: &str, (now_ms, for_ms): (u64, u64)) -> bool {
    let hash = hash(name.as_bytes());
    let slot = format!("{NAMESPACE}asked/{}", hash % SLOTS);
    let claimed = update(shared, &slot, |old| {
        let (other, since) = old.map_or((0, 0), |old| {
            let (name, since) = old.split_at_checked(8).unwrap_or_default();
            (number(name), number(since))
        });
        if other == hash && now_ms.saturating_sub(since) < for_ms {
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
/// Names that may wait at once for the next report.
const MAX_REFRESHES: usize = 512;
/// For how long a name is left to the worker that asks for it again, with its next report.
const REFRESH_CLAIM_MS: u64 = 4_000;
/// The key of the number of changes.
const CHANGES: &str = "changes";
/// For how long a name is believed to be no customer's.
const UNKNOWN_MS: u64 = 30_000;
/// For how long a name is left to the worker that asks for it.
const CLAIM_MS: u64 = 500;
/// Slots for the names that are being asked for.
const SLOTS: u64 = 256;
