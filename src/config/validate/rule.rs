//! Who answers where.

use crate::config::{
    By, HostPattern, PathPattern, ProviderRule, Reads, error::Faults, raw::RawProvider,
    shape::Object,
};

use crate::provider::is_region;

use super::bounded;

/// The rules that say who answers.
pub(super) fn providers(raw: Vec<Object<RawProvider>>, faults: &mut Faults) -> Vec<ProviderRule> {
    bounded("providers", raw.len(), MAX_RULES, faults);
    let read = |(at, Object(raw)): (usize, _)| provider(&format!("providers[{at}]"), raw, faults);
    raw.into_iter().enumerate().filter_map(read).collect()
}

fn provider(path: &str, raw: RawProvider, faults: &mut Faults) -> Option<ProviderRule> {
    provider_name(&format!("{path}.provider"), &raw.provider, faults);
    let by = match (raw.host, raw.cluster) {
        (Some(host), None) => Some(HostPattern::parse(&host).map(By::Host).or_else(|| {
            let must = "must be a host without a port, or `*.` and one";
            faults.add(format_args!("{path}.host"), must);
            None
        })?),
        (None, Some(cluster)) if !cluster.is_empty() => Some(By::Cluster(cluster)),
        (None, Some(_)) => {
            faults.add(format_args!("{path}.cluster"), "must be the name of a cluster");
            None
        }
        (None, None) if raw.path.is_some() => None,
        _ => {
            faults.add(path, "must have exactly one of `host` and `cluster`, or a `path`");
            None
        }
    };
    let pattern = raw.path.map(|text| {
        PathPattern::parse(&text).or_else(|| {
            let must = "must be a path without a query, or the beginning of one and a `*`";
            faults.add(format_args!("{path}.path"), must);
            None
        })
    });
    let reads = raw.api.map_or(Some(Reads::ByPath), |name| {
        Reads::named(&name).or_else(|| {
            let must = "must be `openai`, `anthropic`, `gemini`, or a call such as `openai.chat`";
            faults.add(format_args!("{path}.api"), format_args!("{must}, not `{name}`"));
            None
        })
    });
    let region = raw.region.inspect(|name| region_name(&format!("{path}.region"), name, faults));
    let path = match pattern {
        Some(pattern) => Some(pattern?),
        None => None,
    };
    let (provider, include_usage) = (raw.provider, raw.include_usage);
    Some(ProviderRule { by, path, provider, region, reads: reads?, include_usage })
}

pub(super) fn region_name(path: &str, name: &str, faults: &mut Faults) {
    if !is_region(name) {
        faults.add(path, "must be 1 to 32 of `a-z`, `0-9` and `-`");
    }
}

pub(super) fn provider_name(path: &str, name: &str, faults: &mut Faults) {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=MAX_PROVIDER).contains(&name.len()) || !name.bytes().all(legal) {
        faults.add(path, "must be 1 to 64 of `a-z`, `0-9` and `-`");
    }
}

/// Rules about providers: each is tried for every request.
const MAX_RULES: usize = 256;
/// Bytes of a provider's name.
const MAX_PROVIDER: usize = 64;
