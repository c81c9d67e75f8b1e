//! Which calls a budget is about, and what of them it counts by itself.
//!
//! A call has up to four facets that a budget can ask for. A budget says by patterns which calls
//! count, and by facets which of them it counts apart: `per: [feature]` is one balance for each
//! feature. Such a balance is a *part* of its budget, and has an id of its own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::shared::hash;
use crate::who::is_name;

/// What a call is, as far as budgets ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The feature that makes it.
    pub feature: Option<&'a str>,
    /// The model that is to serve it.
    pub model: Option<&'a str>,
    /// Who is to serve it.
    pub provider: Option<&'a str>,
    /// The name under which its tenant was seen.
    pub key: Option<&'a str>,
    /// The id of the unit that it is for, such as one AI analysis, if it has one. No budget asks for
    /// it: those that count units count each once.
    pub unit: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// What it has of a facet.
    #[must_use]
    pub const fn of(&self, facet: Facet) -> Option<&'a str> {
        match facet {
            Facet::Feature => self.feature,
            Facet::Model => self.model,
            Facet::Provider => self.provider,
            Facet::Key => self.key,
        }
    }
}

/// What of a call a budget can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Facet {
    /// The feature that makes it.
    Feature,
    /// The model that is to serve it.
    Model,
    /// Who is to serve it.
    Provider,
    /// The key, or another name, under which its tenant was seen.
    Key,
}

impl Facet {
    /// The name in configuration and ids.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Key => "key",
        }
    }
}

/// The calls that count, by patterns for each facet: names, or beginnings and a `*`. One of a list
/// must fit; a list without any lets every call count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Match {
    /// Of the feature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feature: Vec<String>,
    /// Of the model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model: Vec<String>,
    /// Of the provider.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<String>,
    /// Of the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

impl Match {
    const fn all(&self) -> [(Facet, &Vec<String>); 4] {
        [
            (Facet::Feature, &self.feature),
            (Facet::Model, &self.model),
            (Facet::Provider, &self.provider),
            (Facet::Key, &self.key),
        ]
    }

    /// Whether every call counts.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all().iter().all(|(_, patterns)| patterns.is_empty())
    }

    /// Whether a call counts: all that is asked for must fit.
    #[must_use]
    pub fn has(&self, scope: &Scope<'_>) -> bool {
        self.all().iter().all(|(facet, patterns)| fits(patterns, scope.of(*facet)))
    }
}

/// Whether one of the patterns fits, or there is none. What has no name fits none.
#[must_use]
pub fn fits(patterns: &[String], name: Option<&str>) -> bool {
    let fit = |name: &str| {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => name.starts_with(stem),
            None => name == pattern,
        })
    };
    patterns.is_empty() || name.is_some_and(fit)
}

/// The part that a call counts in, such as `feature=chat/model=gpt-5`; nothing of what it has none.
#[must_use]
pub fn part(per: &[Facet], scope: &Scope<'_>) -> String {
    let values = per.iter().map(|&facet| (facet, value(scope.of(facet).unwrap_or_default())));
    joined(values)
}

/// The part in which those are counted for which there is no room.
#[must_use]
pub fn crowd(per: &[Facet]) -> String {
    joined(per.iter().map(|&facet| (facet, Cow::Borrowed(CROWD))))
}

fn joined<'a>(values: impl Iterator<Item = (Facet, Cow<'a, str>)>) -> String {
    let values = values.map(|(facet, value)| format!("{}={value}", facet.label()));
    values.collect::<Vec<_>>().join("/")
}

/// The id of a part.
#[must_use]
pub fn id(budget: &str, part: &str) -> String {
    format!("{budget}/{part}")
}

/// The part that an id names, if it is one of the budget `budget`.
#[must_use]
pub fn part_of<'a>(id: &'a str, budget: &str) -> Option<&'a str> {
    id.strip_prefix(budget)?.strip_prefix('/')
}

/// A name as it can stand in an id, in at most [`LONGEST`] bytes. What can be no name is one with
/// all that has no room.
fn value(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && !is_name(name) {
        return Cow::Borrowed(CROWD);
    }
    let is_odd = |c: char| "%/=*".contains(c);
    if name.len() <= LONGEST && !name.contains(is_odd) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match u32::from(c) {
            code if is_odd(c) => text.push_str(&format!("%{code:02X}")),
            _ => text.push(c),
        }
    }
    if text.len() > LONGEST {
        let rest = format!("~{:016x}", hash(name.as_bytes()));
        text.truncate(text.floor_char_boundary(LONGEST.saturating_sub(rest.len())));
        text.push_str(&rest);
    }
    Cow::Owned(text)
}

/// Stands for all values that have no part of their own. No value is written so.
const CROWD: &str = "*";
/// The longest value in an id: with four of them, and the longest names of a customer and a budget,
/// an id stays below the 512 bytes that the service takes.
const LONGEST: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Scope<'static> = Scope {
        feature: Some("chat"),
        model: Some("gpt-5-mini"),
        provider: Some("openai"),
        key: None,
        unit: None,
    };

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn all_that_is_asked_for_must_fit() {
        let of = |model: &[&str], provider: &[&str], key: &[&str]| Match {
            model: texts(model),
            provider: texts(provider),
            key: texts(key),
            ..Match::default()
        };
        #[rustfmt::skip]
        let cases = [
            ("nothing asked for", of(&[], &[], &[]),                           true),
            ("a name",            of(&["gpt-5-mini"], &[], &[]),               true),
            ("another name",      of(&["gpt-5"], &[], &[]),                    false),
            ("a beginning",       of(&["gpt-5*"], &["openai"], &[]),           true),
            ("one of a list",     of(&["o3", "gpt-*"], &[], &[]),              true),
            ("one that fits not", of(&["gpt-5*"], &["azure"], &[]),            false),
            ("what it has not",   of(&[], &[], &["*"]),                        false),
            ("any",               of(&["*"], &["*"], &[]),                     true),
        ];
        for (name, matches, expected) in cases {
            assert_eq!(matches.has(&CALL), expected, "{name}");
            assert_eq!(matches.is_all(), name == "nothing asked for", "{name}");
        }
    }

    #[test]
    fn parts_differ_where_names_do_and_stay_short() {
        let of = |feature| part(&[Facet::Feature], &Scope { feature: Some(feature), ..CALL });
        assert_eq!(part(&[Facet::Feature, Facet::Key], &CALL), "feature=chat/key=");
        assert_eq!(crowd(&[Facet::Feature, Facet::Key]), "feature=*/key=*");
        #[rustfmt::skip]
        let cases = [
            ("a/b", "feature=a%2Fb"), ("a%2Fb", "feature=a%252Fb"), ("*", "feature=%2A"),
            ("x\u{7}", "feature=*"), ("ä=", "feature=ä%3D"),
        ];
        for (name, expected) in cases {
            assert_eq!(of(name), expected);
        }
        let (one, two) = ("x".repeat(127) + "1", "x".repeat(127) + "2");
        assert_ne!(of(&one), of(&two));
        assert_eq!(of(&one).len(), "feature=".len() + LONGEST);
        assert_eq!(of(&"€".repeat(40)).chars().last().map(|c| c.is_ascii_hexdigit()), Some(true));
    }

    #[test]
    fn an_id_tells_its_part() {
        let id = id("acme/usd-month", "feature=chat");
        assert_eq!(part_of(&id, "acme/usd-month"), Some("feature=chat"));
        assert_eq!(part_of(&id, "acme/usd"), None);
    }
}
