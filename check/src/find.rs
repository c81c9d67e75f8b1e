//! Where in a file the configurations of Tollgate stand.
//!
//! A file may be the configuration alone, or what a gateway is given: an Envoy configuration (also
//! a part of one, as in Istio's `EnvoyFilter`), Istio's `WasmPlugin`, or Envoy Gateway's
//! `EnvoyExtensionPolicy`. A gateway may run other wasm filters: those that never say `tollgate` are
//! left out, unless none says it.

use crate::tree::{Data, Node};

/// A place for a configuration.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// The way to it in its document; empty for the whole.
    pub(crate) path: String,
    /// Who hands the configuration to the filter.
    pub(crate) host: Host,
    /// The configuration, if the place has one.
    pub(crate) config: Option<&'a Node>,
    /// What is around it.
    around: &'a Node,
}

/// Who hands the configuration to the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Whoever reads the file.
    Unknown,
    /// Envoy, with this for `allow_on_headers_stop_iteration`.
    Envoy {
        /// Whether headers can be held while the body is read.
        holds: bool,
    },
    /// A control plane of this name, which does not know `allow_on_headers_stop_iteration`.
    ControlPlane(&'static str),
}

/// The places of Tollgate's configuration in one document.
pub(crate) fn places(document: &Node) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    walk(document, document, "", &mut places);
    if places.iter().any(Place::is_ours) {
        places.retain(Place::is_ours);
    }
    if places.is_empty() && !is_foreign(document) {
        let (path, host, config) = (String::new(), Host::Unknown, Some(document));
        places.push(Place { path, host, config, around: document });
    }
    places
}

impl Place<'_> {
    fn is_ours(&self) -> bool {
        mentions(self.around, "tollgate")
    }
}

fn walk<'a>(node: &'a Node, parent: &'a Node, path: &str, places: &mut Vec<Place<'a>>) {
    let says = |key| node.get(key).and_then(Node::text);
    let is_wasm = |key| says(key).is_some_and(|text| text.ends_with(WASM));
    let below = places.len();
    if is_wasm("@type") {
        places.extend(filter(node, parent, path));
    } else if is_wasm("type_url") {
        let value = node.get("value").unwrap_or(node);
        places.extend(filter(value, parent, &format!("{path}.value")));
    } else if says("kind") == Some("WasmPlugin") {
        let host = Host::ControlPlane("Istio");
        let (path, config) = descend(node, path, &["spec", "pluginConfig"]);
        places.push(Place { path, host, config, around: node });
    } else if says("kind") == Some("EnvoyExtensionPolicy") {
        let host = Host::ControlPlane("Envoy Gateway");
        let (path, list) = descend(node, path, &["spec", "wasm"]);
        for (step, item) in list.map(Node::children).unwrap_or_default() {
            let (path, config) = descend(item, &format!("{path}{step}"), &["config"]);
            places.push(Place { path, host, config, around: item });
        }
    }
    if places.len() == below {
        for (step, child) in node.children() {
            walk(child, node, &format!("{path}{step}"), places);
        }
    }
}

/// The place in the configuration of an HTTP wasm filter.
fn filter<'a>(wasm: &'a Node, around: &'a Node, path: &str) -> Option<Place<'a>> {
    let plugin = wasm.get("config")?;
    let allow = ["allow_on_headers_stop_iteration", "allowOnHeadersStopIteration"];
    let holds = allow
        .iter()
        .filter_map(|key| plugin.get(key))
        .any(|node| matches!(node.data, Data::Bool(true)));
    let (path, config) = descend(plugin, &format!("{path}.config"), &["configuration"]);
    Some(Place { path, host: Host::Envoy { holds }, config, around })
}

/// What stands below `node` at these keys, and the way there.
fn descend<'a>(node: &'a Node, path: &str, keys: &[&str]) -> (String, Option<&'a Node>) {
    let found = keys.iter().try_fold(node, |node, key| node.get(key));
    (format!("{path}.{}", keys.join(".")), found)
}

fn mentions(node: &Node, word: &str) -> bool {
    node.text().is_some_and(|text| text.to_ascii_lowercase().contains(word))
        || node.children().into_iter().any(|(_, child)| mentions(child, word))
}

/// Whether a document is something for a gateway rather than a configuration of the filter.
fn is_foreign(document: &Node) -> bool {
    matches!(document.data, Data::Null) || FOREIGN.iter().any(|key| document.get(key).is_some())
}

/// The type of Envoy's HTTP wasm filter.
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
/// Keys by which Envoy's and Kubernetes' own documents are known.
const FOREIGN: [&str; 8] = [
    "@type",
    "admin",
    "apiVersion",
    "dynamic_resources",
    "kind",
    "node",
    "resources",
    "static_resources",
];
