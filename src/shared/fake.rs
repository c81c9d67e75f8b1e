//! A shared store for tests.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Conflict, Shared, Version};

/// Values and their versions, by key.
type Values = BTreeMap<String, (Vec<u8>, u32)>;

/// A store without races: each test is one thread. Its clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Store(pub(crate) Rc<RefCell<Values>>);

impl Shared for Store {
    fn load(&self, key: &str) -> Option<(Vec<u8>, Version)> {
        self.0.borrow().get(key).map(|(value, version)| (value.clone(), Version(*version)))
    }

    fn store(&mut self, key: &str, value: &[u8], version: Option<Version>) -> Result<(), Conflict> {
        let mut values = self.0.borrow_mut();
        let at = values.get(key).map_or(0, |(_, version)| *version);
        if version.map_or(0, |version| version.0) != at {
            return Err(Conflict);
        }
        values.insert(key.into(), (value.to_vec(), at + 1));
        Ok(())
    }
}
