//! Streams whose usage chunk is taken out: the same goes to the client wherever the stream is cut,
//! and it is what serde_json says should be left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::strip::Strip;
use tollgate_fuzz::{Input, Tree};

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let whole = strip(&mut [input.body].into_iter());
    for cut in [strip(&mut input.pieces(input.body)), strip(&mut input.body.chunks(1))] {
        assert_eq!(cut, whole);
    }
    // What stands in no text is not looked at, so that it need not be one; serde_json's trees are of texts.
    let is_text = std::str::from_utf8(input.body).is_ok();
    if is_text && !input.body.contains(&b'\r') && !input.body.starts_with(MARK) {
        assert_eq!(whole, expected(input.body));
    }
});

fn strip(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
    let (mut strip, mut left) = (Strip::default(), Vec::new());
    for piece in pieces {
        left.extend(strip.feed(piece, false).unwrap_or_else(|| piece.to_vec()));
    }
    left.extend(strip.feed(b"", true).unwrap_or_default());
    left
}

/// All events but those with usage and without a choice. What has no end is no event.
fn expected(stream: &[u8]) -> Vec<u8> {
    let (mut left, mut event) = (Vec::new(), Vec::new());
    for line in stream.split_inclusive(|&byte| byte == b'\n') {
        event.extend_from_slice(line);
        if line == b"\n" {
            let event = std::mem::take(&mut event);
            left.extend(if is_usage(&event) { Vec::new() } else { event });
        }
    }
    left.extend(event);
    left
}

fn is_usage(event: &[u8]) -> bool {
    let lines = event.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"data:"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(b" ").unwrap_or(line)).collect();
    let Some(tree) = Tree::parse(&lines.join(&b'\n')).filter(Tree::is_plain) else { return false };
    let has_none = matches!(tree.at(&["choices"]), Some(Tree::List(choices)) if choices.is_empty());
    has_none && !matches!(tree.at(&["usage"]), None | Some(Tree::Null))
}

const MARK: &[u8] = b"\xef\xbb\xbf";
