//! One call from its first header to its last byte.
//!
//! The host reports what happens, in order, and does what the [`Step`] says. Nothing is decided
//! elsewhere. If a decision needs the body, the request waits for its end; if none does, the body
//! is read as it passes. Whatever becomes of the call, [`Exchange::close`] makes its one record.

mod finding;
mod names;

use std::rc::Rc;

use crate::budget::{Expected, Used};
use crate::config::{Anonymous, OnFailure, Unknown};
use crate::desk::{Call, Desk, Hold, Known, Mark, Refused, Standing, Verdict, unavailable};
use crate::gate::{Gate, Target};
use crate::price::Terms;
use crate::provider::{Answer, Api, Evidence, Shape};
use crate::record::{Amount, Decision, Outcome, Price, Record};
use crate::request::Body;
use crate::shared::Shared;
use crate::sync::Charge;
use crate::who::{Lookup, Origin, is_name};
use finding::{Finding, From, Reply, is_success, may_have_worked};
use names::{Name, Who};

/// What the host must do next.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Let the stream go on.
    Continue,
    /// Let nothing more of the request out, and wait for more of it.
    Hold,
    /// Let nothing of the request out until the service has been asked, then [`Exchange::retry`].
    Wait,
    /// Let the stream go on, with the request's model changed to this one.
    Change(String),
    /// Answer the client in the provider's place.
    Refuse(Refusal),
}

/// An answer in the provider's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The dialect of the answer.
    pub shape: Shape,
    /// The status.
    pub status: u16,
    /// The stable code, for programs.
    pub code: &'static str,
    /// The sentence, for people.
    pub message: String,
    /// In how many seconds it is worth while to try again, where that is known.
    pub retry_after: Option<u64>,
}

/// A worker's desk, and what it works with at this moment.
#[derive(Debug)]
pub struct Teller<'a, S> {
    /// What the worker knows.
    pub desk: &'a mut Desk,
    /// What all workers share.
    pub shared: &'a mut S,
    /// The time in milliseconds since 1970 UTC.
    pub now_ms: u64,
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
    /// Whether the request's head has not gone out, so that its path can still be changed.
    head_held: bool,
    admitted: Admitted,
    phase: Phase,
}

/// What was decided about a call that is let through.
#[derive(Debug, Default)]
struct Admitted {
    /// The tenant's id, if it is another than its name.
    tenant: Option<String>,
    holds: Vec<Hold>,
    decision: Option<Decision>,
    budget: Option<String>,
    /// The model that it was moved to.
    model: Option<String>,
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
        Self {
            gate,
            target,
            call_id,
            began_ms: now_ms,
            who,
            body,
            asked: false,
            head_held: false,
            admitted: Admitted::default(),
            phase: Phase::Asking,
        }
    }

    /// Decides by the headers alone, or says that the request must wait for its body.
    pub fn on_request_headers(&mut self, end: bool, teller: Teller<'_, impl Shared>) -> Step {
        if end { self.on_request_end(teller) } else { self.decide(false, true, teller) }
    }

    /// Notes that the request's head waits for its body.
    pub const fn on_head_held(&mut self) {
        self.head_held = true;
    }

    /// Reads a chunk of the request body.
    pub fn on_request_body(
        &mut self,
        chunk: &[u8],
        end: bool,
        teller: Teller<'_, impl Shared>,
    ) -> Step {
        if self.asked || self.is_refused() {
            return Step::Continue;
        }
        self.body.feed(chunk);
        if end {
            return self.on_request_end(teller);
        }
        match self.decide(false, true, teller) {
            Step::Hold if self.body.said().bytes > self.most_held() => {
                self.refuse(None, 413, "body_too_large", TOO_LARGE.to_owned(), None)
            }
            step => step,
        }
    }

    /// Ends the request: all that can be known of it is.
    pub fn on_request_end(&mut self, teller: Teller<'_, impl Shared>) -> Step {
        if self.asked || self.is_refused() {
            return Step::Continue;
        }
        self.asked = true;
        self.who.settle(&self.gate.config, self.body.said());
        self.decide(true, true, teller)
    }

    /// Decides again about a call that waits, after news from the service; for the last time if it
    /// must not wait any longer.
    pub fn retry(&mut self, can_wait: bool, teller: Teller<'_, impl Shared>) -> Step {
        if self.asked && matches!(self.phase, Phase::Asking) {
            self.decide(true, can_wait, teller)
        } else {
            Step::Continue
        }
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

    /// The model asked for and the one it was changed to, if it was.
    #[must_use]
    pub fn downgrade(&self) -> Option<(&str, &str)> {
        let to = self.admitted.model.as_deref()?;
        Some((self.asked_model().unwrap_or_default(), to))
    }

    /// Ends the call: settles what it was given, and makes its record and its row. `details` are
    /// Envoy's `response.code_details` by now.
    pub fn close(self, details: &str, teller: Teller<'_, impl Shared>) -> (Record, Vec<Charge>) {
        let Teller { desk, shared, now_ms } = teller;
        let Self { gate, target, call_id, began_ms, mut who, body, asked, admitted, phase, .. } =
            self;
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
        let refused = outcome == Outcome::Refused;
        let used = Used::of(amount.known(), price.known(), outcome == Outcome::Ok);
        let charges = desk.settle(shared, admitted.holds, &used);
        let passed = admitted.decision.unwrap_or(Decision::Pass);
        let record = Record {
            call_id,
            began_ms,
            duration_ms: since(now_ms),
            ttft_ms: first_ms.map(since),
            tenant: admitted.tenant.or_else(|| who.tenant.get().cloned()).or_else(anonymous),
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
            decision: if refused { Decision::Refuse } else { passed },
            budget: admitted.budget,
            outcome,
            trouble: evidence.trouble,
        };
        (record, charges)
    }

    fn decide(&mut self, at_end: bool, can_wait: bool, teller: Teller<'_, impl Shared>) -> Step {
        let must_be_known = self.gate.config.anonymous == Anonymous::Refuse;
        match &self.who.tenant {
            Name::Waiting(_) if !at_end && must_be_known => return Step::Hold,
            Name::Waiting(_) | Name::Settled(None) if must_be_known => {
                return self.refuse(None, 401, "tenant_unknown", UNKNOWN.to_owned(), None);
            }
            _ => {}
        }
        match self.gate.decides() {
            false => Step::Continue,
            true if !at_end => Step::Hold,
            true => self.admit(can_wait, teller),
        }
    }

    fn admit(&mut self, can_wait: bool, teller: Teller<'_, impl Shared>) -> Step {
        let Teller { desk, shared, now_ms } = teller;
        let gate = Rc::clone(&self.gate);
        let config = &gate.config;
        let name = match (self.who.tenant.get(), &config.anonymous) {
            (Some(name), _) | (None, Anonymous::Tenant(name)) => name.clone(),
            (None, Anonymous::Refuse) => return Step::Continue,
        };
        let can_wait = can_wait && !desk.book.is_away(now_ms);
        let known = match desk.tenants.standing(shared, &name, now_ms) {
            Standing::Known(known) => known,
            Standing::Unknown => return self.admit_unknown(config.on_unknown()),
            Standing::Asked if can_wait => return Step::Wait,
            Standing::Asked => match desk.tenants.last_known(shared, &name, now_ms) {
                Some(known) => known,
                None if config.on_failure() == OnFailure::Refuse => {
                    return self.refuse_for(unavailable());
                }
                None => {
                    desk.book.note_unleased();
                    return Step::Continue;
                }
            },
        };
        let model = self.asked_model().map(str::to_owned);
        let call = Call {
            feature: self.who.feature.get().map(String::as_str),
            model: model.as_deref(),
            expected: self.expected(),
            can_change: self.can_change(),
            can_wait,
        };
        let verdict = desk.admit(shared, &known, call, config.on_failure(), now_ms);
        self.take(verdict, &known)
    }

    fn take(&mut self, verdict: Verdict, known: &Known) -> Step {
        self.admitted.tenant = Some(known.tenant.id.clone());
        match verdict {
            Verdict::Wait => Step::Wait,
            Verdict::Refuse(refused) => self.refuse_for(refused),
            Verdict::Pass(holds, mark) => {
                let (decision, budget) = match mark {
                    None => (Decision::Pass, None),
                    Some(Mark::Warn(budget)) => (Decision::Warn, Some(budget)),
                    Some(Mark::Shadow(budget)) => (Decision::Shadow, Some(budget)),
                };
                self.admitted.holds = holds;
                (self.admitted.decision, self.admitted.budget) = (Some(decision), budget);
                Step::Continue
            }
            Verdict::Downgrade(holds, to, budget) => {
                self.admitted.holds = holds;
                self.admitted.decision = Some(Decision::Downgrade);
                (self.admitted.budget, self.admitted.model) = (Some(budget), Some(to.clone()));
                Step::Change(to)
            }
        }
    }

    fn admit_unknown(&mut self, unknown: Unknown) -> Step {
        match (unknown, &self.gate.config.anonymous) {
            // A name that nobody has is not repeated in metrics and logs.
            (Unknown::Allow, Anonymous::Tenant(name)) => {
                self.admitted.tenant = Some(name.clone());
                Step::Continue
            }
            _ => self.refuse(None, 403, "tenant_unknown", NOT_A_CUSTOMER.to_owned(), None),
        }
    }

    /// What the call may take, by the model it asks for.
    fn expected(&self) -> Expected {
        let prices = &self.gate.prices;
        let tariff = self.asked_model().and_then(|m| prices.find(&self.target.provider, m));
        Expected::of(self.body.said(), tariff, seconds(self.began_ms))
    }

    fn asked_model(&self) -> Option<&str> {
        self.body.said().model.as_deref().or(self.target.model.as_deref())
    }

    /// Whether the model stands where it can still be changed.
    fn can_change(&self) -> bool {
        match self.target.api.shape() {
            Shape::Google => self.head_held,
            Shape::OpenAi | Shape::Anthropic => {
                self.target.model.is_none() && self.body.said().model.is_some()
            }
        }
    }

    fn refuse_for(&mut self, refused: Refused) -> Step {
        let Refused { budget, status, code, message, retry_after } = refused;
        self.refuse(budget, status, code, message, retry_after)
    }

    fn refuse(
        &mut self,
        budget: Option<String>,
        status: u16,
        code: &'static str,
        message: String,
        retry_after: Option<u64>,
    ) -> Step {
        self.phase = Phase::Refused(status);
        self.admitted.budget = budget;
        Step::Refuse(Refusal { shape: self.target.api.shape(), status, code, message, retry_after })
    }

    fn most_held(&self) -> u64 {
        u64::try_from(self.gate.config.max_buffered).unwrap_or(u64::MAX)
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
        at: seconds(began_ms),
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

const fn seconds(millis: u64) -> u64 {
    millis / 1_000
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

const UNKNOWN: &str =
    "This request does not say whose it is. Send the identity that this gateway asks for.";
const TOO_LARGE: &str = "The request body is larger than this gateway can read before it decides.";

const NOT_A_CUSTOMER: &str = "This request is not from a customer that this gateway knows.";

#[cfg(test)]
mod tests;
