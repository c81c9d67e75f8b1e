//! The quota service, checked.

use super::super::{
    OnFailure, SYNC_MS_MAX, SYNC_MS_MIN, Service, TIMEOUT_MS_MAX, Unknown,
    error::Faults,
    raw::{RawPolicy, RawService},
    shape::Word,
};
use super::within;

pub(super) fn service(raw: RawService, faults: &mut Faults) -> Service {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !visible(&raw.cluster) {
        faults.add("service.cluster", "must be the name of a cluster in Envoy's configuration");
    }
    if raw.host.as_deref().is_some_and(|host| !visible(host)) {
        faults.add("service.host", "must be a host, with or without a port");
    }
    if raw.secret.as_deref().is_some_and(|secret| !visible(secret)) {
        faults.add("service.secret", "must be visible ASCII characters without blanks");
    }
    let millis = |path, value, range, faults: &mut Faults| {
        u32::try_from(within(path, value, range, faults)).unwrap_or(u32::MAX)
    };
    Service {
        host: raw.host.unwrap_or_else(|| raw.cluster.clone()),
        cluster: raw.cluster,
        secret: raw.secret,
        timeout_ms: millis("service.timeout_ms", raw.timeout_ms, 1..=TIMEOUT_MS_MAX, faults),
        sync_ms: millis("service.sync_ms", raw.sync_ms, SYNC_MS_MIN..=SYNC_MS_MAX, faults),
        on_failure: match raw.on_failure {
            Word(RawPolicy::Allow) => OnFailure::Allow,
            Word(RawPolicy::Refuse) => OnFailure::Refuse,
        },
        unknown: match raw.unknown {
            Word(RawPolicy::Allow) => Unknown::Allow,
            Word(RawPolicy::Refuse) => Unknown::Refuse,
        },
    }
}
