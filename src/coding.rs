//! Reads coded bodies piece by piece, in bounded memory: gzip, deflate, brotli and zstd.
//!
//! The client's bytes are untouched: this is a second, read-only pass over them. A body that turns
//! out to be damaged, or that expands beyond reason, is given up, which its reader counts. Where
//! the chunks are cut does not matter.

mod brotli;
mod gzip;
mod pool;
mod zstd;

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
    /// The coding that the header's value names, or `None` for one that cannot be read: an unknown
    /// one, or several in a row.
    #[must_use]
    pub fn named(header: &str) -> Option<Self> {
        let names = header.split(',').map(|name| name.trim().to_ascii_lowercase());
        let mut names = names.filter(|name| !matches!(name.as_str(), "" | "identity"));
        let coding = match names.next().as_deref() {
            None => Self::Identity,
            Some("gzip" | "x-gzip") => Self::Gzip,
            Some("deflate") => Self::Deflate,
            Some("br") => Self::Brotli,
            Some("zstd") => Self::Zstd,
            Some(_) => return None,
        };
        names.next().is_none().then_some(coding)
    }
}

/// Why a body is not decoded, or no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `content-encoding` names a coding that is not read here.
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
    how: How,
    /// Coded bytes that have been consumed.
    taken: u64,
    /// Decoded bytes that have been passed on.
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
        let how = match Coding::named(content_encoding) {
            None => How::GivenUp(Fault::Unknown),
            Some(Coding::Identity) => How::Plain,
            Some(Coding::Gzip) => How::Flate(Flate::gzip()),
            Some(Coding::Deflate) => How::Flate(Flate::zlib()),
            Some(coding) => match pool.take() {
                None => How::GivenUp(Fault::Busy),
                Some(place) if coding == Coding::Brotli => How::Brotli(Brotli::new(place)),
                Some(place) => How::Zstd(Box::new(Zstd::new(place))),
            },
        };
        Self { how, taken: 0, given: 0 }
    }

    /// Why the body is not decoded, or no further.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self.how {
            How::GivenUp(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether the data has begun and not come to its end.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.how {
            How::Plain | How::GivenUp(_) => false,
            How::Flate(flate) => flate.is_open(),
            How::Brotli(brotli) => self.taken > 0 && brotli.is_open(),
            How::Zstd(zstd) => zstd.is_open(),
        }
    }

    /// Decodes one chunk, passing on what it yields in pieces.
    pub fn feed(&mut self, chunk: &[u8], on_bytes: &mut dyn FnMut(&[u8])) {
        let mut rest = chunk;
        loop {
            let mut given = 0;
            let mut pass_on = |bytes: &[u8]| {
                given = bytes.len().saturating_add(given);
                on_bytes(bytes);
            };
            let step = match &mut self.how {
                How::Plain => return on_bytes(chunk),
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
            self.taken = self.taken.saturating_add(wide(taken));
            self.given = self.given.saturating_add(wide(given));
            if self.given > MOST_TIMES.saturating_mul(self.taken).saturating_add(FREE_BYTES) {
                return self.how = How::GivenUp(Fault::Expands);
            }
            if matches!(step, Step::Hungry) {
                return;
            }
        }
    }

    /// Passes on what is held back of a body that broke off. Nothing can be fed after it.
    pub fn end(&mut self, on_bytes: &mut dyn FnMut(&[u8])) {
        if let How::Zstd(zstd) = &mut self.how {
            zstd.end(on_bytes);
        }
    }
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
