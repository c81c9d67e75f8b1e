use super::*;

/// One frame, as AWS makes it.
pub(in crate::provider) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.bytes());
    }
    with_headers(&head, payload)
}

fn with_headers(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let word = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    let mut frame = Vec::new();
    frame.extend(word(head.len() + payload.len() + 16));
    frame.extend(word(head.len()));
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(head);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

const EVENT: &[(&str, &str)] = &[(":event-type", "chunk"), (":message-type", "event")];
const EXCEPTION: &[(&str, &str)] =
    &[(":exception-type", "throttlingException"), (":message-type", "exception")];

/// What frames say: documents, and `!` for an exception; then how they end.
fn read(binary: Binary, bytes: &[u8], size: usize) -> (Vec<String>, bool, bool) {
    let mut frames = Frames::new(binary);
    let (mut said, mut open) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(size) {
        frames.feed(chunk, &mut |part| match part {
            Part::Exception => said.push("!".to_owned()),
            Part::Data(bytes) => open.extend_from_slice(bytes),
            Part::End => said.push(String::from_utf8(core::mem::take(&mut open)).unwrap()),
        });
    }
    (said, frames.is_open(), frames.is_broken())
}

#[test]
fn checksums_are_those_of_the_format() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    // An empty message, of which the format's own examples give the bytes.
    let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
    assert_eq!(frame(&[], b""), empty);
}

#[test]
fn documents_and_exceptions_are_found_wherever_frames_are_cut() {
    let stream = [
        frame(EVENT, br#"{"a":1}"#),
        frame(&[], b""),
        frame(EXCEPTION, br#"{"message":"slow down"}"#),
        frame(EVENT, br#"{"b":2}"#),
    ]
    .concat();
    let said = [r#"{"a":1}"#, "!", r#"{"message":"slow down"}"#, r#"{"b":2}"#].map(str::to_owned);
    for size in 1..=stream.len() {
        assert_eq!(read(Binary::Frames, &stream, size), (said.to_vec(), false, false), "{size}");
    }
    for cut in 1..stream.len() {
        let (_, open, broken) = read(Binary::Frames, &stream[..cut], cut);
        let mut ends = [EVENT.len(); 4];
        ends[0] = frame(EVENT, br#"{"a":1}"#).len();
        ends[1] = ends[0] + 16;
        ends[2] = ends[1] + frame(EXCEPTION, br#"{"message":"slow down"}"#).len();
        assert_eq!((open, broken), (!ends[..3].contains(&cut), false), "cut at {cut}");
    }
}

#[test]
fn the_models_own_documents_are_unwrapped() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"bytes":"eyJhIjoxfQ==","p":"abc"}"#,               Some(r#"{"a":1}"#)),
        (r#"{"p":"bytes","bytes" : "eyJhIjoxfQ"}"#,             Some(r#"{"a":1}"#)),
        (r#"{"bytes":"Pz8/","p":"x"}"#,                         Some("???")),
        (r#"{"bytes":"Pz8\/"}"#,                                Some("???")),
        (r#"{"bytes":""}"#,                                     None),
        (r#"{"p":"abc"}"#,                                      None),
    ];
    for (payload, document) in cases {
        let stream = frame(EVENT, payload.as_bytes());
        let said: Vec<_> = document.map(str::to_owned).into_iter().collect();
        for size in 1..=stream.len() {
            let got = read(Binary::Wrapped, &stream, size);
            assert_eq!(got, (said.clone(), false, false), "{payload} by {size}");
        }
    }
    let exception = frame(EXCEPTION, br#"{"message":"no"}"#);
    let (said, ..) = read(Binary::Wrapped, &exception, 3);
    assert_eq!(said, ["!", r#"{"message":"no"}"#]);
}

#[test]
fn of_what_cannot_be_frames_nothing_more_is_read() {
    let sound = frame(EVENT, br#"{"a":1}"#);
    let with_lengths = |total: u32, headers: u32| {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend(crc32(&bytes).to_be_bytes());
        [&sound, &*bytes, &sound].concat()
    };
    let mut flipped = [&*sound, &*sound].concat();
    flipped[sound.len() + 3] ^= 1;
    #[rustfmt::skip]
    let cases = [
        ("a checksum that does not fit",  flipped),
        ("shorter than its frame",        with_lengths(15, 0)),
        ("headers longer than all",       with_lengths(20, 9)),
        ("headers longer than any",       with_lengths(200_000, 140_000)),
        ("payload longer than any",       with_lengths(u32::MAX, 0)),
        ("another format",                [&*sound, b"data: {\"a\":1}\n\n"].concat()),
    ];
    for (name, stream) in cases {
        for size in [1, 5, stream.len()] {
            let (said, open, broken) = read(Binary::Frames, &stream, size);
            assert_eq!((said.len(), open, broken), (1, true, true), "{name} by {size}");
        }
    }
}

#[test]
fn the_kind_of_message_is_found_among_headers_of_all_types() {
    let kind = |value: &str| {
        let mut header = b"\x0d:message-type\x07\x00".to_vec();
        header.push(u8::try_from(value.len()).unwrap());
        header.extend(value.bytes());
        header
    };
    #[rustfmt::skip]
    let cases: [(&[u8], &str, bool); 9] = [
        (b"",                                        "error",     true),
        (b"",                                        "event",     false),
        (b"\x01a\x00\x01b\x01",                      "exception", true),
        (b"\x01a\x02x\x01b\x03xx\x01c\x04xxxx",      "exception", true),
        (b"\x01a\x05xxxxxxxx\x01b\x08xxxxxxxx",      "exception", true),
        (b"\x01a\x06\x00\x02xx\x01b\x07\x00\x00",    "exception", true),
        (b"\x01a\x09xxxxxxxxxxxxxxxx",               "exception", true),
        (b"\x01a\x0a",                               "exception", false),
        (b"\xffa",                                   "exception", false),
    ];
    for (before, value, exception) in cases {
        let stream = with_headers(&[before, &kind(value)].concat(), b"{}");
        for size in [1, stream.len()] {
            let (said, _, broken) = read(Binary::Frames, &stream, size);
            assert_eq!((said[0] == "!", broken), (exception, false), "{before:?} {value}");
        }
    }
    let long = with_headers(&vec![0; MOST_HEADERS], b"{}");
    assert_eq!(read(Binary::Frames, &long, 1_000).0, ["{}"]);
}
