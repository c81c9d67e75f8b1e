//! What the end of a call lets one say about it.

use crate::estimate::Basis;
use crate::gate::Target;
use crate::provider::{Answer, Api, Evidence};
use crate::record::{Amount, Outcome};

/// The answer to a call, on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u32,
    pub(super) origin: From,
    pub(super) answer: Answer,
    pub(super) first_ms: Option<u64>,
    pub(super) whole: bool,
    /// Whether it is in no coding.
    pub(super) plain: bool,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Upstream,
    /// Envoy, while the upstream had nothing of the call.
    Envoy,
    /// Envoy, after the upstream had all of the call and did not answer.
    Silence,
}

/// What the end of a call lets one say about it.
pub(super) struct Finding {
    pub(super) status: u32,
    pub(super) first_ms: Option<u64>,
    pub(super) amount: Amount,
    pub(super) outcome: Outcome,
    pub(super) evidence: Evidence,
}

impl Finding {
    pub(super) fn refused(status: u16) -> Self {
        Self { status: status.into(), ..Self::nothing(Outcome::Refused) }
    }

    pub(super) fn unanswered(asked: bool, basis: &Basis<'_>, details: &str) -> Self {
        let works = !basis.api.is_free() && !basis.api.is_poll();
        let amount = match works && asked && may_have_worked(details) {
            true => Amount::Estimated(basis.unanswered()),
            false => Amount::Absent,
        };
        Self { amount, ..Self::nothing(cut_by(details)) }
    }

    fn nothing(outcome: Outcome) -> Self {
        let evidence = Evidence::default();
        Self { status: 0, first_ms: None, amount: Amount::Absent, outcome, evidence }
    }

    pub(super) fn answered(
        reply: Reply,
        basis: &Basis<'_>,
        target: &Target,
        details: &str,
    ) -> Self {
        let Reply { status, origin, answer, first_ms, whole, .. } = reply;
        let mut evidence = answer.finish(&target.provider, whole);
        let amount = match (origin, evidence.reported.clone()) {
            (From::Envoy, _) => Amount::Absent,
            _ if target.api.is_free() => Amount::Absent,
            (From::Silence, _) if target.api.is_poll() && target.api != Api::XaiDeferredPoll => {
                Amount::Absent
            }
            (From::Silence, _) => Amount::Estimated(basis.unanswered()),
            // What goes on in the background tells all of it at its end. What a poll tells of work
            // that cannot be told again was told by the answer to the work itself.
            _ if evidence.pending => Amount::Absent,
            _ if target.api.is_poll() && evidence.told_again.is_none() => Amount::Absent,
            (From::Upstream, Some(reported)) if evidence.is_final && reported.inferred => {
                Amount::Estimated(reported)
            }
            (From::Upstream, Some(reported)) if evidence.is_final => Amount::Reported(reported),
            // xAI tells it once, and then never again.
            (From::Upstream, _) if target.api == Api::XaiDeferredPoll && is_success(status) => {
                Amount::Estimated(basis.answered(&evidence))
            }
            // What is asked for again is told later or was before.
            (From::Upstream, _) if target.api.is_poll() => Amount::Absent,
            (From::Upstream, _) if is_success(status) && !evidence.is_mere_error() => {
                Amount::Estimated(basis.answered(&evidence))
            }
            (From::Upstream, _) => Amount::Absent,
        };
        if !is_success(status) || origin != From::Upstream {
            // An error need not be JSON.
            evidence.trouble = None;
        }
        let outcome = match status {
            _ if !whole => cut_by(details),
            200..=399 if evidence.error => Outcome::UpstreamError,
            200..=399 => Outcome::Ok,
            400..=499 => Outcome::ClientError,
            _ => Outcome::UpstreamError,
        };
        Self { status, first_ms, amount, outcome, evidence }
    }
}

/// Who is to blame for an answer that has no end.
fn cut_by(details: &str) -> Outcome {
    let upstream = details.starts_with("upstream") || details.contains("timeout");
    if upstream { Outcome::UpstreamError } else { Outcome::Aborted }
}

/// Whether the upstream had the call when Envoy or the client gave up on it, going by Envoy's
/// `response.code_details`. Where it never had, nothing can have been done.
pub(super) fn may_have_worked(details: &str) -> bool {
    let gave_up = ["response_timeout", "upstream_per_try_timeout", "upstream_response_timeout"]
        .iter()
        .chain(&["stream_idle_timeout", "downstream", "upstream_reset_before_response_started"])
        .any(|start| details.starts_with(start));
    let never_had = ["connection_failure", "connection_timeout", "overflow", "no_healthy"];
    gave_up && !never_had.iter().any(|reason| details.contains(reason))
}

pub(super) const fn is_success(status: u32) -> bool {
    matches!(status, 200..=299)
}
