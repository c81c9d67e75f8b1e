//! Reads the answer to one call, and says at its end what is known of it.

mod notes;

use core::cell::RefCell;
use std::rc::Rc;

use serde_json::Value;

use super::dialect::{ASKED, Binary, Dialect, Seen, TIER};
use super::frames::{Frames, Part};
use super::{Api, Reported, cost, google};
use crate::coding::{Decoder as Coded, Fault, Pool};
use crate::json::{Scanner, Spec};
use crate::sse::{Decoder, Piece};
use notes::Notes;

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
    /// The coding of the request could not be taken off, so that its model and maximum are unknown.
    Request,
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
            Self::Request => "request",
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

    /// The bytes of text that the model has written so far.
    #[must_use]
    pub const fn text_bytes(&self) -> u64 {
        self.body.notes.text_bytes
    }

    /// Whether it is a stream of server-sent events.
    #[must_use]
    pub fn is_events(&self) -> bool {
        self.body.framing == Some(Framing::Sse)
    }

    /// Ends the answer. `whole` says whether the body came to its end.
    #[must_use]
    pub fn finish(mut self, provider: &str, whole: bool) -> Evidence {
        let (is_coding_open, binary) = (self.coded.is_open(), self.dialect.binary);
        let is_events = self.is_events();
        self.coded.end(&mut |bytes| self.body.feed(bytes, binary));
        self.body.end(whole);
        let open = self.body.is_open() || is_coding_open;
        let end = whole && !open && self.coded.fault().is_none();
        let is_whole = self.body.is_whole(end);
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
        let is_whole = self.told_ahead || (is_whole && !notes.has_lost());
        let cut = (whole && open && !is_whole).then_some(Trouble::Cut);
        let unread = matches!(notes.trouble, Some(Trouble::NotJson | Trouble::Coding(_)));
        let begun = |status: &str| UNFINISHED.iter().any(|own| own.eq_ignore_ascii_case(status));
        let unfinished = notes.status.as_deref().is_some_and(begun);
        // Nothing but an id under which it can be asked for.
        let said = reported.is_some() || notes.model.is_some() || notes.text_bytes > 0;
        let deferred = provider == "xai" && !notes.again && notes.id.is_some() && !said;
        // What is asked for again is done: its counts are its last ones, wherever it breaks off.
        let is_last = is_whole || (notes.again && !unfinished && !is_events);
        Evidence {
            is_final: reported.as_ref().is_some_and(|known| !known.prompt_unknown) && is_last,
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
            pending: (notes.again && unfinished) || deferred,
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
                Piece::Data(bytes) => {
                    notes.note_data(bytes);
                    scanner.feed(bytes, &mut |found| notes.note(found));
                }
                Piece::End => notes.end_event(scanner.restart()),
            }),
            Framing::Frames => {
                frames.feed(bytes, &mut |part| match part {
                    Part::Data(bytes) => scanner.feed(bytes, &mut |found| notes.note(found)),
                    Part::Exception => notes.fail(),
                    Part::End => notes.end_event(scanner.restart()),
                });
                if frames.is_broken() {
                    notes.trouble.get_or_insert(Trouble::NotJson);
                }
            }
        }
    }

    /// Ends the body; `whole` says whether it came to its end.
    fn end(&mut self, whole: bool) {
        let Self { events, scanner, notes, .. } = self;
        match self.framing {
            Some(Framing::Sse) => {
                let is_cut = scanner.is_open();
                events.finish(&mut |piece| match piece {
                    Piece::Data(_) => {}
                    Piece::End if is_cut => notes.break_off(whole),
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

    /// Whether what came ends in the middle of a frame, or of a document.
    fn is_open(&self) -> bool {
        match self.framing {
            Some(Framing::Frames) => self.frames.is_open(),
            Some(Framing::Json) => !self.scanner.has_ended(),
            None | Some(Framing::Sse) => false,
        }
    }

    /// Whether usage that was told is that of the whole answer; `end` says whether it has come.
    fn is_whole(&self, end: bool) -> bool {
        match self.framing {
            None => end,
            Some(Framing::Json) => self.scanner.has_ended(),
            Some(Framing::Sse | Framing::Frames) => self.notes.is_whole(end),
        }
    }
}

/// The bytes of a byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// What is said of work in the background that has not come to its end.
const UNFINISHED: [&str; 3] = ["queued", "in_progress", "created"];
/// Where a usage object says which tier served the call.
const TIERS: [&str; 3] = ["service_tier", "serviceTier", "trafficType"];

#[cfg(test)]
mod tests;
