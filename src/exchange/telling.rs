//! What the client is told in the headers of its answer.

use super::Exchange;
use crate::config::Tell;
use crate::money::NanoUsd;
use crate::sync::Unit;

impl Exchange {
    /// The headers, with their values.
    #[must_use]
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        if let Some((from, to)) = self.downgrade() {
            told.push(("x-tollgate-downgraded", format!("{from} -> {to}")));
        }
        if let Some(output) = self.admitted.output {
            told.push(("x-tollgate-max-output", output.to_string()));
        }
        let tell = self.gate.config.tell;
        if tell.cost
            && let Some(held) = self.admitted.held
        {
            told.push(("x-tollgate-cost-held", NanoUsd::new(held).to_string()));
        }
        if tell.remaining
            && let Some(room) = self.admitted.room
        {
            let (limit, left) = amounts(tell, room.unit, room.limit, room.left);
            told.push(("x-ratelimit-limit", limit));
            told.push(("x-ratelimit-remaining", left));
            told.extend(room.resets_in_s.map(|s| ("x-ratelimit-reset", s.to_string())));
        }
        told
    }
}

/// What calls cost is told only where the operator says so: else dollars are told as a percentage.
fn amounts(tell: Tell, unit: Unit, limit: u64, left: u64) -> (String, String) {
    match unit {
        Unit::Usd if tell.cost => (NanoUsd::new(limit).to_string(), NanoUsd::new(left).to_string()),
        Unit::Usd => {
            let percent = u128::from(left).saturating_mul(100).checked_div(limit.into());
            ("100".to_owned(), percent.unwrap_or(0).to_string())
        }
        _ => (limit.to_string(), left.to_string()),
    }
}
