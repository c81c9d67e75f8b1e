//! One call from its first header to its last byte.
//!
//! The host reports what happens, in order, and does what the [`Step`] says. Nothing is decided
//! elsewhere. If a decision needs the body, the request waits for its end; if none does, the body
//! is read as it passes. Whatever becomes of the call, [`Exchange::close`] makes its one record.

mod admission;
mod asking;
mod background;
mod cost;
mod ending;
mod finding;
mod growing;
mod names;
mod telling;

use std::rc::Rc;

use crate::budget::Used;
use crate::coding::decoded;
use crate::config::Anonymous;
use crate::desk::{Desk, Hold, Room};
use crate::estimate::Basis;
use crate::gate::{Gate, Target};
use crate::price::Prices;
use crate::provider::{Answer, Shape, Trouble};
use crate::record::{Amount, Decision, Outcome, Record};
use crate::request::{Body, Change};
use crate::scope::Scope;
use crate::shared::{Shared, is_new};
use crate::sync::Charge;
use crate::who::{Lookup, Origin, is_name};
use crate::worst::{Survey, Unbounded, survey};
use asking::{Asking, is_plain};
pub use asking::{covers, is_signed};
use cost::Bill;
use ending::Ending;
use finding::{Finding, From, Reply, is_success, may_have_worked};
use growing::Growth;
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
    /// Let nothing of the request out, and show all of its body to [`Exchange::on_whole_body`].
    Survey,
    /// Let the stream go on, with this change made to all of its request.
    Change(Change),
    /// Let the stream go on, with this in the place of the part of its body that has just come.
    Replace(Vec<u8>),
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

/// What Envoy says of a call that is over.
#[derive(Clone, Copy, Debug)]
pub struct Close<'a> {
    /// `response.code_details`.
    pub details: &'a str,
    /// How often the call was sent upstream, as far as Envoy counts: one, and one for each retry;
    /// zero where it was not, or Envoy does not say.
    pub attempts: u64,
    /// How many of these are known to have cost nothing; the last may be among them.
    pub spared: u64,
}

impl<'a> Close<'a> {
    /// The end of a call that was not sent again.
    #[must_use]
    pub const fn new(details: &'a str) -> Self {
        Self { details, attempts: 1, spared: 0 }
    }
}

/// One call.
#[derive(Debug)]
pub struct Exchange {
    gate: Rc<Gate>,
    /// Those that it came in with.
    prices: Rc<Prices>,
    target: Target,
    call_id: String,
    began_ms: u64,
    who: Who,
    body: Body,
    /// The body's `content-encoding`; empty for none. A body that has one is not changed.
    coding: String,
    /// Whether all of the request has come. An answer may begin before it has.
    asked: bool,
    /// Whether what has come of it is kept back until the service has been heard.
    waits: bool,
    /// Whether the request's head has not gone out, so that its path can still be changed.
    head_held: bool,
    admitted: Admitted,
    asking: Asking,
    /// What the request says of the most that it can come to, once somebody needs to know.
    survey: Option<Result<Survey, Unbounded>>,
    ending: Ending,
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
    /// How long its answer may become, if that was cut down.
    output: Option<u64>,
    /// How its holds grow with its stream.
    growth: Growth,
    /// What the client may be told of its budgets.
    room: Option<Room>,
    /// What its holds of dollars stand for, in nano-dollars.
    held: Option<u64>,
    /// Whether it can use no more than it holds; `None` where it holds nothing.
    firm: Option<bool>,
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
        let mut header = |name: &str| match lookup(&Origin::Header(name.to_owned())) {
            Lookup::Value(text) => String::from_utf8_lossy(&text).into_owned(),
            Lookup::Absent | Lookup::NotYet => String::new(),
        };
        let coding = header("content-encoding");
        let content_type =
            if target.api.takes_forms() { header("content-type") } else { String::new() };
        let config = &gate.config;
        let who = Who {
            tenant: Name::ask(&config.tenant, &mut lookup),
            feature: Name::ask(&config.feature, &mut lookup),
            user: Name::ask(&config.user, &mut lookup),
            unit: Name::ask(&config.unit, &mut lookup),
        };
        let mut body = Body::new(&gate.questions(target.api), &content_type);
        if !is_plain(&coding) {
            body = body.coded(&coding, &gate.places.pool.for_requests());
        }
        Self {
            prices: gate.prices(),
            gate,
            target,
            call_id,
            began_ms: now_ms,
            who,
            body,
            coding,
            asked: false,
            waits: false,
            head_held: false,
            admitted: Admitted::default(),
            asking: Asking::No,
            survey: None,
            ending: Ending::No,
            phase: Phase::Asking,
        }
    }

    /// Decides by the headers alone, or says that the request must wait for its body.
    pub fn on_request_headers(&mut self, end: bool, teller: Teller<'_, impl Shared>) -> Step {
        if end {
            return self.on_request_end(teller);
        }
        let step = self.decide(false, 0, teller);
        self.begin_asking(step)
    }

    /// Notes that the request's head waits for its body.
    pub const fn on_head_held(&mut self) {
        self.head_held = true;
    }

    /// Notes that the request's head has gone out before its body came.
    pub const fn on_head_gone(&mut self) {
        self.head_held = false;
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
        let step = match end {
            true => self.on_request_end(teller),
            false => match self.decide(false, 0, teller) {
                Step::Hold if self.body.said().bytes > self.most_held() => {
                    self.refuse(None, 413, "body_too_large", TOO_LARGE.to_owned(), None)
                }
                step => step,
            },
        };
        self.go_on_asking(step, chunk)
    }

    /// Ends the request: all that can be known of it is.
    pub fn on_request_end(&mut self, teller: Teller<'_, impl Shared>) -> Step {
        if self.asked || self.is_refused() {
            return Step::Continue;
        }
        self.asked = true;
        self.body.finish();
        self.who.settle(&self.gate.config, self.body.said());
        let step = self.decide(true, 0, teller);
        self.waits = step == Step::Wait;
        self.end_asking(step)
    }

    /// Decides again about a call that has waited for so many milliseconds.
    pub fn retry(&mut self, waited_ms: u64, teller: Teller<'_, impl Shared>) -> Step {
        if self.asked && matches!(self.phase, Phase::Asking) {
            let step = self.decide(true, waited_ms, teller);
            self.waits = step == Step::Wait;
            self.end_asking(step)
        } else {
            Step::Continue
        }
    }

    /// Looks through all of the request's body, and decides again.
    pub fn on_whole_body(
        &mut self,
        body: &[u8],
        waited_ms: u64,
        teller: Teller<'_, impl Shared>,
    ) -> Step {
        let api = self.target.api;
        self.survey = Some(match self.is_coded() {
            false => survey(api, body),
            true => {
                let Gate { config, places, .. } = &*self.gate;
                decoded(body, &self.coding, config.max_buffered, &places.pool)
                    .ok_or(Unbounded::Coding)
                    .and_then(|body| survey(api, &body))
            }
        });
        self.retry(waited_ms, teller)
    }

    /// Refuses a call whose request could not be changed as was decided: nothing of it is used.
    pub fn on_unchanged(&mut self, teller: Teller<'_, impl Shared>) -> Step {
        let holds = core::mem::take(&mut self.admitted.holds);
        teller.desk.release(teller.shared, holds);
        self.admitted.output = None;
        self.refuse(None, 403, "request_too_large", UNCHANGED.to_owned(), None)
    }

    /// Notes the head of the answer: its status, its `content-encoding` (empty for none), and
    /// Envoy's `response.code_details`, which tell who made it.
    /// `header` tells the value of another of its headers.
    pub fn on_answer_head(
        &mut self,
        status: u32,
        content_encoding: &str,
        details: &str,
        header: impl FnMut(&str) -> Option<String>,
    ) {
        if !matches!(self.phase, Phase::Asking) {
            return;
        }
        let origin = match details {
            "" | "via_upstream" => From::Upstream,
            details if self.asked && !self.waits && may_have_worked(details) => From::Silence,
            _ => From::Envoy,
        };
        let mut answer = Answer::new(&self.gate.places, self.target.api, content_encoding);
        answer.read_head(header);
        if let Some(model) = &self.target.model {
            answer.note_asked(model);
        }
        if origin == From::Upstream && is_success(status) {
            self.begin_stripping(content_encoding);
        }
        self.phase = Phase::Answering(Box::new(Reply {
            status,
            origin,
            answer,
            first_ms: None,
            whole: false,
            plain: is_plain(content_encoding),
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

    /// Whether it takes Envoy's `response.code_details` to tell how the call ended.
    #[must_use]
    pub const fn is_unclear(&self) -> bool {
        match &self.phase {
            Phase::Answering(reply) => !reply.whole || !is_success(reply.status),
            Phase::Asking => true,
            Phase::Refused(_) => false,
        }
    }

    /// Whether nothing of its body may be changed: the client has signed it, or it is in a coding.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.target.signed || self.is_coded()
    }

    fn is_coded(&self) -> bool {
        !is_plain(&self.coding)
    }

    /// The model asked for and the one it was changed to, if it was.
    #[must_use]
    pub fn downgrade(&self) -> Option<(&str, &str)> {
        let to = self.admitted.model.as_deref()?;
        Some((self.asked_model().unwrap_or_default(), to))
    }

    /// Ends the call: settles what it was given, and makes its record and its row.
    pub fn close(self, end: Close<'_>, teller: Teller<'_, impl Shared>) -> (Record, Vec<Charge>) {
        let Close { details, attempts, spared } = end;
        let Teller { desk, shared, now_ms } = teller;
        let cut = self.is_ended();
        let asked = self.asked && !self.waits;
        let Self { gate, prices, target, began_ms, mut who, body, phase, .. } = self;
        let (call_id, mut admitted) = (self.call_id, self.admitted);
        let unread = body.fault().map(|_| Trouble::Request);
        let said = body.end();
        // Of a body that broke off, too, what it has said holds.
        who.settle(&gate.config, &said);
        let asked_model = said.model.as_deref().or(target.model.as_deref());
        let rates = desk.learned.rates(asked_model);
        let basis = Basis { api: target.api, said: &said, rates };
        let Finding { status, first_ms, mut amount, outcome, evidence } = match phase {
            Phase::Answering(mut reply) => {
                let is_local = attempts == 0 && !matches!(details, "" | "via_upstream");
                if reply.whole && reply.origin == From::Upstream && is_local {
                    reply.origin = From::Envoy;
                }
                Finding::answered(*reply, &basis, &target, details)
            }
            Phase::Refused(status) => Finding::refused(status),
            Phase::Asking => Finding::unanswered(asked, &basis, details),
        };
        if let (Amount::Reported(reported), Some(model)) = (&amount, asked_model) {
            desk.learned.learn(model, &said, &evidence, reported);
        }
        // What became of the other earlier attempts nobody knows. Each may have been all of the work.
        let works = !target.api.is_free() && !target.api.is_poll();
        let last_failed = u64::from(!is_success(status));
        let spared = spared.saturating_sub(last_failed);
        for _ in 1..attempts.saturating_sub(spared).min(if works { MAX_ATTEMPTS } else { 1 }) {
            amount = amount.and_estimated(basis.unanswered());
        }
        let again =
            evidence.told_again.as_deref().filter(|_| matches!(amount, Amount::Reported(_)));
        if again.is_some_and(|id| !is_new(shared, TOLD, id)) {
            amount = Amount::Absent;
        }
        let anonymous = || match &gate.config.anonymous {
            Anonymous::Tenant(name) => Some(name.clone()),
            Anonymous::Refuse => None,
        };
        let request_model =
            said.model.clone().and_then(name).or(target.model.clone().and_then(name));
        let answered = evidence.model.clone().and_then(name);
        let named = target.model.clone().and_then(name);
        let model = match target.is_charged_by_path() {
            true => named.or(answered),
            false => answered.or(named),
        };
        let model = model.or(said.model.and_then(name));
        let asked_for = admitted.model.as_deref().or(request_model.as_deref());
        let source = gate.config.cost_source;
        let provider = &target.provider;
        let bill = Bill { prices: &prices, source, target: &target, began_ms, evidence: &evidence };
        let (price, said_cost) = bill.of(&amount, [model.as_deref(), asked_for]);
        let priced = || Some(prices.find(provider, model.as_deref()?).is_some());
        let model_exists = is_success(status) || priced() == Some(true);
        let since = |at: u64| at.saturating_sub(began_ms);
        let refused = outcome == Outcome::Refused;
        let used = Used::of(amount.known(), price.known(), outcome == Outcome::Ok);
        if target.api.is_poll() && amount.known().is_some() {
            let whose = who.tenant.get().cloned().or_else(anonymous);
            let scope = Scope {
                feature: who.feature.get().map(String::as_str),
                model: model.as_deref(),
                provider: Some(provider),
                key: whose.as_deref(),
                unit: who.unit.get().map(String::as_str),
            };
            let teller = Teller { desk: &mut *desk, shared: &mut *shared, now_ms };
            if let Some((known, holds)) = background::owed(&gate, &scope, teller) {
                admitted.tenant = Some(known.tenant.id.clone());
                admitted.holds = holds;
            }
        }
        let charges = desk.settle(shared, admitted.holds, &used);
        let passed = admitted.decision.unwrap_or(Decision::Pass);
        let passed = if cut { Decision::End } else { passed };
        let record = Record {
            call_id,
            began_ms,
            duration_ms: since(now_ms),
            ttft_ms: first_ms.map(since),
            tenant: admitted.tenant.or_else(|| who.tenant.get().cloned()).or_else(anonymous),
            feature: who.feature.get().cloned(),
            user: who.user.get().cloned(),
            unit: who.unit.get().cloned(),
            stream: target.api.streams() || said.stream.unwrap_or(target.api.streams_unasked()),
            request_model,
            provider: target.provider,
            api: target.api,
            model,
            model_exists,
            service_tier: evidence.service_tier.and_then(name),
            region: target.region,
            status,
            amount,
            attempts: attempts.max(1),
            price,
            said_cost,
            decision: if refused { Decision::Refuse } else { passed },
            budget: admitted.budget,
            firm: admitted.firm,
            outcome,
            trouble: evidence.trouble.or(unread.filter(|_| is_success(status))),
        };
        (record, charges)
    }
}

const UNCHANGED: &str =
    "This request needs more than is left of its account's limit. Ask for a shorter answer.";

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

/// More than any retry policy allows.
const MAX_ATTEMPTS: u64 = 32;
/// The set of work in the background whose usage has been told.
const TOLD: &str = "told";
const TOO_LARGE: &str = "The request body is larger than this gateway can read before it decides.";

#[cfg(test)]
mod tests;
