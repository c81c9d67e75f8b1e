//! Gzip, RFC 1952, and the zlib format, RFC 1950. Checksums are not compared.

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
        Self::new(DataFormat::Zlib, At::Body)
    }

    fn new(format: DataFormat, at: At) -> Self {
        let state = InflateState::new_boxed(format);
        Self { state, at, out: vec![0; OUT_BYTES].into_boxed_slice() }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.at, At::Body)
    }

    pub(super) fn step(&mut self, rest: &[u8], on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        self.at = match (self.at, rest.first()) {
            (At::Body, _) => return self.body(rest, on_bytes),
            (At::Damaged, _) => return Step::Damaged,
            (_, None) => return Step::Hungry,
            (At::Header(header), Some(&byte)) => header.next(byte),
            // Another member may follow.
            (At::Trailer(0 | 1), Some(_)) => At::Header(Header::Fixed(0, 0)),
            (At::Trailer(left), Some(_)) => At::Trailer(left.saturating_sub(1)),
        };
        Step::Went(1)
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
