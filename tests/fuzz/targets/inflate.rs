//! Compressed bodies: no panic, the same bytes wherever they are cut, and those that went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use tollgate::inflate::{Coding, Inflate};
use tollgate_fuzz::Input;

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let coding = if input.choice & 1 == 0 { Coding::Gzip } else { Coding::Deflate };
    let whole = decode(coding, &mut [input.body].into_iter());
    for cut in
        [decode(coding, &mut input.pieces(input.body)), decode(coding, &mut input.body.chunks(1))]
    {
        assert!(are_alike(&cut, &whole), "cut");
    }

    let level = input.choice >> 1 & 7;
    let coded = match coding {
        Coding::Deflate => compress_to_vec_zlib(input.body, level),
        _ => [&HEADER[..], &compress_to_vec(input.body, level), &[0; 8]].concat(),
    };
    let decoded = decode(coding, &mut input.pieces(&coded));
    assert!(decoded == (input.body.to_vec(), false), "round trip");
});

/// Whether both are the same, or damaged at the same place: how much comes out before damage is
/// noticed depends on the cut.
fn are_alike(a: &(Vec<u8>, bool), b: &(Vec<u8>, bool)) -> bool {
    let (short, long) = if a.0.len() < b.0.len() { (&a.0, &b.0) } else { (&b.0, &a.0) };
    a == b || (a.1 && b.1 && long.starts_with(short))
}

fn decode(coding: Coding, pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<u8>, bool) {
    let mut inflate = Inflate::new(coding).expect("a coding");
    let mut out = Vec::new();
    for piece in pieces {
        inflate.feed(piece, &mut |bytes| out.extend_from_slice(bytes));
    }
    (out, inflate.is_damaged())
}

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
