//! What an answer has said so far, event by event.

use serde_json::{Map, Value};

use super::Trouble;
use crate::json::Found;
use crate::provider::anthropic;
use crate::provider::dialect::{
    AGAIN, COUNT, ERROR, FIELD, FINISH, ID, Keeps, Kept, MODEL, SPARE, START, STATUS, TIER, USAGE,
};

#[derive(Debug)]
pub(super) struct Notes {
    pub(super) keeps: Keeps,
    pub(super) model: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) id: Option<String>,
    pub(super) status: Option<String>,
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
    pub(super) kept: Kept,
    /// What the current event has had.
    event: Event,
    /// Whether the model has said that it stops, and nothing since.
    finished: bool,
    /// Whether it has said so at all.
    stopped: bool,
    /// Whether usage came with that or after it: then it is of all of the answer.
    counted: bool,
    /// Whether the stream has said that it is over: `[DONE]`.
    done: bool,
    /// Whether text came with the last usage, or after it.
    told_early: bool,
    /// Whether the last usage was one that could not be kept.
    lost: bool,
    pub(super) error: bool,
    /// Whether an error has come after the last usage.
    failed: bool,
    /// Whether the stream broke off in the middle of an event.
    broke_off: bool,
    pub(super) again: bool,
    /// Whether any JSON was met.
    pub(super) any: bool,
    pub(super) text_bytes: u64,
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug, Default)]
struct Event {
    /// Bytes of text, quotes included.
    text: u64,
    finish: bool,
    usage: bool,
    error: bool,
    /// How much of [`DONE`] it has, and nothing else.
    done: usize,
}

impl Notes {
    pub(super) fn new(keeps: Keeps) -> Self {
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
            stopped: false,
            counted: false,
            done: false,
            told_early: false,
            lost: false,
            error: false,
            failed: false,
            broke_off: false,
            again: false,
            any: false,
            text_bytes: 0,
            trouble: None,
        }
    }

    pub(super) fn note(&mut self, found: Found<'_>) {
        match found {
            Found::Text(_, bytes) => {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                self.event.text = self.event.text.saturating_add(bytes);
                self.text_bytes = self.text_bytes.saturating_add(bytes);
            }
            Found::TooLong(USAGE | SPARE | START) => self.lose(),
            Found::TooLong(pick @ COUNT..) => self.fresh_kept.note(pick, b""),
            Found::TooLong(_) | Found::Value(_, b"null") => {}
            Found::Value(AGAIN, raw) => self.again |= raw != b"false",
            Found::Value(MODEL, raw) => keep_text(&mut self.model, raw),
            Found::Value(ID, raw) => keep_text(&mut self.id, raw),
            Found::Value(STATUS, raw) => self.status = text(raw).or(self.status.take()),
            Found::Value(TIER, raw) => self.tier = text(raw).or(self.tier.take()),
            Found::Value(USAGE, raw) if self.is_bare(raw) => {}
            Found::Value(pick @ (USAGE | START), raw) => {
                (self.is_start, self.lost) = (pick == START, false);
                raw.clone_into(&mut self.fresh);
            }
            Found::Value(SPARE, raw) => raw.clone_into(&mut self.fresh_spare),
            Found::Value(ERROR, _) => self.fail(),
            Found::Value(FINISH, raw) if RUNNING.contains(&raw) => {}
            Found::Value(FINISH, _) => self.event.finish = true,
            Found::Value(pick @ FIELD.., raw) => {
                self.event.usage |= pick < COUNT;
                self.fresh_kept.note(pick, raw);
            }
            Found::Value(..) => {}
        }
    }

    /// Whether a usage object says nothing: some send one that is empty or all `null` in passing, and
    /// Vertex announces usage in every event and has counts in the last.
    fn is_bare(&self, raw: &[u8]) -> bool {
        match self.keeps {
            Keeps::LastWithCounts(has_counts) if !has_counts(raw) => true,
            _ => matches!(raw, b"\"\"" | b"[]") || is_hollow(raw),
        }
    }

    pub(super) fn end_event(&mut self, whole: bool) {
        if whole {
            self.any = true;
            self.keep();
        } else {
            self.forget();
        }
    }

    /// Takes what the current event said as said.
    pub(super) fn keep(&mut self) {
        if !self.fresh_kept.is_empty() {
            self.kept.take(core::mem::take(&mut self.fresh_kept));
        }
        self.keep_usage();
        let Event { text, finish, usage, error, done } = core::mem::take(&mut self.event);
        let text = text > EMPTY;
        self.stopped |= finish;
        if finish {
            (self.finished, self.counted) = (true, usage);
        } else if text {
            (self.finished, self.counted) = (false, false);
        }
        self.counted |= usage && self.finished;
        self.done |= done == DONE.len();
        self.told_early = text || (self.told_early && !usage);
        self.failed = (error || self.failed) && !usage;
    }

    /// Notes that what comes is an error.
    pub(super) const fn fail(&mut self) {
        (self.error, self.event.error) = (true, true);
    }

    /// Notes bytes of an event, which may say that the stream is over.
    pub(super) fn note_data(&mut self, bytes: &[u8]) {
        let done = &mut self.event.done;
        let rest = DONE.get(*done..).unwrap_or_default();
        let fits = !rest.is_empty() && rest.starts_with(bytes);
        *done = if fits { done.saturating_add(bytes.len()) } else { usize::MAX };
    }

    /// Ends a stream in the middle of an event.
    pub(super) fn break_off(&mut self, whole: bool) {
        self.broke_off = true;
        let trouble = self.trouble;
        self.forget();
        if !whole {
            // Who left is not to blame for what did not come any more.
            self.trouble = trouble;
        }
    }

    /// Whether the usage is that of all of a stream, as far as it came, and not of a part. One that
    /// came to its `end` need not say that the model stops; but totals that run beside the text are
    /// those of a part without that, and so are those before an error.
    pub(super) const fn is_whole(&self, end: bool) -> bool {
        let placeholder = self.is_start || matches!(self.keeps, Keeps::Merged);
        let runs = placeholder || (self.told_early && !self.done);
        let ended = end && !self.broke_off && (self.stopped || !runs);
        !self.failed && !self.lost && (ended || self.counted)
    }

    /// Whether a usage object came that could not be kept, and none after it.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost
    }

    /// Notes a usage object that is too long, or no JSON.
    const fn lose(&mut self) {
        self.lost = true;
        self.trouble = Some(Trouble::Usage);
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
            _ => self.lose(),
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

    pub(super) fn usage(&mut self) -> Value {
        if !self.merged.is_empty() {
            return Value::Object(self.merged.clone());
        }
        let raw = if self.last.is_empty() { &self.spare } else { &self.last };
        if raw.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(raw).unwrap_or_else(|_| {
            self.lose();
            Value::Null
        })
    }
}

/// Whether an object has nothing in it, or nothing but `null`.
fn is_hollow(raw: &[u8]) -> bool {
    let mut bytes = raw.iter().filter(|byte| !byte.is_ascii_whitespace());
    if bytes.next() != Some(&b'{') {
        return false;
    }
    let mut before = b'{';
    bytes.all(|&byte| {
        let says = before == b':' && !matches!(byte, b'n' | b'{');
        before = byte;
        !says
    })
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

/// What stands where an answer says that it is over, while it is not.
const RUNNING: [&[u8]; 6] =
    [b"false", b"\"\"", b"\"in_progress\"", b"\"queued\"", b"\"not_finished\"", b"\"null\""];
/// Bytes of a text with nothing in it.
const EMPTY: u64 = 2;
/// What most streams of OpenAI's kind end with.
const DONE: &[u8] = b"[DONE]";
