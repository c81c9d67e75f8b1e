//! A YAML or JSON file as a tree whose nodes know their lines.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Number, Value};

/// A node of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The line on which it begins, with its key if it has one. JSON that YAML cannot read has none.
    pub(crate) line: Option<usize>,
    /// The first line of the value itself, and how many there are.
    rows: Option<(usize, usize)>,
    /// What it is.
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// `null`, or no value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(Number),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// Reads the documents of a file.
///
/// # Errors
///
/// Returns the line of the first fault and what it is, if the text is neither YAML nor JSON.
pub(crate) fn read(text: &str) -> Result<Vec<Node>, (usize, String)> {
    match MarkedYaml::load_from_str(text) {
        Ok(documents) => Ok(documents.iter().map(Node::of_yaml).collect()),
        Err(error) => match serde_json::from_str(text) {
            // JSON may escape a character as two surrogates; YAML may not.
            Ok(value) if error.info().contains("escape") => Ok(vec![Node::of_json(value)]),
            _ => Err((error.marker().line(), error.info().to_owned())),
        },
    }
}

impl Node {
    fn of_yaml(yaml: &MarkedYaml<'_>) -> Self {
        let (first, end) = (yaml.span.start.line(), yaml.span.end.line());
        let data = match &yaml.data {
            YamlData::Tagged(_, inner) => Self::of_yaml(inner).data,
            YamlData::Sequence(items) => Data::List(items.iter().map(Self::of_yaml).collect()),
            YamlData::Mapping(members) => Data::Map(
                members.iter().map(|(key, value)| member(key, Self::of_yaml(value))).collect(),
            ),
            YamlData::Value(scalar) => Data::of_scalar(scalar),
            YamlData::Representation(text, ..) => Data::Text(text.to_string()),
            YamlData::Alias(_) | YamlData::BadValue => Data::Null,
        };
        Self { line: Some(first), rows: Some((first, end.saturating_sub(first))), data }
    }

    fn of_json(value: Value) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(value),
            Value::Number(number) => Data::Number(number),
            Value::String(text) => Data::Text(text),
            Value::Array(items) => Data::List(items.into_iter().map(Self::of_json).collect()),
            Value::Object(members) => {
                Data::Map(members.into_iter().map(|(k, v)| (k, Self::of_json(v))).collect())
            }
        };
        Self { line: None, rows: None, data }
    }

    /// The same value as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(members) => members.iter().map(|(k, v)| (k.clone(), v.to_json())).collect(),
        }
    }

    /// The member `key` of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Data::Map(members) = &self.data else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The nodes directly below, each with its step of a path: `.key` or `[3]`.
    pub(crate) fn children(&self) -> Vec<(String, &Self)> {
        match &self.data {
            Data::List(items) => {
                items.iter().enumerate().map(|(at, item)| (format!("[{at}]"), item)).collect()
            }
            Data::Map(members) => {
                members.iter().map(|(key, value)| (format!(".{key}"), value)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The line of what stands at `path`, such as `tenant[1].capture`, or of the nearest node on
    /// the way if there is nothing.
    pub(crate) fn line_at(&self, path: &str) -> Option<usize> {
        let path = format!(".{path}");
        let (mut node, mut rest) = (self, path.as_str());
        while let Some((below, left)) = node.step(rest) {
            (node, rest) = (below, left);
        }
        node.line
    }

    /// The child that `path` goes through, and what is left of the path.
    fn step<'p>(&self, path: &'p str) -> Option<(&Self, &'p str)> {
        self.children().into_iter().find_map(|(step, child)| {
            let left = path.strip_prefix(&step)?;
            let ends = left.is_empty() || left.starts_with(['.', '[']);
            ends.then_some((child, left))
        })
    }

    /// The line of the file that holds line `inner` of this text, if each has one of its own.
    pub(crate) fn row(&self, inner: usize) -> Option<usize> {
        let (first, count) = self.rows?;
        let one_to_one = self.text()?.lines().count() == count;
        one_to_one.then(|| first.saturating_add(inner).saturating_sub(1))
    }
}

impl Data {
    fn of_scalar(scalar: &Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Boolean(value) => Self::Bool(*value),
            Scalar::Integer(number) => Self::Number((*number).into()),
            Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner())
                .map_or_else(|| Self::Text(number.to_string()), Self::Number),
            Scalar::String(text) => Self::Text(text.to_string()),
        }
    }
}

/// A member of an object, which begins where its key does.
fn member(key: &MarkedYaml<'_>, value: Node) -> (String, Node) {
    let name = match Node::of_yaml(key).to_json() {
        Value::String(text) => text,
        other => other.to_string(),
    };
    (name, Node { line: Some(key.span.start.line()), ..value })
}
