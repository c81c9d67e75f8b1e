//! Takes the usage chunk out of a stream whose client did not ask for it.
//!
//! OpenAI's streams end with a chunk that has `usage` and no choices, if that was asked for. Its
//! bytes are left out, all others pass as they came: at once, but for an event that is not there
//! as a whole and may still be the one. As soon as it has a choice, or is no JSON, it goes on.

use std::rc::Rc;

use memchr::memchr;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::json::{How, Scanner, Spec};
use crate::sse::{Decoder, Piece};

/// Reads a stream in chunks, and leaves out what the client did not ask for.
#[derive(Debug)]
pub struct Strip {
    /// The event at hand, while it may be a usage chunk.
    held: Vec<u8>,
    /// Whether it may be.
    may_be: bool,
    /// Whether the line at hand has nothing in it so far.
    blank: bool,
    decoder: Decoder,
    scanner: Scanner,
    /// Whether an event was so long that this can be no stream of chunks.
    gave_up: bool,
}

impl Default for Strip {
    fn default() -> Self {
        let spec = Spec::of(&[("/choices/*", 0, How::Measure)]);
        Self {
            held: Vec::new(),
            may_be: true,
            blank: true,
            decoder: Decoder::default(),
            scanner: Scanner::new(Rc::new(spec)),
            gave_up: false,
        }
    }
}

impl Strip {
    /// What goes to the client now that this chunk has come; `None` if it is the chunk itself. At
    /// the `end` of the stream nothing is held back any longer.
    pub fn feed(&mut self, chunk: &[u8], end: bool) -> Option<Vec<u8>> {
        if self.gave_up {
            return None;
        }
        let mut bytes = core::mem::take(&mut self.held);
        let (mut event, mut at) = (0, bytes.len());
        let mut changed = !bytes.is_empty();
        bytes.extend_from_slice(chunk);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let len = memchr(b'\n', rest).map_or(rest.len(), |lf| lf.saturating_add(1));
            let ended = self.read(rest.get(..len).unwrap_or_default());
            at = at.saturating_add(len);
            if !ended {
                continue;
            }
            let may_be = core::mem::replace(&mut self.may_be, true);
            if may_be && bytes.get(event..at).is_some_and(is_usage) {
                bytes.drain(event..at);
                changed = true;
                at = event;
            }
            event = at;
        }
        if self.may_be && !end && event < bytes.len() {
            self.hold(&mut bytes, event);
            changed |= !self.held.is_empty();
        }
        changed.then_some(bytes)
    }

    /// Reads a line or a part of one; tells whether it ends an event.
    fn read(&mut self, piece: &[u8]) -> bool {
        let Self { scanner, may_be, .. } = self;
        self.decoder.feed(piece, &mut |piece| {
            if let Piece::Data(data) = piece
                && *may_be
            {
                scanner.feed(data, &mut |_| *may_be = false);
                *may_be &= !scanner.is_broken();
            }
        });
        let line = piece.strip_suffix(b"\n");
        // As many carriage returns as there may be: wherever they are cut, each ends a line.
        self.blank &= line.unwrap_or(piece).iter().all(|&byte| byte == b'\r');
        let ended = line.is_some() && self.blank;
        self.blank |= line.is_some();
        if ended {
            self.scanner.restart();
        }
        ended
    }

    /// Keeps what stands from `event` on back, unless it is too much.
    fn hold(&mut self, bytes: &mut Vec<u8>, event: usize) {
        self.gave_up = bytes.len().saturating_sub(event) > MAX_HELD;
        if self.gave_up {
        } else if event == 0 {
            self.held = core::mem::take(bytes);
        } else {
            self.held = bytes.split_off(event);
        }
    }
}

/// Whether an event is a chunk with usage and without a choice.
fn is_usage(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk {
        choices: Vec<IgnoredAny>,
        usage: Option<IgnoredAny>,
    }
    let mut data = Vec::with_capacity(event.len());
    Decoder::default().feed(event, &mut |piece| {
        if let Piece::Data(bytes) = piece {
            data.extend_from_slice(bytes);
        }
    });
    let chunk = serde_json::from_slice::<Chunk>(&data);
    chunk.is_ok_and(|chunk| chunk.choices.is_empty() && chunk.usage.is_some())
}

/// A usage chunk is below 2 KiB.
const MAX_HELD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"data: {"choices":[{"index":0,"delta":{"content":"\"usage\":{} né"}}],"usage":null}"#;
    const FILTER: &str = r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
    const USAGE: &str = r#"data: {"id":"1", "choices" : [ ], "usage":{"prompt_tokens":1}}"#;
    const FIRST: &str = r#"data: {"usage":{"prompt_tokens":1},"choices":[{"index":0}]}"#;
    const BARE: &str = r#"data: {"usage":{"prompt_tokens":1}}"#;
    const DONE: &str = "data: [DONE]";

    fn stream(events: &[&str], newline: &str) -> String {
        events.iter().flat_map(|event| [event, newline, newline]).collect()
    }

    /// What comes through, and after how many bytes each of its bytes did.
    fn through<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        ended: bool,
    ) -> (String, Vec<usize>) {
        let (mut strip, mut out, mut when, mut given) = (Strip::default(), vec![], vec![], 0);
        let mut take = |chunk: &[u8], end| {
            given += chunk.len();
            out.extend(strip.feed(chunk, end).unwrap_or_else(|| chunk.to_vec()));
            when.resize(out.len(), given);
            assert!(strip.held.len() <= MAX_HELD);
        };
        chunks.into_iter().for_each(|chunk| take(chunk, false));
        if ended {
            take(b"", true);
        }
        (String::from_utf8(out).unwrap(), when)
    }

    #[test]
    fn odd_ends_of_lines_are_the_same_wherever_they_are_cut() {
        let odd = format!("event: x\r\n\n{USAGE}\r\r\n\n{TEXT}\n\r\r\r\n{USAGE}\r\n\r\n");
        let (whole, _) = through([odd.as_bytes()], true);
        assert!(!whole.contains("prompt_tokens"));
        for at in 0..odd.len() {
            let (head, tail) = odd.as_bytes().split_at(at);
            assert_eq!(through([head, tail], true).0, whole, "cut at {at}");
        }
        assert_eq!(through(odd.as_bytes().chunks(1), true).0, whole);
    }

    #[test]
    fn the_usage_chunk_is_left_out_and_nothing_else_wherever_the_stream_is_cut() {
        let all =
            [": hi", FILTER, TEXT, FIRST, BARE, "event: error\ndata: {}", "data: x", USAGE, DONE];
        let kept: Vec<_> = all.into_iter().filter(|&event| event != USAGE).collect();
        for newline in ["\n", "\r\n"] {
            let (given, expected) = (stream(&all, newline), stream(&kept, newline));
            for size in 1..=given.len() {
                let (got, _) = through(given.as_bytes().chunks(size), true);
                assert_eq!(got, expected, "in chunks of {size}");
            }
            for cut in 0..=given.len() {
                let (head, tail) = given.as_bytes().split_at(cut);
                assert_eq!(through([head, tail], true).0, expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_usage_chunk_passes_unchanged() {
        let long = format!("data: {{\"choices\":[], \"pad\":\"{}\"", "x".repeat(40_000));
        let late = format!("{}{}", long.clone() + "}\n\n", stream(&[USAGE], "\n"));
        #[rustfmt::skip]
        let cases = [
            ("no stream",                  r#"{"choices":[],"usage":{}}"#.to_owned()),
            ("lines that end with CR",     stream(&[TEXT, USAGE, DONE], "\r")),
            ("no end of the last event",   USAGE.to_owned()),
            ("an endless event",           long),
            ("what follows one, cut",      late),
            ("usage that is null",         stream(&[r#"data: {"choices":[],"usage":null}"#], "\n")),
            ("nothing",                    String::new()),
        ];
        for (what, given) in cases {
            for size in [1, 7, 4_096] {
                assert_eq!(through(given.as_bytes().chunks(size), true).0, given, "{what}");
            }
        }
    }

    #[test]
    fn a_chunk_that_needs_no_change_is_not_copied() {
        let mut strip = Strip::default();
        assert_eq!(strip.feed(stream(&[TEXT, TEXT], "\n").as_bytes(), false), None);
        assert_eq!(
            strip.feed(stream(&[USAGE, DONE], "\n").as_bytes(), false).as_deref(),
            Some(&b"data: [DONE]\n\n"[..])
        );
        assert_eq!(strip.feed(b"", true), None);
    }

    #[test]
    fn bytes_wait_only_until_a_choice_is_seen() {
        let given = stream(&[TEXT], "\n");
        let (_, when) = through(given.as_bytes().chunks(1), false);
        let seen = given.find("[{").unwrap() + "[{".len();
        let expected = (1..=given.len()).map(|at| at.max(seen));
        assert_eq!(when, expected.collect::<Vec<_>>());
    }
}
