//! Coded bodies: no panic, the same bytes wherever they are cut, and those that went in.
#![no_main]

use std::io::Write;

use brotli::CompressorWriter;
use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use ruzstd::encoding::CompressionLevel::{Fastest, Uncompressed};
use tollgate::coding::{Decoder, Fault, Pool};
use tollgate_fuzz::Input;

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let coding = ["gzip", "deflate", "br", "zstd"][usize::from(input.choice & 3)];
    for header in [coding, &format!("{coding}, deflate")] {
        let whole = decode(header, &mut [input.body].into_iter());
        for cut in [
            decode(header, &mut input.pieces(input.body)),
            decode(header, &mut input.body.chunks(1)),
        ] {
            assert!(are_alike(&cut, &whole), "cut");
        }
    }

    // Encoders are slow: half of the time is left for bytes that no encoder makes.
    if input.choice & 32 == 0 {
        return;
    }
    let level = input.choice >> 2 & 7;
    let coded = match coding {
        "deflate" => compress_to_vec_zlib(input.body, level),
        "gzip" => [&HEADER[..], &compress_to_vec(input.body, level), &[0; 8]].concat(),
        "br" => brotli(&input, level),
        _ if level & 1 == 0 => ruzstd::encoding::compress_to_vec(input.body, Uncompressed),
        _ => ruzstd::encoding::compress_to_vec(input.body, Fastest),
    };
    let decoded = decode(coding, &mut input.pieces(&coded));
    assert!(decoded == (input.body.to_vec(), None, false), "round trip");
    let twice = [&HEADER[..], &compress_to_vec(&coded, 1), &[0; 8]].concat();
    let decoded = decode(&format!("{coding}, gzip"), &mut input.pieces(&twice));
    assert!(decoded == (input.body.to_vec(), None, false), "round trip of two");
    // A body that breaks off gives no other bytes, and is not taken for whole.
    let (head, tail) = coded.split_at(coded.len() / 2);
    let (out, fault, is_open) = decode(coding, &mut input.pieces(head));
    assert!(input.body.starts_with(&out) && fault.is_none(), "broken off");
    assert!(is_open || tail.len() < 32 || coded.len() < 64, "open");
});

fn brotli(input: &Input<'_>, level: u8) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut writer = CompressorWriter::new(&mut coded, 4096, level.into(), 16);
    for piece in input.pieces(input.body) {
        writer.write_all(piece).expect("memory");
        writer.flush().expect("memory");
    }
    drop(writer);
    coded
}

/// Bytes, fault, and whether the body was open before its end.
type Decoded = (Vec<u8>, Option<Fault>, bool);

/// Whether both are the same, or given up for the same reason: how much comes out before that
/// depends on the cut.
fn are_alike(a: &Decoded, b: &Decoded) -> bool {
    let (short, long) = if a.0.len() < b.0.len() { (&a.0, &b.0) } else { (&b.0, &a.0) };
    a == b || (a.1.is_some() && a.1 == b.1 && long.starts_with(short))
}

fn decode(coding: &str, pieces: &mut dyn Iterator<Item = &[u8]>) -> Decoded {
    let mut decoder = Decoder::new(coding, &Pool::default());
    let mut out = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut |bytes| out.extend_from_slice(bytes));
    }
    let is_open = decoder.is_open();
    decoder.end(&mut |bytes| out.extend_from_slice(bytes));
    (out, decoder.fault(), is_open)
}

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
