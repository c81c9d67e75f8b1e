//! Where Envoy keeps what the core asks for.

use super::abi;
use super::head::Head;
use crate::who::{Lookup, Origin, San};

/// What stands at a place of the current request, whose headers are `head`.
pub(super) fn lookup(head: &Head, origin: &Origin) -> Lookup {
    let found = match origin {
        Origin::Header(name) => {
            let value = head.value(name).filter(|value| !value.is_empty());
            return value.map_or(Lookup::Absent, |value| Lookup::Value(value.to_vec()));
        }
        Origin::San(San::Uri) => abi::property("connection\0uri_san_peer_certificate"),
        Origin::San(San::Dns) => abi::property("connection\0dns_san_peer_certificate"),
        Origin::Jwt { payload, claim } => {
            let path = format!("{JWT}\0{payload}\0{}", claim.join("\0"));
            return abi::property(&path)
                .map_or(Lookup::Absent, |raw| Lookup::Value(claim_text(raw.into_vec())));
        }
        Origin::Body(_) => return Lookup::NotYet,
    };
    match found {
        Ok(value) if !value.as_slice().is_empty() => Lookup::Value(value.into_vec()),
        _ => Lookup::Absent,
    }
}

/// Why Envoy ended the stream, or what made its answer.
pub(super) fn details() -> String {
    abi::property("response\0code_details").map_or_else(|_| String::new(), |d| d.text().to_owned())
}

/// How often the call was sent upstream; zero where it was not, or Envoy does not say.
pub(super) fn attempts() -> u64 {
    let count = abi::property("upstream\0request_attempt_count").map(abi::Bytes::into_vec);
    let count = count.ok().and_then(|raw| <[u8; 8]>::try_from(raw).ok());
    count.map_or(0, u64::from_le_bytes)
}

/// The cluster that the request is routed to.
pub(super) fn cluster() -> String {
    abi::property("xds\0cluster_name").map_or_else(|_| String::new(), |name| name.text().to_owned())
}

/// The text of a claim.
///
/// Envoy hands out a number as the eight bytes of a double, with nothing that tells it from a text
/// of eight bytes. Whole numbers below 2^53 have bytes among them that no name has.
fn claim_text(raw: Vec<u8>) -> Vec<u8> {
    let Ok(double) = <[u8; 8]>::try_from(raw.as_slice()) else { return raw };
    if core::str::from_utf8(&raw).is_ok_and(|text| !text.contains(char::is_control)) {
        return raw;
    }
    f64::from_le_bytes(double).to_string().into_bytes()
}

const JWT: &str = "metadata\0filter_metadata\0envoy.filters.http.jwt_authn";
