//! The names of one call, from wherever they stand.

use crate::config::Config;
use crate::request::Said;
use crate::who::{Found, Lookup, Origin, Source, resolve};

/// The names of a call. Those that wait for the body keep what their other sources have said.
#[derive(Debug, Default)]
pub(super) struct Who {
    pub(super) tenant: Name,
    pub(super) feature: Name,
    pub(super) user: Name,
    pub(super) unit: Name,
}

#[derive(Debug)]
pub(super) enum Name {
    Settled(Option<String>),
    Waiting(Vec<Lookup>),
}

impl Default for Name {
    fn default() -> Self {
        Self::Settled(None)
    }
}

impl Name {
    pub(super) fn ask(sources: &[Source], lookup: &mut impl FnMut(&Origin) -> Lookup) -> Self {
        let mut said: Vec<Lookup> = Vec::with_capacity(sources.len());
        let found = resolve(sources, |origin| {
            let answer = lookup(origin);
            said.push(answer.clone());
            answer
        });
        match found {
            Found::Value(name) => Self::Settled(Some(name)),
            Found::Nothing => Self::Settled(None),
            Found::NeedsBody => {
                let asked = said.len();
                let rest = sources.iter().skip(asked).map(|source| lookup(&source.origin));
                said.extend(rest);
                Self::Waiting(said)
            }
        }
    }

    /// Settles a name with what the body said, taking its values from `values` in order.
    fn settle(&mut self, sources: &[Source], values: &mut impl Iterator<Item = Option<String>>) {
        let mut fresh: Vec<Option<String>> = sources
            .iter()
            .filter(|source| matches!(source.origin, Origin::Body(_)))
            .map(|_| values.next().flatten())
            .collect();
        let Self::Waiting(said) = self else { return };
        let (mut said, mut fresh) = (core::mem::take(said).into_iter(), fresh.drain(..));
        let found = resolve(sources, |_| match said.next() {
            Some(Lookup::NotYet) => {
                let value = fresh.next().flatten();
                value.map_or(Lookup::Absent, |text| Lookup::Value(text.into_bytes()))
            }
            answer => answer.unwrap_or(Lookup::Absent),
        });
        *self = Self::Settled(match found {
            Found::Value(name) => Some(name),
            Found::Nothing | Found::NeedsBody => None,
        });
    }

    pub(super) fn get(&self) -> Option<&String> {
        match self {
            Self::Settled(name) => name.as_ref(),
            Self::Waiting(_) => None,
        }
    }
}

impl Who {
    /// Settles the names that wait for the body with what it has said.
    pub(super) fn settle(&mut self, config: &Config, said: &Said) {
        let mut values = said.values.iter().cloned();
        self.tenant.settle(&config.tenant, &mut values);
        self.feature.settle(&config.feature, &mut values);
        self.user.settle(&config.user, &mut values);
        self.unit.settle(&config.unit, &mut values);
    }
}
