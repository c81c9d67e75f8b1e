//! What a call probably used, where the provider does not say.
//!
//! Bytes become tokens by what the finished calls of a model have shown on this worker, else by
//! what English text has. An estimate is never silent: the record of such a call says `estimated`.

use std::collections::BTreeMap;

use crate::provider::{Api, Evidence, Reported};
use crate::request::Said;
use crate::usage::{Unit, Usage};

/// What an estimate rests on.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// Which call it is.
    pub api: Api,
    /// What its request says.
    pub said: &'a Said,
    /// What the calls of its model have shown.
    pub rates: Rates,
}

impl Basis<'_> {
    /// The usage of a call whose answer came, in part at least, without final counts.
    ///
    /// What the provider has reported so far is kept where it is more than the bytes suggest.
    #[must_use]
    pub fn answered(&self, evidence: &Evidence) -> Reported {
        let seen = evidence.reported.clone().unwrap_or_default();
        let unread = evidence.unread_bytes.div_ceil(UNREAD_BYTES_PER_TOKEN);
        let written = self.rates.answer.tokens(evidence.text_bytes).max(unread);
        let mut usage = seen.usage;
        match self.api {
            // What was told in tokens is not told in pictures or seconds as well.
            Api::OpenAiSpeech
            | Api::OpenAiImages
            | Api::OpenAiTranscriptions
            | Api::OpenAiTranslations
                if usage.input_tokens() > 0 || usage.output_tokens() > 0 => {}
            Api::OpenAiSpeech => usage.add(Unit::Character, self.said.text_bytes.saturating_sub(2)),
            Api::OpenAiImages => {
                let pictures = self.said.pictures.unwrap_or(1);
                usage.add(Unit::Image, pictures.saturating_sub(usage.of(Unit::Image)));
            }
            Api::OpenAiTranscriptions | Api::OpenAiTranslations => {
                let spoken = evidence.text_bytes.max(evidence.unread_bytes);
                let spoken = spoken.saturating_mul(MILLIS_PER_BYTE_SPOKEN);
                usage.add(Unit::AudioMilli, spoken.saturating_sub(usage.of(Unit::AudioMilli)));
            }
            _ => {
                if usage.input_tokens() == 0 {
                    usage.add(Unit::Input, self.rates.prompt.tokens(self.said.bytes));
                }
                if !seen.prompt_unknown {
                    usage.add(Unit::Output, written.saturating_sub(usage.output_tokens()));
                }
            }
        }
        Reported { usage, ..seen }
    }

    /// The usage that a request may come to: its prompt by its bytes, at most `context` tokens
    /// where that is known, and the longest answers it asks for.
    #[must_use]
    pub fn expected(&self, context: Option<u64>) -> Usage {
        self.expected_with(context, self.longest())
    }

    /// The same, if each of its answers had so many tokens.
    #[must_use]
    pub fn expected_with(&self, context: Option<u64>, output: u64) -> Usage {
        let prompt = self.rates.prompt.tokens(self.said.bytes).min(context.unwrap_or(u64::MAX));
        let answers = output.saturating_mul(self.answers());
        Usage::default().with(Unit::Input, prompt).with(Unit::Output, answers)
    }

    /// How many answers are asked for.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.said.choices.unwrap_or(1).clamp(1, MOST_CHOICES)
    }

    /// The tokens that one answer is expected to have at most.
    #[must_use]
    pub fn longest(&self) -> u64 {
        match self.api.writes() {
            true => self.said.max_output.unwrap_or(DEFAULT_OUTPUT).min(MOST_OUTPUT),
            false => 0,
        }
    }

    /// The bytes of text after which an answer of so many tokens is close to its end.
    #[must_use]
    pub fn nearly(&self, tokens: u64) -> u64 {
        self.rates.answer.bytes(tokens.saturating_sub(tokens / 4))
    }

    /// The usage of a call that was sent and never answered: the provider may have done all of it.
    #[must_use]
    pub fn unanswered(&self) -> Reported {
        Reported { usage: self.expected(None), ..Reported::default() }
    }
}

/// What the finished calls of each model have shown on one worker.
#[derive(Debug, Default)]
pub struct Learned(BTreeMap<String, Rates>);

impl Learned {
    /// What those of `model` have shown.
    #[must_use]
    pub fn rates(&self, model: Option<&str>) -> Rates {
        model.and_then(|model| self.0.get(model)).copied().unwrap_or_default()
    }

    /// Learns from a call of `model` that was reported.
    pub fn learn(&mut self, model: &str, said: &Said, evidence: &Evidence, reported: &Reported) {
        if self.0.len() >= MAX_MODELS && !self.0.contains_key(model) {
            return;
        }
        let rates = self.0.entry(model.to_owned()).or_default();
        rates.prompt.learn(said.bytes, reported.input_tokens());
        let hidden = reported.usage.of(Unit::Reasoning);
        rates
            .answer
            .learn(evidence.text_bytes, reported.usage.output_tokens().saturating_sub(hidden));
    }
}

/// Tokens by bytes, of prompts and of answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    prompt: Rate,
    answer: Rate,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    bytes: u64,
    tokens: u64,
}

impl Rate {
    fn learn(&mut self, bytes: u64, tokens: u64) {
        if bytes == 0 || tokens == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.tokens = self.tokens.saturating_add(tokens);
        if self.bytes > MOST_LEARNED {
            (self.bytes, self.tokens) = (self.bytes / 2, self.tokens / 2);
        }
    }

    /// The tokens of so many bytes; more than one a byte is not believed, nor less than one in 64.
    fn tokens(self, bytes: u64) -> u64 {
        if self.bytes < LEAST_LEARNED {
            return bytes.div_ceil(BYTES_PER_TOKEN);
        }
        let exact = u128::from(bytes).saturating_mul(self.tokens.into());
        let tokens = exact.div_ceil(self.bytes.max(1).into());
        u64::try_from(tokens).unwrap_or(u64::MAX).clamp(bytes / 64, bytes)
    }

    /// The bytes of so many tokens: no less than one, nor more than 64, for each.
    fn bytes(self, tokens: u64) -> u64 {
        if self.bytes < LEAST_LEARNED {
            return tokens.saturating_mul(BYTES_PER_TOKEN);
        }
        let exact = u128::from(tokens).saturating_mul(self.bytes.into());
        let bytes = exact.checked_div(self.tokens.into()).and_then(|n| u64::try_from(n).ok());
        let bytes = bytes.unwrap_or(u64::MAX);
        bytes.clamp(tokens, tokens.saturating_mul(64))
    }
}

/// More answers to one request than any provider gives.
const MOST_CHOICES: u64 = 128;
/// English text has about four bytes a token; JSON around it makes up for denser languages.
const BYTES_PER_TOKEN: u64 = 4;
/// A body that cannot be read is most likely compressed, to a third or so of its text.
const UNREAD_BYTES_PER_TOKEN: u64 = 2;
/// The output expected of a request that names no maximum.
const DEFAULT_OUTPUT: u64 = 4_096;
/// The largest output that any model can have; a request may ask for more.
const MOST_OUTPUT: u64 = 200_000;
/// People speak some fifteen letters a second.
const MILLIS_PER_BYTE_SPOKEN: u64 = 66;
/// Bytes after which a rate is more than chance.
const LEAST_LEARNED: u64 = 2_000;
/// Bytes after which older calls count for half.
const MOST_LEARNED: u64 = 1 << 24;
/// More models than one gateway serves.
const MAX_MODELS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: u64, max_output: Option<u64>) -> Said {
        Said { bytes, max_output, ..Said::default() }
    }

    fn basis(said: &Said) -> Basis<'_> {
        Basis { api: Api::OpenAiChat, said, rates: Rates::default() }
    }

    #[test]
    fn an_answer_counts_by_its_text_and_no_less_than_was_reported() {
        let reported = |usage| Some(Reported { usage, ..Reported::default() });
        let partial = Usage::default().with(Unit::Input, 9).with(Unit::Reasoning, 30);
        #[rustfmt::skip]
        let cases = [
            // reported                    text  input  output
            (None,                         401,  25,    101),
            (reported(Usage::default()),   0,    25,    0),
            (reported(partial),            40,   9,     30),
            (reported(partial),            400,  9,     100),
        ];
        for (reported, text_bytes, input, output) in cases {
            let evidence = Evidence { reported, text_bytes, ..Evidence::default() };
            let usage = basis(&said(100, None)).answered(&evidence).usage;
            assert_eq!((usage.input_tokens(), usage.output_tokens()), (input, output));
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_free() {
        let evidence = Evidence { unread_bytes: 301, ..Evidence::default() };
        assert_eq!(basis(&said(4, None)).answered(&evidence).usage.output_tokens(), 151);
    }

    #[test]
    fn a_prompt_that_is_not_told_is_estimated_and_the_rest_is_kept() {
        let usage = Usage::default().with(Unit::Output, 3);
        let reported = Some(Reported { usage, prompt_unknown: true, ..Reported::default() });
        let evidence = Evidence { reported, text_bytes: 400, ..Evidence::default() };
        let usage = basis(&said(100, None)).answered(&evidence).usage;
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (25, 3));
    }

    #[test]
    fn silence_counts_as_the_whole_answer() {
        let output = |max| basis(&said(8, max)).unanswered().usage.output_tokens();
        assert_eq!([output(Some(50)), output(None), output(Some(u64::MAX))], [50, 4_096, 200_000]);
    }

    #[test]
    fn what_has_no_tokens_is_estimated_in_its_own_unit() {
        let said = Said { text_bytes: 102, pictures: Some(3), ..said(500, None) };
        let evidence = Evidence { text_bytes: 30, ..Evidence::default() };
        #[rustfmt::skip]
        let cases = [
            (Api::OpenAiSpeech,         Unit::Character,  100),
            (Api::OpenAiImages,         Unit::Image,      3),
            (Api::OpenAiTranslations,   Unit::AudioMilli, 1_980),
        ];
        for (api, unit, quantity) in cases {
            let estimated = Basis { api, ..basis(&said) }.answered(&evidence).usage;
            assert_eq!(estimated.leaves().collect::<Vec<_>>(), [(unit, quantity)], "{api:?}");
        }
        let embedding = Basis { api: Api::OpenAiEmbeddings, ..basis(&said) }.expected(None);
        assert_eq!((embedding.input_tokens(), embedding.output_tokens()), (125, 0));
    }

    #[test]
    fn what_was_told_before_an_answer_broke_off_is_not_estimated_again() {
        let said = Said { pictures: Some(3), ..said(500, None) };
        let tokens = Usage::default().with(Unit::InputImage, 7);
        #[rustfmt::skip]
        let cases = [
            (Api::OpenAiImages,         Usage::default().with(Unit::Image, 2),          (Unit::Image, 3)),
            (Api::OpenAiImages,         Usage::default().with(Unit::Image, 4),          (Unit::Image, 4)),
            (Api::OpenAiImages,         tokens,                                         (Unit::InputImage, 7)),
            (Api::OpenAiTranscriptions, Usage::default().with(Unit::AudioMilli, 9_000), (Unit::AudioMilli, 9_000)),
            (Api::OpenAiTranscriptions, Usage::default().with(Unit::AudioMilli, 9),     (Unit::AudioMilli, 1_980)),
        ];
        for (api, usage, leaf) in cases {
            let reported = Some(Reported { usage, ..Reported::default() });
            let evidence = Evidence { reported, text_bytes: 30, ..Evidence::default() };
            let estimated = Basis { api, ..basis(&said) }.answered(&evidence).usage;
            assert_eq!(estimated.leaves().collect::<Vec<_>>(), [leaf], "{api:?} {usage:?}");
        }
    }

    #[test]
    fn bytes_count_as_those_of_earlier_calls_did() {
        let mut learned = Learned::default();
        let usage = Usage::default()
            .with(Unit::Input, 500)
            .with(Unit::Output, 1_000)
            .with(Unit::Reasoning, 9_000);
        let reported = Reported { usage, ..Reported::default() };
        let evidence = Evidence { text_bytes: 2_000, ..Evidence::default() };
        learned.learn("dense", &said(4_000, None), &evidence, &reported);
        let estimated = |model| {
            let said = said(800, None);
            let rates = learned.rates(model);
            let basis = Basis { rates, ..basis(&said) };
            let usage = basis.answered(&Evidence { text_bytes: 100, ..Evidence::default() }).usage;
            (usage.input_tokens(), usage.output_tokens())
        };
        assert_eq!(estimated(Some("dense")), (100, 50));
        assert_eq!((estimated(Some("other")), estimated(None)), ((200, 25), (200, 25)));
    }

    #[test]
    fn rates_that_no_language_has_are_not_believed_and_models_are_bounded() {
        let mut rate = Rate::default();
        rate.learn(1_000_000, 10);
        assert_eq!(rate.tokens(6_400), 100);
        rate.learn(10, u64::MAX);
        assert_eq!(rate.tokens(6_400), 6_400);
        let mut learned = Learned::default();
        for model in 0..1_000 {
            learned.learn(
                &model.to_string(),
                &said(1, None),
                &Evidence::default(),
                &Reported::default(),
            );
        }
        assert_eq!(learned.0.len(), MAX_MODELS);
    }
}
