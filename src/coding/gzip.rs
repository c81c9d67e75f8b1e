//! Gzip, RFC 1952, and the zlib format, RFC 1950, or what some servers send for it: bare deflate,
//! RFC 1951. Checksums are not compared.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::Step;

pub(super) struct Flate {
    state: Box<InflateState>,
    at: At,
    out: Box<[u8]>,
}

#[derive(Clone, Copy)]
enum At {
    Header(Header),
    /// Before the two bytes of a zlib header, if it has one; the first of them once it came.
    Zlib(Option<u8>),
    Body,
    /// Behind a gzip member: its eight bytes of checksum and length, of which so many are left.
    Trailer(u8),
    /// The header is not what it should be.
    Damaged,
}

impl Flate {
    pub(super) fn gzip() -> Self {
        Self::new(DataFormat::Raw, At::Header(Header::Fixed(0, 0)))
    }

    pub(super) fn zlib() -> Self {
        Self::new(DataFormat::Raw, At::Zlib(None))
    }

    fn new(format: DataFormat, at: At) -> Self {
        let state = InflateState::new_boxed(format);
        Self { state, at, out: vec![0; OUT_BYTES].into_boxed_slice() }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.at, At::Body | At::Zlib(Some(_)))
    }

    pub(super) fn step(&mut self, rest: &[u8], on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        self.at = match (self.at, rest.first()) {
            (At::Body, _) => return self.body(rest, on_bytes),
            (At::Damaged, _) => return Step::Damaged,
            (_, None) => return Step::Hungry,
            (At::Header(header), Some(&byte)) => header.next(byte),
            (At::Zlib(None), Some(&byte)) => At::Zlib(Some(byte)),
            (At::Zlib(Some(first)), Some(&byte)) => return self.begin(first, byte, on_bytes),
            // Another member may follow.
            (At::Trailer(0 | 1), Some(_)) => At::Header(Header::Fixed(0, 0)),
            (At::Trailer(left), Some(_)) => At::Trailer(left.saturating_sub(1)),
        };
        Step::Went(1)
    }

    /// Begins a body of the coding that HTTP calls `deflate` by its first two bytes.
    fn begin(&mut self, first: u8, second: u8, on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        self.at = At::Body;
        if is_zlib(first, second) {
            self.at = if second & DICTIONARY == 0 { At::Body } else { At::Damaged };
            return Step::Went(1);
        }
        if matches!(first, b'{' | b'[') {
            // Not coded at all: no JSON and no event becomes data that begins like that.
            self.at = At::Damaged;
            return Step::Damaged;
        }
        // The decoder keeps what it cannot use yet, so the first byte goes before the second.
        match self.body(&[first], on_bytes) {
            Step::Damaged => Step::Damaged,
            Step::Went(_) | Step::Hungry => Step::Went(0),
        }
    }

    /// Decodes one piece.
    fn body(&mut self, rest: &[u8], on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        let result = inflate(&mut self.state, rest, &mut self.out, MZFlush::None);
        on_bytes(self.out.get(..result.bytes_written).unwrap_or_default());
        match result.status {
            Ok(MZStatus::StreamEnd) => {
                self.state.reset(DataFormat::Raw);
                self.at = At::Trailer(TRAILER_BYTES);
            }
            // The decoder may stop half-way and say so by nothing but its progress.
            Ok(_) if result.bytes_written > 0 || result.bytes_consumed > 0 => {}
            Ok(_) | Err(MZError::Buf) => return Step::Hungry,
            Err(_) => return Step::Damaged,
        }
        Step::Went(result.bytes_consumed)
    }
}

/// Whether two bytes are the header of the zlib format.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// The flag of a zlib header that a dictionary is needed.
const DICTIONARY: u8 = 32;

/// The place in a gzip member's header.
#[derive(Clone, Copy)]
enum Header {
    /// The fixed ten bytes: position, and the flags once read.
    Fixed(u8, u8),
    /// The two bytes of the extra field's length: position, length so far; then the flags.
    ExtraLength(u8, u16, u8),
    /// The extra field: so many bytes left.
    Extra(u16, u8),
    /// A name or a comment, ended by a zero.
    Text(u8),
    /// The header's checksum: so many bytes left.
    Checksum(u8),
}

impl Header {
    const fn next(self, byte: u8) -> At {
        match self {
            Self::Fixed(0, _) if byte != 0x1f => At::Damaged,
            Self::Fixed(1, _) if byte != 0x8b => At::Damaged,
            Self::Fixed(2, _) if byte != 8 => At::Damaged,
            Self::Fixed(3, _) => At::Header(Self::Fixed(4, byte)),
            Self::Fixed(9, flags) => Self::behind_fixed(flags),
            Self::Fixed(n, flags) => At::Header(Self::Fixed(n.saturating_add(1), flags)),
            Self::ExtraLength(0, _, flags) => At::Header(Self::ExtraLength(1, byte as u16, flags)),
            Self::ExtraLength(_, low, flags) => match low | ((byte as u16) << 8) {
                0 => Self::texts(flags & !EXTRA),
                len => At::Header(Self::Extra(len, flags & !EXTRA)),
            },
            Self::Extra(1, flags) => Self::texts(flags),
            Self::Extra(left, flags) => At::Header(Self::Extra(left.saturating_sub(1), flags)),
            Self::Text(flags) if byte != 0 => At::Header(Self::Text(flags)),
            // The first text that the flags promise is read; its flag is the lowest one left.
            Self::Text(flags) if flags & NAME != 0 => Self::texts(flags & !NAME),
            Self::Text(flags) => Self::texts(flags & !COMMENT),
            Self::Checksum(2) => At::Header(Self::Checksum(1)),
            Self::Checksum(_) => At::Body,
        }
    }

    const fn behind_fixed(flags: u8) -> At {
        if flags & EXTRA != 0 {
            At::Header(Self::ExtraLength(0, 0, flags))
        } else {
            Self::texts(flags)
        }
    }

    const fn texts(flags: u8) -> At {
        if flags & (NAME | COMMENT) != 0 {
            At::Header(Self::Text(flags))
        } else if flags & CHECKSUM != 0 {
            At::Header(Self::Checksum(2))
        } else {
            At::Body
        }
    }
}

const CHECKSUM: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const TRAILER_BYTES: u8 = 8;
/// One piece of decoded data. The decoder's own window is 32 KiB beside it.
const OUT_BYTES: usize = 8 * 1024;
