//! AWS's event stream: `application/vnd.amazon.eventstream`.
//!
//! A frame is `total length, headers length, checksum of these two, headers, payload, checksum`;
//! numbers are 32 bits, the most significant first. Its payload is one JSON document, or none. Of a
//! frame whose lengths cannot be, or are not what their checksum says, nothing more is read: where
//! the next one begins is not known. The checksum of a payload is the client's to check; here a
//! document must be whole. `Wrapped` payloads are `{"bytes":"…"}`, the model's own in base64.

use super::dialect::Binary;
use crate::packed::six;

/// What a frame has.
pub(super) enum Part<'a> {
    /// It says that an error came in the middle of the stream.
    Exception,
    /// A part of its document.
    Data(&'a [u8]),
    /// The end of a document.
    End,
}

/// Reads frames in chunks.
#[derive(Debug)]
pub(super) struct Frames {
    wrapped: bool,
    at: At,
    /// What of a prelude or of headers a chunk border has cut.
    scratch: Vec<u8>,
    /// Whether the current frame is an exception.
    exception: bool,
    /// Whether it has a document.
    said: bool,
    unwrap: Unwrap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Prelude,
    /// In the headers, of which so many bytes are to come, and then so many of payload.
    Headers(usize, usize),
    Payload(usize),
    Checksum(usize),
    Broken,
}

impl Frames {
    pub(super) fn new(binary: Binary) -> Self {
        Self {
            wrapped: binary == Binary::Wrapped,
            at: At::Prelude,
            scratch: Vec::new(),
            exception: false,
            said: false,
            unwrap: Unwrap::default(),
        }
    }

    /// Whether what came so far ends in the middle of a frame.
    pub(super) fn is_open(&self) -> bool {
        self.at != At::Prelude || !self.scratch.is_empty()
    }

    /// Whether it turned out not to be frames.
    pub(super) fn is_broken(&self) -> bool {
        self.at == At::Broken
    }

    /// Reads one chunk.
    pub(super) fn feed(&mut self, chunk: &[u8], on_part: &mut impl FnMut(Part<'_>)) {
        let mut rest = chunk;
        loop {
            let before = self.at;
            let len = match self.at {
                At::Prelude => self.prelude(rest),
                At::Headers(left, payload) => self.headers(rest, (left, payload), on_part),
                At::Payload(left) => self.payload(rest, left, on_part),
                At::Checksum(left) => self.checksum(rest, left, on_part),
                At::Broken => return,
            };
            rest = rest.get(len..).unwrap_or_default();
            if rest.is_empty() && self.at == before {
                return;
            }
        }
    }

    fn prelude(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(PRELUDE.saturating_sub(self.scratch.len()));
        self.scratch.extend_from_slice(bytes.get(..len).unwrap_or_default());
        if self.scratch.len() == PRELUDE {
            let number = |at: usize| number(&self.scratch, at);
            let (total, headers) = (number(0), number(4));
            let payload = total
                .checked_sub(PRELUDE.saturating_add(CHECKSUM))
                .and_then(|rest| rest.checked_sub(headers));
            let sound = crc32(self.scratch.get(..8).unwrap_or_default());
            let sound = usize::try_from(sound).ok() == Some(number(8));
            self.at = match payload {
                Some(payload) if sound && headers <= MOST_HEADERS && payload <= MOST_PAYLOAD => {
                    At::Headers(headers, payload)
                }
                _ => At::Broken,
            };
            self.scratch.clear();
        }
        len
    }

    fn headers(
        &mut self,
        bytes: &[u8],
        (left, payload): (usize, usize),
        on_part: &mut impl FnMut(Part<'_>),
    ) -> usize {
        let len = bytes.len().min(left);
        let kept = len.min(KEPT_HEADERS.saturating_sub(self.scratch.len()));
        self.scratch.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        let left = left.saturating_sub(len);
        self.at = At::Headers(left, payload);
        if left == 0 {
            self.exception = is_exception(&self.scratch);
            self.scratch.clear();
            self.unwrap = Unwrap::default();
            self.said = false;
            self.at = At::Payload(payload);
            if self.exception {
                on_part(Part::Exception);
            }
        }
        len
    }

    fn payload(&mut self, bytes: &[u8], left: usize, on_part: &mut impl FnMut(Part<'_>)) -> usize {
        let len = bytes.len().min(left);
        let data = bytes.get(..len).unwrap_or_default();
        let said = &mut self.said;
        let mut say = |bytes: &[u8]| {
            *said = true;
            on_part(Part::Data(bytes));
        };
        if self.wrapped && !self.exception {
            self.unwrap.feed(data, &mut say);
        } else if !data.is_empty() {
            say(data);
        }
        let left = left.saturating_sub(len);
        self.at = if left == 0 { At::Checksum(CHECKSUM) } else { At::Payload(left) };
        len
    }

    fn checksum(&mut self, bytes: &[u8], left: usize, on_part: &mut impl FnMut(Part<'_>)) -> usize {
        let len = bytes.len().min(left);
        let left = left.saturating_sub(len);
        self.at = At::Checksum(left);
        if left == 0 {
            self.at = At::Prelude;
            if self.said {
                on_part(Part::End);
            }
        }
        len
    }
}

/// Finds the value of `"bytes"` in a payload, and decodes it.
#[derive(Debug, Default)]
struct Unwrap {
    /// How much of [`KEY`] has been met.
    met: usize,
    over: bool,
    /// Bits that make no byte yet, and how many.
    bits: u32,
    count: u32,
}

impl Unwrap {
    fn feed(&mut self, bytes: &[u8], on_bytes: &mut impl FnMut(&[u8])) {
        let mut decoded = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.over {
                break;
            } else if self.met < KEY.len() {
                self.meet(byte);
            } else if byte == b'"' {
                self.over = true;
            } else if let Some(six) = six(byte) {
                self.bits = (self.bits << 6) | six;
                self.count = self.count.saturating_add(6);
                if let Some(left) = self.count.checked_sub(8) {
                    decoded.extend(u8::try_from((self.bits >> left) & 0xff));
                    (self.count, self.bits) = (left, self.bits & !(u32::MAX << left));
                }
            }
        }
        if !decoded.is_empty() {
            on_bytes(&decoded);
        }
    }

    fn meet(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() && self.met >= COLON {
            return;
        }
        let fits = KEY.get(self.met) == Some(&byte);
        self.met = if fits { self.met.saturating_add(1) } else { usize::from(byte == b'"') };
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    four.map_or(0, |four| usize::try_from(u32::from_be_bytes(*four)).unwrap_or(usize::MAX))
}

/// Whether headers say `:message-type: exception` or `error`.
fn is_exception(headers: &[u8]) -> bool {
    let mut rest = headers;
    while let Some((&len, tail)) = rest.split_first() {
        let Some((name, tail)) = tail.split_at_checked(usize::from(len)) else { return false };
        let Some((&kind, tail)) = tail.split_first() else { return false };
        let len = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            6 | 7 => {
                let Some(&[high, low]) = tail.first_chunk::<2>() else { return false };
                usize::from(u16::from_be_bytes([high, low])).saturating_add(2)
            }
            _ => return false,
        };
        let Some((value, tail)) = tail.split_at_checked(len) else { return false };
        if name == b":message-type" && kind == 7 {
            return value.get(2..).is_some_and(|value| value != b"event");
        }
        rest = tail;
    }
    false
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// As the format has it.
const MOST_HEADERS: usize = 128 * 1024;
/// More than any real one has: kept to find the kind of message in them.
const KEPT_HEADERS: usize = 4 * 1024;
/// As the format has it.
const MOST_PAYLOAD: usize = 24 * 1024 * 1024;
const KEY: &[u8] = b"\"bytes\":\"";
/// Where in the key blanks may stand: before and behind its colon.
const COLON: usize = 7;

#[cfg(test)]
pub(super) mod tests;
