//! Changes a request body where it must be changed, and leaves all its other bytes as they are.
//!
//! Of a key given twice JSON readers take one or the other, so both are changed.

use std::rc::Rc;

use super::most::{self, Most};
use crate::json::{Found, How, Pick, Scanner, Spec};

/// What a request body is to be changed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The model, if another than the one it names.
    pub model: Option<String>,
    /// Whether a stream is to end with its usage (`stream_options.include_usage`).
    pub usage: bool,
    /// How long an answer may become, if less than it asks for.
    pub most: Option<Most>,
}

/// The body with a change made to it; `None` where nothing of it is to be changed.
#[must_use]
pub fn edited(body: &[u8], change: Change) -> Option<Vec<u8>> {
    let mut editor = Editor::new(change);
    let edited = editor.feed(body);
    // What was decided on a shorter answer must not go out with a longer one.
    edited.filter(|_| editor.change.most.is_none() || editor.lowered == Lowered::Done)
}

/// Changes one request body in chunks.
///
/// A value is changed where it stands in one chunk; a body without `stream_options` can be cut
/// anywhere.
#[derive(Debug)]
pub struct Editor {
    scanner: Scanner,
    change: Change,
    stream: bool,
    /// Whether nothing is to be put at the end: `stream_options` are there, or the end has passed.
    settled: bool,
    asked: bool,
    lowered: Lowered,
}

/// Whether the longest answer is what it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lowered {
    /// Nothing has said how long it may become.
    NotSaid,
    /// It is.
    Done,
    /// It cannot be made so.
    Failed,
}

impl Editor {
    /// An editor at the start of a body.
    #[must_use]
    pub fn new(change: Change) -> Self {
        let mut spec = Spec::of(&[
            ("/model", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/stream_options", OPTIONS, How::Take),
        ]);
        most::add_to(&mut spec, change.most.as_ref(), MOST);
        let (scanner, lowered) = (Scanner::new(Rc::new(spec)), Lowered::NotSaid);
        Self { scanner, change, stream: false, settled: false, asked: false, lowered }
    }

    /// Whether the body has been made to ask for usage.
    #[must_use]
    pub const fn has_asked(&self) -> bool {
        self.asked
    }

    /// What a chunk is to be changed to; `None` where it stays as it is.
    pub fn feed(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        let Self { scanner, stream, settled, lowered, .. } = self;
        let mut places = Vec::new();
        scanner.feed(chunk, &mut |found| match found {
            Found::Value(STREAM, raw) => *stream = raw == b"true",
            Found::Value(pick, raw) => {
                *settled |= pick == OPTIONS;
                places.extend(place(chunk, raw).map(|place| (pick, place)));
            }
            Found::TooLong(MOST) => *lowered = Lowered::Failed,
            Found::TooLong(pick) => *settled |= pick == OPTIONS,
            Found::Text(..) => {}
        });
        let mut edits = Vec::new();
        for (pick, place) in places {
            let new = match pick {
                MODEL => {
                    self.change.model.as_ref().and_then(|model| serde_json::to_vec(model).ok())
                }
                MOST => {
                    if self.lowered == Lowered::NotSaid {
                        self.lowered = Lowered::Done;
                    }
                    let value = chunk.get(place.0..place.1)?;
                    self.change.most.and_then(|most| most.changed(value))
                }
                _ => self.options(chunk.get(place.0..place.1)?),
            };
            edits.extend(new.map(|new| (place, new)));
        }
        if self.scanner.is_between()
            && let Some(end) = chunk.iter().rposition(|&byte| byte == b'}')
            && let Some(last) = self.at_end(chunk.get(..end)?)
        {
            edits.push(((end, end), last));
        }
        if edits.is_empty() { None } else { splice(chunk, &edits) }
    }

    /// The options that ask for usage too, where these do not.
    fn options(&mut self, options: &[u8]) -> Option<Vec<u8>> {
        let new = match options.first()? {
            _ if !self.change.usage => None,
            b'{' => with_usage(options),
            b'n' if self.stream => Some(ONLY_USAGE.to_vec()),
            _ => None,
        };
        self.asked |= new.is_some();
        new
    }

    /// What is put at the end of a body, of which this chunk has the last part.
    fn at_end(&mut self, before: &[u8]) -> Option<Vec<u8>> {
        let mut last = Vec::new();
        if self.change.usage && self.stream && !self.settled {
            (self.settled, self.asked) = (true, true);
            last.push(ALL_OPTIONS.to_vec());
        }
        if let Some(most) = self.change.most.filter(|_| self.lowered == Lowered::NotSaid) {
            self.lowered = Lowered::Done;
            last.push(most.whole());
        }
        let is_first = before.trim_ascii_end().ends_with(b"{");
        let comma: &[u8] = if is_first || last.is_empty() { b"" } else { b"," };
        (!last.is_empty()).then(|| [comma, &last.join(&b',')].concat())
    }
}

/// Options with usage; `None` where they have it.
fn with_usage(options: &[u8]) -> Option<Vec<u8>> {
    let mut scanner =
        Scanner::new(Rc::new(Spec::of(&[("/include_usage", INCLUDE_USAGE, How::Take)])));
    let (mut said, mut edits) = (false, Vec::new());
    scanner.feed(options, &mut |found| {
        if let Found::Value(_, raw) = found {
            said = true;
            let wrong = place(options, raw).filter(|_| raw != b"true");
            edits.extend(wrong.map(|place| (place, b"true".to_vec())));
        }
    });
    if !said {
        let is_empty = options.get(1..)?.trim_ascii_start().first() == Some(&b'}');
        let usage = if is_empty { USAGE.to_vec() } else { [USAGE, b","].concat() };
        edits.push(((1, 1), usage));
    }
    if edits.is_empty() { None } else { splice(options, &edits) }
}

pub(super) type Place = (usize, usize);

/// Where a value stands in a text, if it was not put together from several.
pub(super) fn place(text: &[u8], value: &[u8]) -> Option<Place> {
    let start = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(value.len())?;
    (text.get(start..end)? == value).then_some((start, end))
}

/// The text with something else at some places, which are in order.
pub(super) fn splice(text: &[u8], edits: &[(Place, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut changed = Vec::with_capacity(text.len().saturating_add(ROOM));
    let mut from = 0;
    for ((start, end), new) in edits {
        changed.extend_from_slice(text.get(from..*start)?);
        changed.extend_from_slice(new);
        from = *end;
    }
    changed.extend_from_slice(text.get(from..)?);
    Some(changed)
}

const MODEL: Pick = 0;
const STREAM: Pick = 1;
const OPTIONS: Pick = 2;
const MOST: Pick = 3;
const INCLUDE_USAGE: Pick = 0;

const USAGE: &[u8] = br#""include_usage":true"#;
const ONLY_USAGE: &[u8] = br#"{"include_usage":true}"#;
/// What is put at the end of a body, which has at least `stream` before.
const ALL_OPTIONS: &[u8] = br#""stream_options":{"include_usage":true}"#;
/// For what is put in: the options, and the rest of a model's name.
const ROOM: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_model_is_changed_and_nothing_else() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"model":"gpt-5","n":1}"#,                    Some(r#"{"model":"m\"1","n":1}"#)),
            (r#" { "a" : {"model":1}, "model" : "x" } "#,     Some(r#" { "a" : {"model":1}, "model" : "m\"1" } "#)),
            (r#"{"model":"a","model":null}"#,                 Some(r#"{"model":"m\"1","model":"m\"1"}"#)),
            (r#"{"model":"a","stream":true}"#,                Some(r#"{"model":"m\"1","stream":true}"#)),
            (r#"{"messages":["\"model\":\"x\""]}"#,           None),
            (r#"{"model":"a","mod\u0065l":"b"}"#,              Some(r#"{"model":"m\"1","mod\u0065l":"m\"1"}"#)),
            ("not json",                                      None),
        ];
        for (body, expected) in cases {
            let change = Change { model: Some("m\"1".to_owned()), ..Change::default() };
            assert_eq!(text(edited(body.as_bytes(), change)).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn usage_is_asked_for_and_all_else_stays() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"stream":true}"#,                                          Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#)),
            ("{ \"stream\" : true ,\n \"a\":[{\"b\":\"}\"}] }\n\n",         Some("{ \"stream\" : true ,\n \"a\":[{\"b\":\"}\"}] ,\"stream_options\":{\"include_usage\":true}}\n\n")),
            (r#"{"stream":true,"stream_options":null}"#,                    Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#)),
            (r#"{"stream_options":null,"stream":true}"#,                    Some(r#"{"stream_options":{"include_usage":true},"stream":true}"#)),
            (r#"{"stream":true,"stream_options": {} }"#,                    Some(r#"{"stream":true,"stream_options": {"include_usage":true} }"#)),
            (r#"{"stream":true,"stream_options":{ } }"#,                    Some(r#"{"stream":true,"stream_options":{"include_usage":true } }"#)),
            (r#"{"stream_options":{"include_usage":false},"stream":true}"#, Some(r#"{"stream_options":{"include_usage":true},"stream":true}"#)),
            (r#"{"stream_options":{"include_usage": null , "x":[1]},"stream":true}"#, Some(r#"{"stream_options":{"include_usage": true , "x":[1]},"stream":true}"#)),
            (r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#, Some(r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#)),
            (r#"{"stream":true,"stream_options":{"include_usage":false,"include_usage":false}}"#, Some(r#"{"stream":true,"stream_options":{"include_usage":true,"include_usage":true}}"#)),
            (r#"{"stream":true,"stream_options":null,"stream_options":{}}"#, Some(r#"{"stream":true,"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}"#)),
            (r#"{"stream":false,"stream":true}"#,                           Some(r#"{"stream":false,"stream":true,"stream_options":{"include_usage":true}}"#)),
            (r#"{"stream":true,"stream_options":{"include_usage":true}}"#,  None),
            (r#"{"stream":true,"stream_options":"yes"}"#,                   None),
            (r#"{"stream":false}"#,                                         None),
            (r#"{"stream":true,"stream":false}"#,                           None),
            (r#"{"stream":false,"stream_options":null}"#,                   None),
            (r#"{"stream":"true"}"#,                                        None),
            (r#"{"n":1}"#,                                                  None),
            (r#"{"a":{"stream":true}}"#,                                    None),
            (r#"{"stream":true"#,                                           None),
            (r#"{"stream":true}}"#,                                         None),
            (r#"[{"stream":true}]"#,                                        None),
            ("",                                                            None),
            ("not json",                                                    None),
        ];
        for (body, expected) in cases {
            let change = Change { usage: true, ..Change::default() };
            let mut editor = Editor::new(change);
            assert_eq!(text(editor.feed(body.as_bytes())).as_deref(), expected, "{body}");
            assert_eq!(editor.has_asked(), expected.is_some(), "{body}");
        }
    }

    #[test]
    fn one_edit_changes_model_and_asks_for_usage() {
        let change = Change { model: Some("small".to_owned()), usage: true, most: None };
        let body = br#"{"stream":true,"model":"large"}"#;
        let expected = r#"{"stream":true,"model":"small","stream_options":{"include_usage":true}}"#;
        assert_eq!(text(edited(body, change)).as_deref(), Some(expected));
    }

    fn in_chunks<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (String, bool) {
        let mut editor = Editor::new(Change { usage: true, ..Change::default() });
        let edited = chunks.flat_map(|chunk| editor.feed(chunk).unwrap_or_else(|| chunk.to_vec()));
        (String::from_utf8(edited.collect()).unwrap(), editor.has_asked())
    }

    #[test]
    fn where_a_body_without_options_is_cut_does_not_matter() {
        let body = "{\"messages\":[{\"content\":\"} \\\" }\"}],\"stream\":true, \"n\" : 1 } \n";
        let whole = in_chunks([body.as_bytes()].into_iter());
        assert!(whole.0.ends_with(", \"n\" : 1 ,\"stream_options\":{\"include_usage\":true}} \n"));
        for size in 1..=body.len() {
            assert_eq!(in_chunks(body.as_bytes().chunks(size)), whole, "in chunks of {size}");
        }
    }

    #[test]
    fn options_that_are_cut_stay_as_they_are() {
        let body = r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#;
        for at in 33..61 {
            let (head, tail) = body.as_bytes().split_at(at);
            assert_eq!(in_chunks([head, tail].into_iter()), (body.to_owned(), false), "{at}");
        }
    }
}
