//! What is to be said about one place.

use tollgate::config::{Config, ConfigError, Fault};

use crate::{
    find::{Host, Place},
    tree::{self, Node},
};

/// Something to say about a place.
#[derive(Debug)]
pub(crate) struct Remark {
    /// The line of the file that it is about.
    pub(crate) line: Option<usize>,
    /// Whether the configuration cannot be used as it is.
    pub(crate) is_error: bool,
    /// What it is.
    pub(crate) text: String,
}

/// Everything to say about the configuration at `place`. Nothing is good.
pub(crate) fn remarks(place: &Place<'_>) -> Vec<Remark> {
    let error = |line, text| vec![Remark { line, is_error: true, text }];
    let (parsed, node) = match place.config {
        None => (Config::parse(b""), None),
        Some(node) => match content(place.host, node) {
            Ok(content) => (content.parse(), Some(content)),
            Err(text) => return error(node.line, text),
        },
    };
    match parsed {
        Err(faults) => faults.faults().iter().map(|fault| remark(fault, node)).collect(),
        Ok(config) => {
            let line = node.and_then(|content| content.line_at("hold_headers"));
            disagreement(place.host, config.hold_headers, line).into_iter().collect()
        }
    }
}

fn remark(fault: &Fault, content: Option<Content<'_>>) -> Remark {
    let line = content.and_then(|content| content.line_at(&fault.path));
    Remark { line, is_error: true, text: fault.to_string() }
}

/// What the filter will be handed.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// A tree, which arrives as JSON.
    Tree(&'a Node),
    /// A text, as it is.
    Text(&'a Node, &'a str),
}

impl Content<'_> {
    fn parse(self) -> Result<Config, ConfigError> {
        match self {
            Self::Tree(node) => Config::parse(node.to_json().to_string().as_bytes()),
            Self::Text(_, text) => Config::parse(text.as_bytes()),
        }
    }

    /// The line of the file where the field at `path` stands, as near as can be told.
    fn line_at(self, path: &str) -> Option<usize> {
        match self {
            Self::Tree(node) => node.line_at(path),
            Self::Text(node, text) => {
                let inner = tree::read(text).ok().and_then(|all| all.first()?.line_at(path));
                inner.and_then(|inner| node.row(inner)).or(node.line)
            }
        }
    }
}

/// What is handed over of the configuration at `node`: Envoy wraps it in a message.
fn content(host: Host, node: &Node) -> Result<Content<'_>, String> {
    if !matches!(host, Host::Envoy { .. }) {
        return Ok(Content::Tree(node));
    }
    let kind = node.get("@type").and_then(Node::text).unwrap_or_default();
    let value = node.get("value");
    match (kind.rsplit('/').next(), value) {
        (Some("google.protobuf.Struct"), Some(value)) => Ok(Content::Tree(value)),
        (Some("google.protobuf.StringValue"), Some(value)) => value
            .text()
            .map(|text| Content::Text(value, text))
            .ok_or_else(|| "`value` of a StringValue must be a string".to_owned()),
        (Some("google.protobuf.StringValue" | "google.protobuf.Struct"), None) => {
            Err("must have a `value`".to_owned())
        }
        _ => Err("`@type` must be type.googleapis.com/google.protobuf.StringValue or \
                  type.googleapis.com/google.protobuf.Struct"
            .to_owned()),
    }
}

/// What is wrong between `hold_headers` and who hands it over.
fn disagreement(host: Host, hold_headers: bool, line: Option<usize>) -> Option<Remark> {
    let (is_error, text) = match host {
        Host::Envoy { holds: false } if hold_headers => (
            true,
            "`hold_headers` is true, but `allow_on_headers_stop_iteration` is not".to_owned(),
        ),
        Host::Envoy { holds: true } if !hold_headers => (
            true,
            "`allow_on_headers_stop_iteration` is true, but `hold_headers` is not".to_owned(),
        ),
        Host::ControlPlane(name) if hold_headers => (
            false,
            format!(
                "`hold_headers` is true, but {name} cannot set `allow_on_headers_stop_iteration`: \
                 it works only where a patch sets it"
            ),
        ),
        _ => return None,
    };
    Some(Remark { line, is_error, text })
}
