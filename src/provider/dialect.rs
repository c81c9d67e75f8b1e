//! What a dialect's answers are asked for, and how what they say is put together.

use serde_json::Value;

use super::count::read;
use super::{Api, Reported};
use super::{anthropic, bedrock, cohere, google, local, openai, responses};
use crate::json::{How, Pick};

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
/// The provider's id of a response that can be asked for again.
pub(super) const ID: Pick = 8;
/// How far a response is that is made in the background.
pub(super) const STATUS: Pick = 9;
/// What stands in answers about work whose usage may be told more than once.
pub(super) const AGAIN: Pick = 10;
/// The model that the request's path names.
pub(super) const ASKED: Pick = 11;
/// From here on: values that the dialect's reader wants beside the usage object, the last of each.
pub(super) const FIELD: Pick = 16;
/// From here on: places where values are counted.
pub(super) const COUNT: Pick = 64;
/// From here on: places whose numbers are summed.
pub(super) const SUM: Pick = 80;
/// From here on: places where words are counted, each for itself.
pub(super) const KIND: Pick = 96;
/// From here on: values of which the largest counts, because later events say less.
pub(super) const PEAK: Pick = 112;

/// How the usage objects of a stream go together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    /// The last one counts.
    Last,
    /// The last one counts that this says has counts at all.
    LastWithCounts(fn(&[u8]) -> bool),
    /// Later ones correct earlier ones, key by key.
    Merged,
}

/// How an answer stands in its bytes where its first byte does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    /// It is JSON or events.
    Never,
    /// Frames of AWS's event stream, each with one JSON document.
    Frames,
    /// Such frames, whose documents carry the model's own in base64.
    Wrapped,
}

/// A dialect of answers.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Where a body or an event has what is read. Where there is none, bodies are not read.
    pub(super) places: &'static [Place],
    pub(super) keeps: Keeps,
    pub(super) binary: Binary,
    /// Headers of the answer that say something, and what: a tier, or a field of usage.
    pub(super) headers: &'static [(&'static str, Pick)],
    /// Reads what an answer has said, or `None` where it has no counts.
    pub(super) read: fn(&Seen<'_>) -> Option<Reported>,
}

impl Dialect {
    /// A dialect of JSON or events whose last usage object counts.
    pub(super) const fn new(
        places: &'static [Place],
        read: fn(&Seen<'_>) -> Option<Reported>,
    ) -> Self {
        Self { places, keeps: Keeps::Last, binary: Binary::Never, headers: &[], read }
    }
}

/// An answer that says nothing of usage.
pub(super) static SILENT: Dialect = Dialect::new(&[], |_| None);

impl Api {
    /// The dialect of its answers.
    pub(super) const fn dialect(self) -> &'static Dialect {
        match self {
            Self::OpenAiChat
            | Self::OpenAiCompletions
            | Self::OpenAiEmbeddings
            | Self::VertexOpenAi
            | Self::VendorChat => &openai::CHAT,
            Self::OpenAiResponses | Self::OpenAiResponsePoll | Self::OpenAiCompact => {
                &responses::RESPONSES
            }
            Self::OpenAiRuns | Self::OpenAiRunPoll => &responses::RUNS,
            Self::XaiDeferredPoll => &openai::DEFERRED,
            Self::PerplexityAsync | Self::PerplexityAsyncPoll => &openai::ASYNC,
            Self::OpenAiImages => &openai::IMAGES,
            Self::OpenAiTranscriptions | Self::OpenAiTranslations => &openai::AUDIO,
            Self::AnthropicMessages | Self::VertexAnthropic => &anthropic::MESSAGES,
            Self::GeminiGenerate | Self::GeminiStream => &google::GENERATE,
            Self::GeminiEmbed => &google::EMBED,
            Self::GeminiInteractions | Self::GeminiInteractionPoll => &google::INTERACTIONS,
            Self::VertexPredict => &google::PREDICT,
            Self::BedrockConverse => &bedrock::CONVERSE,
            Self::BedrockConverseStream => &bedrock::CONVERSE_STREAM,
            Self::BedrockInvoke => &bedrock::INVOKE,
            Self::BedrockInvokeStream => &bedrock::INVOKE_STREAM,
            Self::CohereV1Chat
            | Self::CohereV1Generate
            | Self::CohereChat
            | Self::CohereEmbed
            | Self::Rerank => &cohere::COHERE,
            Self::MistralOcr => &openai::OCR,
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed => &local::OLLAMA,
            Self::TgiGenerate => &local::TGI,
            Self::OpenAiSpeech => &openai::SPEECH,
            Self::AnthropicComplete => &anthropic::COMPLETE,
            Self::OpenAiModerations
            | Self::AnthropicCountTokens
            | Self::GeminiCountTokens
            | Self::BedrockCountTokens
            | Self::HfInference => &SILENT,
        }
    }
}

/// All that an answer has said of what was used.
pub(super) struct Seen<'a> {
    /// The usage object; null where there is none.
    pub(super) usage: &'a Value,
    pub(super) kept: &'a Kept,
    pub(super) provider: &'a str,
    /// The model that answered; empty where the answer names none.
    pub(super) model: &'a str,
}

/// What an answer, or an event of it, has said beside its usage object.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    fields: Vec<(Pick, Value)>,
    counts: Vec<(Pick, u64)>,
    kinds: Vec<(Box<str>, u64)>,
}

impl Kept {
    /// The last value of a field.
    pub(super) fn field(&self, pick: Pick) -> Option<&Value> {
        self.fields.iter().find(|(own, _)| *own == pick).map(|(_, value)| value)
    }

    /// How many values stood at a place, empty texts aside.
    pub(super) fn count(&self, pick: Pick) -> u64 {
        self.sum(pick).unwrap_or(0)
    }

    /// The sum of the numbers at a place, or `None` where there were none.
    pub(super) fn sum(&self, pick: Pick) -> Option<u64> {
        self.counts.iter().find(|(own, _)| *own == pick).map(|&(_, sum)| sum)
    }

    /// How often a word stood where words are counted.
    pub(super) fn kind(&self, word: &str) -> u64 {
        self.kinds.iter().find(|(own, _)| **own == *word).map_or(0, |&(_, count)| count)
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.counts.is_empty() && self.kinds.is_empty()
    }

    /// Keeps what stands at a place.
    pub(super) fn note(&mut self, pick: Pick, raw: &[u8]) {
        match pick {
            KIND..PEAK => self.note_kind(raw),
            SUM..PEAK => {
                let number = serde_json::from_slice(raw).ok().and_then(|value| read(&value));
                if let Some(number) = number {
                    // One below zero makes the sum absurd, which its reader tells.
                    self.add(pick, u64::try_from(number).unwrap_or(u64::MAX));
                }
            }
            COUNT..PEAK if raw == b"\"\"" => {}
            COUNT..PEAK => self.add(pick, 1),
            _ => {
                if let Ok(value) = serde_json::from_slice(raw) {
                    self.set(pick, value);
                }
            }
        }
    }

    /// Sets a field.
    pub(super) fn set(&mut self, pick: Pick, value: Value) {
        match self.fields.iter_mut().find(|(own, _)| *own == pick) {
            Some((_, old)) if pick >= PEAK && read(old) > read(&value) => {}
            Some((_, old)) => *old = value,
            None => self.fields.push((pick, value)),
        }
    }

    /// Takes over what a later event has said: its fields over the earlier ones, and its counts in
    /// place of all earlier ones, because an event tells of the whole answer.
    pub(super) fn take(&mut self, later: Self) {
        for (pick, value) in later.fields {
            self.set(pick, value);
        }
        if !later.counts.is_empty() {
            self.counts = later.counts;
        }
        if !later.kinds.is_empty() {
            self.kinds = later.kinds;
        }
    }

    fn add(&mut self, pick: Pick, quantity: u64) {
        match self.counts.iter_mut().find(|(own, _)| *own == pick) {
            Some((_, sum)) => *sum = sum.saturating_add(quantity),
            None => self.counts.push((pick, quantity)),
        }
    }

    fn note_kind(&mut self, raw: &[u8]) {
        let Ok(word) = serde_json::from_slice::<Box<str>>(raw) else { return };
        let fits = self.kinds.len() < MAX_KINDS && word.len() <= MAX_WORD;
        match self.kinds.iter_mut().find(|(own, _)| *own == word) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if fits => self.kinds.push((word, 1)),
            None => {}
        }
    }
}

/// More kinds of output than any provider has.
const MAX_KINDS: usize = 32;
/// Longer than the name of any of them.
const MAX_WORD: usize = 64;
