//! What is wrong with a configuration, said by field and by what the field must be.

use core::fmt;

/// Why a configuration was refused. It has at least one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One thing that the operator must change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The way to the field, such as `tenant[1].capture`; empty for the whole configuration.
    pub path: String,
    /// What is wanted, as the end of a sentence that begins with the path.
    pub must: String,
}

impl ConfigError {
    /// The faults, in the order of the fields' checks.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The error of a text that is no JSON.
    pub(super) fn of_syntax(error: &serde_json::Error) -> Self {
        let must = format!("must be JSON: {error}");
        Self { faults: vec![Fault { path: String::new(), must }] }
    }

    /// The error that says what `serde` said, in our words.
    pub(super) fn of_type(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let cause = error.inner();
        if !cause.is_data() {
            return Self::of_syntax(cause);
        }
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Self { faults: vec![demand(path, &cause.to_string())] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "the configuration {}", self.must);
        }
        write!(f, "`{}` {}", self.path, self.must)
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes that the field at `path` must be something else.
    #[inline(never)]
    pub(super) fn add(&mut self, path: impl fmt::Display, must: impl fmt::Display) {
        self.0.push(Fault { path: path.to_string(), must: must.to_string() });
    }

    /// `value`, if nothing was found.
    pub(super) fn or<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(ConfigError { faults: self.0 }) }
    }
}

/// Turns what `serde` says about the value at `path` into what is wanted of it.
///
/// The texts are those of `serde::de::Error`; any other is a demand of our own already.
fn demand(path: String, message: &str) -> Fault {
    let text = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let (text, wanted) = text.rsplit_once(", expected ").unwrap_or((text, ""));
    let at = |kind| text.strip_prefix(kind);
    if at("unknown field ").is_some() {
        let fields = wanted.trim_start_matches("one of ");
        return Fault { path, must: format!("must be one of the fields {fields}") };
    }
    if let Some(name) = at("missing field ") {
        return Fault { path: joined(&path, name), must: "must be given".to_owned() };
    }
    if let Some(name) = at("duplicate field ") {
        return Fault { path: joined(&path, name), must: "must be given once".to_owned() };
    }
    let found = at("invalid type: ").or_else(|| at("invalid value: "));
    let must = match found.or_else(|| at("unknown variant ")) {
        Some(found) => format!("must be {}, not {}", in_json(wanted), in_json(found)),
        None => text.to_owned(),
    };
    Fault { path, must }
}

/// The path to the field that `serde` calls `name`, in backquotes.
fn joined(path: &str, name: &str) -> String {
    let name = name.trim_matches('`');
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What JSON calls a thing of `serde`.
fn in_json(thing: &str) -> &str {
    match thing {
        "sequence" | "a sequence" => "a list",
        "map" | "a map" => "an object",
        _ => thing.strip_prefix("integer ").unwrap_or(thing),
    }
}
