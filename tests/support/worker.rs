//! A worker: one thread, and so one VM, with the host it speaks to.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use tollgate::host::entry;

use super::call::{Call, Request};
use super::dialect::CANARY;
use super::host::{Host, Process, Status, Stream};
use super::{abi, manager};

/// The context of the plugin.
pub(crate) const ROOT: u32 = 1;

type Job = Box<dyn FnOnce() + Send>;

/// A worker. It is checked, when it ends, that it has told nobody what prompts and answers said.
pub(crate) struct Worker {
    jobs: Sender<Job>,
    /// The context opened last.
    streams: AtomicU32,
}

impl Worker {
    /// The only worker of a process, with a plugin of this configuration.
    pub(crate) fn new(configuration: &str) -> Self {
        let worker = Self::in_process(&Arc::default());
        assert!(worker.configure(configuration), "refused: {:?}", worker.log());
        worker
    }

    /// A worker of this process, with a plugin that has no configuration yet.
    pub(crate) fn in_process(process: &Arc<Mutex<Process>>) -> Self {
        let (jobs, queue) = channel::<Job>();
        thread::spawn(move || queue.into_iter().for_each(|job| job()));
        let worker = Self { jobs, streams: ROOT.into() };
        let process = Arc::clone(process);
        worker.run(move || {
            abi::with(|host| *host = Host::of(process));
            assert!(entry::proxy_on_vm_start(0, 0));
            entry::proxy_on_context_create(ROOT, 0);
        });
        worker
    }

    /// The same worker, in an Envoy that lets headers be held.
    pub(crate) fn that_lets_headers_be_held(self) -> Self {
        self.host(|host| host.lets_headers_be_held = true);
        self
    }

    pub(super) fn run<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (result, answer) = channel();
        let job = move || result.send(catch_unwind(AssertUnwindSafe(act))).unwrap();
        self.jobs.send(Box::new(job)).unwrap();
        answer.recv().unwrap().unwrap_or_else(|panic| resume_unwind(panic))
    }

    pub(crate) fn host<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Host) -> T + Send + 'static,
    ) -> T {
        self.run(|| abi::with(act))
    }

    /// Gives the plugin a configuration, and tells whether it took it.
    pub(crate) fn configure(&self, json: &str) -> bool {
        let json = json.as_bytes().to_vec();
        self.run(move || {
            let size = json.len();
            abi::with(|host| {
                host.configuration = json;
                host.context = ROOT;
            });
            entry::proxy_on_configure(ROOT, size)
        })
    }

    /// Deletes the plugin, as Envoy does once its last stream should be over.
    pub(crate) fn forget_plugin(&self) {
        self.run(|| {
            assert!(entry::proxy_on_done(ROOT));
            entry::proxy_on_delete(ROOT);
        });
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.host(move |host| host.now += millis * 1_000_000);
    }

    pub(crate) fn tick(&self) {
        self.run(|| manager::tick(ROOT));
    }

    /// Lets calls fail: the function of this name, or all of them.
    pub(crate) fn fail(&self, function: Option<&'static str>, status: Status) {
        self.host(move |host| match function {
            Some(name) => drop(host.faults.insert(name, status)),
            None => host.fault = Some(status),
        });
    }

    /// Tells the filter the answer to the call that it sent last.
    pub(crate) fn tell(&self, status: u32, body: &[u8]) {
        let (status, body) = (status.to_string().into_bytes(), body.to_vec());
        self.run(move || {
            let size = body.len();
            let last = abi::with(|host| {
                host.context = ROOT;
                host.told = Some((status, body));
                host.calls.len()
            });
            entry::proxy_on_http_call_response(ROOT, last.try_into().unwrap(), 1, size, 0);
            abi::with(|host| host.told = None);
        });
    }

    /// Ends an attempt that the router logs, of which Envoy tells these properties.
    pub(crate) fn end_attempt(&self, properties: &[(&str, &[u8])]) {
        let told = properties.iter().map(|(path, value)| ((*path).to_owned(), value.to_vec()));
        let properties = told.collect();
        self.run(move || {
            abi::with(|host| {
                host.context = ROOT;
                host.streams.insert(ROOT, Stream { properties, ..Stream::default() });
            });
            entry::proxy_on_log(ROOT);
            abi::with(|host| drop(host.streams.remove(&ROOT)));
        });
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.host(|host| host.log.clone())
    }

    /// The counters of the process, by their names.
    pub(crate) fn counters(&self) -> BTreeMap<String, u64> {
        self.host(|host| host.process().counters.clone())
    }

    /// The sum of all counters whose names have these parts.
    pub(crate) fn counted(&self, parts: &[&str]) -> u64 {
        let counters = self.counters().into_iter();
        counters.filter(|(name, _)| parts.iter().all(|part| name.contains(part))).map(|c| c.1).sum()
    }

    pub(crate) fn samples(&self) -> BTreeMap<String, Vec<u64>> {
        self.host(|host| host.process().samples.clone())
    }

    /// Opens a stream of which nothing has come yet.
    pub(crate) fn stream(&self) -> Call<'_> {
        let id = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
        self.run(move || {
            abi::with(|host| host.streams.insert(id, Stream::default()));
            entry::proxy_on_context_create(id, ROOT);
        });
        Call::new(self, id)
    }

    /// Opens a stream and sends it all of a request.
    pub(crate) fn ask(&self, request: &Request) -> Call<'_> {
        let call = self.stream();
        call.request(request);
        call
    }

    /// A whole call: asked, answered with success in these chunks, logged.
    pub(crate) fn exchange<C: AsRef<[u8]>>(&self, request: &Request, answer: &[C]) -> Call<'_> {
        let call = self.ask(request);
        call.answer(200, &[], answer);
        call.end();
        call
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let told = self.host(|host| {
            let fields = host.streams.values().flat_map(|stream| stream.filter_state.values());
            let names = host.metrics.iter().map(|(_, name)| name);
            fields.chain(names).chain(&host.log).cloned().collect::<Vec<_>>()
        });
        let leak = told.iter().find(|text| text.contains(CANARY));
        assert_eq!(leak, None, "no text of prompts, answers and keys leaves the filter");
    }
}
