//! From what the operator wrote to what can be used.
//!
//! Every check notes its faults and goes on, so that one look at the file finds all of them.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::{
    Anonymous, Config, ConfigError, LogField, Metrics, Tell,
    error::Faults,
    raw::{Raw, RawAccessLog, RawAnonymous, RawMetrics, RawTell, RawTenant},
    shape::{Object, Whole},
};
use crate::{calendar, who};

use self::{rule::providers, source::sources};

mod budget;
mod price;
mod rule;
mod service;
mod source;

/// The configuration that `raw` stands for.
pub(super) fn config(raw: Raw) -> Result<Config, ConfigError> {
    let mut faults = Faults::default();
    let config = unchecked(raw, &mut faults);
    faults.or(config)
}

/// What can be used of `raw`. It is the whole only if there are no `faults`.
pub(super) fn unchecked(raw: Raw, faults: &mut Faults) -> Config {
    let orphaned = raw.tenant.is_empty() && matches!(raw.anonymous, RawAnonymous::Refuse(_));
    if orphaned {
        faults
            .add("anonymous", "must not be `refuse` while `tenant` has no source: no call passes");
    }
    let lists = [&raw.tenant, &raw.feature, &raw.user, &raw.unit];
    let in_body = lists.into_iter().flatten().filter(|Object(source)| source.body.is_some());
    if in_body.count() > MAX_IN_BODY {
        let must = format_args!(
            "must have at most {MAX_IN_BODY} sources with `body`, together with `feature`, `user` and \
             `unit`"
        );
        faults.add("tenant", must);
    }
    let budgets = budget::budgets(raw.budgets, raw.service.is_some(), faults);
    Config {
        tenant: sources("tenant", raw.tenant, faults),
        feature: sources("feature", raw.feature, faults),
        user: sources("user", raw.user, faults),
        unit: sources("unit", raw.unit, faults),
        anonymous: anonymous(raw.anonymous, faults),
        strip: strip(&raw.strip, faults),
        hold_headers: raw.hold_headers,
        max_buffered: within(
            "max_buffered",
            raw.max_buffered,
            super::MAX_BUFFERED_MIN..=super::MAX_BUFFERED_MAX,
            faults,
        ),
        include_usage: raw.include_usage,
        access_log: access_log(raw.access_log, faults),
        metrics: metrics(&raw.metrics.0, faults),
        budgets,
        time_zone: time_zone(&raw.time_zone, faults),
        service: raw.service.map(|raw| service::service(raw.0, faults)),
        providers: providers(raw.providers, faults),
        prices: price::prices(raw.prices, faults),
        models: price::models(raw.models, faults),
        multipliers: price::multipliers(raw.multipliers, faults),
        unpriced: price::unpriced(raw.unpriced, faults),
        cost_source: price::cost_source(&raw.cost_source),
        max_attempts: raw.max_attempts.map(|Whole(given)| {
            let most = within("max_attempts", given, 1..=MAX_ATTEMPTS, faults);
            u32::try_from(most).unwrap_or(u32::MAX)
        }),
        tell: Tell {
            remaining: raw.tell.iter().any(|word| word.0 == RawTell::Remaining),
            cost: raw.tell.iter().any(|word| word.0 == RawTell::Cost),
        },
    }
}

fn anonymous(raw: RawAnonymous, faults: &mut Faults) -> Anonymous {
    match raw {
        RawAnonymous::Refuse(_) => Anonymous::Refuse,
        RawAnonymous::Tenant(Object(RawTenant { tenant: name })) => {
            if name.trim() != name || !who::is_name(&name) {
                let must = "must be 1 to 128 bytes without control characters, and no blank at \
                            either end";
                faults.add("anonymous.tenant", must);
            }
            Anonymous::Tenant(name)
        }
    }
}

fn time_zone(raw: &str, faults: &mut Faults) -> TimeZone {
    calendar::zone(raw).unwrap_or_else(|| {
        faults.add("time_zone", "must be a name of the IANA database, such as Europe/Berlin");
        TimeZone::UTC
    })
}

fn strip(raw: &[String], faults: &mut Faults) -> Vec<String> {
    bounded("strip", raw.len(), MAX_STRIP, faults);
    let names: Vec<_> = raw.iter().map(|name| name.to_ascii_lowercase()).collect();
    for (at, name) in names.iter().enumerate() {
        if !is_header_name(name) || FRAMING.contains(&name.as_str()) {
            let must = "must be the name of a request header that does not frame or route it";
            faults.add(format_args!("strip[{at}]"), must);
        }
    }
    names
}

fn access_log(raw: RawAccessLog, faults: &mut Faults) -> Vec<LogField> {
    let RawAccessLog::Names(names) = raw else {
        return LogField::ALL.to_vec();
    };
    let mut fields = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        match LogField::named(name) {
            Some(field) => {
                fields.insert(field);
            }
            None => {
                let names = LogField::ALL.map(LogField::name).join(", ");
                faults
                    .add(format_args!("access_log[{at}]"), format_args!("must be one of {names}"));
            }
        }
    }
    fields.into_iter().collect()
}

fn metrics(raw: &RawMetrics, faults: &mut Faults) -> Metrics {
    let series = super::MAX_SERIES_MIN..=super::MAX_SERIES_MAX;
    let values = &raw.max_values.0;
    let mut most = |label: &str, given| {
        let path = format!("metrics.max_values.{label}");
        within(&path, given, 1..=super::MAX_VALUES_MAX, faults)
    };
    Metrics {
        enabled: raw.enabled,
        max_tenants: most("tenant", values.tenant),
        max_features: most("feature", values.feature),
        max_models: most("model", values.model),
        max_series: within("metrics.max_series", raw.max_series, series, faults),
    }
}

/// `given`, which must be in `range`.
fn within(path: &str, given: u64, range: RangeInclusive<u64>, faults: &mut Faults) -> usize {
    if !range.contains(&given) {
        let (least, most) = range.into_inner();
        faults.add(path, format_args!("must be {least} to {most}"));
    }
    usize::try_from(given).unwrap_or(usize::MAX)
}

/// Notes a list that is too long.
fn bounded(path: &str, given: usize, most: usize, faults: &mut Faults) {
    if given > most {
        faults.add(path, format_args!("must have at most {most} items"));
    }
}

/// Whether `name`, in lower case, is a token as RFC 9110 says.
fn is_header_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(legal)
}

/// More would be no configuration that anyone can follow.
const MAX_IN_BODY: usize = 16;
/// Without these, a request would not arrive, or not where or as it was meant to.
const FRAMING: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "te"];
/// More than that is no retrying, but an attack.
const MAX_ATTEMPTS: u64 = 16;
/// Headers to remove: each costs a host call per request.
const MAX_STRIP: usize = 64;
