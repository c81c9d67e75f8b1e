//! Goes through one JSON value without looking into it.
//!
//! Only what moves the end of the value is looked at: quotes, escapes, brackets. The bytes between
//! them are skipped in blocks that compile to vector instructions.

use memchr::memchr2;

/// How far a value has been gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walk {
    place: Place,
    /// Containers opened and not yet closed.
    nest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between the strings of a container.
    Structure,
    /// In a string.
    Text,
    /// In a string, behind a backslash.
    Escape,
    /// In a number, `true`, `false` or `null` that is the whole value.
    Scalar,
}

impl Walk {
    /// A walk through the value that begins with `first`, which is still to be fed.
    pub(super) const fn new(first: u8) -> Self {
        let place = match first {
            b'{' | b'[' => Place::Structure,
            // The opening quote is consumed as structure, with nothing open around it.
            b'"' => Place::Structure,
            _ => Place::Scalar,
        };
        Self { place, nest: 0 }
    }

    /// Goes on through `bytes`; returns how many of them belong to the value, and whether it ended.
    pub(super) fn go(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut rest = bytes;
        loop {
            let (len, ended) = match self.place {
                Place::Scalar => match rest.iter().position(|&b| ends_scalar(b)) {
                    Some(len) => return (before(bytes, rest).saturating_add(len), true),
                    None => (rest.len(), false),
                },
                Place::Escape => {
                    self.place = Place::Text;
                    (1, false)
                }
                Place::Text => self.text(rest),
                Place::Structure => self.structure(rest),
            };
            rest = rest.get(len..).unwrap_or_default();
            if ended || rest.is_empty() {
                return (before(bytes, rest), ended);
            }
        }
    }

    fn text(&mut self, bytes: &[u8]) -> (usize, bool) {
        let Some(at) = quote_or_escape(bytes) else {
            return (bytes.len(), false);
        };
        if bytes.get(at) == Some(&b'\\') {
            self.place = Place::Escape;
            return (at.saturating_add(1), false);
        }
        self.place = Place::Structure;
        (at.saturating_add(1), self.nest == 0)
    }

    fn structure(&mut self, bytes: &[u8]) -> (usize, bool) {
        let Some(at) = structural(bytes) else {
            return (bytes.len(), false);
        };
        let len = at.saturating_add(1);
        match bytes.get(at) {
            Some(b'"') => self.place = Place::Text,
            Some(b'{' | b'[') => self.nest = self.nest.saturating_add(1),
            _ => {
                self.nest = self.nest.saturating_sub(1);
                return (len, self.nest == 0);
            }
        }
        (len, false)
    }
}

/// How much of `bytes` lies before `rest`, its tail.
const fn before(bytes: &[u8], rest: &[u8]) -> usize {
    bytes.len().saturating_sub(rest.len())
}

/// Whether a byte ends a number or a word, and so cannot begin a value.
pub(super) const fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')
}

/// Where the first quote or backslash is. Most strings are short: a call costs more than they do.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..SHORT).unwrap_or(bytes);
    match head.iter().position(|&b| b == b'"' || b == b'\\') {
        Some(at) => Some(at),
        None if head.len() == bytes.len() => None,
        None => {
            let tail = bytes.get(SHORT..).unwrap_or_default();
            memchr2(b'"', b'\\', tail).map(|at| at.saturating_add(SHORT))
        }
    }
}

/// Where the first quote or bracket is.
fn structural(bytes: &[u8]) -> Option<usize> {
    let mut start: usize = 0;
    let mut blocks = bytes.chunks_exact(BLOCK);
    for block in blocks.by_ref() {
        if block.iter().fold(false, |hit, &b| hit | is_structural(b)) {
            return block.iter().position(|&b| is_structural(b)).map(|at| start.saturating_add(at));
        }
        start = start.saturating_add(BLOCK);
    }
    let tail = blocks.remainder();
    tail.iter().position(|&b| is_structural(b)).map(|at| start.saturating_add(at))
}

/// Whether a byte opens or closes a string or a container. The brackets differ from the braces in
/// one bit, so two comparisons serve all four.
const fn is_structural(byte: u8) -> bool {
    let folded = byte | 0x20;
    (byte == b'"') | (folded == b'{') | (folded == b'}')
}

/// Bytes looked at one by one before the vector search is called.
const SHORT: usize = 16;
/// The width of a wasm vector.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_json_says() {
        #[rustfmt::skip]
        let cases = [
            // text                            length, or None while it goes on
            (r#""abc",1"#,                      Some(5)),
            (r#""a\"b\\" "#,                    Some(8)),
            (r#"{"a":[1,{"b":"}"}]},"c""#,      Some(19)),
            (r#"[[],[[]]]x"#,                   Some(9)),
            ("12.5}",                           Some(4)),
            ("null\n",                          Some(4)),
            (r#""no end"#,                      None),
            (r#"{"a":{}"#,                      None),
            ("123",                             None),
        ];
        for (text, expected) in cases {
            for cut in 0..text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let mut walk = Walk::new(text.as_bytes()[0]);
                let (a, done) = walk.go(head);
                let (b, ended) = if done { (0, true) } else { walk.go(tail) };
                assert_eq!(ended.then_some(a + b), expected, "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn long_runs_are_skipped_alike() {
        let text = format!(r#"{{"a":"{}","b":{}}}tail"#, "x".repeat(1000), "1".repeat(1000));
        assert_eq!(Walk::new(b'{').go(text.as_bytes()), (text.len() - 4, true));
    }
}
