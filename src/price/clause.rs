//! What names a model goes by.
//!
//! A text that a name only begins with, ends with or contains stands for that model and its
//! editions, not for whatever else may be called so: [`super::ending`].

use serde::Deserialize;

use super::ending::{is_edition, is_origin};

/// A condition on a model's name in lower case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Equals(Box<str>),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Contains(Box<str>),
    /// As `equals`, where `#` stands for a digit and a last `*` for anything.
    Shape(Box<str>),
    Not(Box<Self>),
    Or(Box<[Self]>),
    And(Box<[Self]>),
}

impl Clause {
    /// Whether `name`, which must be in lower case, meets the condition.
    pub(super) fn is_met(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == &**text,
            Self::StartsWith(text) => {
                name.strip_prefix(&**text).is_some_and(|rest| is_edition(text, rest))
            }
            Self::EndsWith(text) => name.strip_suffix(&**text).is_some_and(is_origin),
            Self::Contains(text) => name
                .split_once(&**text)
                .is_some_and(|(head, rest)| is_origin(head) && is_edition(text, rest)),
            Self::Shape(shape) => fits(shape, name),
            Self::Not(clause) => !clause.is_told(name),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.is_met(name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.is_met(name)),
        }
    }

    /// Whether `name` meets the condition to the letter: whatever stands around a text in it.
    fn is_told(&self, name: &str) -> bool {
        match self {
            Self::Equals(_) | Self::Shape(_) => self.is_met(name),
            Self::StartsWith(text) => name.starts_with(&**text),
            Self::EndsWith(text) => name.ends_with(&**text),
            Self::Contains(text) => name.contains(&**text),
            Self::Not(clause) => !clause.is_told(name),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.is_told(name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.is_told(name)),
        }
    }
}

fn fits(shape: &str, name: &str) -> bool {
    let (shape, name) = match shape.strip_suffix('*') {
        Some(head) => (head, name.as_bytes().get(..head.len())),
        None => (shape, Some(name.as_bytes())),
    };
    let alike = |(s, n): (u8, &u8)| if s == b'#' { n.is_ascii_digit() } else { s == *n };
    name.is_some_and(|name| name.len() == shape.len() && shape.bytes().zip(name).all(alike))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_the_clauses_that_describe_them() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"equals":"gpt-5"}"#,                  "gpt-5",             true),
            (r#"{"equals":"gpt-5"}"#,                  "gpt-5-mini",        false),
            (r#"{"starts_with":"gpt-5"}"#,             "gpt-5",             true),
            (r#"{"starts_with":"gpt-5"}"#,             "gpt-5-2025-08-07",  true),
            (r#"{"starts_with":"gpt-5"}"#,             "gpt-5-mini",        false),
            (r#"{"starts_with":"gpt-5"}"#,             "gpt-50",            false),
            (r#"{"ends_with":"nova-pro"}"#,            "us.amazon.nova-pro", true),
            (r#"{"ends_with":"nova-pro"}"#,            "supernova-pro",     false),
            (r#"{"contains":"nova-pro"}"#,             "us.amazon.nova-pro-v1:0", true),
            (r#"{"contains":"nova-pro"}"#,             "us.amazon.nova-pro-2", false),
            (r#"{"contains":"nova-pro"}"#,             "my-nova-pro",       false),
            (r#"{"contains":"nova-pro"}"#,             "nova-lite",         false),
            (r#"{"shape":"a-####"}"#,                  "a-2026",            true),
            (r#"{"shape":"a-####"}"#,                  "a-202x",            false),
            (r#"{"shape":"a-####"}"#,                  "a-20260",           false),
            (r#"{"shape":"a-####"}"#,                  "a-202",             false),
            (r#"{"shape":"a-#*"}"#,                    "a-2026-preview",    true),
            (r#"{"shape":"a-#*"}"#,                    "a-2",               true),
            (r#"{"shape":"a-#*"}"#,                    "a-",                false),
            (r#"{"not":{"ends_with":"-tts"}}"#,        "pro-tts",           false),
            (r#"{"not":{"contains":"-tts-"}}"#,        "pro-tts-x",         false),
            (r#"{"not":{"or":[{"starts_with":"pro"}]}}"#, "professional",   false),
            (r#"{"not":{"not":{"starts_with":"pro"}}}"#, "professional",    true),
            (r#"{"or":[{"equals":"a"},{"equals":"b"}]}"#, "b",              true),
            (r#"{"and":[{"starts_with":"a"},{"not":{"ends_with":"1"}}]}"#, "a-v2", true),
            (r#"{"and":[{"starts_with":"a"},{"not":{"ends_with":"1"}}]}"#, "a-v1", false),
        ];
        for (clause, name, met) in cases {
            let clause: Clause = serde_json::from_str(clause).unwrap();
            assert_eq!(clause.is_met(name), met, "{clause:?} {name}");
        }
    }
}
