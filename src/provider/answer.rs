//! Reads the answer to one call, and says at its end what is known of it.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Api, Reported, anthropic, google, openai};
use crate::coding::{Decoder as Coded, Fault, Pool};
use crate::json::{Found, How, Pick, Scanner, Spec};
use crate::sse::{Decoder, Piece};

/// One place that a reader asks for: path, meaning, and what to do there.
pub(super) type Place = (&'static str, Pick, How);

/// The model that answered.
pub(super) const MODEL: Pick = 0;
/// A usage object.
pub(super) const USAGE: Pick = 1;
/// A usage object that counts only where there is no other.
pub(super) const SPARE: Pick = 2;
/// A usage object to which later ones are corrections, and which alone is not the end.
pub(super) const START: Pick = 3;
/// The tier that served the call.
pub(super) const TIER: Pick = 4;
/// An error in the body.
pub(super) const ERROR: Pick = 5;
/// Why the model stopped: the mark of an answer that is whole.
pub(super) const FINISH: Pick = 6;
/// Text of the answer.
pub(super) const TEXT: Pick = 7;
/// Work that is charged for beside the tokens, and not counted in the usage.
pub(super) const BESIDE: Pick = 8;

/// How the body stands in its bytes. The first of them tells: what `content-type` says is not
/// always so, and an error to a stream is often plain JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// JSON: one document, or one after the other.
    Json,
    /// Server-sent events.
    Sse,
}

/// Why usage could not be read from an answer that should have had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The body is neither JSON nor events.
    NotJson,
    /// The body could not be decoded, or no further.
    Coding(Fault),
    /// An event of a stream was not one whole JSON document.
    Event,
    /// A usage object was longer than 16 KiB, or no JSON.
    Usage,
    /// The body came to its end in the middle of its JSON, or of its compressed data.
    Cut,
    /// Parts of the usage were larger than their whole, negative, or absurd.
    Inconsistent,
}

impl Trouble {
    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::Coding(fault) => fault.label(),
            Self::Event => "event",
            Self::Usage => "usage",
            Self::Cut => "cut",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// What each dialect is asked for, made once and shared by all calls.
#[derive(Debug)]
pub struct Places {
    /// Where decoders with large windows come from.
    pub pool: Pool,
    openai: Rc<Spec>,
    anthropic: Rc<Spec>,
    google: Rc<Spec>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            pool: Pool::default(),
            openai: Rc::new(Spec::of(openai::PLACES)),
            anthropic: Rc::new(Spec::of(anthropic::PLACES)),
            google: Rc::new(Spec::of(google::PLACES)),
        }
    }
}

impl Places {
    fn of(&self, api: Api) -> Rc<Spec> {
        Rc::clone(match api {
            Api::OpenAiChat => &self.openai,
            Api::AnthropicMessages => &self.anthropic,
            Api::GeminiGenerate | Api::GeminiStream => &self.google,
        })
    }
}

/// What an answer gave away, at its end or as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// The last usage that the provider reported.
    pub reported: Option<Reported>,
    /// Whether that usage is of the whole answer, not of a part of it.
    pub is_final: bool,
    /// The tier that served the call, such as `priority`.
    pub service_tier: Option<String>,
    /// The speed at which it was served, such as `fast`.
    pub speed: Option<String>,
    /// Bytes of text that the model wrote, escapes included.
    pub text_bytes: u64,
    /// Bytes of a body that could not be read.
    pub unread_bytes: u64,
    /// Whether the body carried an error.
    pub error: bool,
    /// What went wrong in reading.
    pub trouble: Option<Trouble>,
}

/// Reads one answer in chunks.
#[derive(Debug)]
pub struct Answer {
    api: Api,
    coded: Coded,
    body: Body,
    /// Bytes that have come over the wire.
    bytes: u64,
}

/// The part that works on decoded bytes.
#[derive(Debug)]
struct Body {
    framing: Option<Framing>,
    events: Decoder,
    scanner: Scanner,
    notes: Notes,
}

#[derive(Debug, Default)]
struct Notes {
    /// Whether later usage corrects earlier usage key by key, or replaces it.
    merges: bool,
    /// Whether a usage object may come without any counts, and then says nothing.
    may_be_bare: bool,
    model: Option<String>,
    tier: Option<String>,
    /// The usage objects of the current event, which count once it has turned out to be whole.
    fresh: Vec<u8>,
    fresh_spare: Vec<u8>,
    /// Whether `fresh` is but a placeholder for later ones.
    is_start: bool,
    /// The last usage object of a dialect whose last one counts, as it stood in the text.
    last: Vec<u8>,
    spare: Vec<u8>,
    /// The usage of a dialect whose events correct each other.
    merged: Map<String, Value>,
    /// What the current event has had.
    event: Event,
    /// Whether the model has said that it stops, and nothing since.
    finished: bool,
    /// Whether usage came with that or after it: then it is of all of the answer.
    counted: bool,
    beside: bool,
    error: bool,
    /// Whether any JSON was met.
    any: bool,
    text_bytes: u64,
    trouble: Option<Trouble>,
}

#[derive(Debug, Default)]
struct Event {
    text: bool,
    finish: bool,
    usage: bool,
}

impl Answer {
    /// A reader for an answer of `api`, coded as its `content-encoding` says; empty for none.
    #[must_use]
    pub fn new(places: &Places, api: Api, content_encoding: &str) -> Self {
        let notes = Notes {
            merges: api == Api::AnthropicMessages,
            may_be_bare: matches!(api, Api::GeminiGenerate | Api::GeminiStream),
            ..Notes::default()
        };
        Self {
            api,
            coded: Coded::new(content_encoding, &places.pool),
            bytes: 0,
            body: Body {
                framing: None,
                events: Decoder::default(),
                scanner: Scanner::new(places.of(api)),
                notes,
            },
        }
    }

    /// Reads one chunk of the body as it came over the wire.
    pub fn feed(&mut self, chunk: &[u8]) {
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        self.coded.feed(chunk, &mut |bytes| self.body.feed(bytes));
    }

    /// Ends the answer. `whole` says whether the body came to its end.
    #[must_use]
    pub fn finish(mut self, provider: &str, whole: bool) -> Evidence {
        let is_coding_open = self.coded.is_open();
        self.coded.end(&mut |bytes| self.body.feed(bytes));
        self.body.end();
        let between = self.body.scanner.is_between();
        let is_json = self.body.framing == Some(Framing::Json);
        let open = (is_json && !between) || is_coding_open;
        let mut notes = self.body.notes;
        notes.trouble = self.coded.fault().map(Trouble::Coding).or(notes.trouble);
        let object = notes.usage();
        let reported = object.as_ref().and_then(|object| match self.api {
            Api::OpenAiChat => openai::reported(object, provider),
            Api::AnthropicMessages => anthropic::reported(object),
            Api::GeminiGenerate | Api::GeminiStream => google::reported(object),
        });
        let word = |key: &&str| object.as_ref()?.get(key)?.as_str().map(str::to_owned);
        let inconsistent = reported.is_some_and(|known| known.inconsistent || known.absurd);
        let searches = notes.model.as_deref().is_some_and(|model| model.contains("search-preview"));
        let beside = notes.beside || searches;
        let reported = reported.filter(|known| !known.absurd);
        let reported = reported.map(|known| Reported { partial: known.partial || beside, ..known });
        // A placeholder that no later event has replaced is not the end of a stream, and totals
        // before an error are not those of all that was done.
        let placeholder = notes.merges && !notes.finished && !is_json;
        let is_whole = match is_json {
            true => whole || between,
            false => !notes.error && ((whole && !placeholder) || notes.counted),
        };
        let cut = (whole && open && reported.is_none()).then_some(Trouble::Cut);
        let unread = matches!(notes.trouble, Some(Trouble::NotJson | Trouble::Coding(_)));
        Evidence {
            is_final: reported.is_some() && is_whole,
            model: notes.model,
            reported,
            service_tier: notes.tier.or_else(|| TIERS.iter().find_map(word)),
            speed: word(&"speed"),
            text_bytes: notes.text_bytes,
            unread_bytes: if unread { self.bytes } else { 0 },
            error: notes.error,
            trouble: notes.trouble.or(cut).or(inconsistent.then_some(Trouble::Inconsistent)),
        }
    }
}

impl Evidence {
    /// Whether the body was an error and nothing else.
    #[must_use]
    pub const fn is_mere_error(&self) -> bool {
        self.error && self.text_bytes == 0 && self.reported.is_none()
    }
}

impl Body {
    fn feed(&mut self, bytes: &[u8]) {
        let (framing, bytes) = match self.framing {
            Some(framing) => (framing, bytes),
            None => {
                // DeepSeek sends blank lines while it thinks. No document begins with a byte of a
                // byte order mark.
                let leads = |byte: &u8| byte.is_ascii_whitespace() || MARK.contains(byte);
                let start = bytes.iter().position(|byte| !leads(byte)).unwrap_or(bytes.len());
                let bytes = bytes.get(start..).unwrap_or_default();
                let framing = match bytes.first() {
                    None => return,
                    Some(b'{' | b'[') => Framing::Json,
                    Some(_) => Framing::Sse,
                };
                (*self.framing.insert(framing), bytes)
            }
        };
        let Self { events, scanner, notes, .. } = self;
        match framing {
            Framing::Json => {
                notes.any = true;
                scanner.feed(bytes, &mut |found| {
                    notes.note(found);
                    notes.keep();
                });
                if scanner.is_broken() {
                    notes.trouble.get_or_insert(Trouble::NotJson);
                }
            }
            Framing::Sse => events.feed(bytes, &mut |piece| on_piece(scanner, notes, piece)),
        }
    }

    fn end(&mut self) {
        let Self { events, scanner, notes, .. } = self;
        if self.framing == Some(Framing::Sse) {
            events.finish(&mut |piece| on_piece(scanner, notes, piece));
            if !notes.any {
                notes.trouble.get_or_insert(Trouble::NotJson);
            }
        }
    }
}

fn on_piece(scanner: &mut Scanner, notes: &mut Notes, piece: Piece<'_>) {
    match piece {
        Piece::Data(bytes) => scanner.feed(bytes, &mut |found| notes.note(found)),
        Piece::End if scanner.restart() => {
            notes.any = true;
            notes.keep();
        }
        Piece::End => notes.forget(),
    }
}

impl Notes {
    fn note(&mut self, found: Found<'_>) {
        match found {
            Found::Text(_, bytes) => {
                self.event.text = true;
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.text_bytes = self.text_bytes.saturating_add(bytes);
            }
            Found::TooLong(USAGE | SPARE | START) => self.trouble = Some(Trouble::Usage),
            Found::TooLong(_) | Found::Value(_, b"null") => {}
            Found::Value(MODEL, raw) => keep_text(&mut self.model, raw),
            Found::Value(TIER, raw) => self.tier = text(raw).or(self.tier.take()),
            // Vertex announces usage in every event and has counts in the last.
            Found::Value(USAGE, raw) if self.may_be_bare && !google::has_counts(raw) => {}
            // Some send an empty one in passing.
            Found::Value(USAGE, b"{}" | b"\"\"" | b"[]") => {}
            Found::Value(pick @ (USAGE | START), raw) => {
                self.is_start = pick == START;
                raw.clone_into(&mut self.fresh);
            }
            Found::Value(SPARE, raw) => raw.clone_into(&mut self.fresh_spare),
            Found::Value(ERROR, _) => self.error = true,
            Found::Value(FINISH, _) => self.event.finish = true,
            Found::Value(BESIDE, raw) => self.beside |= raw != b"[]",
            Found::Value(..) => {}
        }
    }

    /// Takes what the current event said as said.
    fn keep(&mut self) {
        self.keep_usage();
        let Event { text, finish, usage } = core::mem::take(&mut self.event);
        if finish {
            (self.finished, self.counted) = (true, usage);
        } else if text {
            (self.finished, self.counted) = (false, false);
        }
        self.counted |= usage && self.finished;
    }

    fn keep_usage(&mut self) {
        if !self.fresh_spare.is_empty() {
            self.spare = core::mem::take(&mut self.fresh_spare);
            self.event.usage = true;
        }
        if self.fresh.is_empty() {
            return;
        }
        let fresh = core::mem::take(&mut self.fresh);
        self.event.usage = true;
        if !self.merges {
            self.last = fresh;
            return;
        }
        match serde_json::from_slice(&fresh) {
            Ok(Value::Object(later)) => anthropic::merge(&mut self.merged, later),
            _ => self.trouble = Some(Trouble::Usage),
        }
        // The totals of the last events, not the placeholder of the first, make an answer whole.
        self.event.finish |= !self.is_start;
    }

    /// Drops what an event said that is not one whole document: its other half is not known.
    fn forget(&mut self) {
        self.fresh.clear();
        self.fresh_spare.clear();
        self.event = Event::default();
        self.trouble.get_or_insert(Trouble::Event);
    }

    fn usage(&self) -> Option<Value> {
        if !self.merged.is_empty() {
            return Some(Value::Object(self.merged.clone()));
        }
        let raw = if self.last.is_empty() { &self.spare } else { &self.last };
        serde_json::from_slice(raw).ok()
    }
}

/// Keeps the first text that is not empty: Azure opens its streams with an empty model.
fn keep_text(slot: &mut Option<String>, raw: &[u8]) {
    if slot.is_none() {
        *slot = text(raw);
    }
}

fn text(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(raw).ok().filter(|text: &String| !text.is_empty())
}

/// The bytes of a byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Where a usage object says which tier served the call.
const TIERS: [&str; 2] = ["service_tier", "serviceTier"];

#[cfg(test)]
mod tests;
