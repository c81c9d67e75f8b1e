//! The correspondence with the quota service, and the streams that wait for it.

use super::abi::{self, Buffer, Headers, Level};
use super::stream;
use super::vm::{ASK_MS, NANOS_PER_MILLI, Vm};
use crate::sync::{Answer, VERSION};

/// Sends what calls wait for to the service, at a tick whatever is to be said, unless an ask is
/// under way.
pub(super) fn send(root: u32, is_tick: bool) {
    let Some(gate) = Vm::enter(|vm| vm.gate(root)).flatten() else { return };
    let Some(service) = &gate.config.service else { return };
    let Some(ask) = Vm::enter(|vm| vm.next_ask(&gate, is_tick)).flatten() else { return };
    let body = serde_json::to_vec(&ask).unwrap_or_default();
    let bearer = service.secret.as_ref().map(|secret| format!("Bearer {secret}"));
    let mut headers = vec![
        (":method", "POST"),
        (":path", "/v1/sync"),
        (":authority", service.host.as_str()),
        ("content-type", "application/json"),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let _ = abi::set_context(root);
    let token = abi::post(&service.cluster, &headers, &body, ASK_MS).ok();
    Vm::enter(|vm| vm.sent(&gate, token));
}

/// Takes in the answer to an ask, and decides about the calls that wait for it.
pub(super) fn on_answer(root: u32, token: u32, headers: usize, size: usize) {
    let Some(gate) = Vm::enter(|vm| vm.gate(root)).flatten() else { return };
    let heard = if headers > 0 { read(size) } else { Heard::Nothing };
    match heard {
        Heard::Refused => {
            abi::log(Level::Error, "tollgate: the quota service refuses what it is told");
        }
        Heard::Stale(_) => {
            abi::log(Level::Warn, "tollgate: the quota service has heard another under our number");
        }
        Heard::Answer(_) | Heard::Nothing => {}
    }
    Vm::enter(|vm| vm.answered(&gate, token, heard));
    wake(root, usize::MAX);
    send(root, false);
}

/// What came back of an ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer.
    Answer(Box<Answer>),
    /// That another ask was heard under its number or a later one, and the last of them.
    Stale(u64),
    /// That it will never be taken: the same ask would be refused again.
    Refused,
    /// Nothing that can be read: the ask is sent again.
    Nothing,
}

fn read(size: usize) -> Heard {
    let status = abi::header(Headers::Call, ":status").unwrap_or_default();
    let body = || abi::body(Buffer::Call, 0, size).unwrap_or_default();
    match status.text() {
        "200" => {}
        "409" => return stale(body().as_slice()),
        "400" | "413" | "422" => return Heard::Refused,
        _ => return Heard::Nothing,
    }
    let body = body();
    match serde_json::from_slice(body.as_slice()) {
        Ok(answer @ Answer { v: VERSION, .. }) => Heard::Answer(Box::new(answer)),
        Ok(_) | Err(_) => Heard::Nothing,
    }
}

/// What a conflict says. One that is not the service's own says nothing.
fn stale(body: &[u8]) -> Heard {
    #[derive(serde::Deserialize)]
    struct Stale {
        seq: u64,
    }
    serde_json::from_slice(body).map_or(Heard::Nothing, |Stale { seq }| Heard::Stale(seq))
}

/// Looks after leases and rows, and after calls that wait for what another worker asks for.
pub(super) fn on_tick(root: u32) {
    let Some(gate) = Vm::enter(|vm| vm.gate(root)).flatten() else { return };
    if !gate.decides() {
        return;
    }
    if wake(root, AT_A_TICK) {
        // What they wait for may be this worker's to ask for now.
        send(root, false);
    }
    let every_ms = gate.config.service.as_ref().map_or(LOCAL_TICK_MS, |service| service.sync_ms);
    let now_ms = abi::now() / NANOS_PER_MILLI;
    let looked = Vm::enter(|vm| vm.look_after(&gate, every_ms, now_ms)).flatten();
    if let Some(is_report) = looked {
        Vm::enter(|vm| vm.count_notes(&gate));
        send(root, is_report);
    }
}

/// Decides again about calls that wait, at most so many; tells whether any still does.
fn wake(root: u32, most: usize) -> bool {
    let mut waiting = Vm::enter(|vm| vm.take_waiting(root)).unwrap_or_default();
    if waiting.is_empty() {
        return false;
    }
    let now_ms = abi::now() / NANOS_PER_MILLI;
    // They have their turn at the next tick.
    let mut still = waiting.split_off(most.min(waiting.len()));
    for (id, since) in waiting {
        let waited_ms = now_ms.saturating_sub(since);
        if abi::set_context(id).is_ok() && stream::retry(id, waited_ms) {
            still.push((id, since));
        }
    }
    let _ = abi::set_context(root);
    let waits = !still.is_empty();
    Vm::enter(|vm| vm.keep_waiting(root, still));
    waits
}

/// Calls that are decided again at one tick, so that those which wait long do not keep a worker busy.
const AT_A_TICK: usize = 128;
/// How often slices are looked after where there is no service.
const LOCAL_TICK_MS: u32 = 1_000;
