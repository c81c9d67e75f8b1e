//! Zstandard, RFC 8878: frames of blocks, one after the other.
//!
//! The decoder reads whole blocks, so what comes of one is kept until the rest of it has come. It
//! passes on what has left its window, and all at the end of a frame: an answer is read late, but
//! whole, and a window is all that is ever held. Checksums are not compared.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io::{Error, Write};

use super::Step;
use super::pool::Place;

pub(super) struct Zstd {
    frame: FrameDecoder,
    at: At,
    /// What has come of the header or block that is not whole.
    kept: Vec<u8>,
    _place: Place,
}

#[derive(Clone, Copy)]
enum At {
    /// Before a frame, or in its header.
    Head,
    /// Before a block of a frame, or in it; whether a checksum follows the last one.
    Block { checksum: bool },
    /// In a frame to be skipped, of which so many bytes are left.
    Skip(usize),
}

struct Damaged;

impl Zstd {
    pub(super) fn new(place: Place) -> Self {
        Self { frame: FrameDecoder::new(), at: At::Head, kept: Vec::new(), _place: place }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.at, At::Head) || !self.kept.is_empty()
    }

    pub(super) fn step(&mut self, rest: &[u8], on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        if let At::Skip(left) = self.at {
            let len = left.min(rest.len());
            self.at = match left.saturating_sub(len) {
                0 => At::Head,
                left => At::Skip(left),
            };
            return if len == 0 && left > 0 { Step::Hungry } else { Step::Went(len) };
        }
        let Ok(needed) = self.needed() else { return Step::Damaged };
        let missing = needed.saturating_sub(self.kept.len());
        if missing > 0 {
            let come = rest.get(..missing).unwrap_or(rest);
            self.kept.extend_from_slice(come);
            return if come.is_empty() { Step::Hungry } else { Step::Went(come.len()) };
        }
        let done = match self.at {
            At::Block { .. } => self.block(on_bytes),
            At::Head | At::Skip(_) => self.head(),
        };
        self.kept.clear();
        if done.is_ok() { Step::Went(0) } else { Step::Damaged }
    }

    /// How long the header or block is, as far as what has come of it tells.
    fn needed(&self) -> Result<usize, Damaged> {
        match (self.at, &*self.kept) {
            (At::Block { checksum }, &[a, b, c, ..]) => {
                let header = u32::from_le_bytes([a, b, c, 0]);
                let size = header >> SIZE_SHIFT;
                let body = match header >> 1 & 3 {
                    RAW | COMPRESSED if size <= MOST_BLOCK => size,
                    REPEATED if size <= MOST_BLOCK => 1,
                    _ => return Err(Damaged),
                };
                let is_last = header & 1 != 0;
                let tail = if is_last && checksum { CHECKSUM_BYTES } else { 0 };
                let len = body.saturating_add(3).saturating_add(tail);
                usize::try_from(len).map_err(|_| Damaged)
            }
            (At::Block { .. }, _) => Ok(3),
            (_, &[0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) => Ok(8),
            (_, &[0x28, 0xb5, 0x2f, 0xfd, descriptor, ..]) => Ok(header_bytes(descriptor)),
            (_, &[0x28, 0xb5, 0x2f, 0xfd]) => Ok(5),
            (_, &[_, _, _, _, ..]) => Err(Damaged),
            _ => Ok(4),
        }
    }

    /// Begins a frame.
    fn head(&mut self) -> Result<(), Damaged> {
        if let &[0x50..=0x5f, _, _, _, a, b, c, d] = &*self.kept {
            let len = u32::from_le_bytes([a, b, c, d]);
            self.at = At::Skip(usize::try_from(len).map_err(|_| Damaged)?);
            return Ok(());
        }
        // A new one takes memory as it is filled; a used one, all of the window at once.
        self.frame = FrameDecoder::new();
        self.frame.set_max_window_size(MOST_WINDOW);
        self.frame.reset(&*self.kept).map_err(|_| Damaged)?;
        let descriptor = self.kept.get(4).ok_or(Damaged)?;
        self.at = At::Block { checksum: descriptor & CHECKSUM != 0 };
        Ok(())
    }

    /// Decodes a block, and passes on what need not be held for later ones.
    fn block(&mut self, on_bytes: &mut dyn FnMut(&[u8])) -> Result<(), Damaged> {
        let one = BlockDecodingStrategy::UptoBlocks(1);
        let is_last = self.frame.decode_blocks(&*self.kept, one).map_err(|_| Damaged)?;
        self.frame.collect_to_writer(Sink(on_bytes)).map_err(|_| Damaged)?;
        if is_last {
            self.frame = FrameDecoder::new();
            self.at = At::Head;
        }
        Ok(())
    }

    /// Passes on what is held of a frame that broke off, by ending it with an empty block.
    pub(super) fn end(&mut self, on_bytes: &mut dyn FnMut(&[u8])) {
        if matches!(self.at, At::Block { .. })
            && self.frame.decode_blocks(LAST_BLOCK, BlockDecodingStrategy::All).is_ok()
        {
            let _ = self.frame.collect_to_writer(Sink(on_bytes));
        }
    }
}

/// The length of a frame's header, by the byte that describes it.
const fn header_bytes(descriptor: u8) -> usize {
    let single_segment = descriptor & SINGLE_SEGMENT != 0;
    let content_size: usize = match descriptor >> 6 {
        0 if single_segment => 1,
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let dictionary = match descriptor & 3 {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    };
    let fields = if single_segment { content_size } else { content_size.saturating_add(1) };
    fields.saturating_add(dictionary).saturating_add(5)
}

struct Sink<'a>(&'a mut dyn FnMut(&[u8]));

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

const RAW: u32 = 0;
const REPEATED: u32 = 1;
const COMPRESSED: u32 = 2;
/// Where the size stands in a block's header.
const SIZE_SHIFT: u32 = 3;
/// The flag in a frame's descriptor that announces a checksum.
const CHECKSUM: u8 = 4;
const SINGLE_SEGMENT: u8 = 32;
const CHECKSUM_BYTES: u32 = 4;
/// No block is larger, by the format.
const MOST_BLOCK: u32 = 128 * 1024;
/// No window is larger that a server may use in HTTP: RFC 9659.
const MOST_WINDOW: u64 = 8 * 1024 * 1024;
/// An empty raw block that is the last one, and room for a checksum.
const LAST_BLOCK: &[u8] = &[1, 0, 0, 0, 0, 0, 0];
