//! A YAML file as JSON, and the line of each of its nodes.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Number, Value};

/// A file as it was read.
#[derive(Debug)]
pub struct Document<'a>(MarkedYaml<'a>);

impl<'a> Document<'a> {
    /// Reads a file of one document.
    ///
    /// # Errors
    ///
    /// Returns the line of the first fault, and what it is.
    pub fn read(text: &'a str) -> Result<Self, (usize, String)> {
        let mut documents = MarkedYaml::load_from_str(text)
            .map_err(|error| (error.marker().line(), error.info().to_owned()))?;
        match (documents.pop(), documents.pop()) {
            (Some(only), None) => Ok(Self(only)),
            (None, _) => Err((1, "the file is empty".to_owned())),
            (Some(second), Some(_)) => {
                Err((second.span.start.line(), "must be one document".to_owned()))
            }
        }
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json(&self.0)
    }

    /// The line of what stands at `path`, such as `plans[1].price`, or of the nearest node on the
    /// way if there is nothing.
    #[must_use]
    pub fn line_at(&self, path: &str) -> usize {
        let path = format!(".{path}");
        let (mut node, mut line, mut rest) = (&self.0, self.0.span.start.line(), path.as_str());
        while let Some((below, at, left)) = step(node, rest) {
            (node, line, rest) = (below, at, left);
        }
        line
    }
}

fn json(node: &MarkedYaml<'_>) -> Value {
    match &node.data {
        YamlData::Tagged(_, inner) => json(inner),
        YamlData::Sequence(items) => Value::Array(items.iter().map(json).collect()),
        YamlData::Mapping(members) => {
            let members = members.iter().map(|(key, value)| (name(key), json(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(number) => Value::Number((*number).into()),
            Scalar::FloatingPoint(number) => Number::from_f64(number.into_inner())
                .map_or_else(|| Value::String(number.to_string()), Value::Number),
            Scalar::String(text) => Value::String(text.to_string()),
        },
        YamlData::Representation(text, ..) => Value::String(text.to_string()),
        YamlData::Alias(_) | YamlData::BadValue => Value::Null,
    }
}

/// A key as text.
fn name(key: &MarkedYaml<'_>) -> String {
    match json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The child that `path` goes through, its line, and what is left of the path.
fn step<'n, 'a, 'p>(
    node: &'n MarkedYaml<'a>,
    path: &'p str,
) -> Option<(&'n MarkedYaml<'a>, usize, &'p str)> {
    let below = |step: String| {
        path.strip_prefix(&step).filter(|left| left.is_empty() || left.starts_with(['.', '[']))
    };
    match &node.data {
        YamlData::Tagged(_, inner) => step(inner, path),
        YamlData::Sequence(items) => items.iter().enumerate().find_map(|(at, item)| {
            below(format!("[{at}]")).map(|left| (item, item.span.start.line(), left))
        }),
        YamlData::Mapping(members) => members.iter().find_map(|(key, value)| {
            below(format!(".{}", name(key))).map(|left| (value, key.span.start.line(), left))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_knows_its_line() {
        let text = "a: 1\nb:\n  - x: 2\n    y.z: 3\n  - 4\n";
        let document = Document::read(text).unwrap();
        #[rustfmt::skip]
        let cases = [
            ("a", 1), ("b", 2), ("b[0]", 3), ("b[0].x", 3), ("b[0].y.z", 4), ("b[1]", 5),
            ("b[0].missing", 3), ("c", 1),
        ];
        for (path, line) in cases {
            assert_eq!(document.line_at(path), line, "{path}");
        }
        assert_eq!(document.to_json()["b"][0]["y.z"], 3);
    }

    #[test]
    fn what_is_not_one_document_is_refused() {
        for (text, line) in [("", 1), ("a: 1\n---\nb: 2\n", 3), ("a: [1\n", 2), ("a: 1\na: 2\n", 2)]
        {
            assert_eq!(
                Document::read(text).map_err(|(line, _)| line).err(),
                Some(line),
                "{text:?}"
            );
        }
    }
}
