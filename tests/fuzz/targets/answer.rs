//! Answers of any bytes: no panic, the same evidence wherever they are cut, bounded memory.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::compress_to_vec;
use tollgate::coding::Fault;
use tollgate::provider::{Answer, Api, Evidence, Places, Trouble};
use tollgate_fuzz::Input;

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let Some((&which, body)) = input.body.split_first() else { return };
    let input = Input { body, ..input };
    let api = Api::ALL[usize::from(which) % Api::ALL.len()];
    let (encoding, body) = match input.choice >> 2 & 3 {
        0 => ("", input.body.to_vec()),
        1 => ("gzip", gzip(input.body)),
        2 => ("gzip", input.body.to_vec()),
        _ => ("deflate", input.body.to_vec()),
    };
    let is_whole = input.choice & 16 != 0;
    let provider = if input.choice & 32 != 0 { "openrouter" } else { api.owner() };
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| -> Evidence {
        let places = Places::default();
        let before = LIVE.load(Relaxed);
        PEAK.store(before, Relaxed);
        let mut answer = Answer::new(&places, api, encoding);
        pieces.for_each(|piece| answer.feed(piece));
        let evidence = answer.finish(provider, is_whole);
        assert!(PEAK.load(Relaxed) - before < MOST, "memory");
        evidence
    };
    let whole = read(&mut [&*body].into_iter());
    for cut in [read(&mut input.pieces(&body)), read(&mut body.chunks(1))] {
        assert_eq!(cut.trouble, whole.trouble);
        // How much of damaged data is read before the damage is noticed depends on the cut.
        if cut.trouble != Some(Trouble::Coding(Fault::Damaged)) {
            assert_eq!(cut, whole);
        }
    }
});

fn gzip(data: &[u8]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &compress_to_vec(data, 1), &[0; 8]].concat()
}

/// Bytes that one answer may take at once, whatever comes: 16 KiB of JSON as a tree of values.
const MOST: usize = 2 * 1024 * 1024;

/// The system's memory, counted.
struct Counted;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static MEMORY: Counted = Counted;

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}
