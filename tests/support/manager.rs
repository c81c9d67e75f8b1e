//! Moves streams through the filter, as Envoy's filter manager and its wasm extension do.
//!
//! What a filter asks for while it is called (to answer the client, to let a request go on)
//! happens once the call has returned. A filter that pauses at the headers sees no body, unless
//! Envoy has been told that it may; one that pauses at the body sees all of it again with each part.

use tollgate::host::entry::{self, Action};

use super::abi::with;
use super::host::{Headers, Stream};

/// Where a stream stands, and what of it has passed the filter.
#[derive(Default)]
pub(crate) struct Flow {
    gate: Gate,
    /// The body that the filter has paused at.
    held: Option<Vec<u8>>,
    /// What has come while the headers were held and the filter may see no body.
    waiting: Vec<u8>,
    waiting_end: bool,
    /// Whether an answer from here has ended the request.
    over: bool,
    /// Whether the client has got the head of an answer.
    answered: bool,
    pub(crate) upstream: Upstream,
    /// The body that the client has got.
    pub(crate) client: Vec<u8>,
}

#[derive(Default)]
enum Gate {
    #[default]
    Open,
    /// Headers are held; body parts come.
    Headers,
    /// Headers are held, and all else with them.
    All,
}

/// What the upstream has got.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: bool,
}

/// In which order a stream's last callbacks come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Envoy's with HTTP/1 and HTTP/2.
    LogDoneDelete,
    /// That of the specification.
    DoneLogDelete,
    /// Envoy's with HTTP/3.
    DoneDeleteLog,
}

fn stream<T>(id: u32, act: impl FnOnce(&mut Stream) -> T) -> T {
    with(|host| act(host.streams.get_mut(&id).expect("a stream that was opened")))
}

/// Enters the filter about a stream, then does what it asked for meanwhile.
fn enter(id: u32, call: impl FnOnce() -> Action) -> Action {
    with(|host| host.context = id);
    let action = call();
    if let Some(reply) = stream(id, |stream| stream.reply.clone().filter(|_| !stream.flow.over)) {
        stream(id, |stream| stream.flow.over = true);
        // An answer that has begun cannot become another: Envoy resets the stream.
        if !stream(id, |stream| stream.flow.answered) {
            answer_here(id, reply.status, &reply.details, &reply.headers, &reply.body);
        }
        return Action::Pause;
    }
    action
}

/// Sends an answer that no upstream gave; the filter sees it like any other.
pub(super) fn answer_here(
    id: u32,
    status: u32,
    details: &str,
    headers: &[(String, String)],
    body: &[u8],
) {
    stream(id, |stream| stream.flow.over = true);
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
    response_headers(id, status, headers.collect(), details, body.is_empty());
    if !body.is_empty() {
        response_body(id, body, true);
    }
}

pub(super) fn request_headers(id: u32, headers: Headers, end: bool) {
    let count = headers.len();
    stream(id, |stream| {
        stream.request.headers = headers;
        stream.request.open = true;
    });
    let action = enter(id, || entry::proxy_on_request_headers(id, count, end));
    let held = with(|host| host.lets_headers_be_held);
    stream(id, |stream| match action {
        _ if stream.flow.over => {}
        Action::Continue => pass_headers(stream, end),
        Action::Pause if held => stream.flow.gate = Gate::Headers,
        Action::Pause => {
            stream.flow.gate = Gate::All;
            stream.flow.waiting_end = end;
        }
    });
}

fn pass_headers(stream: &mut Stream, end: bool) {
    stream.request.open = false;
    stream.flow.gate = Gate::Open;
    stream.flow.upstream.headers = Some(stream.request.headers.clone());
    stream.flow.upstream.ended |= end;
}

pub(super) fn request_body(id: u32, chunk: &[u8], end: bool) {
    let goes_in = stream(id, |stream| {
        let flow = &mut stream.flow;
        if flow.over {
            return false;
        }
        if matches!(flow.gate, Gate::All) {
            flow.waiting.extend_from_slice(chunk);
            flow.waiting_end |= end;
            return false;
        }
        let shown = [flow.held.take().unwrap_or_default().as_slice(), chunk].concat();
        stream.request_body = Some(shown);
        true
    });
    if !goes_in {
        return;
    }
    let size = stream(id, |stream| stream.request_body.as_ref().map_or(0, Vec::len));
    let action = enter(id, || entry::proxy_on_request_body(id, size, end));
    stream(id, |stream| {
        let shown = stream.request_body.take().unwrap_or_default();
        match action {
            _ if stream.flow.over => {}
            Action::Continue => pass_body(stream, &shown, end),
            Action::Pause => stream.flow.held = Some(shown),
        }
    });
}

fn pass_body(stream: &mut Stream, bytes: &[u8], end: bool) {
    if !matches!(stream.flow.gate, Gate::Open) {
        pass_headers(stream, false);
    }
    stream.flow.upstream.body.extend_from_slice(bytes);
    stream.flow.upstream.ended |= end;
}

pub(super) fn request_trailers(id: u32) {
    if stream(id, |stream| stream.flow.over) {
        return;
    }
    let action = enter(id, || entry::proxy_on_request_trailers(id, 1));
    stream(id, |stream| {
        if action == Action::Continue && !stream.flow.over {
            let held = stream.flow.held.take().unwrap_or_default();
            pass_body(stream, &held, true);
        }
    });
}

/// Lets requests go on that the filter has resumed; what has waited goes through the filter, but a
/// body that it has paused at, which it may have changed meanwhile.
fn resume(id: u32) {
    let held = stream(id, |stream| {
        let body = stream.request_body.take();
        body.filter(|_| stream.flow.held.take().is_some())
    });
    if let Some(held) = held {
        stream(id, |stream| {
            stream.resumed = false;
            pass_body(stream, &held, true);
        });
        return;
    }
    let (waiting, end) = stream(id, |stream| {
        stream.resumed = false;
        pass_headers(stream, false);
        (core::mem::take(&mut stream.flow.waiting), stream.flow.waiting_end)
    });
    if end || !waiting.is_empty() {
        request_body(id, &waiting, end);
    }
}

pub(super) fn tick(root: u32) {
    with(|host| {
        host.context = root;
        for stream in host.streams.values_mut() {
            stream.request_body = stream.flow.held.clone();
        }
    });
    entry::proxy_on_tick(root);
    let replied = with(|host| {
        let replied = host.streams.iter().filter(|(_, s)| s.reply.is_some() && !s.flow.over);
        replied.map(|(&id, _)| id).collect::<Vec<_>>()
    });
    for id in replied {
        enter(id, || Action::Pause);
    }
    let resumed = with(|host| {
        let resumed = host.streams.iter().filter(|(_, stream)| stream.resumed);
        resumed.map(|(&id, _)| id).collect::<Vec<_>>()
    });
    resumed.into_iter().for_each(resume);
}

pub(super) fn response_headers(id: u32, status: u32, headers: Headers, details: &str, end: bool) {
    stream(id, |stream| {
        stream.properties.insert(CODE_DETAILS.to_owned(), details.into());
        stream.response.headers = headers;
        stream.response.headers.push((":status".to_owned(), status.to_string().into()));
        stream.response.open = true;
        stream.flow.answered = true;
    });
    let action = enter(id, || entry::proxy_on_response_headers(id, 1, end));
    assert_eq!(action, Action::Continue, "no answer is held");
    stream(id, |stream| stream.response.open = false);
}

pub(super) fn response_body(id: u32, chunk: &[u8], end: bool) {
    stream(id, |stream| stream.response_body = Some(chunk.to_vec()));
    let action = enter(id, || entry::proxy_on_response_body(id, chunk.len(), end));
    assert_eq!(action, Action::Continue, "no byte of an answer is held");
    stream(id, |stream| {
        stream.flow.client.extend(stream.response_body.take().unwrap_or_default());
    });
}

pub(super) fn response_trailers(id: u32) {
    let action = enter(id, || entry::proxy_on_response_trailers(id, 1));
    assert_eq!(action, Action::Continue, "no answer is held");
}

pub(super) fn end(id: u32, order: Order, details: Option<&str>) {
    stream(id, |stream| {
        if let Some(details) = details {
            stream.properties.insert(CODE_DETAILS.to_owned(), details.into());
        }
        stream.request.open = true;
        stream.response.open = true;
    });
    with(|host| host.context = id);
    let log = || entry::proxy_on_log(id);
    let done = || assert!(entry::proxy_on_done(id), "no stream waits for anything");
    let delete = || entry::proxy_on_delete(id);
    match order {
        Order::LogDoneDelete => (log(), done(), delete()),
        Order::DoneLogDelete => (done(), log(), delete()),
        Order::DoneDeleteLog => (done(), delete(), log()),
    };
}

const CODE_DETAILS: &str = "response\0code_details";
