//! One HTTP stream: its callbacks, and what is done about each.

use std::rc::Rc;

use super::abi::{self, Buffer, Headers, SharedData};
use super::entry::Action;
use super::head::Head;
use super::vm::{NANOS_PER_MILLI, Vm};
use super::{attempt, change, facts, service};
use crate::config::LogField;
use crate::exchange::{Close, Exchange, Step, Teller, covers, is_signed, readable_encoding};
use crate::gate::Gate;
use crate::metrics::SKIPPED as SKIPPED_TOTAL;
use crate::record::SKIPPED;
use crate::refusal;
use crate::sync::{Document, Row};
use crate::who::{Lookup, Origin};

/// A stream, by the plugin it belongs to.
pub(super) struct Stream {
    root: u32,
    state: State,
}

enum State {
    /// Nothing has come yet.
    Fresh,
    /// Not a call that is read.
    Skipped(Rc<Gate>),
    /// A call; `read` bytes of its request body have been read from what Envoy holds.
    Call { gate: Rc<Gate>, exchange: Box<Exchange>, read: usize, held: bool },
    /// Settled.
    Over,
}

impl Stream {
    pub(super) const fn new(root: u32) -> Self {
        Self { root, state: State::Fresh }
    }
}

/// Runs `act` on a stream, with the VM free for it to use.
fn with(id: u32, act: impl FnOnce(&mut Stream) -> Action) -> Action {
    let Some(mut stream) = Vm::enter(|vm| vm.take(id)).flatten() else {
        return Action::Continue;
    };
    let action = act(&mut stream);
    Vm::enter(|vm| vm.put(id, stream));
    action
}

pub(super) fn on_request_headers(id: u32, end: bool) -> Action {
    with(id, |stream| {
        let Some(gate) = Vm::enter(|vm| vm.gate(stream.root)).flatten() else {
            return Action::Continue;
        };
        let head = Head::of_request();
        let action = open(id, stream, (&gate, &head), end);
        for name in &gate.config.strip {
            if head.value(name).is_some() {
                let _ = abi::remove_header(Headers::Request, name);
            }
        }
        action
    })
}

fn open(id: u32, stream: &mut Stream, (gate, head): (&Rc<Gate>, &Head), end: bool) -> Action {
    let cluster = if gate.asks_for_cluster() { facts::cluster() } else { String::new() };
    let (method, path, host) = (head.text(":method"), head.text(":path"), head.text(":authority"));
    let Some(mut target) = gate.target(method, path, host, &cluster) else {
        stream.state = State::Skipped(Rc::clone(gate));
        return Action::Continue;
    };
    let authorization = head.text("authorization");
    target.signed = is_signed(authorization, path);
    target.asks_usage &= !target.signed;
    if let Some(readable) = readable_encoding(head.text("accept-encoding"))
        && !covers(authorization, "accept-encoding")
    {
        let _ = abi::replace_header(Headers::Request, "accept-encoding", readable);
    }
    // Of streams that were none of ours something may be left.
    let _ = attempt::spared();
    let now_ms = now_ms();
    let call_id = Vm::enter(Vm::call_id).unwrap_or_default();
    let lookup = |origin: &Origin| match origin {
        Origin::Header(name) if name == "content-encoding" => Lookup::Value(head.joined(name)),
        origin => facts::lookup(head, origin),
    };
    let mut exchange = Exchange::open(Rc::clone(gate), target, call_id, now_ms, lookup);
    let root = stream.root;
    let step = tell(gate, |teller| exchange.on_request_headers(end, teller));
    let held = step == Step::Hold && Vm::enter(|vm| vm.hold(root, id, now_ms)).unwrap_or(false);
    if held {
        exchange.on_head_held();
    } else if exchange.may_ask() || step == Step::Hold && gate.decides() && !exchange.is_fixed() {
        // The body may have to be changed when its length can no longer be told.
        let removed = abi::remove_header(Headers::Request, "content-length");
        if removed.is_err() {
            exchange.stop_asking();
        } else if exchange.may_ask() {
            change::ask_for_plain_answer();
        }
    }
    let mut exchange = Box::new(exchange);
    let action = match step {
        // Where headers cannot be held, the body will be.
        Step::Hold if !held => Action::Continue,
        step => take((id, root), (gate, &mut exchange), step, 0),
    };
    resend(&exchange);
    stream.state = State::Call { gate: Rc::clone(gate), exchange, read: 0, held };
    action
}

/// Tells Envoy how often the request may be sent again, where that matters.
fn resend(exchange: &Exchange) {
    if let Some(times) = exchange.resends() {
        let _ = abi::replace_header(Headers::Request, "x-envoy-max-retries", &times.to_string());
    }
}

pub(super) fn on_request_body(id: u32, size: usize, end: bool) -> Action {
    with(id, |stream| {
        let State::Call { gate, exchange, read, held } = &mut stream.state else {
            return Action::Continue;
        };
        if core::mem::take(held) {
            unhold(stream.root, id, exchange);
        }
        // While the body is held, Envoy shows all of it again, with the new part at its end.
        let fresh = size.saturating_sub(*read);
        let chunk = abi::body(Buffer::Request, *read, fresh).unwrap_or_default();
        let step = tell(gate, |teller| exchange.on_request_body(chunk.as_slice(), end, teller));
        *read = size;
        let call = (&**gate, &mut **exchange);
        let action = take((id, stream.root), call, step, size);
        if action == Action::Continue {
            *read = 0;
        }
        action
    })
}

/// Lets go of a head that was held, now that more has come.
fn unhold(root: u32, id: u32, exchange: &mut Exchange) {
    if Vm::enter(|vm| vm.unhold(root, id, true)) != Some(true) {
        exchange.on_head_gone();
    }
}

/// Decides again about a stream that waits; tells whether it still does.
pub(super) fn retry(id: u32, waited_ms: u64) -> bool {
    let mut waits = false;
    with(id, |stream| {
        let State::Call { gate, exchange, read, .. } = &mut stream.state else {
            return Action::Continue;
        };
        let mut step = tell(gate, |teller| exchange.retry(waited_ms, teller));
        if step == Step::Survey {
            step = look_through(gate, exchange, *read, waited_ms);
        }
        match step {
            Step::Wait => waits = true,
            step => {
                let call = (&**gate, &mut **exchange);
                if take((id, stream.root), call, step, *read) == Action::Continue {
                    *read = 0;
                    let _ = abi::resume_request();
                }
            }
        }
        Action::Continue
    });
    waits
}

pub(super) fn on_request_trailers(id: u32) -> Action {
    with(id, |stream| {
        let State::Call { gate, exchange, held, read } = &mut stream.state else {
            return Action::Continue;
        };
        if core::mem::take(held) {
            unhold(stream.root, id, exchange);
        }
        let step = tell(gate, |teller| exchange.on_request_end(teller));
        let size = *read;
        take((id, stream.root), (&**gate, &mut **exchange), step, size)
    })
}

pub(super) fn on_response_headers(id: u32, end: bool) -> Action {
    with(id, |stream| {
        let State::Call { exchange, .. } = &mut stream.state else { return Action::Continue };
        if exchange.is_refused() {
            return Action::Continue;
        }
        let header = |name| abi::header(Headers::Response, name).unwrap_or_default();
        let status = header(":status").text().parse().unwrap_or(0);
        // A success is the provider's; who made a failure is asked.
        let details = if matches!(status, 200..=299) { String::new() } else { facts::details() };
        let told = |name: &str| -> Option<String> {
            let value = abi::header(Headers::Response, name).ok()?;
            Some(value.text().to_owned())
        };
        exchange.on_answer_head(status, header("content-encoding").text(), &details, told);
        if exchange.strips() && abi::remove_header(Headers::Response, "content-length").is_err() {
            exchange.stop_asking();
        }
        if end {
            exchange.on_answer_end();
        }
        for (name, value) in exchange.told() {
            let _ = abi::replace_header(Headers::Response, name, &value);
        }
        Action::Continue
    })
}

pub(super) fn on_response_body(id: u32, size: usize, end: bool) -> Action {
    with(id, |stream| {
        let State::Call { gate, exchange, .. } = &mut stream.state else {
            return Action::Continue;
        };
        if exchange.is_ended() {
            let _ = abi::replace_body(Buffer::Response, size, b"");
            let _ = abi::close_stream();
            return Action::Continue;
        }
        let chunk = match size {
            0 => abi::Bytes::default(),
            size => abi::body(Buffer::Response, 0, size).unwrap_or_default(),
        };
        exchange.on_answer_body(chunk.as_slice(), end, now_ms);
        if !end && exchange.outgrows() {
            Vm::enter(|vm| vm.tell(gate, |teller| exchange.grow(teller)));
        }
        let is_whole = chunk.as_slice().len() == size;
        let mut left = if is_whole { exchange.strip(chunk.as_slice(), end) } else { None };
        if !end && let Some(cut) = exchange.cut(left.as_deref().unwrap_or(chunk.as_slice())) {
            left = Some(cut);
            if exchange.is_ended() {
                Vm::enter(|vm| vm.close(stream.root, id));
            }
        }
        let kept = left.map(|left| abi::replace_body(Buffer::Response, size, &left));
        if !is_whole || kept.is_some_and(|kept| kept.is_err()) {
            exchange.stop_asking();
        }
        Action::Continue
    })
}

pub(super) fn on_response_trailers(id: u32) -> Action {
    with(id, |stream| {
        if let State::Call { exchange, .. } = &mut stream.state {
            exchange.on_answer_end();
        }
        Action::Continue
    })
}

/// Makes the record of a stream that ends. The first callback to say so is the one that counts.
pub(super) fn settle(id: u32) {
    with(id, |stream| {
        match core::mem::replace(&mut stream.state, State::Over) {
            State::Fresh | State::Over => {}
            State::Skipped(gate) => {
                let _ = attempt::spared();
                if gate.config.access_log.contains(&LogField::Decision) {
                    let _ = abi::set_property("tollgate.decision", SKIPPED);
                }
                if gate.config.metrics.enabled {
                    Vm::enter(|vm| vm.count(SKIPPED_TOTAL, 1));
                }
            }
            State::Call { gate, exchange, held, .. } => {
                if held {
                    Vm::enter(|vm| vm.unhold(stream.root, id, false));
                }
                let attempts = facts::attempts();
                let is_unclear = exchange.is_unclear();
                // What was sent nowhere may have been answered by Envoy itself.
                let details = match is_unclear || attempts == 0 {
                    true => facts::details(),
                    false => String::new(),
                };
                let spared = if attempts > 1 || is_unclear { attempt::spared() } else { 0 };
                let end = Close { details: &details, attempts, spared };
                let closed = Vm::enter(|vm| vm.tell(&gate, |teller| exchange.close(end, teller)));
                let Some((record, charges)) = closed else { return Action::Continue };
                let is_told = gate.config.service.is_some();
                let call = if is_told { record.call() } else { String::new() };
                for &field in &gate.config.access_log {
                    let text = match field {
                        LogField::Call if is_told => Some(call.clone()),
                        field => record.field(field),
                    };
                    if let Some(text) = text {
                        let _ = abi::set_property(&format!("tollgate.{}", field.name()), &text);
                    }
                }
                Vm::enter(|vm| vm.report(&gate, &record));
                if is_told {
                    let row = Row { call: Document::new(call), charges };
                    Vm::enter(|vm| vm.tell(&gate, |teller| teller.desk.book.add(row)));
                }
            }
        }
        Action::Continue
    });
}

/// Runs `act` at the worker's desk.
fn tell(gate: &Gate, act: impl FnOnce(Teller<'_, SharedData>) -> Step) -> Step {
    Vm::enter(|vm| vm.tell(gate, act)).unwrap_or(Step::Continue)
}

/// Shows all of a request's body, of which `size` bytes are held, to a call that needs it.
fn look_through(gate: &Gate, exchange: &mut Exchange, size: usize, waited_ms: u64) -> Step {
    let body = abi::body(Buffer::Request, 0, size).unwrap_or_default();
    tell(gate, |teller| exchange.on_whole_body(body.as_slice(), waited_ms, teller))
}

/// Does what a step says, of a request of whose body `size` bytes are held.
fn take(
    (id, root): (u32, u32),
    (gate, exchange): (&Gate, &mut Exchange),
    step: Step,
    size: usize,
) -> Action {
    let step = match step {
        Step::Survey => look_through(gate, exchange, size, 0),
        step => step,
    };
    let action = act((id, root), (gate, &mut *exchange), step, size);
    if action == Action::Continue && exchange.holds_most() {
        resend(exchange);
    }
    action
}

fn act(
    (id, root): (u32, u32),
    (gate, exchange): (&Gate, &mut Exchange),
    step: Step,
    size: usize,
) -> Action {
    match step {
        // A body that was looked through is not asked for again.
        Step::Continue | Step::Survey => Action::Continue,
        Step::Hold => Action::Pause,
        Step::Wait => {
            if Vm::enter(|vm| vm.wait(root, id)) != Some(true) {
                let step = tell(gate, |teller| exchange.retry(u64::MAX, teller));
                return act((id, root), (gate, exchange), step, size);
            }
            service::send(root, false);
            let _ = abi::set_context(id);
            Action::Pause
        }
        Step::Change(what) => match change::request(what, size) {
            true => Action::Continue,
            false => {
                let step = tell(gate, |teller| exchange.on_unchanged(teller));
                act((id, root), (gate, exchange), step, size)
            }
        },
        Step::Replace(chunk) => {
            let _ = abi::replace_body(Buffer::Request, size, &chunk);
            Action::Continue
        }
        Step::Refuse(refusal) => {
            let body = refusal::body(refusal.shape, refusal.status, refusal.code, &refusal.message);
            let headers = refusal::headers(refusal.shape, refusal.status, refusal.retry_after);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            let details = format!("tollgate_{}", refusal.code);
            // Envoy answers once this callback has returned, and drops what it holds.
            match abi::reply(refusal.status, &details, &headers, &body) {
                Ok(()) => Action::Pause,
                Err(_) => Action::Continue,
            }
        }
    }
}

fn now_ms() -> u64 {
    abi::now() / NANOS_PER_MILLI
}
