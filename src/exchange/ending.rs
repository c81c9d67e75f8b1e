//! A stream that has used up what there was is ended by an error that its client understands.

use memchr::memmem::rfind;

use super::{Exchange, Phase};
use crate::refusal;

/// Whether a stream is being ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is not.
    No,
    /// It is, once an event has come to its end; so many bytes have been waited for one.
    Due(usize),
    /// The client has been told. Nothing more goes to it.
    Told,
}

impl Exchange {
    pub(super) fn begin_ending(&mut self, budget: String) {
        self.ending = Ending::Due(0);
        self.admitted.budget = Some(budget);
    }

    /// Whether the client has been told that the stream is over, so that it is to be closed.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ending == Ending::Told
    }

    /// What goes to the client of these bytes of a stream that is being ended; `None` if it is the
    /// bytes themselves.
    pub fn cut(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let waited = match self.ending {
            Ending::No => return None,
            Ending::Due(waited) => waited.saturating_add(bytes.len()),
            Ending::Told => return Some(Vec::new()),
        };
        let Phase::Answering(reply) = &self.phase else { return None };
        if !reply.plain || !reply.answer.is_events() {
            self.ending = Ending::Told;
            return Some(Vec::new());
        }
        // An error in the middle of an event would be read by nobody.
        let Some(end) = last_end(bytes) else {
            self.ending = if waited > MAX_WAITED { Ending::Told } else { Ending::Due(waited) };
            return None;
        };
        self.ending = Ending::Told;
        let whole = bytes.get(..end).unwrap_or_default();
        Some([whole, &refusal::event(self.target.api, CODE, MESSAGE)].concat())
    }
}

/// Where the last event ends that ends in these bytes.
fn last_end(bytes: &[u8]) -> Option<usize> {
    let ends =
        [&b"\n\n"[..], b"\r\n\r\n"].map(|end| Some(rfind(bytes, end)?.saturating_add(end.len())));
    ends.into_iter().flatten().max()
}

const CODE: &str = "budget_exceeded";
const MESSAGE: &str = "The usage limit was reached while this answer was being written.";
/// Bytes in which an event should have come to its end. A stream without is closed as it is.
const MAX_WAITED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_that_is_whole_is_found() {
        #[rustfmt::skip]
        let cases = [
            ("data: 1\n\ndata: 2",             Some(9)),
            ("data: 1\r\n\r\ndata: 2\r\n\r\n", Some(22)),
            ("data: 1\n",                      None),
            ("",                               None),
        ];
        for (bytes, end) in cases {
            assert_eq!(last_end(bytes.as_bytes()), end, "{bytes:?}");
        }
    }
}
