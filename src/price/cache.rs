//! Remembers where the tariffs of recent models are, also that some have none.
//!
//! Names come from requests, so both their number and their length are bounded: a full cache is
//! emptied, which costs a search per model again, and a longer name is searched each time.

use hashbrown::{Equivalent, HashMap};

use super::Place;

#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<Key, Option<Place>>);

impl Cache {
    /// What was kept for `model` at `provider`, if anything was.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Option<Place>> {
        self.0.get(&(provider, model)).copied()
    }

    /// Keeps `place` for `model` at `provider`.
    pub(super) fn keep(&mut self, provider: &str, model: &str, place: Option<Place>) {
        if provider.len().saturating_add(model.len()) > MAX_NAME {
            return;
        }
        if self.0.len() >= MAX_NAMES {
            self.0.clear();
        }
        self.0.insert(Key(provider.into(), model.into()), place);
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Box<str>, Box<str>);

impl Equivalent<Key> for (&str, &str) {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

/// More than the models that one gateway sees in a day; with [`MAX_NAME`], 160 KiB at most.
const MAX_NAMES: usize = 512;
/// Longer than the name of any model of any provider.
const MAX_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_bounds() {
        let mut cache = Cache::default();
        for i in 0..=MAX_NAMES {
            cache.keep("openai", &format!("model-{i}"), None);
            assert!(cache.0.len() <= MAX_NAMES);
        }
        cache.keep("openai", &"x".repeat(MAX_NAME), None);
        assert_eq!(cache.find("openai", &"x".repeat(MAX_NAME)), None);
        assert_eq!(cache.find("openai", &format!("model-{MAX_NAMES}")), Some(None));
    }
}
