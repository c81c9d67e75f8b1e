//! Whether a call may pass, and on which model.

use std::rc::Rc;

use super::names::Name;
use super::{Admitted, Exchange, Phase, Refusal, Step, Teller, seconds};
use crate::budget::Demand;
use crate::coding::Fault;
use crate::config::{Anonymous, OnFailure, Unknown, Unpriced};
use crate::desk::{Call, Hold, Known, Mark, Refused, Standing, Verdict, unavailable};
use crate::estimate::{Basis, Learned};
use crate::gate::Target;
use crate::price::{Tariff, Terms};
use crate::provider::Shape;
use crate::record::Decision;
use crate::request::{Change, Most};
use crate::scope::Scope;
use crate::shared::Shared;
use crate::worst::{self, Circumstances, Survey, Unbounded};

impl Exchange {
    pub(super) fn decide(
        &mut self,
        at_end: bool,
        waited_ms: u64,
        teller: Teller<'_, impl Shared>,
    ) -> Step {
        let must_be_known = self.gate.config.anonymous == Anonymous::Refuse;
        match &self.who.tenant {
            Name::Waiting(_) if !at_end && must_be_known => return Step::Hold,
            Name::Waiting(_) | Name::Settled(None) if must_be_known => {
                return self.refuse(None, 401, "tenant_unknown", UNKNOWN.to_owned(), None);
            }
            _ => {}
        }
        let costs = !self.target.api.is_free() && !self.target.api.is_poll();
        match costs.then(|| self.is_unpriced(at_end)) {
            Some(Some(true)) => {
                return self.refuse(None, 403, "model_unpriced", NO_PRICE.to_owned(), None);
            }
            Some(None) => return Step::Hold,
            Some(Some(false)) | None => {}
        }
        match costs && self.gate.decides() {
            false => Step::Continue,
            true if !at_end => Step::Hold,
            true => self.admit(waited_ms, teller),
        }
    }

    fn admit(&mut self, waited_ms: u64, teller: Teller<'_, impl Shared>) -> Step {
        let Teller { desk, shared, now_ms } = teller;
        let gate = Rc::clone(&self.gate);
        let config = &gate.config;
        match self.body.fault() {
            None => {}
            Some(Fault::Busy) => return self.refuse_for(unavailable()),
            Some(_) => {
                return self.refuse(None, 415, "coding_unreadable", UNREADABLE.to_owned(), None);
            }
        }
        if desk.book.is_full() && config.on_failure() == OnFailure::Refuse {
            // There would be no room to write down what it cost.
            return self.refuse_for(unavailable());
        }
        let name = match (self.who.tenant.get(), &config.anonymous) {
            (Some(name), _) | (None, Anonymous::Tenant(name)) => name.clone(),
            (None, Anonymous::Refuse) => return Step::Continue,
        };
        let can_wait = waited_ms < config.patience_ms() && !desk.book.is_away(now_ms);
        let own = gate.own.as_ref().map(|own| desk.known(shared, own, &name, now_ms));
        let known = match own
            .map_or_else(|| desk.tenants.standing(shared, &name, now_ms), Standing::Known)
        {
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
        let teller = Teller { desk, shared, now_ms };
        let verdict = self.judge(teller, &known, (&name, can_wait), waited_ms);
        if config.tell.remaining {
            let scope = self.scope(&name, self.asked_model());
            self.admitted.room = desk.tightest(shared, &known, &scope, now_ms);
        }
        let step = self.take(verdict, &known);
        self.begin_growing(&desk.learned);
        step
    }

    /// What the budgets say. A call that is moved to another model is judged again, as one of that
    /// model: by the budgets that count it, and by what it may cost there.
    fn judge(
        &self,
        Teller { desk, shared, now_ms }: Teller<'_, impl Shared>,
        known: &Known,
        (name, can_wait): (&str, bool),
        waited_ms: u64,
    ) -> Verdict {
        let on_failure = self.gate.config.on_failure();
        let mut moved: Option<(String, String)> = None;
        for moves_left in (0..=MAX_MOVES).rev() {
            let model = moved.as_ref().map(|(to, _)| to.as_str()).or(self.asked_model());
            let call = Call {
                scope: self.scope(name, model),
                expected: self.expected(model, &desk.learned),
                worst: self.survey.as_ref().map(|survey| self.worst(model, survey)),
                shortest: self.shortest().filter(|_| moved.is_none()),
                output: None,
                waited_ms,
                can_change: moves_left > 0 && self.can_change(),
                can_wait,
            };
            match (desk.admit(shared, known, call, on_failure, now_ms), moved) {
                (Verdict::Downgrade(holds, to, budget), before) => {
                    desk.release(shared, holds);
                    // The budget that is named is the one for which the client's model is not kept.
                    let budget = before.map_or(budget, |(_, first)| first);
                    moved = Some((to, budget));
                }
                (Verdict::Pass(holds, _), Some((to, budget))) => {
                    return Verdict::Downgrade(holds, to, budget);
                }
                (verdict, _) => return verdict,
            }
        }
        // The last time round the model could not be changed.
        Verdict::Refuse(unavailable())
    }

    fn scope<'a>(&'a self, name: &'a str, model: Option<&'a str>) -> Scope<'a> {
        Scope {
            feature: self.who.feature.get().map(String::as_str),
            model,
            provider: Some(&self.target.provider),
            key: Some(name),
            unit: self.who.unit.get().map(String::as_str),
        }
    }

    fn take(&mut self, verdict: Verdict, known: &Known) -> Step {
        self.admitted.tenant = Some(known.tenant.id.clone());
        match verdict {
            Verdict::Wait => Step::Wait,
            Verdict::Survey => Step::Survey,
            Verdict::Lower(holds, mark, output) => {
                self.admitted.output = Some(output);
                let most = Most::of(self.target.api, &self.target.provider, output);
                self.body.lower(output);
                let _ = self.pass(holds, mark);
                Step::Change(Change { most, ..Change::default() })
            }
            Verdict::Refuse(refused) => self.refuse_for(refused),
            Verdict::Pass(holds, mark) => self.pass(holds, mark),
            Verdict::Downgrade(holds, to, budget) => {
                self.admitted.hold(holds);
                self.admitted.decision = Some(Decision::Downgrade);
                (self.admitted.budget, self.admitted.model) = (Some(budget), Some(to.clone()));
                Step::Change(Change { model: Some(to), ..Change::default() })
            }
        }
    }

    fn pass(&mut self, holds: Vec<Hold>, mark: Option<Mark>) -> Step {
        let (decision, budget) = match mark {
            None => (Decision::Pass, None),
            Some(Mark::Warn(budget)) => (Decision::Warn, Some(budget)),
            Some(Mark::Shadow(budget)) => (Decision::Shadow, Some(budget)),
        };
        self.admitted.hold(holds);
        (self.admitted.decision, self.admitted.budget) = (Some(decision), budget);
        Step::Continue
    }

    fn admit_unknown(&mut self, unknown: Unknown) -> Step {
        // A name that nobody has is not repeated in metrics and logs.
        self.admitted.tenant = Some(match &self.gate.config.anonymous {
            Anonymous::Tenant(name) => name.clone(),
            Anonymous::Refuse => NOBODY.to_owned(),
        });
        match (unknown, &self.gate.config.anonymous) {
            (Unknown::Allow, Anonymous::Tenant(_)) => Step::Continue,
            _ => self.refuse(None, 403, "tenant_unknown", NOT_A_CUSTOMER.to_owned(), None),
        }
    }

    /// Whether the call must not pass because its model has no price; `None` if the body must tell.
    fn is_unpriced(&self, at_end: bool) -> Option<bool> {
        if self.gate.config.unpriced != Unpriced::Refuse {
            return Some(false);
        }
        let model = match self.target.model.as_deref() {
            None if !at_end => return None,
            in_path => in_path.or(self.asked_model()),
        };
        let tariff = model.and_then(|model| self.prices.find(&self.target.provider, model));
        Some(!tariff.is_some_and(|tariff| tariff.is_priced(seconds(self.began_ms))))
    }

    /// What the call is expected to take on this model.
    pub(super) fn expected(&self, model: Option<&str>, learned: &Learned) -> Demand {
        let rates = learned.rates(model);
        let basis = Basis { api: self.target.api, said: self.body.said(), rates };
        Demand::expected(&basis, self.tariff(model), &self.terms())
    }

    /// The most that it can take on this model.
    fn worst(
        &self,
        model: Option<&str>,
        survey: &Result<Survey, Unbounded>,
    ) -> Result<Demand, Unbounded> {
        let config = &self.gate.config;
        // While its head is held, Envoy can still be told not to send it again.
        let attempts = config.max_attempts.or(self.head_held.then_some(1));
        let around = Circumstances {
            api: self.target.api,
            provider: &self.target.provider,
            model,
            tariff: self.tariff(model),
            attempts: attempts.map(u64::from),
            cost_source: config.cost_source,
            terms: self.terms(),
        };
        worst::demand(survey, &around)
    }

    /// Whether it holds the most that it can take of some budget.
    #[must_use]
    pub const fn holds_most(&self) -> bool {
        self.survey.is_some()
    }

    /// How often Envoy may send the call again, if that must be said.
    #[must_use]
    pub fn resends(&self) -> Option<u32> {
        let config = &self.gate.config;
        let once = self.survey.is_some() && self.head_held && !self.is_refused();
        let most = config.max_attempts.or(once.then_some(1))?;
        Some(most.saturating_sub(1))
    }

    /// The shortest answer worth asking for, where the longest can be cut down.
    fn shortest(&self) -> Option<u64> {
        let Target { api, provider, .. } = &self.target;
        let can = !self.is_fixed() && Most::of(*api, provider, 0).is_some();
        let thought = self.body.said().thought.unwrap_or(0);
        can.then(|| thought.saturating_add(SHORTEST))
    }

    pub(super) fn tariff(&self, model: Option<&str>) -> Option<Tariff<'_>> {
        let prices = &self.prices;
        let provider = &self.target.provider;
        let tariff = model.and_then(|model| prices.find(provider, model));
        let tariff = tariff.map(|tariff| {
            let models = [model, self.target.model.as_deref()];
            tariff.with(prices.multiplier(provider, models, &self.terms()))
        });
        tariff.or_else(|| prices.fallback())
    }

    /// When the call began and where it goes; the rest of its terms only the answer tells.
    pub(super) fn terms(&self) -> Terms<'_> {
        let region = self.target.region.as_deref();
        Terms { at: seconds(self.began_ms), region, ..Terms::default() }
    }

    pub(super) fn asked_model(&self) -> Option<&str> {
        self.body.said().model.as_deref().or(self.target.model.as_deref())
    }

    /// Whether the model stands where it can still be changed.
    fn can_change(&self) -> bool {
        match self.target.model {
            _ if self.target.signed => false,
            Some(_) => self.target.api.shape() == Shape::Google && self.head_held,
            None => {
                let names = self.target.api.names_model() && self.body.said().model.is_some();
                names && !self.is_coded()
            }
        }
    }

    fn refuse_for(&mut self, refused: Refused) -> Step {
        let Refused { budget, status, code, message, retry_after } = refused;
        self.refuse(budget, status, code, message, retry_after)
    }

    pub(super) fn refuse(
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

    pub(super) fn most_held(&self) -> u64 {
        u64::try_from(self.gate.config.max_buffered).unwrap_or(u64::MAX)
    }
}

/// So often a call may be moved to another model: maps that send it round in a circle refuse it.
const MAX_MOVES: u8 = 4;

impl Admitted {
    /// Notes what the call has been given.
    fn hold(&mut self, holds: Vec<Hold>) {
        self.firm = (!holds.is_empty()).then(|| holds.iter().all(Hold::is_firm));
        self.held = holds.iter().filter_map(Hold::dollars).max();
        self.holds = holds;
    }
}

/// Answers of fewer tokens say nothing; some providers refuse to give any.
const SHORTEST: u64 = 16;
/// The tenant of strangers where all calls without a customer are refused.
const NOBODY: &str = "unknown";
const UNKNOWN: &str =
    "This request does not say whose it is. Send the identity that this gateway asks for.";
const NO_PRICE: &str =
    "This gateway passes only calls whose price it knows, and it knows none for this model.";
const UNREADABLE: &str =
    "This gateway cannot read the content coding of this request. Send it without one.";
const NOT_A_CUSTOMER: &str = "This request is not from a customer that this gateway knows.";
