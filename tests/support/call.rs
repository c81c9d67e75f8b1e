//! One stream: what client and upstream send, and what has come of it.

use std::collections::BTreeMap;

use super::dialect::{CANARY, Dialect};
use super::host::{Headers, Reply, Stream};
use super::manager::{self, Order, Upstream};
use super::worker::Worker;

/// A request, as a client sends it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A call of this dialect by the tenant `acme`.
    pub(crate) fn of(dialect: &Dialect, stream: bool) -> Self {
        Self {
            method: "POST",
            path: if stream { dialect.stream_path } else { dialect.path }.to_owned(),
            host: "gateway.internal".to_owned(),
            headers: Vec::new(),
            body: dialect.request(stream).to_string().into(),
        }
        .with("x-tenant-id", "acme")
        .with("authorization", format!("Bearer {CANARY}"))
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self
    }

    fn all_headers(&self) -> Headers {
        let line = [(":method", self.method), (":path", &self.path), (":authority", &self.host)];
        let line = line.map(|(name, value)| (name.to_owned(), value.into()));
        line.into_iter().chain(self.headers.clone()).collect()
    }
}

/// One stream.
pub(crate) struct Call<'a> {
    worker: &'a Worker,
    id: u32,
}

impl<'a> Call<'a> {
    pub(super) const fn new(worker: &'a Worker, id: u32) -> Self {
        Self { worker, id }
    }

    fn run(&self, act: impl FnOnce(u32) + Send + 'static) {
        let id = self.id;
        self.worker.run(move || act(id));
    }

    /// Sends all of a request: its headers, and the body in one part.
    pub(crate) fn request(&self, request: &Request) {
        self.request_headers(request, request.body.is_empty());
        if !request.body.is_empty() {
            self.request_body(&request.body, true);
        }
    }

    pub(crate) fn request_headers(&self, request: &Request, end: bool) {
        let headers = request.all_headers();
        self.run(move |id| manager::request_headers(id, headers, end));
    }

    pub(crate) fn request_body(&self, chunk: &[u8], end: bool) {
        let chunk = chunk.to_vec();
        self.run(move |id| manager::request_body(id, &chunk, end));
    }

    pub(crate) fn request_trailers(&self) {
        self.run(manager::request_trailers);
    }

    /// Answers from the upstream, to the end.
    pub(crate) fn answer<C: AsRef<[u8]>>(
        &self,
        status: u32,
        headers: &[(&str, &str)],
        chunks: &[C],
    ) {
        self.answer_headers(status, headers, false);
        for chunk in chunks {
            self.answer_body(chunk.as_ref(), false);
        }
        self.answer_body(b"", true);
    }

    pub(crate) fn answer_headers(&self, status: u32, headers: &[(&str, &str)], end: bool) {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.into());
        let headers = headers.iter().map(own).collect();
        self.run(move |id| manager::response_headers(id, status, headers, "via_upstream", end));
    }

    pub(crate) fn answer_body(&self, chunk: &[u8], end: bool) {
        let chunk = chunk.to_vec();
        self.run(move |id| manager::response_body(id, &chunk, end));
    }

    pub(crate) fn answer_trailers(&self) {
        self.run(manager::response_trailers);
    }

    /// Answers from Envoy itself, for the reason that `details` name.
    pub(crate) fn answer_by_envoy(&self, status: u32, details: &'static str) {
        self.run(move |id| manager::answer_here(id, status, details, &[], details.as_bytes()));
    }

    /// Ends the stream as Envoy does with HTTP/1 and HTTP/2.
    pub(crate) fn end(&self) {
        self.end_in(Order::LogDoneDelete);
    }

    pub(crate) fn end_in(&self, order: Order) {
        self.run(move |id| manager::end(id, order, None));
    }

    /// Ends the stream for the reason that `details` name.
    pub(crate) fn break_off(&self, details: &'static str) {
        self.run(move |id| manager::end(id, Order::LogDoneDelete, Some(details)));
    }

    fn look<T: Send + 'static>(&self, at: impl FnOnce(&mut Stream) -> T + Send + 'static) -> T {
        let id = self.id;
        self.worker.host(move |host| at(host.streams.get_mut(&id).unwrap()))
    }

    pub(crate) fn set_property(&self, path: &'static str, value: impl Into<Vec<u8>>) {
        let value = value.into();
        self.look(move |stream| drop(stream.properties.insert(path.to_owned(), value)));
    }

    /// The fields of the access log.
    pub(crate) fn row(&self) -> BTreeMap<String, String> {
        let state = self.look(|stream| stream.filter_state.clone()).into_iter();
        state
            .map(|(key, value)| (key.strip_prefix("tollgate.").unwrap().to_owned(), value))
            .collect()
    }

    /// One field of the access log, or `-` where there is none.
    pub(crate) fn field(&self, name: &str) -> String {
        self.row().remove(name).unwrap_or_else(|| "-".to_owned())
    }

    pub(crate) fn fields<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        let row = self.row();
        names.map(|name| row.get(name).cloned().unwrap_or_else(|| "-".to_owned()))
    }

    pub(crate) fn upstream(&self) -> Upstream {
        self.look(|stream| stream.flow.upstream.clone())
    }

    /// The body that the client has got.
    pub(crate) fn client_bytes(&self) -> Vec<u8> {
        self.look(|stream| stream.flow.client.clone())
    }

    /// The same, as text.
    pub(crate) fn client(&self) -> String {
        String::from_utf8(self.client_bytes()).unwrap()
    }

    /// Whether the filter has closed the stream.
    pub(crate) fn is_closed(&self) -> bool {
        self.look(|stream| stream.closed)
    }

    /// The value of a header of the answer, as the client gets it, or `-`.
    pub(crate) fn told(&self, name: &'static str) -> String {
        self.look(move |stream| {
            let mut headers = stream.response.headers.iter().rev();
            let found = headers.find(|(key, _)| key == name);
            found.map_or("-".to_owned(), |(_, value)| String::from_utf8(value.clone()).unwrap())
        })
    }

    /// The headers of the answer, as the client gets them.
    pub(crate) fn answer_header(&self, name: &'static str) -> bool {
        self.look(move |stream| stream.response.headers.iter().any(|(key, _)| key == name))
    }

    /// The answer that the filter gave in the provider's place.
    pub(crate) fn reply(&self) -> Option<Reply> {
        self.look(|stream| stream.reply.clone())
    }

    /// A header as the upstream got it.
    pub(crate) fn sent_header(&self, name: &str) -> Option<String> {
        let headers = self.upstream().headers.unwrap_or_default();
        let found = headers.into_iter().find(|(key, _)| key == name);
        found.map(|(_, value)| String::from_utf8(value).unwrap())
    }
}
