//! Reads coded bodies piece by piece, in bounded memory: gzip, deflate, brotli and zstd.
//!
//! The client's bytes are untouched: this is a second, read-only pass over them. A body that turns
//! out to be damaged, or that expands beyond reason, is given up, which its reader counts. Where
//! the chunks are cut does not matter.

mod brotli;
mod gzip;
mod pool;
mod zstd;

use core::cell::Cell;

use brotli::Brotli;
use gzip::Flate;
pub use pool::Pool;
use zstd::Zstd;

/// How the bytes of a body are coded, as `content-encoding` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls `deflate`.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, with windows of up to 8 MiB, as RFC 9659 has it.
    Zstd,
}

impl Coding {
    /// The codings that the header's value names, the one to be taken off first in front, or `None`
    /// where one of them cannot be read, or more than two were put on each other.
    #[must_use]
    pub fn named(header: &str) -> Option<(Self, Self)> {
        let names = header.rsplit(',').map(str::trim);
        let mut codings = names.map(Self::of).filter(|coding| *coding != Some(Self::Identity));
        let mut next = || codings.next().unwrap_or(Some(Self::Identity));
        let named = (next()?, next()?);
        codings.next().is_none().then_some(named)
    }

    fn of(name: &str) -> Option<Self> {
        #[rustfmt::skip]
        const NAMES: [(&str, Coding); 7] = [
            ("",         Coding::Identity),
            ("identity", Coding::Identity),
            ("gzip",     Coding::Gzip),
            ("x-gzip",   Coding::Gzip),
            ("deflate",  Coding::Deflate),
            ("br",       Coding::Brotli),
            ("zstd",     Coding::Zstd),
        ];
        let is = |&&(own, _): &&(&str, Self)| own.eq_ignore_ascii_case(name);
        NAMES.iter().find(is).map(|&(_, coding)| coding)
    }
}

/// Why a body is not decoded, or no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `content-encoding` names a coding that is not read here, or more than two.
    Unknown,
    /// This worker reads as many brotli and zstd bodies as it may.
    Busy,
    /// The body is not coded as `content-encoding` says.
    Damaged,
    /// The body expands beyond reason.
    Expands,
}

impl Fault {
    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "encoding",
            Self::Busy => "pool",
            Self::Damaged => "damaged",
            Self::Expands => "expansion",
        }
    }
}

/// Decodes one body.
#[derive(Debug)]
pub struct Decoder {
    outer: Stage,
    /// What is left to be taken off then, if anything.
    inner: Option<Box<Stage>>,
    /// Coded bytes that have been consumed.
    taken: Cell<u64>,
}

/// Takes one coding off.
#[derive(Debug)]
struct Stage {
    how: How,
    /// Whether it is the first, which consumes the bytes of the body itself.
    is_first: bool,
    /// Whether anything of it has come.
    begun: bool,
    /// Bytes that have been passed on.
    given: u64,
}

enum How {
    Plain,
    Flate(Flate),
    Brotli(Brotli),
    Zstd(Box<Zstd>),
    GivenUp(Fault),
}

/// What came of one step, which does a bounded amount of work.
enum Step {
    /// So much of the chunk is consumed, and there may be more to do.
    Went(usize),
    /// All of the chunk is consumed, and nothing can be done without more.
    Hungry,
    Damaged,
}

impl core::fmt::Debug for How {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Flate(_) => "Flate",
            Self::Brotli(_) => "Brotli",
            Self::Zstd(_) => "Zstd",
            Self::GivenUp(fault) => fault.label(),
        })
    }
}

impl Decoder {
    /// A decoder for a body with this `content-encoding`, empty for none. One with a large window
    /// takes a place of the pool, and gives it back when it is dropped or the body given up.
    #[must_use]
    pub fn new(content_encoding: &str, pool: &Pool) -> Self {
        let (outer, inner) = match Coding::named(content_encoding) {
            None => (How::GivenUp(Fault::Unknown), None),
            Some((outer, Coding::Identity)) => (How::of(outer, pool), None),
            Some((outer, inner)) => (How::of(outer, pool), Some(How::of(inner, pool))),
        };
        let stage = |how, is_first| Stage { how, is_first, begun: false, given: 0 };
        Self {
            outer: stage(outer, true),
            inner: inner.map(|inner| Box::new(stage(inner, false))),
            taken: Cell::default(),
        }
    }

    /// Why the body is not decoded, or no further.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let inner = || self.inner.as_ref().and_then(|inner| inner.fault());
        self.outer.fault().or_else(inner)
    }

    /// Whether the data has begun and not come to its end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outer.is_open() || self.inner.as_ref().is_some_and(|inner| inner.is_open())
    }

    /// Decodes one chunk, passing on what it yields in pieces.
    pub fn feed(&mut self, chunk: &[u8], on_bytes: &mut dyn FnMut(&[u8])) {
        let Self { outer, inner, taken } = self;
        let Some(inner) = inner else { return outer.feed(chunk, taken, on_bytes) };
        outer.feed(chunk, taken, &mut |bytes| inner.feed(bytes, taken, on_bytes));
        if let Some(fault) = inner.fault() {
            outer.how = How::GivenUp(fault);
        }
    }

    /// Passes on what is held back of a body that broke off. Nothing can be fed after it.
    pub fn end(&mut self, on_bytes: &mut dyn FnMut(&[u8])) {
        let Self { outer, inner, taken } = self;
        let Some(inner) = inner else { return outer.end(on_bytes) };
        outer.end(&mut |bytes| inner.feed(bytes, taken, on_bytes));
        inner.end(on_bytes);
    }
}

impl How {
    fn of(coding: Coding, pool: &Pool) -> Self {
        match coding {
            Coding::Identity => Self::Plain,
            Coding::Gzip => Self::Flate(Flate::gzip()),
            Coding::Deflate => Self::Flate(Flate::zlib()),
            Coding::Brotli | Coding::Zstd => match pool.take() {
                None => Self::GivenUp(Fault::Busy),
                Some(place) if coding == Coding::Brotli => Self::Brotli(Brotli::new(place)),
                Some(place) => Self::Zstd(Box::new(Zstd::new(place))),
            },
        }
    }
}

impl Stage {
    const fn fault(&self) -> Option<Fault> {
        match self.how {
            How::GivenUp(fault) => Some(fault),
            _ => None,
        }
    }

    fn is_open(&self) -> bool {
        match &self.how {
            How::Plain | How::GivenUp(_) => false,
            How::Flate(flate) => flate.is_open(),
            How::Brotli(brotli) => self.begun && brotli.is_open(),
            How::Zstd(zstd) => zstd.is_open(),
        }
    }

    /// Decodes one piece. What has been consumed of the body itself, `consumed`, bounds what may be
    /// made of it, however many codings it is in.
    fn feed(&mut self, piece: &[u8], consumed: &Cell<u64>, on_bytes: &mut dyn FnMut(&[u8])) {
        self.begun |= !piece.is_empty();
        let mut rest = piece;
        loop {
            let mut given = 0;
            let mut pass_on = |bytes: &[u8]| {
                given = bytes.len().saturating_add(given);
                on_bytes(bytes);
            };
            let step = match &mut self.how {
                How::Plain => return on_bytes(piece),
                How::GivenUp(_) => return,
                How::Flate(flate) => flate.step(rest, &mut pass_on),
                How::Brotli(brotli) => brotli.step(rest, &mut pass_on),
                How::Zstd(zstd) => zstd.step(rest, &mut pass_on),
            };
            let taken = match step {
                Step::Went(taken) => taken,
                Step::Hungry => rest.len(),
                Step::Damaged => return self.how = How::GivenUp(Fault::Damaged),
            };
            rest = rest.get(taken..).unwrap_or_default();
            if self.is_first {
                consumed.set(consumed.get().saturating_add(wide(taken)));
            }
            self.given = self.given.saturating_add(wide(given));
            if self.given > MOST_TIMES.saturating_mul(consumed.get()).saturating_add(FREE_BYTES) {
                return self.how = How::GivenUp(Fault::Expands);
            }
            if matches!(step, Step::Hungry) {
                return;
            }
        }
    }

    fn end(&mut self, on_bytes: &mut dyn FnMut(&[u8])) {
        if let How::Zstd(zstd) = &mut self.how {
            zstd.end(on_bytes);
        }
    }
}

/// All of a body without its coding; `None` if that cannot be taken off, or has no end, or leaves
/// more than `most` bytes.
#[must_use]
pub fn decoded(body: &[u8], content_encoding: &str, most: usize, pool: &Pool) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(content_encoding, pool);
    let (mut plain, mut fits) = (Vec::new(), true);
    decoder.feed(body, &mut |bytes| {
        fits &= plain.len().saturating_add(bytes.len()) <= most;
        if fits {
            plain.extend_from_slice(bytes);
        }
    });
    (fits && decoder.fault().is_none() && !decoder.is_open()).then_some(plain)
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// So much a body may become whatever its size. Hardly an answer is as long.
const FREE_BYTES: u64 = 16 * 1024 * 1024;
/// So many times its size a body may become beyond that. Events that are all alike but for a word
/// pack some sixty times; gzip could do a thousand, zstd thirty thousand, and a chunk of 64 KiB
/// must not keep a worker for longer than it takes to read 8 MiB.
const MOST_TIMES: u64 = 128;

#[cfg(test)]
mod tests;
