//! What names a model goes by.

use serde::Deserialize;

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
            Self::StartsWith(text) => name.starts_with(&**text),
            Self::EndsWith(text) => name.ends_with(&**text),
            Self::Contains(text) => name.contains(&**text),
            Self::Shape(shape) => fits(shape, name),
            Self::Not(clause) => !clause.is_met(name),
            Self::Or(clauses) => clauses.iter().any(|clause| clause.is_met(name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.is_met(name)),
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
            (r#"{"starts_with":"gpt-5"}"#,             "gpt-5-mini",        true),
            (r#"{"ends_with":"-mini"}"#,               "gpt-5-mini",        true),
            (r#"{"contains":"5-m"}"#,                  "gpt-5-mini",        true),
            (r#"{"contains":"6"}"#,                    "gpt-5-mini",        false),
            (r#"{"shape":"a-####"}"#,                  "a-2026",            true),
            (r#"{"shape":"a-####"}"#,                  "a-202x",            false),
            (r#"{"shape":"a-####"}"#,                  "a-20260",           false),
            (r#"{"shape":"a-####"}"#,                  "a-202",             false),
            (r#"{"shape":"a-#*"}"#,                    "a-2026-preview",    true),
            (r#"{"shape":"a-#*"}"#,                    "a-2",               true),
            (r#"{"shape":"a-#*"}"#,                    "a-",                false),
            (r#"{"not":{"ends_with":"-tts"}}"#,        "pro-tts",           false),
            (r#"{"or":[{"equals":"a"},{"equals":"b"}]}"#, "b",              true),
            (r#"{"and":[{"starts_with":"a"},{"ends_with":"b"}]}"#, "ab",    true),
            (r#"{"and":[{"starts_with":"a"},{"ends_with":"b"}]}"#, "ac",    false),
        ];
        for (clause, name, met) in cases {
            let clause: Clause = serde_json::from_str(clause).unwrap();
            assert_eq!(clause.is_met(name), met, "{clause:?} {name}");
        }
    }
}
