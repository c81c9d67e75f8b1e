//! Usage that the client did not ask for: asked for on the way up, taken out on the way down.
//!
//! A body that waits for a decision is changed as a whole. Any other is changed as it passes, so
//! that nothing waits for it.

use super::{Exchange, Step};
use crate::request::{Change, Editor};
use crate::strip::Strip;

/// Whether the provider is asked for usage that the client did not ask for.
#[derive(Debug)]
pub(super) enum Asking {
    /// It is not, or no longer.
    No,
    /// If the request, which waits, turns out to ask for a stream.
    Held,
    /// If the request, which passes, turns out to ask for a stream.
    Passing(Box<Editor>),
    /// It was.
    Asked,
    /// It was, and this takes it out of the answer.
    Stripping(Box<Strip>),
}

impl Exchange {
    /// Whether usage may be asked for that would have to be taken out of the answer.
    #[must_use]
    pub const fn may_ask(&self) -> bool {
        matches!(self.asking, Asking::Held | Asking::Passing(_))
    }

    /// Begins with `step`, what the headers led to.
    pub(super) fn begin_asking(&mut self, step: Step) -> Step {
        if !self.target.asks_usage || self.is_fixed() {
            return step;
        }
        match step {
            Step::Continue if !self.gate.config.hold_headers => {
                let change = Change { usage: true, ..Change::default() };
                self.asking = Asking::Passing(Box::new(Editor::new(change)));
                Step::Continue
            }
            Step::Continue | Step::Hold => {
                self.asking = Asking::Held;
                Step::Hold
            }
            step => step,
        }
    }

    /// Goes on with `step`, what a part of the body led to.
    pub(super) fn go_on_asking(&mut self, step: Step, chunk: &[u8]) -> Step {
        let too_long = self.body.said().bytes > self.most_held();
        match (step, &mut self.asking) {
            (Step::Continue, Asking::Held) if too_long => {
                self.asking = Asking::No;
                Step::Continue
            }
            (Step::Continue, Asking::Held) => Step::Hold,
            (Step::Continue, Asking::Passing(editor)) => {
                let changed = editor.feed(chunk);
                if editor.has_asked() {
                    self.asking = Asking::Asked;
                }
                changed.map_or(Step::Continue, Step::Replace)
            }
            (step, _) => step,
        }
    }

    /// Ends with `step`, what all of a body that has waited led to.
    pub(super) fn end_asking(&mut self, step: Step) -> Step {
        if matches!(step, Step::Wait | Step::Survey) || !matches!(self.asking, Asking::Held) {
            return step;
        }
        let said = self.body.said();
        let wanted = said.stream == Some(true) && said.usage != Some(true);
        let (asking, step) = match step {
            Step::Continue if wanted => {
                (Asking::Asked, Step::Change(Change { usage: true, ..Change::default() }))
            }
            Step::Change(change) if wanted => {
                (Asking::Asked, Step::Change(Change { usage: true, ..change }))
            }
            step => (Asking::No, step),
        };
        self.asking = asking;
        step
    }

    /// Prepares to take usage out of an answer; in a coding, it stays.
    pub(super) fn begin_stripping(&mut self, content_encoding: &str) {
        if is_plain(content_encoding) && matches!(self.asking, Asking::Asked) {
            self.asking = Asking::Stripping(Box::default());
        }
    }

    /// Whether something may be taken out of the answer, so that its length cannot be told before.
    #[must_use]
    pub const fn strips(&self) -> bool {
        matches!(self.asking, Asking::Stripping(_))
    }

    /// What of an answer's chunk goes to the client now; `None` if it is the chunk itself.
    pub fn strip(&mut self, chunk: &[u8], end: bool) -> Option<Vec<u8>> {
        match &mut self.asking {
            Asking::Stripping(strip) => strip.feed(chunk, end),
            _ => None,
        }
    }

    /// Asks for nothing, and takes nothing more out of the answer.
    pub fn stop_asking(&mut self) {
        self.asking = Asking::No;
    }
}

/// Whether a `content-encoding` says that there is none.
pub(super) fn is_plain(content_encoding: &str) -> bool {
    ["", "identity"].iter().any(|name| content_encoding.eq_ignore_ascii_case(name))
}

/// Whether a request is signed with AWS SigV4, by its `authorization` or in its path: neither its body
/// nor its path must be changed.
#[must_use]
pub fn is_signed(authorization: &str, path: &str) -> bool {
    authorization.starts_with("AWS4-") || path.contains("X-Amz-Signature=")
}

/// Whether the signature in `authorization` covers a header, so that it must not be changed either.
#[must_use]
pub fn covers(authorization: &str, name: &str) -> bool {
    let fields = authorization.split([',', ' ']);
    let mut lists = fields.filter_map(|field| field.strip_prefix("SignedHeaders="));
    lists.any(|list| list.split(';').any(|own| own.eq_ignore_ascii_case(name)))
}
