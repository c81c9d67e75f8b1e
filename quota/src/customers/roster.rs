//! Who the customers are: those of the file, and those who have appeared by themselves.

use std::{collections::BTreeMap, sync::Arc};

use super::{Customer, Since};

/// All customers. To copy it costs what those cost who have appeared; the others are shared.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    listed: Arc<Listed>,
    /// Those who have appeared, by the name under which they were seen.
    met: BTreeMap<String, Customer>,
}

/// Those of the file.
#[derive(Clone, Debug, Default)]
struct Listed {
    customers: BTreeMap<String, Customer>,
    /// The id for each name under which a gateway may see a customer: its id and its keys.
    names: BTreeMap<String, String>,
}

/// Whom to take for a customer that is not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomers {
    /// The plan that they begin with.
    pub plan: String,
    /// How many there may be.
    pub at_most: u64,
}

impl Roster {
    /// The customer with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Customer> {
        self.listed.customers.get(id).or_else(|| self.met.get(id))
    }

    /// The customer that a gateway sees under `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Customer> {
        match self.listed.names.get(name) {
            Some(id) => self.listed.customers.get(id),
            None => self.met.get(name),
        }
    }

    /// All of them: those of the file by id, then those who have appeared.
    pub fn values(&self) -> impl Iterator<Item = &Customer> {
        self.listed.customers.values().chain(self.met.values())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listed.customers.len().saturating_add(self.met.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of those who have appeared.
    pub fn met(&self) -> impl Iterator<Item = &String> {
        self.met.keys()
    }

    /// Takes in those who have appeared, but for those who are in the file.
    pub(super) fn meet(&mut self, names: impl IntoIterator<Item = String>, plan: &str) {
        for name in names {
            if self.find(&name).is_none() && self.get(&name).is_none() {
                self.met.insert(name.clone(), Customer::new(name, plan));
            }
        }
    }

    /// Notes a name of a customer of the file. Returns whose it is, if it is another's already.
    pub(super) fn name(&mut self, name: String, id: &str) -> Option<String> {
        Arc::make_mut(&mut self.listed).names.insert(name, id.to_owned())
    }

    /// Notes a customer of the file.
    pub(super) fn list(&mut self, customer: Customer) {
        Arc::make_mut(&mut self.listed).customers.insert(customer.id.clone(), customer);
    }
}

impl Customer {
    /// One of whom nothing is known but a name.
    fn new(name: String, plan: &str) -> Self {
        Self {
            id: name.clone(),
            name,
            plans: vec![Since { from: None, plan: plan.to_owned() }],
            revenue: None,
            token: None,
            suspended: false,
            budgets: Vec::new(),
            extras: Vec::new(),
        }
    }
}
