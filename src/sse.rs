//! Takes the `data` out of a stream of server-sent events, wherever it is cut.
//!
//! Nothing is kept but the position: data is passed on as it comes, in as many pieces as the
//! chunks and the lines it stands in. Lines may end in LF, CRLF or CR; the space behind the colon,
//! the blank line behind the last event and a byte order mark at the start are optional.

use memchr::memchr2;

/// What a stream of events consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some bytes of an event's data. A line end between two lines of data is passed on as such.
    Data(&'a [u8]),
    /// The end of an event that had data.
    End,
}

/// Reads server-sent events in chunks.
#[derive(Debug, Default)]
pub struct Decoder {
    at: At,
    /// Whether the current event has had a `data` line.
    has_data: bool,
    /// Whether the last byte was a CR, whose LF is no line of its own.
    after_cr: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the byte order mark or the name of a field: so many bytes are right so far.
    Mark(usize),
    Name(usize),
    /// Behind `data:`, where one space does not count.
    Space,
    Data,
    /// In a line that is no data.
    Other,
}

impl Default for At {
    fn default() -> Self {
        Self::Mark(0)
    }
}

impl Decoder {
    /// Reads one chunk and passes on what it has of data.
    pub fn feed(&mut self, chunk: &[u8], on_piece: &mut impl FnMut(Piece<'_>)) {
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            if core::mem::take(&mut self.after_cr) && byte == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let len = match self.at {
                At::Mark(n) => self.mark(byte, n),
                At::Name(n) => self.name(byte, n, on_piece),
                At::Space => {
                    self.at = At::Data;
                    usize::from(byte == b' ')
                }
                At::Data | At::Other => self.line(rest, on_piece),
            };
            rest = rest.get(len..).unwrap_or_default();
        }
    }

    /// Ends the stream, and with it an event that no blank line has ended.
    pub fn finish(&mut self, on_piece: &mut impl FnMut(Piece<'_>)) {
        if core::mem::take(&mut self.has_data) {
            on_piece(Piece::End);
        }
    }

    fn mark(&mut self, byte: u8, n: usize) -> usize {
        if MARK.get(n) != Some(&byte) {
            // A cut-off mark is a line like any other, and not one of data.
            self.at = if n == 0 { At::Name(0) } else { At::Other };
            return 0;
        }
        let n = n.saturating_add(1);
        self.at = if n == MARK.len() { At::Name(0) } else { At::Mark(n) };
        1
    }

    fn name(&mut self, byte: u8, n: usize, on_piece: &mut impl FnMut(Piece<'_>)) -> usize {
        if is_line_end(byte) {
            if n == 0 && core::mem::take(&mut self.has_data) {
                on_piece(Piece::End);
            }
            self.end_line(byte);
            return 1;
        }
        if NAME.get(n) != Some(&byte) {
            self.at = At::Other;
            return 0;
        }
        let n = n.saturating_add(1);
        if n < NAME.len() {
            self.at = At::Name(n);
            return 1;
        }
        if core::mem::replace(&mut self.has_data, true) {
            on_piece(Piece::Data(b"\n"));
        }
        self.at = At::Space;
        1
    }

    fn line(&mut self, bytes: &[u8], on_piece: &mut impl FnMut(Piece<'_>)) -> usize {
        let end = memchr2(b'\n', b'\r', bytes);
        let line = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if self.at == At::Data && !line.is_empty() {
            on_piece(Piece::Data(line));
        }
        match end.and_then(|end| bytes.get(end)) {
            Some(&byte) => {
                self.end_line(byte);
                line.len().saturating_add(1)
            }
            None => line.len(),
        }
    }

    const fn end_line(&mut self, byte: u8) {
        self.after_cr = byte == b'\r';
        self.at = At::Name(0);
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

const NAME: &[u8] = b"data:";
const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut events, mut data) = (Vec::new(), Vec::new());
        let mut on_piece = |piece: Piece<'_>| match piece {
            Piece::Data(bytes) => data.extend_from_slice(bytes),
            Piece::End => {
                let event = core::mem::take(&mut data);
                events.push(String::from_utf8_lossy(&event).into_owned());
            }
        };
        let mut decoder = Decoder::default();
        for chunk in chunks {
            decoder.feed(chunk, &mut on_piece);
        }
        decoder.finish(&mut on_piece);
        events
    }

    #[test]
    fn events_are_read_in_every_legal_spelling() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str])] = &[
            ("data: {}\n\n",                           &["{}"]),
            ("data:{}\r\n\r\n",                        &["{}"]),
            ("data: a\r\rdata: b\r\r",                 &["a", "b"]),
            ("\u{feff}data: a\n\n",                    &["a"]),
            ("event: x\nid: 1\ndata: a\n\n",           &["a"]),
            (": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n", &["a"]),
            ("data: a\ndata: b\n\n",                   &["a\nb"]),
            ("data:  two spaces\n\n",                  &[" two spaces"]),
            ("data: no blank line at the end",         &["no blank line at the end"]),
            ("data: a\n\n\n\n\ndata: b\n",             &["a", "b"]),
            ("\n\r\ndata: a\n\n",                      &["a"]),
            ("database: no\ndat: no\ndata\n\n",        &[]),
            ("data:\n\n",                              &[""]),
            ("",                                       &[]),
        ];
        for &(text, expected) in cases {
            assert_eq!(decode([text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn where_the_stream_is_cut_does_not_matter() {
        let stream =
            "\u{feff}: hi\r\nevent: a\r\ndata: {\"ü\":1}\r\n\r\ndata: b\ndata:c\n\ndata: d";
        let whole = decode([stream.as_bytes()]);
        assert_eq!(whole, ["{\"ü\":1}", "b\nc", "d"]);
        for cut in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(cut);
            assert_eq!(decode([head, tail]), whole, "cut at {cut}");
        }
        assert_eq!(decode(stream.as_bytes().chunks(1)), whole, "byte by byte");
    }
}
