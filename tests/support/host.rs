//! What Envoy keeps for one worker, and how it answers the filter's calls.
//!
//! Status codes and rules are those of Envoy 1.40: headers can be read until they have gone on and
//! again while the stream is logged, shared data is versioned, a metric gets a new number each time
//! it is defined.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A refused call, by the number that the ABI has for the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    NotFound = 1,
    BadArgument = 2,
    CasMismatch = 8,
    InternalFailure = 10,
}

pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// What all workers of a process share.
#[derive(Debug, Default)]
pub(crate) struct Process {
    data: BTreeMap<String, (Vec<u8>, u32)>,
    versions: u32,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) samples: BTreeMap<String, Vec<u64>>,
}

/// One worker.
#[derive(Default)]
pub(crate) struct Host {
    process: Arc<Mutex<Process>>,
    /// Nanoseconds since 1970.
    pub(crate) now: u64,
    /// Whether the plugin's `allow_on_headers_stop_iteration` is on.
    pub(crate) lets_headers_be_held: bool,
    pub(crate) configuration: Vec<u8>,
    pub(crate) node: Vec<u8>,
    pub(crate) tick_period: Option<u32>,
    /// The context that the filter's calls are about.
    pub(crate) context: u32,
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// Kind and name of each metric, by its number.
    pub(crate) metrics: Vec<(i32, String)>,
    pub(crate) log: Vec<String>,
    /// What was sent to other clusters: the cluster, and the body.
    pub(crate) calls: Vec<(String, Vec<u8>)>,
    /// The answer to one of them that is being told: its status, and its body.
    pub(crate) told: Option<(Vec<u8>, Vec<u8>)>,
    /// How calls are to fail: by function, or all of them.
    pub(crate) faults: BTreeMap<&'static str, Status>,
    pub(crate) fault: Option<Status>,
}

/// One stream, as far as the filter can see it, and what has come of it.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) request: Map,
    pub(crate) response: Map,
    pub(crate) request_body: Option<Vec<u8>>,
    pub(crate) response_body: Option<Vec<u8>>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    pub(crate) filter_state: BTreeMap<String, String>,
    /// The answer that the filter wants to give in the provider's place.
    pub(crate) reply: Option<Reply>,
    /// Whether the filter wants the request to go on.
    pub(crate) resumed: bool,
    /// Whether the filter wants the stream closed.
    pub(crate) closed: bool,
    pub(crate) flow: super::manager::Flow,
}

/// Headers, and whether the filter can reach them now.
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) headers: Headers,
    pub(crate) open: bool,
}

/// An answer that no upstream gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) details: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Host {
    pub(crate) fn of(process: Arc<Mutex<Process>>) -> Self {
        Self { process, now: START, node: b"gateway-1".to_vec(), ..Self::default() }
    }

    pub(crate) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap()
    }

    /// Fails if the function of this name has been told to.
    pub(super) fn check(&self, function: &str) -> Result<(), Status> {
        self.fault.or_else(|| self.faults.get(function).copied()).map_or(Ok(()), Err)
    }

    pub(crate) fn stream(&mut self) -> Result<&mut Stream, Status> {
        self.streams.get_mut(&self.context).ok_or(Status::BadArgument)
    }

    fn map(&mut self, map: i32) -> Result<&mut Map, Status> {
        let stream = self.stream()?;
        let map = match map {
            0 => &mut stream.request,
            2 => &mut stream.response,
            _ => return Err(Status::BadArgument),
        };
        if map.open { Ok(map) } else { Err(Status::BadArgument) }
    }

    pub(super) fn header(&mut self, map: i32, name: &str) -> Result<Vec<u8>, Status> {
        if let (6, Some((status, _))) = (map, &self.told) {
            return if name == ":status" { Ok(status.clone()) } else { Err(Status::NotFound) };
        }
        let map = self.map(map)?;
        let found = map.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).ok_or(Status::NotFound)
    }

    /// All headers, in the ABI's layout.
    pub(super) fn headers(&mut self, map: i32) -> Result<Vec<u8>, Status> {
        let headers = &self.map(map)?.headers;
        let texts = || headers.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
        let number = |n: usize| u32::try_from(n).expect("few").to_le_bytes();
        let mut bytes = number(headers.len()).to_vec();
        texts().for_each(|text| bytes.extend(number(text.len())));
        texts().for_each(|text| bytes.extend([text, b"\0"].concat()));
        Ok(bytes)
    }

    pub(super) fn replace_header(
        &mut self,
        map: i32,
        name: &str,
        value: &str,
    ) -> Result<(), Status> {
        self.remove_header(map, name)?;
        self.map(map)?.headers.push((name.to_owned(), value.into()));
        Ok(())
    }

    pub(super) fn remove_header(&mut self, map: i32, name: &str) -> Result<(), Status> {
        self.map(map)?.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        Ok(())
    }

    pub(super) fn buffer(
        &mut self,
        buffer: i32,
        start: usize,
        max: usize,
    ) -> Result<Vec<u8>, Status> {
        let bytes = match buffer {
            0 => self.stream()?.request_body.as_ref(),
            1 => self.stream()?.response_body.as_ref(),
            4 => self.told.as_ref().map(|(_, body)| body),
            7 => Some(&self.configuration),
            _ => return Err(Status::BadArgument),
        };
        let bytes = bytes.ok_or(Status::NotFound)?;
        let end = start.saturating_add(max).min(bytes.len());
        bytes.get(start..end).map(<[u8]>::to_vec).ok_or(Status::BadArgument)
    }

    pub(super) fn property(&mut self, path: &str) -> Result<Vec<u8>, Status> {
        if path == "xds\0node\0id" {
            return Ok(self.node.clone());
        }
        let stream = self.stream().map_err(|_| Status::NotFound)?;
        stream.properties.get(path).cloned().ok_or(Status::NotFound)
    }

    pub(super) fn set_property(&mut self, path: &str, value: &str) -> Result<(), Status> {
        let stream = self.stream().map_err(|_| Status::NotFound)?;
        stream.filter_state.insert(path.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn define_metric(&mut self, kind: i32, name: &str) -> u32 {
        self.metrics.push((kind, name.to_owned()));
        u32::try_from(self.metrics.len()).unwrap()
    }

    pub(super) fn move_metric(&mut self, id: u32, kind: i32, by: u64) -> Result<(), Status> {
        let at = usize::try_from(id).unwrap().checked_sub(1).ok_or(Status::NotFound)?;
        let (defined, name) = self.metrics.get(at).cloned().ok_or(Status::NotFound)?;
        if defined != kind || (kind == COUNTER && by == 0) {
            return Err(Status::BadArgument);
        }
        let mut process = self.process();
        if kind == COUNTER {
            *process.counters.entry(name).or_default() += by;
        } else {
            process.samples.entry(name).or_default().push(by);
        }
        Ok(())
    }

    pub(super) fn shared(&self, key: &str) -> Result<(Vec<u8>, u32), Status> {
        self.process().data.get(key).cloned().ok_or(Status::NotFound)
    }

    /// Version 0 is not checked, and an absent key takes any.
    pub(super) fn set_shared(&self, key: &str, value: &[u8], cas: u32) -> Result<(), Status> {
        let mut process = self.process();
        let now = process.data.get(key).map(|&(_, version)| version);
        if cas != 0 && now.is_some_and(|now| now != cas) {
            return Err(Status::CasMismatch);
        }
        process.versions += 1;
        let version = process.versions;
        process.data.insert(key.to_owned(), (value.to_vec(), version));
        Ok(())
    }
}

pub(super) const COUNTER: i32 = 0;
pub(super) const HISTOGRAM: i32 = 2;
/// 2026-01-01.
const START: u64 = 1_767_225_600_000_000_000;
