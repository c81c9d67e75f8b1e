//! Which customers each gateway has been told of, so that it hears of changes without asking.
//!
//! Kept in memory only: what is forgotten by a restart, the gateway asks for when the time to live
//! of what it knows is over. Gateways that have long been silent are forgotten too.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tollgate::sync::{Answer, Window};

use crate::{customers::Book, state::Books, tenant};

/// What all gateways know.
#[derive(Debug, Default)]
pub struct Acquaintances(Mutex<BTreeMap<String, Known>>);

/// What one gateway knows.
#[derive(Debug, Default)]
struct Known {
    /// The generation of the customers at which it last heard of all changes.
    generation: u64,
    seen_ms: i64,
    /// The print of each customer as it was told, by the name that the gateway asked for.
    names: BTreeMap<String, u64>,
}

/// What a gateway should hear of.
#[derive(Debug, Default)]
pub struct News {
    /// The names whose customers have changed.
    pub names: Vec<String>,
    /// Whether there is more than one answer should hold.
    more: bool,
}

impl Acquaintances {
    /// What has changed since the gateway last heard.
    #[must_use]
    pub fn news(&self, gateway: &str, books: &Books, now: Timestamp) -> News {
        let all = self.lock();
        let Some(known) = all.get(gateway).filter(|known| known.generation < books.generation)
        else {
            return News::default();
        };
        let changed =
            known.names.iter().filter(|(name, told)| print(&books.book, name, now) != Some(**told));
        let mut names: Vec<_> =
            changed.map(|(name, _)| name.clone()).take(MAX_NEWS.saturating_add(1)).collect();
        let more = names.len() > MAX_NEWS;
        names.truncate(MAX_NEWS);
        News { names, more }
    }

    /// Notes what a gateway was told.
    pub fn told(&self, gateway: &str, books: &Books, now: Timestamp, news: &News, said: &Answer) {
        let mut all = self.lock();
        let now_ms = now.as_millisecond();
        if all.len() >= MAX_GATEWAYS && !all.contains_key(gateway) {
            all.retain(|_, known| known.seen_ms > now_ms.saturating_sub(SILENT_MS));
        }
        let known = all
            .entry(gateway.to_owned())
            .or_insert_with(|| Known { generation: books.generation, ..Known::default() });
        for tenant in &said.tenants {
            if known.names.len() < MAX_NAMES || known.names.contains_key(&tenant.name) {
                let print = print(&books.book, &tenant.name, now).unwrap_or(0);
                known.names.insert(tenant.name.clone(), print);
            }
        }
        for name in &said.unknown {
            known.names.remove(name);
        }
        if !news.more {
            known.generation = books.generation;
        }
        known.seen_ms = now_ms;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that changes with the customer, but not with time and use.
fn print(book: &Book, name: &str, now: Timestamp) -> Option<u64> {
    let mut tenant = tenant::definition(book, book.find(name)?, name, now);
    tenant.ttl_ms = 0;
    for budget in &mut tenant.budgets {
        budget.window = Window::default();
    }
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(&tenant).unwrap_or_default().hash(&mut hasher);
    Some(hasher.finish())
}

/// Customers in one answer that were not asked for; more follow in the next.
const MAX_NEWS: usize = 500;
/// Gateways remembered before silent ones are forgotten.
const MAX_GATEWAYS: usize = 10_000;
/// Customers remembered of one gateway; of others it hears when it asks.
const MAX_NAMES: usize = 100_000;
/// Silent for an hour.
const SILENT_MS: i64 = 60 * 60 * 1_000;
