//! Follows the structure of a document down to the values a spec names.

use std::rc::Rc;

use super::path::{How, MAX_DEPTH, Pick, Place, ROOT, Spec};
use super::walk::{Walk, ends_scalar};
use memchr::memchr2;

/// A value that the spec names, or news of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// The whole value, as it stands in the text.
    Value(Pick, &'a [u8]),
    /// A value longer than 16 KiB was dropped.
    TooLong(Pick),
    /// So many more bytes of a string or a container, as they stand in the text.
    Text(Pick, usize),
}

/// Reads JSON in chunks and reports the values of its spec.
#[derive(Debug)]
pub struct Scanner {
    spec: Rc<Spec>,
    at: At,
    /// The open containers that a pattern leads into, outermost first.
    levels: [Level; MAX_DEPTH],
    depth: usize,
    /// What a chunk border has cut: the key, or the value to be taken, so far.
    scratch: Vec<u8>,
    /// Whether `scratch` would have outgrown [`MAX_TAKEN`].
    overflown: bool,
    /// Documents begun since the start.
    documents: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    place: Place,
    array: bool,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// Before a key, an element, a document, or the end of the container.
    Next,
    /// In a key; `true` behind a backslash.
    Key(bool),
    /// Behind a key.
    Colon(Option<Place>),
    /// Behind a colon.
    Value(Option<Place>),
    /// In a value that is not followed further.
    Inside(Walk, Goal),
    /// The text is not JSON. Nothing more is read.
    Broken,
}

#[derive(Clone, Copy, Debug)]
enum Goal {
    Skip,
    /// For all who want what stands there.
    Take(Place),
    Measure(Pick),
}

impl Scanner {
    /// A scanner at the start of a document.
    #[must_use]
    pub fn new(spec: Rc<Spec>) -> Self {
        let levels = [Level::default(); MAX_DEPTH];
        let (at, scratch) = (At::Next, Vec::new());
        Self { spec, at, levels, depth: 0, scratch, overflown: false, documents: 0 }
    }

    /// Starts anew, and tells whether what was read since the last start is one whole document.
    pub fn restart(&mut self) -> bool {
        let whole = self.is_between() && self.documents == 1;
        self.documents = 0;
        self.at = At::Next;
        self.depth = 0;
        self.scratch.clear();
        self.overflown = false;
        whole
    }

    /// Whether the text so far ends between documents.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        matches!(self.at, At::Next) && self.depth == 0
    }

    /// Whether at least one document is whole, and none is begun: what follows may be no JSON.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.at, At::Next | At::Broken) && self.depth == 0 && self.documents > 0
    }

    /// Whether the text so far ends in the middle of a document.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.at, At::Broken) && (self.depth > 0 || !matches!(self.at, At::Next))
    }

    /// Whether the text has turned out not to be JSON.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self.at, At::Broken)
    }

    /// Reads one chunk and reports what it completes.
    pub fn feed(&mut self, chunk: &[u8], on_found: &mut impl FnMut(Found<'_>)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let len = match self.at {
                At::Next => self.next(rest),
                At::Key(escaped) => self.key(rest, escaped),
                At::Colon(place) => self.colon(rest, place),
                At::Value(place) => self.value(rest, place),
                At::Inside(walk, goal) => self.inside(rest, walk, goal, on_found),
                At::Broken => return,
            };
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    fn next(&mut self, bytes: &[u8]) -> usize {
        let Some(skipped) = bytes.iter().position(|&b| !is_between(b)) else {
            return bytes.len();
        };
        let byte = bytes.get(skipped).copied().unwrap_or_default();
        let level = self.depth.checked_sub(1).and_then(|top| self.levels.get(top)).copied();
        match (level, byte) {
            (None, b'{' | b'[') => {
                self.documents = self.documents.saturating_add(1);
                self.begin(Some(ROOT), byte);
            }
            (Some(level), b']' | b'}') if level.array == (byte == b']') => {
                self.depth = self.depth.saturating_sub(1);
                return skipped.saturating_add(1);
            }
            (Some(Level { array: false, .. }), b'"') => {
                self.at = At::Key(false);
                return skipped.saturating_add(1);
            }
            (Some(Level { array: true, place }), _) => {
                let below = self.spec.under_item(place);
                return skipped.saturating_add(self.begin_at(below, byte));
            }
            _ => self.at = At::Broken,
        }
        // `begin` opened the outermost container, or the text is broken.
        if matches!(self.at, At::Inside(..)) { skipped } else { skipped.saturating_add(1) }
    }

    fn key(&mut self, bytes: &[u8], escaped: bool) -> usize {
        if escaped {
            self.keep(bytes.get(..1).unwrap_or_default(), MAX_KEY);
            self.at = At::Key(false);
            return 1;
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.keep(bytes, MAX_KEY);
            return bytes.len();
        };
        let (key, end) = (bytes.get(..at).unwrap_or_default(), at.saturating_add(1));
        if bytes.get(at) == Some(&b'\\') {
            self.keep(bytes.get(..end).unwrap_or_default(), MAX_KEY);
            self.at = At::Key(true);
            return end;
        }
        self.at = At::Colon(self.below(key));
        self.scratch.clear();
        self.overflown = false;
        end
    }

    /// The place under a key whose last part is `tail`.
    fn below(&mut self, tail: &[u8]) -> Option<Place> {
        let place = self.levels.get(self.depth.checked_sub(1)?)?.place;
        if self.scratch.is_empty() && !self.overflown {
            return self.spec.under_key(place, tail);
        }
        self.keep(tail, MAX_KEY);
        if self.overflown { None } else { self.spec.under_written(place, &self.scratch) }
    }

    fn colon(&mut self, bytes: &[u8], place: Option<Place>) -> usize {
        match bytes.iter().position(|&b| !is_space(b)) {
            None => bytes.len(),
            Some(at) => {
                let colon = bytes.get(at) == Some(&b':');
                self.at = if colon { At::Value(place) } else { At::Broken };
                at.saturating_add(1)
            }
        }
    }

    fn value(&mut self, bytes: &[u8], place: Option<Place>) -> usize {
        match bytes.iter().position(|&b| !is_space(b)) {
            None => bytes.len(),
            Some(at) => {
                let byte = bytes.get(at).copied().unwrap_or_default();
                at.saturating_add(self.begin_at(place, byte))
            }
        }
    }

    /// Begins a value, and tells how much of its first byte was consumed by that: 1 or 0.
    fn begin_at(&mut self, place: Option<Place>, first: u8) -> usize {
        self.begin(place, first);
        usize::from(!matches!(self.at, At::Inside(..)))
    }

    /// Begins the value whose first byte is `first`: goes down into it, or through it.
    fn begin(&mut self, place: Option<Place>, first: u8) {
        if ends_scalar(first) {
            self.at = At::Broken;
            return;
        }
        let goal = match place {
            None => Goal::Skip,
            Some(place) if self.spec.leads_on(place, first) => {
                if let Some(level) = self.levels.get_mut(self.depth) {
                    *level = Level { place, array: first == b'[' };
                    self.depth = self.depth.saturating_add(1);
                    self.at = At::Next;
                    return;
                }
                Goal::Skip
            }
            Some(place) => match self.spec.wishes(place) {
                [(_, How::Take), ..] => Goal::Take(place),
                &[(pick, How::Measure), ..] if matches!(first, b'"' | b'{' | b'[') => {
                    Goal::Measure(pick)
                }
                _ => Goal::Skip,
            },
        };
        self.at = At::Inside(Walk::new(first), goal);
    }

    fn inside(
        &mut self,
        bytes: &[u8],
        mut walk: Walk,
        goal: Goal,
        on_found: &mut impl FnMut(Found<'_>),
    ) -> usize {
        let (len, ended) = walk.go(bytes);
        let piece = bytes.get(..len).unwrap_or_default();
        match goal {
            Goal::Skip => {}
            Goal::Measure(pick) => on_found(Found::Text(pick, len)),
            Goal::Take(place) => self.take(place, piece, ended, on_found),
        }
        self.at = if ended { At::Next } else { At::Inside(walk, goal) };
        len
    }

    fn take(
        &mut self,
        place: Place,
        piece: &[u8],
        ended: bool,
        on_found: &mut impl FnMut(Found<'_>),
    ) {
        let uncut = self.scratch.is_empty() && !self.overflown && piece.len() <= MAX_TAKEN;
        if !(ended && uncut) {
            self.keep(piece, MAX_TAKEN);
        }
        if !ended {
            return;
        }
        let value = if uncut { piece } else { &self.scratch };
        for &(pick, _) in self.spec.wishes(place) {
            on_found(match self.overflown {
                true => Found::TooLong(pick),
                false => Found::Value(pick, value),
            });
        }
        self.scratch.clear();
        self.overflown = false;
    }

    fn keep(&mut self, piece: &[u8], max: usize) {
        if self.overflown || self.scratch.len().saturating_add(piece.len()) > max {
            self.overflown = true;
            self.scratch.clear();
        } else {
            self.scratch.extend_from_slice(piece);
        }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_between(byte: u8) -> bool {
    is_space(byte) || byte == b','
}

/// A usage object is below 2 KiB; what is longer is no usage.
const MAX_TAKEN: usize = 16 * 1024;
/// Longer than any key of a spec: a longer one cannot match, and need not be kept.
const MAX_KEY: usize = 256;

#[cfg(test)]
mod tests;
