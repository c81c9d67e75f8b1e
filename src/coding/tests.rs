use super::*;
use ::brotli::CompressorWriter;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use ruzstd::encoding::{CompressionLevel, compress_to_vec as zstd};
use std::io::Write;

fn gzip(data: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
    let head = [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], fields].concat();
    [head, compress_to_vec(data, 6), vec![0; 8]].concat()
}

fn brotli(data: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    CompressorWriter::new(&mut coded, 4096, 5, 22).write_all(data).unwrap();
    coded
}

/// What `data` is in each coding.
fn coded(data: &[u8]) -> [(&'static str, Vec<u8>); 4] {
    [
        ("gzip", gzip(data, 0, b"")),
        ("deflate", compress_to_vec_zlib(data, 6)),
        ("br", brotli(data)),
        ("zstd", zstd(data, CompressionLevel::Fastest)),
    ]
}

/// What comes of `chunks`, and how the body stood before its end.
fn decode<'a>(
    coding: &str,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Option<Fault>, bool) {
    let mut decoder = Decoder::new(coding, &Pool::default());
    let mut out = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk, &mut |bytes| out.extend_from_slice(bytes));
    }
    let is_open = decoder.is_open();
    decoder.end(&mut |bytes| out.extend_from_slice(bytes));
    (out, decoder.fault(), is_open)
}

fn whole(text: &[u8]) -> (Vec<u8>, Option<Fault>, bool) {
    (text.to_vec(), None, false)
}

fn text() -> Vec<u8> {
    (0..20_000u32).flat_map(|n| n.to_string().into_bytes()).collect()
}

/// Text that packs well.
fn events(count: u32) -> Vec<u8> {
    let event =
        |n: u32| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"w{n}\"}}}}]}}\n\n");
    (0..count).flat_map(|n| event(n).into_bytes()).collect()
}

/// A zstd frame with a window of 2^(10 + `window`) bytes, of these blocks, without a checksum.
fn frame(window: u8, blocks: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, window << 3], blocks].concat()
}

#[test]
fn every_kind_of_gzip_header_is_read_at_every_cut() {
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
            assert_eq!(decode("gzip", [head, tail]), whole(b"hello"), "{flags} cut at {cut}");
        }
    }
}

#[test]
fn deflate_without_its_header_is_read_at_every_cut() {
    for text in [&b"{\"usage\":{}}"[..], b"data: x\n\n", b"[1]", &events(20)] {
        for level in [0, 1, 9] {
            let coded = compress_to_vec(text, level);
            for cut in 0..=coded.len() {
                let (head, tail) = coded.split_at(cut);
                let got = decode("deflate", [head, tail]);
                assert_eq!(got, whole(text), "{level} cut at {cut}");
            }
            let (out, fault, is_open) = decode("deflate", [&coded[..coded.len() - 1]]);
            assert!(text.starts_with(&out) && fault.is_none() && is_open);
        }
    }
    let dictionary = [0x78, 0xbb, 1, 2, 3, 4];
    assert_eq!(decode("deflate", [&dictionary[..]]).1, Some(Fault::Damaged));
}

#[test]
fn short_data_comes_out_whole_at_every_cut() {
    for text in [&b""[..], b"x", b"hello, hello, hello", &events(20)] {
        for (coding, coded) in coded(text) {
            for cut in 0..=coded.len() {
                let (head, tail) = coded.split_at(cut);
                assert_eq!(decode(coding, [head, tail]), whole(text), "{coding} cut at {cut}");
            }
        }
    }
}

#[test]
fn long_data_comes_out_whole_in_any_chunks() {
    for text in [text(), events(3_000)] {
        for (coding, coded) in coded(&text) {
            for size in [1, 7, 100, 512, 1000, 1400, 4096, 8192, 16_384, 1 << 20] {
                assert_eq!(decode(coding, coded.chunks(size)), whole(&text), "{coding} {size}");
            }
        }
    }
}

#[test]
fn data_that_breaks_off_comes_out_as_far_as_it_came() {
    let text = events(3_000);
    for (coding, coded) in coded(&text) {
        for len in (20..coded.len()).step_by(97).filter(|&len| len + 8 < coded.len()) {
            let (out, fault, is_open) = decode(coding, [&coded[..len]]);
            assert!(text.starts_with(&out) && out.len() < text.len(), "{coding} {len}");
            assert_eq!((fault, is_open), (None, true), "{coding} {len}");
        }
    }
}

#[test]
fn what_a_server_has_flushed_comes_out_before_the_end() {
    let mut coded = Vec::new();
    let mut writer = CompressorWriter::new(&mut coded, 4096, 5, 22);
    writer.write_all(b"data: one\n\n").unwrap();
    writer.flush().unwrap();
    drop(writer);
    let (unfinished, _) = coded.split_at(coded.len() - 1);
    assert_eq!(decode("br", [unfinished]).0, b"data: one\n\n");
    let unfinished = frame(10, b"\x58\x00\x00data: one\n\n\x50\x00");
    assert_eq!(decode("zstd", [&*unfinished]), (b"data: one\n\n".to_vec(), None, true));
}

#[test]
fn members_and_frames_may_follow_each_other() {
    let coded = [gzip(b"one ", 0, b""), gzip(b"two", 0, b"")].concat();
    assert_eq!(decode("gzip", [&*coded]), whole(b"one two"));
    let zstd = |data: &[u8]| zstd(data, CompressionLevel::Fastest);
    let skipped = b"\x5f\x2a\x4d\x18\x03\x00\x00\x00abc";
    let coded = [&*zstd(b"one "), skipped, &frame(0, b"\x0b\x00\x00x"), &*zstd(b" two")].concat();
    for cut in 0..=coded.len() {
        let (head, tail) = coded.split_at(cut);
        assert_eq!(decode("zstd", [head, tail]), whole(b"one x two"), "cut at {cut}");
    }
}

#[test]
fn data_that_is_not_as_it_should_be_is_noticed() {
    let mut bad_block = gzip(&text(), 0, b"");
    bad_block[10] = 0xff;
    #[rustfmt::skip]
    let cases = [
        ("gzip",    b"{\"usage\":{}}".to_vec()),
        ("deflate", b"{\"usage\":{}}".to_vec()),
        ("br",      b"{\"usage\":{}}".to_vec()),
        ("zstd",    b"{\"usage\":{}}".to_vec()),
        ("gzip",    bad_block),
        ("br",      [brotli(b"one"), brotli(b"two")].concat()),
        ("br",      b"\x11\x1e\x00".to_vec()),                          // a window of 1 GiB
        ("zstd",    frame(14, b"\x01\x00\x00")),                        // a window of 16 MiB
        ("zstd",    frame(0, b"\x07\x00\x00")),                         // a block of no type
        ("zstd",    frame(0, b"\x01\x00\x80")),                         // a block of 1 MiB
        ("zstd",    b"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00".to_vec()), // a dictionary
    ];
    for (coding, coded) in cases {
        for size in [1, coded.len()] {
            let fault = decode(coding, coded.chunks(size)).1;
            assert_eq!(fault, Some(Fault::Damaged), "{coding} {coded:?}");
        }
    }
    assert_eq!(decode("zstd", [&*frame(13, b"\x01\x00\x00")]), whole(b""));
}

#[test]
fn a_body_that_expands_beyond_reason_is_given_up() {
    let repeat = |times: usize| {
        let zeros = vec![0; times * 131_072];
        let mut all = coded(&zeros);
        all[3].1 =
            frame(7, &[b"\x02\x00\x10\0".repeat(times - 1), b"\x03\x00\x10\0".to_vec()].concat());
        all
    };
    // What packs as well, but is short, is read.
    for (coding, coded) in repeat(64) {
        let (out, fault, _) = decode(coding, coded.chunks(16_384));
        assert_eq!((out.len(), fault), (8 << 20, None), "{coding}");
    }
    for (coding, coded) in repeat(192) {
        let (out, fault, _) = decode(coding, coded.chunks(16_384));
        assert_eq!(fault, Some(Fault::Expands), "{coding}");
        assert!((16 << 20..22 << 20).contains(&out.len()), "{coding} {}", out.len());
    }
}

#[test]
fn few_bodies_with_large_windows_are_read_at_once() {
    let pool = Pool::default();
    let new = |coding| Decoder::new(coding, &pool.clone());
    let mut held: Vec<_> = (0..pool::MOST).map(|n| new(["br", "zstd"][n % 2])).collect();
    assert!(held.iter().all(|decoder| decoder.fault().is_none()));
    for (coding, fault) in
        [("br", Some(Fault::Busy)), ("zstd", Some(Fault::Busy)), ("gzip", None), ("", None)]
    {
        assert_eq!(new(coding).fault(), fault, "{coding}");
    }
    // A body that is given up makes room for another.
    held[1].feed(b"{\"usage\":{}}", &mut |_| {});
    assert_eq!(held[1].fault(), Some(Fault::Damaged));
    let another = new("zstd");
    assert_eq!((another.fault(), new("br").fault()), (None, Some(Fault::Busy)));
    drop(another);
    assert_eq!(new("br").fault(), None);
    // Requests leave half of the places to answers.
    drop(held);
    let asked = |coding| Decoder::new(coding, &pool.for_requests());
    let _held: Vec<_> = (0..pool::MOST / 2).map(|_| asked("br")).collect();
    assert_eq!((asked("br").fault(), new("br").fault()), (Some(Fault::Busy), None));
}

#[test]
fn codings_have_the_names_of_http() {
    use Coding::{Brotli, Deflate, Gzip, Identity, Zstd};
    #[rustfmt::skip]
    let cases = [
        // header            to be taken off first, then
        ("",                   Some((Identity, Identity))),
        ("identity",           Some((Identity, Identity))),
        ("GZIP ",              Some((Gzip,     Identity))),
        ("x-gzip",             Some((Gzip,     Identity))),
        ("gzip, identity",     Some((Gzip,     Identity))),
        ("deflate",            Some((Deflate,  Identity))),
        ("br",                 Some((Brotli,   Identity))),
        ("Zstd",               Some((Zstd,     Identity))),
        ("gzip, br",           Some((Brotli,   Gzip))),
        ("gzip,, identity,gzip", Some((Gzip,   Gzip))),
        ("compress",           None),
        ("compress, gzip",     None),
        ("gzip, gzip, gzip",   None),
    ];
    for (header, codings) in cases {
        assert_eq!(Coding::named(header), codings, "{header}");
    }
}

#[test]
fn two_codings_come_off_one_after_the_other_at_every_cut() {
    let text = events(20);
    for (inner, once) in coded(&text) {
        for (outer, twice) in coded(&once) {
            let header = format!("{inner}, {outer}");
            for cut in 0..=twice.len() {
                let (head, tail) = twice.split_at(cut);
                assert_eq!(decode(&header, [head, tail]), whole(&text), "{header} cut at {cut}");
            }
            let (out, fault, is_open) = decode(&header, [&twice[..twice.len() / 2]]);
            assert!(text.starts_with(&out) && fault.is_none() && is_open, "{header}");
            let swapped = format!("{outer}, {inner}");
            if inner != outer {
                assert_ne!(decode(&swapped, [&*twice]), whole(&text), "{swapped}");
            }
        }
    }
}

#[test]
fn two_codings_may_expand_no_more_than_one() {
    let zeros = vec![0; 64 << 20];
    let once = gzip(&zeros, 0, b"");
    for (outer, twice) in coded(&once) {
        assert!(twice.len() < 16_384, "{outer} {}", twice.len());
        let (out, fault, _) = decode(&format!("gzip, {outer}"), [&*twice]);
        assert_eq!(fault, Some(Fault::Expands), "{outer}");
        assert!(out.len() < 20 << 20, "{outer} {}", out.len());
    }
}
