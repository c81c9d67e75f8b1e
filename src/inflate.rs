//! Reads gzip and deflate bodies piece by piece, in fixed memory.
//!
//! The client's bytes are untouched: this is a second, read-only pass over them. A stream that
//! turns out to be damaged is given up, which its reader counts.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

/// How the bytes of a body are coded, as `content-encoding` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls `deflate`.
    Deflate,
}

impl Coding {
    /// The coding that the header's value names, or `None` for one that cannot be read.
    #[must_use]
    pub fn named(header: &str) -> Option<Self> {
        let names = header.split(',').map(|name| name.trim().to_ascii_lowercase());
        let mut names = names.filter(|name| !matches!(name.as_str(), "" | "identity"));
        let coding = match names.next().as_deref() {
            None => Self::Identity,
            Some("gzip" | "x-gzip") => Self::Gzip,
            Some("deflate") => Self::Deflate,
            Some(_) => return None,
        };
        names.next().is_none().then_some(coding)
    }
}

/// Decodes one body.
pub struct Inflate {
    state: Box<InflateState>,
    at: At,
    out: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Header(Header),
    Body,
    /// Behind a gzip member: its eight bytes of checksum and length, of which so many are left.
    Trailer(u8),
    /// The data is not what it should be: nothing more is read.
    Damaged,
}

impl core::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflate").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Inflate {
    /// A decoder for `coding`, or `None` where there is nothing to decode.
    #[must_use]
    pub fn new(coding: Coding) -> Option<Self> {
        let (format, at) = match coding {
            Coding::Identity => return None,
            Coding::Gzip => (DataFormat::Raw, At::Header(Header::Fixed(0, 0))),
            Coding::Deflate => (DataFormat::Zlib, At::Body),
        };
        Some(Self {
            state: InflateState::new_boxed(format),
            at,
            out: vec![0; OUT_BYTES].into_boxed_slice(),
        })
    }

    /// Whether the data has not come to its end.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.at, At::Body)
    }

    /// Whether the data was not what `content-encoding` says.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.at == At::Damaged
    }

    /// Decodes one chunk, passing on what it yields in pieces.
    pub fn feed(&mut self, chunk: &[u8], on_bytes: &mut impl FnMut(&[u8])) {
        let mut rest = chunk;
        loop {
            let len = match (self.at, rest.first()) {
                (At::Body, _) => self.body(rest, on_bytes),
                (At::Damaged, _) | (_, None) => return,
                (At::Header(header), Some(&byte)) => {
                    self.at = header.next(byte);
                    1
                }
                (At::Trailer(left), Some(_)) => {
                    self.at = left.checked_sub(1).filter(|&n| n > 0).map_or_else(
                        // Another member may follow.
                        || At::Header(Header::Fixed(0, 0)),
                        At::Trailer,
                    );
                    1
                }
            };
            rest = rest.get(len..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Decodes to the end of the chunk, or of the compressed data; returns how much was consumed.
    fn body(&mut self, chunk: &[u8], on_bytes: &mut impl FnMut(&[u8])) -> usize {
        let mut consumed: usize = 0;
        loop {
            let rest = chunk.get(consumed..).unwrap_or_default();
            let result = inflate(&mut self.state, rest, &mut self.out, MZFlush::None);
            consumed = consumed.saturating_add(result.bytes_consumed);
            on_bytes(self.out.get(..result.bytes_written).unwrap_or_default());
            match result.status {
                Ok(MZStatus::StreamEnd) => {
                    self.state.reset(DataFormat::Raw);
                    self.at = At::Trailer(TRAILER_BYTES);
                    return consumed;
                }
                // The decoder may stop half-way and say so by nothing but its progress.
                Ok(_) if result.bytes_written > 0 || result.bytes_consumed > 0 => {}
                Ok(_) | Err(MZError::Buf) => return chunk.len(),
                Err(_) => {
                    self.at = At::Damaged;
                    return chunk.len();
                }
            }
        }
    }
}

/// The place in a gzip member's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    fn gzip(data: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
        let head = [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], fields].concat();
        [head, compress_to_vec(data, 6), vec![0; 8]].concat()
    }

    fn decode<'a>(coding: Coding, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
        let mut inflate = Inflate::new(coding).unwrap();
        let mut out = Vec::new();
        for chunk in chunks {
            inflate.feed(chunk, &mut |bytes| out.extend_from_slice(bytes));
        }
        (out, inflate.is_damaged())
    }

    fn text() -> Vec<u8> {
        (0..20_000u32).flat_map(|n| n.to_string().into_bytes()).collect()
    }

    #[test]
    fn every_kind_of_header_is_read_at_every_cut() {
        #[rustfmt::skip]
        let cases: &[(u8, &[u8])] = &[
            (0,  b""),
            (4,  b"\x03\x00abc"),
            (4,  b"\x00\x00"),
            (8,  b"name\0"),
            (16, b"comment\0"),
            (2,  b"\x01\x02"),
            (30, b"\x01\x00anames\0words\0\x01\x02"),
        ];
        for &(flags, fields) in cases {
            let coded = gzip(b"hello", flags, fields);
            for cut in 0..=coded.len() {
                let (head, tail) = coded.split_at(cut);
                let expected = (b"hello".to_vec(), false);
                assert_eq!(decode(Coding::Gzip, [head, tail]), expected, "{flags} cut at {cut}");
            }
        }
    }

    #[test]
    fn long_data_comes_out_whole_in_any_chunks() {
        let text = text();
        let coded = gzip(&text, 0, b"");
        let zlib = compress_to_vec_zlib(&text, 6);
        for size in [1, 100, 4096, 1 << 20] {
            assert_eq!(decode(Coding::Gzip, coded.chunks(size)), (text.clone(), false));
            assert_eq!(decode(Coding::Deflate, zlib.chunks(size)), (text.clone(), false));
        }
    }

    #[test]
    fn text_that_packs_well_comes_out_whole_in_any_chunks() {
        let event =
            |n: u32| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"w{n}\"}}}}]}}\n\n");
        let text: Vec<u8> = (0..3_000).flat_map(|n| event(n).into_bytes()).collect();
        let coded = gzip(&text, 0, b"");
        assert!(coded.len() * 8 < text.len());
        for size in [1, 7, 512, 1000, 1400, 4096, 8192, 16_384] {
            assert_eq!(decode(Coding::Gzip, coded.chunks(size)), (text.clone(), false), "{size}");
        }
    }

    #[test]
    fn members_may_follow_each_other() {
        let coded = [gzip(b"one ", 0, b""), gzip(b"two", 0, b"")].concat();
        assert_eq!(decode(Coding::Gzip, [&*coded]), (b"one two".to_vec(), false));
    }

    #[test]
    fn data_that_is_not_compressed_is_noticed() {
        assert!(decode(Coding::Gzip, [&b"{\"usage\":{}}"[..]]).1);
        assert!(decode(Coding::Deflate, [&b"{\"usage\":{}}"[..]]).1);
        let mut coded = gzip(&text(), 0, b"");
        coded[10] = 0xff; // a block of a type that is not there
        assert!(decode(Coding::Gzip, [&*coded]).1);
    }

    #[test]
    fn codings_have_the_names_of_http() {
        assert_eq!(Coding::named("GZIP "), Some(Coding::Gzip));
        assert_eq!(Coding::named("identity"), Some(Coding::Identity));
        assert_eq!(Coding::named("gzip, identity"), Some(Coding::Gzip));
        assert_eq!(Coding::named("br"), None);
        assert_eq!(Coding::named("gzip, br"), None);
    }
}
