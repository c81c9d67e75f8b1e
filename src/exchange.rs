//! One call from its first header to its last byte.
//!
//! The host reports what happens, in order, and does what the [`Step`] says. Nothing is decided
//! elsewhere. If a decision needs the body, the request waits for its end; if none does, the body
//! is read as it passes. Whatever becomes of the call, [`Exchange::close`] makes its one record.

use std::rc::Rc;

use crate::config::{Anonymous, Config};
use crate::estimate;
use crate::gate::{Gate, Target};
use crate::price::Terms;
use crate::provider::{Answer, Api, Evidence, Shape};
use crate::record::{Amount, Decision, Outcome, Price, Record};
use crate::request::{Body, Said};
use crate::who::{Found, Lookup, Origin, Source, is_name, resolve};

/// What the host must do next.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let the stream go on.
    Continue,
    /// Let nothing more of the request out, and wait for more of it.
    Hold,
    /// Answer the client in the provider's place.
    Refuse(Refusal),
}

/// An answer in the provider's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The dialect of the answer.
    pub shape: Shape,
    /// The status.
    pub status: u16,
    /// The stable code, for programs.
    pub code: &'static str,
    /// The sentence, for people.
    pub message: &'static str,
}

/// One call.
#[derive(Debug)]
pub struct Exchange {
    gate: Rc<Gate>,
    target: Target,
    call_id: String,
    began_ms: u64,
    who: Who,
    body: Body,
    /// Whether all of the request has come. An answer may begin before it has.
    asked: bool,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No answer has begun.
    Asking,
    /// The answer is on its way.
    Answering(Box<Reply>),
    /// The client has been answered here, with this status.
    Refused(u16),
}

#[derive(Debug)]
struct Reply {
    status: u32,
    origin: From,
    answer: Answer,
    first_ms: Option<u64>,
    whole: bool,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Upstream,
    /// Envoy, while the upstream had nothing of the call.
    Envoy,
    /// Envoy, after the upstream had all of the call and did not answer.
    Silence,
}

/// The names of a call. Those that wait for the body keep what their other sources have said.
#[derive(Debug, Default)]
struct Who {
    tenant: Name,
    feature: Name,
    user: Name,
}

#[derive(Debug)]
enum Name {
    Settled(Option<String>),
    Waiting(Vec<Lookup>),
}

impl Default for Name {
    fn default() -> Self {
        Self::Settled(None)
    }
}

impl Name {
    fn ask(sources: &[Source], lookup: &mut impl FnMut(&Origin) -> Lookup) -> Self {
        let mut said: Vec<Lookup> = Vec::with_capacity(sources.len());
        let found = resolve(sources, |origin| {
            let answer = lookup(origin);
            said.push(answer.clone());
            answer
        });
        match found {
            Found::Value(name) => Self::Settled(Some(name)),
            Found::Nothing => Self::Settled(None),
            Found::NeedsBody => {
                let asked = said.len();
                let rest = sources.iter().skip(asked).map(|source| lookup(&source.origin));
                said.extend(rest);
                Self::Waiting(said)
            }
        }
    }

    /// Settles a name with what the body said, taking its values from `values` in order.
    fn settle(&mut self, sources: &[Source], values: &mut impl Iterator<Item = Option<String>>) {
        let mut fresh: Vec<Option<String>> = sources
            .iter()
            .filter(|source| matches!(source.origin, Origin::Body(_)))
            .map(|_| values.next().flatten())
            .collect();
        let Self::Waiting(said) = self else { return };
        let (mut said, mut fresh) = (core::mem::take(said).into_iter(), fresh.drain(..));
        let found = resolve(sources, |_| match said.next() {
            Some(Lookup::NotYet) => {
                let value = fresh.next().flatten();
                value.map_or(Lookup::Absent, |text| Lookup::Value(text.into_bytes()))
            }
            answer => answer.unwrap_or(Lookup::Absent),
        });
        *self = Self::Settled(match found {
            Found::Value(name) => Some(name),
            Found::Nothing | Found::NeedsBody => None,
        });
    }

    fn get(&self) -> Option<&String> {
        match self {
            Self::Settled(name) => name.as_ref(),
            Self::Waiting(_) => None,
        }
    }
}

impl Who {
    /// Settles the names that wait for the body with what it has said.
    fn settle(&mut self, config: &Config, said: &Said) {
        let mut values = said.values.iter().cloned();
        self.tenant.settle(&config.tenant, &mut values);
        self.feature.settle(&config.feature, &mut values);
        self.user.settle(&config.user, &mut values);
    }
}

impl Exchange {
    /// Opens a call whose headers have come. `lookup` tells what stands at a place of the request;
    /// for places in the body that is [`Lookup::NotYet`].
    pub fn open(
        gate: Rc<Gate>,
        target: Target,
        call_id: String,
        now_ms: u64,
        mut lookup: impl FnMut(&Origin) -> Lookup,
    ) -> Self {
        let config = &gate.config;
        let who = Who {
            tenant: Name::ask(&config.tenant, &mut lookup),
            feature: Name::ask(&config.feature, &mut lookup),
            user: Name::ask(&config.user, &mut lookup),
        };
        let body = Body::new(gate.questions(target.api.shape()));
        let (asked, phase) = (false, Phase::Asking);
        Self { gate, target, call_id, began_ms: now_ms, who, body, asked, phase }
    }

    /// Decides by the headers alone, or says that the request must wait for its body.
    pub fn on_request_headers(&mut self, end: bool) -> Step {
        if end { self.on_request_end() } else { self.decide(false) }
    }

    /// Reads a chunk of the request body.
    pub fn on_request_body(&mut self, chunk: &[u8], end: bool) -> Step {
        if self.asked || self.is_refused() {
            return Step::Continue;
        }
        self.body.feed(chunk);
        if end {
            return self.on_request_end();
        }
        match self.decide(false) {
            Step::Hold if self.body.said().bytes > self.most_held() => {
                self.refuse(413, "body_too_large", TOO_LARGE)
            }
            step => step,
        }
    }

    /// Ends the request: all that can be known of it is.
    pub fn on_request_end(&mut self) -> Step {
        if self.asked || self.is_refused() {
            return Step::Continue;
        }
        self.asked = true;
        self.who.settle(&self.gate.config, self.body.said());
        self.decide(true)
    }

    /// Notes the head of the answer: its status, its `content-encoding` (empty for none), and
    /// Envoy's `response.code_details`, which tell who made it.
    pub fn on_answer_head(&mut self, status: u32, content_encoding: &str, details: &str) {
        if !matches!(self.phase, Phase::Asking) {
            return;
        }
        let origin = match details {
            "" | "via_upstream" => From::Upstream,
            details if self.asked && may_have_worked(details) => From::Silence,
            _ => From::Envoy,
        };
        let answer = Answer::new(&self.gate.places, self.target.api, content_encoding);
        self.phase = Phase::Answering(Box::new(Reply {
            status,
            origin,
            answer,
            first_ms: None,
            whole: false,
        }));
    }

    /// Reads a chunk of the answer. `now_ms` is asked for its first byte alone.
    pub fn on_answer_body(&mut self, chunk: &[u8], end: bool, now_ms: impl FnOnce() -> u64) {
        let Phase::Answering(reply) = &mut self.phase else { return };
        if !chunk.is_empty() {
            if reply.first_ms.is_none() {
                reply.first_ms = Some(now_ms());
            }
            reply.answer.feed(chunk);
        }
        reply.whole |= end;
    }

    /// Notes that the answer has come to its end.
    pub const fn on_answer_end(&mut self) {
        if let Phase::Answering(reply) = &mut self.phase {
            reply.whole = true;
        }
    }

    /// Whether the client has been answered here, so that what follows is our own answer.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused(_))
    }

    /// Ends the call and makes its record. `details` are Envoy's `response.code_details` by now.
    #[must_use]
    pub fn close(self, now_ms: u64, details: &str) -> Record {
        let Self { gate, target, call_id, began_ms, mut who, body, asked, phase } = self;
        let said = body.end();
        // Of a body that broke off, too, what it has said holds.
        who.settle(&gate.config, &said);
        let Finding { status, first_ms, amount, outcome, evidence } = match phase {
            Phase::Answering(reply) => Finding::answered(*reply, &said, &target.provider, details),
            Phase::Refused(status) => Finding::refused(status),
            Phase::Asking => Finding::unanswered(asked, &said, details),
        };
        let anonymous = || match &gate.config.anonymous {
            Anonymous::Tenant(name) => Some(name.clone()),
            Anonymous::Refuse => None,
        };
        let request_model =
            said.model.clone().and_then(name).or(target.model.clone().and_then(name));
        let model = evidence.model.clone().and_then(name);
        let model = model.or(target.model.and_then(name)).or(said.model.and_then(name));
        let price = price(&gate, &target.provider, model.as_deref(), &amount, began_ms, &evidence);
        let priced = || Some(gate.prices.find(&target.provider, model.as_deref()?).is_some());
        let model_exists = is_success(status) || priced() == Some(true);
        let since = |at: u64| at.saturating_sub(began_ms);
        Record {
            call_id,
            began_ms,
            duration_ms: since(now_ms),
            ttft_ms: first_ms.map(since),
            tenant: who.tenant.get().cloned().or_else(anonymous),
            feature: who.feature.get().cloned(),
            user: who.user.get().cloned(),
            stream: target.api == Api::GeminiStream || said.stream == Some(true),
            request_model,
            provider: target.provider,
            api: target.api,
            model,
            model_exists,
            service_tier: evidence.service_tier.and_then(name),
            status,
            amount,
            price,
            decision: if outcome == Outcome::Refused { Decision::Refuse } else { Decision::Pass },
            outcome,
            trouble: evidence.trouble,
        }
    }

    fn decide(&mut self, at_end: bool) -> Step {
        if self.gate.config.anonymous != Anonymous::Refuse {
            return Step::Continue;
        }
        match &self.who.tenant {
            Name::Settled(Some(_)) => Step::Continue,
            Name::Waiting(_) if !at_end => Step::Hold,
            Name::Waiting(_) | Name::Settled(None) => self.refuse(401, "tenant_unknown", UNKNOWN),
        }
    }

    fn refuse(&mut self, status: u16, code: &'static str, message: &'static str) -> Step {
        self.phase = Phase::Refused(status);
        Step::Refuse(Refusal { shape: self.target.api.shape(), status, code, message })
    }

    fn most_held(&self) -> u64 {
        u64::try_from(self.gate.config.max_buffered).unwrap_or(u64::MAX)
    }
}

/// What the end of a call lets one say about it.
struct Finding {
    status: u32,
    first_ms: Option<u64>,
    amount: Amount,
    outcome: Outcome,
    evidence: Evidence,
}

impl Finding {
    fn refused(status: u16) -> Self {
        Self { status: status.into(), ..Self::nothing(Outcome::Refused) }
    }

    fn unanswered(asked: bool, said: &Said, details: &str) -> Self {
        let amount = match asked && may_have_worked(details) {
            true => Amount::Estimated(estimate::of_silence(said)),
            false => Amount::Absent,
        };
        Self { amount, ..Self::nothing(cut_by(details)) }
    }

    fn nothing(outcome: Outcome) -> Self {
        let evidence = Evidence::default();
        Self { status: 0, first_ms: None, amount: Amount::Absent, outcome, evidence }
    }

    fn answered(reply: Reply, said: &Said, provider: &str, details: &str) -> Self {
        let Reply { status, origin, answer, first_ms, whole } = reply;
        let mut evidence = answer.finish(provider, whole);
        let amount = match (origin, evidence.reported) {
            (From::Envoy, _) => Amount::Absent,
            (From::Silence, _) => Amount::Estimated(estimate::of_silence(said)),
            (From::Upstream, Some(reported)) if evidence.is_final => Amount::Reported(reported),
            (From::Upstream, _) if is_success(status) && !evidence.is_mere_error() => {
                Amount::Estimated(estimate::of_answer(said, &evidence))
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

fn price(
    gate: &Gate,
    provider: &str,
    model: Option<&str>,
    amount: &Amount,
    began_ms: u64,
    evidence: &Evidence,
) -> Price {
    let Some(known) = amount.known() else { return Price::Nothing };
    let terms = Terms {
        at: began_ms.checked_div(1_000).unwrap_or_default(),
        service_tier: evidence.service_tier.as_deref(),
        speed: evidence.speed.as_deref(),
        ..Terms::default()
    };
    let tariff = model.and_then(|model| gate.prices.find(provider, model));
    let cost = tariff.and_then(|tariff| Some((tariff, tariff.cost(&known.usage, &terms)?)));
    match cost {
        None => Price::Unpriced,
        Some((tariff, cost)) if cost.complete => Price::Of(cost.amount, tariff.version().into()),
        Some((tariff, cost)) => Price::AtLeast(cost.amount, tariff.version().into()),
    }
}

/// A name that client or provider has given, if it can stand in a line of a log.
fn name(text: String) -> Option<String> {
    Some(text).filter(|text| is_name(text))
}

/// What an `accept-encoding` must become so that the answer can be read here, if anything.
#[must_use]
pub fn readable_encoding(accepted: &str) -> Option<&'static str> {
    let codings = || {
        let wanted = accepted.split(',').filter(|coding| !is_ruled_out(coding));
        let names = wanted.map(|coding| coding.split(';').next().unwrap_or_default());
        names.map(str::trim).filter(|name| !name.is_empty())
    };
    let is_gzip = |name: &str| name.eq_ignore_ascii_case("gzip");
    if codings().all(|name| is_gzip(name) || name.eq_ignore_ascii_case("identity")) {
        return None;
    }
    Some(if codings().any(is_gzip) { "gzip" } else { "identity" })
}

/// Whether a coding is named only to say that it must not be used: `br;q=0`.
fn is_ruled_out(coding: &str) -> bool {
    let quality = coding.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
    quality.is_some_and(|quality| quality.trim_matches(['0', '.', ' ', '\t']).is_empty())
}

/// Who is to blame for an answer that has no end.
fn cut_by(details: &str) -> Outcome {
    let upstream = details.starts_with("upstream") || details.contains("timeout");
    if upstream { Outcome::UpstreamError } else { Outcome::Aborted }
}

/// Whether the upstream had the call when Envoy or the client gave up on it, going by Envoy's
/// `response.code_details`. Where it never had, nothing can have been done.
fn may_have_worked(details: &str) -> bool {
    let gave_up = ["response_timeout", "upstream_per_try_timeout", "upstream_response_timeout"]
        .iter()
        .chain(&["stream_idle_timeout", "downstream", "upstream_reset_before_response_started"])
        .any(|start| details.starts_with(start));
    let never_had = ["connection_failure", "connection_timeout", "overflow", "no_healthy"];
    gave_up && !never_had.iter().any(|reason| details.contains(reason))
}

const fn is_success(status: u32) -> bool {
    matches!(status, 200..=299)
}

const UNKNOWN: &str =
    "This request does not say whose it is. Send the identity that this gateway asks for.";
const TOO_LARGE: &str = "The request body is larger than this gateway can read before it decides.";

#[cfg(test)]
mod tests;
