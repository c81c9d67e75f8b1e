//! Brotli, RFC 7932. Windows larger than its 16 MiB are refused.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::Step;
use super::pool::Place;

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(super) struct Brotli {
    state: Box<State>,
    out: Box<[u8]>,
    ended: bool,
    _place: Place,
}

impl Brotli {
    pub(super) fn new(place: Place) -> Self {
        let alloc = StandardAlloc::default;
        Self {
            state: Box::new(State::new_strict(alloc(), alloc(), alloc())),
            out: vec![0; OUT_BYTES].into_boxed_slice(),
            ended: false,
            _place: place,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        !self.ended
    }

    pub(super) fn step(&mut self, rest: &[u8], on_bytes: &mut dyn FnMut(&[u8])) -> Step {
        if self.ended {
            return if rest.is_empty() { Step::Hungry } else { Step::Damaged };
        }
        let (mut left, mut taken) = (rest.len(), 0);
        let (mut room, mut written, mut total) = (self.out.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            rest,
            &mut room,
            &mut written,
            &mut self.out,
            &mut total,
            &mut self.state,
        );
        on_bytes(self.out.get(..written).unwrap_or_default());
        match result {
            BrotliResult::ResultFailure => Step::Damaged,
            BrotliResult::ResultSuccess => {
                self.ended = true;
                Step::Went(taken)
            }
            // It may ask for input with output left that had no room.
            BrotliResult::NeedsMoreInput if room > 0 => Step::Hungry,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Step::Went(taken),
        }
    }
}

/// One piece of decoded data.
const OUT_BYTES: usize = 8 * 1024;
