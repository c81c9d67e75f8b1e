//! Where names stand.

use crate::{
    config::{
        error::Faults,
        raw::{RawJwt, RawSan, RawSource},
        shape::{Object, Word},
    },
    who::{Origin, Pointer, San, Source},
};

use super::{bounded, is_header_name};

/// The sources of the list at `list`.
pub(super) fn sources(list: &str, raw: Vec<Object<RawSource>>, faults: &mut Faults) -> Vec<Source> {
    bounded(list, raw.len(), MAX_SOURCES, faults);
    let read = |(at, Object(raw)): (usize, _)| source(&format!("{list}[{at}]"), raw, faults);
    raw.into_iter().enumerate().filter_map(read).collect()
}

fn source(path: &str, raw: RawSource, faults: &mut Faults) -> Option<Source> {
    let secret = raw
        .header
        .as_deref()
        .is_some_and(|name| SECRETS.contains(&name.to_ascii_lowercase().as_str()));
    if secret && raw.capture.is_none() {
        faults.add(
            format_args!("{path}.header"),
            "must not be a header that carries a key, unless `capture` cuts out a part that may be \
             logged",
        );
    }
    let origin = match (raw.header, raw.jwt, raw.san, raw.body) {
        (Some(name), None, None, None) => header(path, &name, faults).map(Origin::Header),
        (None, Some(Object(raw)), None, None) => jwt(path, raw, faults),
        (None, None, Some(Word(RawSan::Uri)), None) => Some(Origin::San(San::Uri)),
        (None, None, Some(Word(RawSan::Dns)), None) => Some(Origin::San(San::Dns)),
        (None, None, None, Some(text)) => pointer(path, "body", &text, faults).map(Origin::Body),
        _ => {
            faults.add(path, "must have exactly one of `header`, `jwt`, `san` and `body`");
            None
        }
    }?;
    let capture = raw.capture.as_deref();
    Source::new(origin, capture)
        .map_err(|e| {
            faults.add(
                format_args!("{path}.capture"),
                format_args!("must be a regular expression: {e}"),
            )
        })
        .ok()
}

fn header(path: &str, name: &str, faults: &mut Faults) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let usable = is_header_name(&lower) || PSEUDO_HEADERS.contains(&lower.as_str());
    if !usable {
        faults.add(format_args!("{path}.header"), "must be the name of a request header");
    }
    usable.then_some(lower)
}

fn jwt(path: &str, raw: RawJwt, faults: &mut Faults) -> Option<Origin> {
    let named = !raw.payload.is_empty() && !raw.payload.contains(char::is_control);
    if !named {
        let must = "must be what `payload_in_metadata` of `jwt_authn` says";
        faults.add(format_args!("{path}.jwt.payload"), must);
    }
    let claim = pointer(path, "jwt.claim", &raw.claim, faults)?.tokens().to_vec();
    if claim.iter().any(String::is_empty) {
        faults.add(format_args!("{path}.jwt.claim"), "must be a JSON pointer without empty names");
        return None;
    }
    named.then_some(Origin::Jwt { payload: raw.payload, claim })
}

fn pointer(path: &str, field: &str, text: &str, faults: &mut Faults) -> Option<Pointer> {
    Pointer::parse(text).map_err(|must| faults.add(format_args!("{path}.{field}"), must)).ok()
}

/// Headers that carry a key. What is found is logged and counted, and a key must never be.
const SECRETS: [&str; 7] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-security-token",
    "x-api-key",
    "x-goog-api-key",
];
/// What a request has in place of a first line, where it can tell tenants apart.
const PSEUDO_HEADERS: [&str; 2] = [":authority", ":path"];
/// Sources in a list: each may cost a host call per request.
const MAX_SOURCES: usize = 16;
