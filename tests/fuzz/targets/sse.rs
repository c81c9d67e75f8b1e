//! Server-sent events: those that a reading of the whole text finds, and the usage that serde_json
//! finds in them, wherever the text is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::{Answer, Api, Places};
use tollgate::sse::{Decoder, Piece};
use tollgate_fuzz::{Input, counts, documents};

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let expected = events(input.body);
    assert_eq!(decode(&mut [input.body].into_iter()), expected);
    assert_eq!(decode(&mut input.pieces(input.body)), expected);
    assert_eq!(decode(&mut input.body.chunks(1)), expected);

    let documents = documents(input.body);
    let usages = documents.iter().filter_map(|(_, tree)| tree.at(&["usage"]));
    let Some(expected) = counts(usages, ["prompt_tokens", "completion_tokens"]) else { return };
    let spare = [&["x_groq"][..], &["choices"]];
    if documents.iter().any(|(_, tree)| spare.iter().any(|place| tree.at(place).is_some())) {
        return;
    }
    let end = ["\n", "\r\n", "\r"][usize::from(input.choice % 3)];
    let mut stream = if input.choice & 4 == 0 { b"".to_vec() } else { b"\xef\xbb\xbf".to_vec() };
    for (line, _) in documents {
        let before = if input.choice & 8 == 0 { "" } else { "event: x\n: data: {}\ndata:" };
        let before =
            if before.is_empty() { "data: ".to_owned() } else { before.replace('\n', end) };
        stream.extend([before.as_bytes(), line, end.as_bytes(), end.as_bytes()].concat());
    }
    let places = Places::default();
    let mut answer = Answer::new(&places, Api::OpenAiChat, "");
    input.pieces(&stream).for_each(|piece| answer.feed(piece));
    let reported = answer.finish("openai", true).reported.map(|known| known.usage);
    let said = reported.map(|usage| (usage.input_tokens(), usage.output_tokens()));
    assert_eq!(said, expected);
});

fn decode(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Vec<u8>> {
    let (mut events, mut data) = (Vec::new(), Vec::new());
    let mut on_piece = |piece: Piece<'_>| match piece {
        Piece::Data(bytes) => data.extend_from_slice(bytes),
        Piece::End => events.push(core::mem::take(&mut data)),
    };
    let mut decoder = Decoder::default();
    pieces.for_each(|piece| decoder.feed(piece, &mut on_piece));
    decoder.finish(&mut on_piece);
    events
}

/// The events of a text, as the standard has them; but a last one need not end with a blank line,
/// and a line `data` without a colon is none.
fn events(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut events, mut event): (_, Option<Vec<u8>>) = (Vec::new(), None);
    for line in lines(text) {
        if line.is_empty() {
            events.extend(event.take());
        } else if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            event = Some(event.map_or(data.to_vec(), |event| [&event, &b"\n"[..], data].concat()));
        }
    }
    events.extend(event);
    events
}

/// The lines of a text, without their ends: LF, CRLF or CR.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let next = if rest[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
        lines.push(&rest[..end]);
        rest = &rest[next..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}
