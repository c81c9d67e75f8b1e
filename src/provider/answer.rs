//! Reads the answer to one call, and says at its end what is known of it.

use core::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::dialect::{
    AGAIN, ASKED, Binary, COUNT, Dialect, ERROR, FIELD, FINISH, ID, Keeps, Kept, MODEL, SPARE,
    START, STATUS, Seen, TIER, USAGE,
};
use super::frames::{Frames, Part};
use super::{Api, Reported, anthropic, cost, google};
use crate::coding::{Decoder as Coded, Fault, Pool};
use crate::json::{Found, Scanner, Spec};
use crate::sse::{Decoder, Piece};

/// How the body stands in its bytes. The first of them tells: what `content-type` says is not
/// always so, and an error to a stream is often plain JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// JSON: one document, or one after the other.
    Json,
    /// Server-sent events.
    Sse,
    /// AWS's event stream.
    Frames,
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
#[derive(Debug, Default)]
pub struct Places {
    /// Where decoders with large windows come from.
    pub pool: Pool,
    specs: RefCell<Vec<(Api, Rc<Spec>)>>,
}

impl Places {
    fn of(&self, api: Api) -> Rc<Spec> {
        let mut made = self.specs.borrow_mut();
        if let Some((_, spec)) = made.iter().find(|(own, _)| *own == api) {
            return Rc::clone(spec);
        }
        let spec = Rc::new(Spec::of(api.dialect().places));
        made.push((api, Rc::clone(&spec)));
        spec
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
    /// Where it was computed, if that was for the client to choose.
    pub geo: Option<String>,
    /// How much of the web was searched, such as `low`.
    pub search_context: Option<String>,
    /// How it was searched, such as `pro`.
    pub search_type: Option<String>,
    /// The provider's id of work whose usage may be told more than once.
    pub told_again: Option<String>,
    /// Whether the work goes on in the background, and its usage is told later.
    pub pending: bool,
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
    dialect: &'static Dialect,
    coded: Coded,
    body: Body,
    /// Bytes that have come over the wire.
    bytes: u64,
    /// Whether headers have said the usage of all of the answer.
    told_ahead: bool,
}

/// The part that works on decoded bytes.
#[derive(Debug)]
struct Body {
    framing: Option<Framing>,
    events: Decoder,
    frames: Frames,
    scanner: Scanner,
    notes: Notes,
}

#[derive(Debug)]
struct Notes {
    keeps: Keeps,
    model: Option<String>,
    tier: Option<String>,
    id: Option<String>,
    status: Option<String>,
    /// The usage objects of the current event, which count once it has turned out to be whole.
    fresh: Vec<u8>,
    fresh_spare: Vec<u8>,
    fresh_kept: Kept,
    /// Whether `fresh` is but a placeholder for later ones.
    is_start: bool,
    /// The last usage object of a dialect whose last one counts, as it stood in the text.
    last: Vec<u8>,
    spare: Vec<u8>,
    /// The usage of a dialect whose events correct each other.
    merged: Map<String, Value>,
    kept: Kept,
    /// What the current event has had.
    event: Event,
    /// Whether the model has said that it stops, and nothing since.
    finished: bool,
    /// Whether usage came with that or after it: then it is of all of the answer.
    counted: bool,
    error: bool,
    again: bool,
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
        let dialect = api.dialect();
        Self {
            dialect,
            coded: Coded::new(content_encoding, &places.pool),
            bytes: 0,
            told_ahead: false,
            body: Body {
                framing: None,
                events: Decoder::default(),
                frames: Frames::new(dialect.binary),
                scanner: Scanner::new(places.of(api)),
                notes: Notes::new(dialect.keeps),
            },
        }
    }

    /// Notes the model that the request's path names: some models count in their own way.
    pub fn note_asked(&mut self, model: &str) {
        self.body.notes.kept.set(ASKED, Value::String(model.to_owned()));
    }

    /// Reads what the answer's headers say of usage. `header` tells the value of one by its name.
    pub fn read_head(&mut self, mut header: impl FnMut(&str) -> Option<String>) {
        let notes = &mut self.body.notes;
        for &(name, pick) in self.dialect.headers {
            match header(name) {
                Some(value) if pick == TIER => notes.tier = Some(value),
                Some(value) => {
                    notes.kept.set(pick, Value::String(value));
                    self.told_ahead = true;
                }
                None => {}
            }
        }
    }

    /// Reads one chunk of the body as it came over the wire.
    pub fn feed(&mut self, chunk: &[u8]) {
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.dialect.places.is_empty() {
            return;
        }
        let binary = self.dialect.binary;
        self.coded.feed(chunk, &mut |bytes| self.body.feed(bytes, binary));
    }

    /// Ends the answer. `whole` says whether the body came to its end.
    #[must_use]
    pub fn finish(mut self, provider: &str, whole: bool) -> Evidence {
        let (is_coding_open, binary) = (self.coded.is_open(), self.dialect.binary);
        self.coded.end(&mut |bytes| self.body.feed(bytes, binary));
        self.body.end();
        let body = &self.body;
        let between = body.scanner.is_between();
        let is_json = matches!(body.framing, None | Some(Framing::Json));
        let is_open = match body.framing {
            Some(Framing::Frames) => body.frames.is_open(),
            Some(Framing::Json) => !between,
            None | Some(Framing::Sse) => false,
        };
        let open = is_open || is_coding_open;
        let mut notes = self.body.notes;
        notes.trouble = self.coded.fault().map(Trouble::Coding).or(notes.trouble);
        let object = notes.usage();
        let model = notes.model.as_deref().unwrap_or_default();
        let seen = Seen { usage: &object, kept: &notes.kept, provider, model };
        let reported = (self.dialect.read)(&seen);
        let word = |key: &&str| object.get(key)?.as_str().map(str::to_owned);
        let inconsistent =
            reported.as_ref().is_some_and(|known| known.inconsistent || known.absurd);
        let searches = notes.model.as_deref().is_some_and(|model| model.contains("search-preview"));
        let reported = reported.filter(|known| !known.absurd);
        let provider_cost = cost::said(&object, provider);
        let reported = reported.map(|known| Reported {
            partial: known.partial || searches,
            provider_cost,
            ..known
        });
        // A placeholder that no later event has replaced is not the end of a stream, and totals
        // before an error are not those of all that was done.
        let merges = matches!(notes.keeps, Keeps::Merged);
        let placeholder = merges && !notes.finished && !is_json;
        let is_whole = match is_json {
            true => whole || (between && notes.any) || self.told_ahead,
            false => !notes.error && ((whole && !open && !placeholder) || notes.counted),
        };
        let cut = (whole && open && reported.is_none()).then_some(Trouble::Cut);
        let unread = matches!(notes.trouble, Some(Trouble::NotJson | Trouble::Coding(_)));
        let unfinished = matches!(notes.status.as_deref(), Some("queued" | "in_progress"));
        Evidence {
            is_final: reported.as_ref().is_some_and(|known| !known.prompt_unknown) && is_whole,
            service_tier: notes
                .tier
                .or_else(|| TIERS.iter().find_map(word))
                .or(google::traffic(&object)),
            speed: word(&"speed"),
            geo: word(&"inference_geo"),
            search_context: word(&"search_context_size"),
            search_type: word(&"search_type"),
            model: notes.model,
            reported,
            told_again: notes.id.filter(|_| notes.again),
            pending: notes.again && unfinished,
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
    fn feed(&mut self, bytes: &[u8], binary: Binary) {
        let (framing, bytes) = match self.framing {
            Some(framing) => (framing, bytes),
            None => {
                // DeepSeek sends blank lines while it thinks. No document begins with a byte of a
                // byte order mark, and no frame is so long that it begins with a blank.
                let leads = |byte: &u8| byte.is_ascii_whitespace() || MARK.contains(byte);
                let start = bytes.iter().position(|byte| !leads(byte)).unwrap_or(bytes.len());
                let bytes = bytes.get(start..).unwrap_or_default();
                let framing = match bytes.first() {
                    None => return,
                    Some(b'{' | b'[') => Framing::Json,
                    Some(_) if binary != Binary::Never => Framing::Frames,
                    Some(_) => Framing::Sse,
                };
                (*self.framing.insert(framing), bytes)
            }
        };
        let Self { events, frames, scanner, notes, .. } = self;
        match framing {
            Framing::Json => {
                notes.any = true;
                scanner.feed(bytes, &mut |found| notes.note(found));
                if scanner.is_broken() {
                    notes.trouble.get_or_insert(Trouble::NotJson);
                }
            }
            Framing::Sse => events.feed(bytes, &mut |piece| match piece {
                Piece::Data(bytes) => scanner.feed(bytes, &mut |found| notes.note(found)),
                Piece::End => notes.end_event(scanner.restart()),
            }),
            Framing::Frames => {
                frames.feed(bytes, &mut |part| match part {
                    Part::Data(bytes) => scanner.feed(bytes, &mut |found| notes.note(found)),
                    Part::Exception => notes.error = true,
                    Part::End => notes.end_event(scanner.restart()),
                });
                if frames.is_broken() {
                    notes.trouble.get_or_insert(Trouble::NotJson);
                }
            }
        }
    }

    fn end(&mut self) {
        let Self { events, scanner, notes, .. } = self;
        match self.framing {
            Some(Framing::Sse) => {
                events.finish(&mut |piece| match piece {
                    Piece::Data(bytes) => scanner.feed(bytes, &mut |found| notes.note(found)),
                    Piece::End => notes.end_event(scanner.restart()),
                });
                if !notes.any {
                    notes.trouble.get_or_insert(Trouble::NotJson);
                }
            }
            Some(Framing::Json) => notes.keep(),
            None | Some(Framing::Frames) => {}
        }
    }
}

impl Notes {
    fn new(keeps: Keeps) -> Self {
        Self {
            keeps,
            model: None,
            tier: None,
            id: None,
            status: None,
            fresh: Vec::new(),
            fresh_spare: Vec::new(),
            fresh_kept: Kept::default(),
            is_start: false,
            last: Vec::new(),
            spare: Vec::new(),
            merged: Map::new(),
            kept: Kept::default(),
            event: Event::default(),
            finished: false,
            counted: false,
            error: false,
            again: false,
            any: false,
            text_bytes: 0,
            trouble: None,
        }
    }

    fn note(&mut self, found: Found<'_>) {
        match found {
            Found::Text(_, bytes) => {
                self.event.text = true;
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.text_bytes = self.text_bytes.saturating_add(bytes);
            }
            Found::TooLong(USAGE | SPARE | START) => self.trouble = Some(Trouble::Usage),
            Found::TooLong(pick @ COUNT..) => self.fresh_kept.note(pick, b""),
            Found::TooLong(_) | Found::Value(_, b"null") => {}
            Found::Value(AGAIN, raw) => self.again |= raw != b"false",
            Found::Value(MODEL, raw) => keep_text(&mut self.model, raw),
            Found::Value(ID, raw) => keep_text(&mut self.id, raw),
            Found::Value(STATUS, raw) => self.status = text(raw).or(self.status.take()),
            Found::Value(TIER, raw) => self.tier = text(raw).or(self.tier.take()),
            Found::Value(USAGE, raw) if self.is_bare(raw) => {}
            Found::Value(pick @ (USAGE | START), raw) => {
                self.is_start = pick == START;
                raw.clone_into(&mut self.fresh);
            }
            Found::Value(SPARE, raw) => raw.clone_into(&mut self.fresh_spare),
            Found::Value(ERROR, _) => self.error = true,
            Found::Value(FINISH, b"false" | b"\"\"") => {}
            Found::Value(FINISH, _) => self.event.finish = true,
            Found::Value(pick @ FIELD.., raw) => {
                self.event.usage |= pick < COUNT;
                self.fresh_kept.note(pick, raw);
            }
            Found::Value(..) => {}
        }
    }

    /// Whether a usage object says nothing: some send an empty one in passing, and Vertex announces
    /// usage in every event and has counts in the last.
    fn is_bare(&self, raw: &[u8]) -> bool {
        match self.keeps {
            Keeps::LastWithCounts(has_counts) if !has_counts(raw) => true,
            _ => matches!(raw, b"{}" | b"\"\"" | b"[]"),
        }
    }

    fn end_event(&mut self, whole: bool) {
        if whole {
            self.any = true;
            self.keep();
        } else {
            self.forget();
        }
    }

    /// Takes what the current event said as said.
    fn keep(&mut self) {
        if !self.fresh_kept.is_empty() {
            self.kept.take(core::mem::take(&mut self.fresh_kept));
        }
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
        if !matches!(self.keeps, Keeps::Merged) {
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
        self.fresh_kept = Kept::default();
        self.event = Event::default();
        self.trouble.get_or_insert(Trouble::Event);
    }

    fn usage(&self) -> Value {
        if !self.merged.is_empty() {
            return Value::Object(self.merged.clone());
        }
        let raw = if self.last.is_empty() { &self.spare } else { &self.last };
        serde_json::from_slice(raw).unwrap_or_default()
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
const TIERS: [&str; 3] = ["service_tier", "serviceTier", "trafficType"];

#[cfg(test)]
mod tests;
