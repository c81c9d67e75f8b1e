//! What one worker's VM holds: its plugins, their streams, and the metrics they have made.

use core::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;

use super::abi::{self, Buffer, Kind, Level, SharedData};
use super::attempt::Spared;
use super::service::Heard;
use super::stream::Stream;
use crate::coding::Pool;
use crate::config::Config;
use crate::desk::{Cadence, Desk, Moment, Sender};
use crate::exchange::Teller;
use crate::gate::Gate;
use crate::metrics::{Admitted, CROWDED, Move, PRICES_REFUSED, ROWS_LOST, UNHELD, UNLEASED, moves};
use crate::price::{BookError, Shelf};
use crate::record::Record;
use crate::shared::{NAMESPACE, Shared, count_up, hash, number};
use crate::sync::{Ask, Edition};

#[derive(Default)]
pub(super) struct Vm {
    plugins: HashMap<u32, Plugin>,
    streams: HashMap<u32, Stream>,
    /// By the service's cluster; budgets without a service have an office without a name.
    offices: HashMap<String, Office>,
    admitted: Admitted,
    pub(super) spared: Spared,
    /// The decoders of all configurations.
    pool: Pool,
    /// The host's number for each metric.
    metrics: HashMap<String, u32>,
    /// Who this worker is, once the first call has come.
    reporter: Option<Reporter>,
    calls: u64,
}

/// One configuration that this VM serves.
#[derive(Default)]
struct Plugin {
    gate: Option<Rc<Gate>>,
    /// Streams whose headers are held, and since when.
    held: Vec<(u32, u64)>,
    /// Whether Envoy lets headers be held, once it has shown.
    holds: Option<bool>,
    /// Streams that were resumed because no body came, and when.
    resumed: Vec<(u32, u64)>,
    /// Streams that wait for the service, and since when.
    waiting: Vec<(u32, u64)>,
    /// Streams that are over for their clients, and are to be closed.
    closing: Vec<u32>,
    /// Whether ticks come fast, because calls wait for what another worker asks for.
    hurried: bool,
}

/// What this worker has to do with one quota service. It outlives the configurations that name it.
#[derive(Default)]
struct Office {
    desk: Desk,
    /// The price books that the service has handed out.
    shelf: Shelf,
    /// The call to the service that is under way, and since when.
    under_way: Option<(u32, u64)>,
    ticked_ms: u64,
    ticks: u64,
}

thread_local! {
    static VM: RefCell<Vm> = RefCell::default();
}

impl Vm {
    /// Runs `act` on the VM. Envoy enters a VM once at a time; if it ever did otherwise, the inner
    /// callback would do nothing.
    pub(super) fn enter<T>(act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        VM.with(|vm| vm.try_borrow_mut().ok().map(|mut vm| act(&mut vm)))
    }

    pub(super) fn create(&mut self, id: u32, root: u32) {
        if root == 0 {
            self.plugins.insert(id, Plugin::default());
        } else {
            self.streams.insert(id, Stream::new(root));
        }
    }

    pub(super) fn delete(&mut self, id: u32) {
        self.streams.remove(&id);
        self.plugins.remove(&id);
    }

    pub(super) fn is_plugin(&self, id: u32) -> bool {
        self.plugins.contains_key(&id)
    }

    pub(super) fn configure(&mut self, root: u32, size: usize) -> bool {
        let json = abi::body(Buffer::Configuration, 0, size).unwrap_or_default();
        let mut gate = match Config::parse(json.as_slice()).map(Gate::new) {
            Ok(Ok(gate)) => gate,
            Ok(Err(error)) => return refused(&error.to_string()),
            Err(error) => return refused(&error.to_string()),
        };
        let ticks = gate.config.hold_headers || gate.decides();
        if ticks && abi::set_tick_period(TICK_MS).is_err() {
            return refused("Envoy gives no tick, without which nothing can be waited for");
        }
        self.look_for_prices(&gate);
        let prices = gate.prices();
        let version = prices.version();
        abi::log(Level::Info, &format!("tollgate: configured, prices {version}"));
        gate.places.pool = self.pool.clone();
        let Some(plugin) = self.plugins.get_mut(&root) else { return false };
        plugin.gate = Some(Rc::new(gate));
        true
    }

    pub(super) fn gate(&self, root: u32) -> Option<Rc<Gate>> {
        self.plugins.get(&root)?.gate.clone()
    }

    pub(super) fn take(&mut self, id: u32) -> Option<Stream> {
        self.streams.remove(&id)
    }

    pub(super) fn put(&mut self, id: u32, stream: Stream) {
        self.streams.insert(id, stream);
    }

    /// Whether the headers of a stream may be held; if so, it is looked after from now on.
    pub(super) fn hold(&mut self, root: u32, id: u32, now_ms: u64) -> bool {
        let Some(plugin) = self.plugins.get_mut(&root) else { return false };
        let asked = plugin.gate.as_ref().is_some_and(|gate| gate.config.hold_headers);
        let holds = asked && plugin.holds != Some(false);
        if holds {
            plugin.held.push((id, now_ms));
        }
        holds
    }

    /// A held stream need not be looked after any more. `came` says that something came behind its
    /// headers, which proves that Envoy lets them be held. Tells whether they still were.
    pub(super) fn unhold(&mut self, root: u32, id: u32, came: bool) -> bool {
        let Some(plugin) = self.plugins.get_mut(&root) else { return false };
        let before = plugin.held.len();
        plugin.held.retain(|&(held, _)| held != id);
        let still = plugin.held.len() < before;
        if came && still {
            plugin.holds = Some(true);
        }
        let Some(at) = plugin.resumed.iter().position(|&(resumed, _)| resumed == id) else {
            return still;
        };
        let (_, since) = plugin.resumed.swap_remove(at);
        // A body that comes at once has been there all the time, kept back by Envoy; one that comes
        // later comes from a slow client.
        if came && (abi::now() / NANOS_PER_MILLI).saturating_sub(since) <= AT_ONCE_MS {
            plugin.holds = Some(false);
            abi::log(Level::Warn, UNHELD_WARNING);
        }
        false
    }

    /// Closes a stream with the next tick, unless its upstream is faster.
    pub(super) fn close(&mut self, root: u32, id: u32) {
        if let Some(plugin) = self.plugins.get_mut(&root) {
            plugin.closing.push(id);
        }
    }

    /// Resumes streams that have waited too long for their body: Envoy gives none while headers
    /// are held, unless its own configuration allows for it.
    pub(super) fn tick(&mut self, root: u32) {
        let now_ms = abi::now() / NANOS_PER_MILLI;
        let Some(plugin) = self.plugins.get_mut(&root) else { return };
        for id in core::mem::take(&mut plugin.closing) {
            let _ = abi::set_context(id).and_then(|()| abi::close_stream());
            let _ = abi::set_context(root);
        }
        if plugin.holds == Some(true) {
            return;
        }
        let late = |&&(_, since): &&(u32, u64)| now_ms.saturating_sub(since) >= PATIENCE_MS;
        let overdue: Vec<u32> = plugin.held.iter().filter(late).map(|&(id, _)| id).collect();
        if overdue.is_empty() {
            return;
        }
        plugin.held.retain(|(id, _)| !overdue.contains(id));
        plugin.resumed.extend(overdue.iter().map(|&id| (id, now_ms)));
        for id in overdue {
            let resumed = abi::set_context(id).and_then(|()| abi::resume_request());
            self.count(UNHELD, u64::from(resumed.is_ok()));
        }
        let _ = abi::set_context(root);
    }

    /// A new id for a call, unlike any other of any gateway.
    pub(super) fn call_id(&mut self) -> String {
        self.calls = self.calls.saturating_add(1);
        let Reporter { gateway, worker } = self.reporter.get_or_insert_with(Reporter::new);
        format!("{gateway:016x}-{worker:x}-{:x}", self.calls)
    }

    pub(super) fn report(&mut self, gate: &Gate, record: &Record) {
        if !gate.config.metrics.enabled {
            return;
        }
        let mut shared = SharedData;
        let mut bounds = self.admitted.with(&mut shared, gate.config.metrics);
        for step in moves(record, &mut bounds) {
            match step {
                Move::Count(name, by) => self.count(&name, by),
                Move::Sample(name, value) => {
                    let id = self.metric(Kind::Histogram, &name);
                    let _ = id.and_then(|id| abi::sample(id, value).ok());
                }
            }
        }
    }

    pub(super) fn count(&mut self, name: &str, by: u64) {
        if by > 0 {
            let id = self.metric(Kind::Counter, name);
            let _ = id.and_then(|id| abi::count(id, by).ok());
        }
    }

    fn office(&mut self, gate: &Gate) -> &mut Office {
        let (cluster, desk): (_, fn() -> Desk) = match &gate.config.service {
            Some(service) => (service.cluster.as_str(), Desk::default),
            None => ("", Desk::alone),
        };
        let office = || Office { desk: desk(), ..Office::default() };
        self.offices.entry_ref(cluster).or_insert_with(office)
    }

    /// Runs `act` at the desk where calls of `gate` are decided.
    pub(super) fn tell<T>(
        &mut self,
        gate: &Gate,
        act: impl FnOnce(Teller<'_, SharedData>) -> T,
    ) -> T {
        let desk = &mut self.office(gate).desk;
        let now_ms = abi::now() / NANOS_PER_MILLI;
        act(Teller { desk, shared: &mut SharedData, now_ms })
    }

    /// Lets a stream wait for the service; tells whether there is room for it to.
    pub(super) fn wait(&mut self, root: u32, id: u32) -> bool {
        let Some(plugin) = self.plugins.get_mut(&root) else { return false };
        if plugin.waiting.len() >= MAX_WAITING {
            return false;
        }
        if !plugin.waiting.iter().any(|&(waiting, _)| waiting == id) {
            plugin.waiting.push((id, abi::now() / NANOS_PER_MILLI));
        }
        if !core::mem::replace(&mut plugin.hurried, true) {
            let _ = abi::set_tick_period(HURRY_MS);
        }
        true
    }

    /// Takes the streams that wait, and since when each does.
    pub(super) fn take_waiting(&mut self, root: u32) -> Vec<(u32, u64)> {
        let Some(plugin) = self.plugins.get_mut(&root) else { return Vec::new() };
        core::mem::take(&mut plugin.waiting)
    }

    /// Puts streams back that still wait.
    pub(super) fn keep_waiting(&mut self, root: u32, still: Vec<(u32, u64)>) {
        let Some(plugin) = self.plugins.get_mut(&root) else { return };
        plugin.waiting.extend(still);
        if plugin.waiting.is_empty() && core::mem::take(&mut plugin.hurried) {
            let _ = abi::set_tick_period(TICK_MS);
        }
    }

    /// Looks after leases if it is time again, and tells whether it is time to report calls too. An
    /// ask whose answer Envoy has lost, with the configuration that sent it, is given up.
    pub(super) fn look_after(&mut self, gate: &Gate, every_ms: u32, now_ms: u64) -> Option<bool> {
        let is_worker = self.reporter.is_some();
        if is_worker {
            self.give_up_lost(gate, now_ms);
        }
        let office = self.office(gate);
        if now_ms.saturating_sub(office.ticked_ms) < u64::from(every_ms) {
            return None;
        }
        office.ticked_ms = now_ms;
        self.look_for_prices(gate);
        if !is_worker {
            // No call has come yet. Envoy's main thread has a VM too, to which none ever does.
            return None;
        }
        let from = self.sender();
        let office = self.office(gate);
        office.ticks = office.ticks.wrapping_add(1);
        let mut shared = SharedData;
        let workers = shared.load(&worker_count()).map_or(1, |(count, _)| number(&count));
        let cadence = Cadence::of(workers, every_ms);
        office.desk.tick(&mut shared, cadence, now_ms);
        Some(cadence.is_report(from.worker, office.ticks))
    }

    /// Gives up an ask whose answer Envoy has lost, with the configuration that sent it.
    fn give_up_lost(&mut self, gate: &Gate, now_ms: u64) {
        let from = self.sender();
        let lost_ms = u64::from(ASK_MS).saturating_add(GRACE_MS);
        let office = self.office(gate);
        if office.under_way.is_some_and(|(_, since)| now_ms.saturating_sub(since) > lost_ms) {
            office.under_way = None;
            office.desk.book.on_failure(&from, now_ms);
        }
    }

    /// The next ask to the service, if one is due; `sent` then says under which token it went.
    pub(super) fn next_ask(&mut self, gate: &Gate, is_tick: bool) -> Option<Ask> {
        let mut from = self.sender();
        let patience_ms =
            gate.config.service.as_ref().map_or(0, |service| service.timeout_ms.into());
        let now_ms = abi::now() / NANOS_PER_MILLI;
        let Office { desk: Desk { tenants, book, .. }, shelf, .. } = self.office(gate);
        from.prices = Some(shelf.knows(gate.prices().version(), now_ms));
        book.next(tenants, &from, Moment { now_ms, is_tick, patience_ms })
    }

    pub(super) fn sent(&mut self, gate: &Gate, token: Option<u32>) {
        let from = self.sender();
        let now_ms = abi::now() / NANOS_PER_MILLI;
        let office = self.office(gate);
        office.under_way = token.map(|token| (token, now_ms));
        if token.is_none() {
            office.desk.book.on_failure(&from, now_ms);
        }
    }

    /// Takes in the answer to the ask under way, or its failure. Another call's is passed over.
    pub(super) fn answered(&mut self, gate: &Gate, token: u32, heard: Heard) {
        let from = self.sender();
        let now_ms = abi::now() / NANOS_PER_MILLI;
        let office = self.office(gate);
        if office.under_way.is_none_or(|(expected, _)| expected != token) {
            return;
        }
        office.under_way = None;
        let book = &mut office.desk.book;
        match heard {
            Heard::Answer(mut answer) => {
                let edition = answer.prices.take();
                office.desk.on_answer(&mut SharedData, *answer, now_ms);
                if let Some(edition) = edition {
                    self.receive_prices(gate, &edition, now_ms);
                }
            }
            Heard::Stale(last) => book.on_stale(last, &from, now_ms),
            Heard::Refused => book.on_refusal(&from, now_ms),
            Heard::Nothing => book.on_failure(&from, now_ms),
        }
    }

    /// Takes a price book that the service has sent.
    fn receive_prices(&mut self, gate: &Gate, edition: &Edition, now_ms: u64) {
        let Some(service) = &gate.config.service else { return };
        let shelf = &mut self.office(gate).shelf;
        let taken = shelf.receive(&mut SharedData, &service.cluster, edition, now_ms);
        self.spread_prices(&service.cluster, taken);
    }

    /// Looks whether another worker has been sent a newer price book, and sees that all
    /// configurations which name its service use the newest one for calls to come.
    pub(super) fn look_for_prices(&mut self, gate: &Gate) {
        let Some(service) = &gate.config.service else { return };
        let now_ms = abi::now() / NANOS_PER_MILLI;
        let shelf = &mut self.office(gate).shelf;
        let taken = shelf.look(&SharedData, &service.cluster, now_ms);
        if let Some(book) = shelf.newest() {
            gate.take_book(book);
        }
        self.spread_prices(&service.cluster, taken);
    }

    fn spread_prices(&mut self, cluster: &str, taken: Result<bool, BookError>) {
        match taken {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                abi::log(Level::Error, &format!("tollgate: newer prices refused: {error}"));
                return self.count(PRICES_REFUSED, 1);
            }
        }
        let book = self.offices.get(cluster).and_then(|office| office.shelf.newest());
        let Some(book) = book else { return };
        #[expect(clippy::disallowed_methods, reason = "each takes the same book")]
        let plugins = self.plugins.values();
        for gate in plugins.filter_map(|plugin| plugin.gate.as_ref()) {
            let service = gate.config.service.as_ref();
            if service.is_some_and(|service| service.cluster == cluster) {
                gate.take_book(book);
            }
        }
        abi::log(Level::Info, &format!("tollgate: prices {}", book.version()));
    }

    /// Counts what the desk has noted.
    pub(super) fn count_notes(&mut self, gate: &Gate) {
        let desk = &mut self.office(gate).desk;
        let ((lost, unleased), crowded) = (desk.book.take_counts(), desk.take_crowded());
        self.count(ROWS_LOST, lost);
        self.count(UNLEASED, unleased);
        self.count(CROWDED, crowded);
    }

    fn sender(&mut self) -> Sender {
        let Reporter { gateway, worker } = self.reporter.get_or_insert_with(Reporter::new);
        let gateway = format!("{gateway:016x}");
        Sender { gateway, worker: *worker, node: node(), prices: None }
    }

    /// The host's number for a metric. It makes a new one at each call, so they are kept.
    fn metric(&mut self, kind: Kind, name: &str) -> Option<u32> {
        if let Some(&id) = self.metrics.get(name) {
            return Some(id);
        }
        let id = abi::define_metric(kind, name).ok()?;
        self.metrics.insert(name.to_owned(), id);
        Some(id)
    }
}

fn refused(why: &str) -> bool {
    abi::log(Level::Error, &format!("tollgate: configuration refused: {why}"));
    false
}

/// The process, by the time at which its first worker named it, and this worker's number in it.
struct Reporter {
    gateway: u64,
    worker: u64,
}

impl Reporter {
    fn new() -> Self {
        let key = |name: &str| format!("{NAMESPACE}{name}");
        let incarnation = key("incarnation");
        let mut shared = SharedData;
        let mine = abi::now() ^ hash(node().as_bytes());
        let gateway = match shared.store(&incarnation, &mine.to_le_bytes(), None) {
            Ok(()) => mine,
            Err(_) => shared.load(&incarnation).map_or(mine, |(value, _)| number(&value)),
        };
        // Without a number of its own, a worker takes one from the clock.
        let worker = count_up(&mut shared, &worker_count(), u64::MAX).ok().flatten();
        Self { gateway, worker: worker.unwrap_or_else(abi::now) }
    }
}

/// The key of the number of workers that this process has had.
fn worker_count() -> String {
    format!("{NAMESPACE}workers")
}

/// Envoy's name for itself.
fn node() -> String {
    abi::property("xds\0node\0id").map_or_else(|_| String::new(), |id| id.text().to_owned())
}

pub(super) const NANOS_PER_MILLI: u64 = 1_000_000;
/// More calls of one configuration do not wait at once in one worker: each is decided anew from time
/// to time.
const MAX_WAITING: usize = 4_096;
/// How often held streams are looked after.
const TICK_MS: u32 = 250;
/// The same, while calls wait for what another worker is asking for.
const HURRY_MS: u32 = 10;
/// For how long Envoy waits for the answer to an ask. Calls wait for `timeout_ms`; an answer that
/// is late for them is still good for those to come. The largest `timeout_ms` is as long.
pub(super) const ASK_MS: u32 = 10_000;
/// How much longer than that an ask may take until its answer counts as lost.
const GRACE_MS: u64 = 1_000;
/// A body that comes within this time of a stream's resumption was there before it.
const AT_ONCE_MS: u64 = 20;
/// How long a held stream waits for its body before it is resumed, unless the bodies of others have
/// come. If only its client is slow, it loses nothing but that the upstream hears of it earlier.
const PATIENCE_MS: u64 = 1_000;
const UNHELD_WARNING: &str = "tollgate: no body came while headers were held. Set \
    `allow_on_headers_stop_iteration: true` in Envoy's plugin configuration, or `hold_headers: \
    false` in Tollgate's. Headers are no longer held in this worker.";
