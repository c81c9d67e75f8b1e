//! How calls are held against a budget, as operators write it.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::raw::RawRule;
use super::{Fault, small};
use crate::sync::Holding;

/// What a call holds while it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Hold"))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawHold {
    /// What it is expected to come to: soft.
    Expected,
    /// The most that it can come to: firm.
    WorstCase,
}

/// What becomes of a request that needs more than is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "TooLarge"))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawTooLarge {
    /// What `action` says.
    Refuse,
    /// Its longest answer is cut down to what is left.
    Lower,
}

/// What becomes of a stream that outgrows its hold when no more can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Outrun"))]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawOutrun {
    /// It goes on.
    Pass,
    /// It is ended by an error in its dialect.
    End,
}

pub(super) fn holding(path: &str, raw: &RawRule, fault: &mut Fault<'_>) -> Holding {
    let wait_ms = raw.wait_ms.map_or(0, small);
    if wait_ms > MAX_WAIT_MS {
        fault(format!("{path}.wait_ms"), "must be 0 to 10000");
    }
    let holding = Holding {
        worst_case: raw.hold.as_ref().is_some_and(|word| word.0 == RawHold::WorstCase),
        lower: raw.too_large.as_ref().is_some_and(|word| word.0 == RawTooLarge::Lower),
        end: raw.outrun.as_ref().is_some_and(|word| word.0 == RawOutrun::End),
        wait_ms,
    };
    if holding.worst_case && holding.end {
        let must = "is of no use with `worst_case`: what holds the most never outgrows it";
        fault(format!("{path}.outrun"), must);
    }
    let limit = &raw.limit.0;
    let counted = limit.requests.is_some() || limit.units.is_some();
    let odd = raw.hold.is_some() || raw.too_large.is_some() || raw.outrun.is_some();
    if counted && odd {
        let must =
            "must not have `hold`, `too_large` or `outrun`: a call takes one, whatever it is";
        fault(path.to_owned(), must);
    }
    holding
}

/// Clients give up on a request after a while, and so do load balancers.
const MAX_WAIT_MS: u32 = 10_000;
