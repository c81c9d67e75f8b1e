//! Looks through a request for all that may change what it costs.
//!
//! What is known to be harmless passes; anything else counts. A key that is given twice counts
//! twice, because nobody knows which of the two the provider reads.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Unbounded;
use super::grammar::{Kind, Table, Unknown, of};
use crate::provider::Api;

/// What a request says of the most that it can come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Its length.
    pub bytes: u64,
    /// How many of its bytes are not ASCII.
    pub foreign: u64,
    /// Whether it refers to content that it does not carry.
    pub refers: bool,
    /// The tokens that one answer may have, if it says; the most, if it says so more than once.
    pub output: Option<u64>,
    /// How many answers it asks for.
    pub choices: u64,
}

impl Survey {
    /// The most tokens that a prompt can have whose text is all in the request.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        let anew = self.foreign.saturating_mul(ANEW);
        self.bytes.saturating_add(anew).saturating_add(AROUND)
    }
}

/// Looks through a request of `api`.
///
/// # Errors
///
/// Returns why it has no bound.
pub fn survey(api: Api, body: &[u8]) -> Result<Survey, Unbounded> {
    let table = of(api).ok_or(Unbounded::Api)?;
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut found = Found::default();
    let mut text = serde_json::Deserializer::from_slice(body);
    let look = Look { kind: Kind::In(table), found: &mut found };
    look.deserialize(&mut text).and_then(|()| text.end()).map_err(|_| Unbounded::NotJson)?;
    match found {
        Found { unbounded: Some(why), .. } => Err(why),
        Found { refers, output, unlimited, choices, .. } => Ok(Survey {
            bytes: number(body.len()),
            foreign: number(body.iter().filter(|byte| !byte.is_ascii()).count()),
            refers,
            output: output.filter(|_| !unlimited),
            choices: choices.unwrap_or(1).max(1),
        }),
    }
}

#[derive(Debug, Default)]
struct Found {
    unbounded: Option<Unbounded>,
    refers: bool,
    output: Option<u64>,
    /// Whether a maximum was given that is none.
    unlimited: bool,
    choices: Option<u64>,
}

impl Found {
    fn meet(&mut self, unknown: Unknown) {
        match unknown {
            Unknown::Content => self.refers = true,
            Unknown::Parameter => self.unbounded = self.unbounded.or(Some(Unbounded::Parameter)),
            Unknown::Tool => self.unbounded = Some(Unbounded::Tools),
        }
    }

    fn number(&mut self, kind: Kind, number: Option<u64>) {
        match (kind, number) {
            (Kind::Most, Some(number)) if number > 0 => {
                self.output = self.output.max(Some(number));
            }
            (Kind::Most, _) => self.unlimited = true,
            (Kind::Choices, Some(number)) => self.choices = self.choices.max(Some(number)),
            (Kind::Choices, None) => self.meet(Unknown::Parameter),
            (Kind::Elsewhere, _) => self.refers = true,
            (Kind::Text(_, unknown), _) => self.meet(unknown),
            (Kind::Any | Kind::In(_), _) => {}
        }
    }
}

/// Looks at one value.
struct Look<'a> {
    kind: Kind,
    found: &'a mut Found,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.kind {
            Kind::Any => from.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        // `null` is as good as nothing.
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.found.number(self.kind, None);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.found.number(self.kind, Some(number));
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.found.number(self.kind, None);
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.found.number(self.kind, None);
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.kind {
            Kind::Text(known, _) if known.contains(&text) => {}
            kind => self.found.number(kind, None),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { kind, found } = self;
        if !matches!(kind, Kind::In(_)) {
            found.number(kind, None);
        }
        while list.next_element_seed(Look { kind, found: &mut *found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { kind, found } = self;
        let table = match kind {
            Kind::In(table) => table,
            kind => {
                found.number(kind, None);
                &NOTHING
            }
        };
        while let Some(key) = map.next_key::<String>()? {
            let known = table.keys.iter().find(|(own, _)| *own == key);
            if known.is_none() {
                found.meet(table.unknown);
            }
            let kind = known.map_or(Kind::Any, |(_, kind)| *kind);
            map.next_value_seed(Look { kind, found: &mut *found })?;
        }
        Ok(())
    }
}

/// A table of an object that stands where none is known: who put it there has been told already.
static NOTHING: Table = Table { keys: &[], unknown: Unknown::Content };
/// What providers put around a prompt: marks of each message, which the JSON around it makes up
/// for, and up to some 800 tokens that say how tools are used.
const AROUND: u64 = 1_024;
/// Bytes that a byte may become more of, where a tokenizer composes characters anew.
const ANEW: u64 = 2;
