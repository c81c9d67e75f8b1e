//! Reads what a request body says about the call, as it passes.
//!
//! Nothing of the body is kept but the few values asked for: the model, whether the answer is to
//! be streamed, how long it may become, and what the configuration takes an identity from.

mod edit;
mod form;
mod most;

use std::rc::Rc;

use crate::coding::{Decoder, Fault, Pool};
use crate::json::{Found, How, Pick, Scanner, Spec};
use crate::provider::{Api, Shape};
pub use edit::{Change, Editor, edited};
use form::Form;
pub use most::Most;

/// What a request body of one dialect is asked for.
#[derive(Debug)]
pub struct Questions {
    spec: Rc<Spec>,
    /// How many identity pointers of the configuration found room.
    pointers: usize,
}

impl Questions {
    /// The questions for a dialect, and for the values at `pointers`: keys from the outermost in.
    #[must_use]
    pub fn new(api: Api, pointers: &[&[String]]) -> Self {
        let mut spec = Spec::of(asked_of(api));
        let places = pointers.iter().zip(FIRST_POINTER..);
        let fits = places.take_while(|(keys, pick)| spec.add_keys(keys, *pick).is_ok());
        let pointers = fits.count();
        Self { spec: Rc::new(spec), pointers }
    }
}

/// What a request body has said so far.
#[derive(Debug, Default)]
pub struct Said {
    /// The model asked for.
    pub model: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: Option<bool>,
    /// Whether the stream is to tell its usage (`stream_options.include_usage`).
    pub usage: Option<bool>,
    /// The most tokens that the answer may have.
    pub max_output: Option<u64>,
    /// How many answers are asked for.
    pub choices: Option<u64>,
    /// The tokens of an answer that are set aside for thought: it must be longer.
    pub thought: Option<u64>,
    /// The length of the text to be spoken, embedded or drawn, as it stands in the body.
    pub text_bytes: u64,
    /// How many pictures are asked for.
    pub pictures: Option<u64>,
    /// The values at the pointers of the configuration, in their order.
    pub values: Vec<Option<String>>,
    /// The length of the body in bytes, as it is when its coding is taken off.
    pub bytes: u64,
}

/// Reads one request body in chunks.
#[derive(Debug)]
pub struct Body {
    questions: Rc<Spec>,
    reader: Reader,
    said: Said,
    coded: Option<Box<Decoder>>,
    /// Bytes that have come, in whatever coding.
    come: u64,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Reader {
    Json(Scanner),
    Form(Form),
}

impl Body {
    /// A reader at the start of a body of this `content-type`.
    #[must_use]
    pub fn new(questions: &Questions, content_type: &str) -> Self {
        let values = vec![None; questions.pointers];
        let spec = Rc::clone(&questions.spec);
        let reader = match Form::new(content_type) {
            Some(form) => Reader::Form(form),
            None => Reader::Json(Scanner::new(Rc::clone(&spec))),
        };
        let said = Said { values, ..Said::default() };
        Self { questions: spec, reader, said, coded: None, come: 0, fault: None }
    }

    /// The reader of a body in this `content-encoding`.
    #[must_use]
    pub fn coded(mut self, content_encoding: &str, pool: &Pool) -> Self {
        self.coded = Some(Box::new(Decoder::new(content_encoding, pool)));
        self
    }

    /// Reads one chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.come = self.come.saturating_add(wide(chunk.len()));
        match self.coded.take() {
            None => self.read(chunk),
            Some(mut coded) => {
                coded.feed(chunk, &mut |bytes| self.read(bytes));
                self.coded = Some(coded);
                self.said.bytes = self.said.bytes.max(self.come);
            }
        }
    }

    /// Ends the body: what reads its coding is let go of.
    pub fn finish(&mut self) {
        if let Some(mut coded) = self.coded.take() {
            let is_open = coded.is_open();
            coded.end(&mut |bytes| self.read(bytes));
            self.fault = coded.fault().or(is_open.then_some(Fault::Damaged));
        }
    }

    /// Why its coding could not be taken off, once it has ended.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn read(&mut self, bytes: &[u8]) {
        let Self { questions, reader, said, .. } = self;
        said.bytes = said.bytes.saturating_add(wide(bytes.len()));
        match reader {
            Reader::Json(scanner) => scanner.feed(bytes, &mut |found| match found {
                Found::Value(pick, raw) => said.note(pick, raw),
                Found::Text(TEXT, bytes) => {
                    said.text_bytes = said.text_bytes.saturating_add(wide(bytes));
                }
                Found::Text(..) | Found::TooLong(_) => {}
            }),
            Reader::Form(form) => form.feed(bytes, &mut |name, text| {
                for &(pick, how) in questions.wishes_under(name) {
                    said.note_field(pick, how, text);
                }
            }),
        }
    }

    /// What the body has said up to here.
    #[must_use]
    pub const fn said(&self) -> &Said {
        &self.said
    }

    /// Notes that the body will ask for no longer answers than this.
    pub fn lower(&mut self, output: u64) {
        self.said.max_output = Some(output);
    }

    /// What the body has said in all.
    #[must_use]
    pub fn end(mut self) -> Said {
        self.finish();
        self.said
    }
}

impl Said {
    /// Notes a field of a form, where all is text.
    fn note_field(&mut self, pick: Pick, how: How, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match (pick, how) {
            (_, How::Measure) => self.text_bytes = wide(text.len()),
            (STREAM | MAX_OUTPUT | PICTURES, _) => self.note(pick, text.trim().as_bytes()),
            _ => self.note(pick, serde_json::Value::from(text).to_string().as_bytes()),
        }
    }

    fn note(&mut self, pick: Pick, raw: &[u8]) {
        match pick {
            MODEL => self.model = serde_json::from_slice(raw).ok(),
            STREAM => self.stream = serde_json::from_slice(raw).ok(),
            USAGE => self.usage = serde_json::from_slice(raw).ok(),
            MAX_OUTPUT => {
                // The newer name and the older one may both be given: the smaller binds.
                let max = number(raw);
                self.max_output = self.max_output.into_iter().chain(max).min();
            }
            PICTURES => self.pictures = number(raw),
            CHOICES => self.choices = number(raw),
            THOUGHT => self.thought = number(raw),
            _ => {
                let at = pick.checked_sub(FIRST_POINTER).map(usize::from);
                if let Some(slot) = at.and_then(|at| self.values.get_mut(at)) {
                    *slot = text(raw);
                }
            }
        }
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A number of tokens or pictures, which some servers take as a float or as text, too.
fn number(raw: &[u8]) -> Option<u64> {
    let value = serde_json::from_slice(raw).ok()?;
    crate::provider::count(&value)
}

/// A string as it reads, a number or a word as it stands; nothing else names anyone.
fn text(raw: &[u8]) -> Option<String> {
    match raw.first()? {
        b'"' => serde_json::from_slice(raw).ok(),
        b'{' | b'[' => None,
        _ if raw == b"null" => None,
        _ => core::str::from_utf8(raw).ok().map(str::to_owned),
    }
}

const MODEL: Pick = 0;
const STREAM: Pick = 1;
const MAX_OUTPUT: Pick = 2;
const TEXT: Pick = 3;
const PICTURES: Pick = 4;
const USAGE: Pick = 5;
const CHOICES: Pick = 6;
const THOUGHT: Pick = 7;
/// Picks from here on are the configuration's pointers.
const FIRST_POINTER: Pick = 8;

/// Where a request of a call has what is read of it.
const fn asked_of(api: Api) -> &'static [(&'static str, Pick, How)] {
    match api {
        Api::OpenAiSpeech => &[("/model", MODEL, How::Take), ("/input", TEXT, How::Measure)],
        Api::OpenAiImages => &[
            ("/model", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/n", PICTURES, How::Take),
        ],
        Api::OpenAiResponses | Api::OpenAiCompact => &[
            ("/model", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/max_output_tokens", MAX_OUTPUT, How::Take),
        ],
        Api::BedrockConverse | Api::BedrockConverseStream => {
            &[("/inferenceConfig/maxTokens", MAX_OUTPUT, How::Take)]
        }
        Api::BedrockInvoke | Api::BedrockInvokeStream => &[
            ("/max_tokens", MAX_OUTPUT, How::Take),
            ("/max_gen_len", MAX_OUTPUT, How::Take),
            ("/maxTokens", MAX_OUTPUT, How::Take),
            ("/max_tokens_to_sample", MAX_OUTPUT, How::Take),
            ("/textGenerationConfig/maxTokenCount", MAX_OUTPUT, How::Take),
            ("/inferenceConfig/maxTokens", MAX_OUTPUT, How::Take),
            ("/inferenceConfig/max_new_tokens", MAX_OUTPUT, How::Take),
        ],
        Api::PerplexityAsync => {
            &[("/request/model", MODEL, How::Take), ("/request/max_tokens", MAX_OUTPUT, How::Take)]
        }
        Api::GeminiInteractions => &[
            ("/model", MODEL, How::Take),
            ("/agent", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/generation_config/max_output_tokens", MAX_OUTPUT, How::Take),
        ],
        Api::OllamaChat | Api::OllamaGenerate | Api::OllamaEmbed => &[
            ("/model", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/options/num_predict", MAX_OUTPUT, How::Take),
        ],
        Api::TgiGenerate => &[
            ("/model", MODEL, How::Take),
            ("/model_id", MODEL, How::Take),
            ("/n_predict", MAX_OUTPUT, How::Take),
            ("/maximum_tokens", MAX_OUTPUT, How::Take),
            ("/max_new_tokens", MAX_OUTPUT, How::Take),
            ("/stream", STREAM, How::Take),
            ("/parameters/max_new_tokens", MAX_OUTPUT, How::Take),
            ("/sampling_params/max_new_tokens", MAX_OUTPUT, How::Take),
        ],
        Api::VendorChat => &[
            ("/model", MODEL, How::Take),
            ("/model_id", MODEL, How::Take),
            ("/stream", STREAM, How::Take),
            ("/max_tokens", MAX_OUTPUT, How::Take),
            ("/parameters/max_tokens", MAX_OUTPUT, How::Take),
            ("/completion_args/max_tokens", MAX_OUTPUT, How::Take),
        ],
        _ => match api.shape() {
            // Google takes the names of its fields in either spelling.
            Shape::Google => &[
                ("/generationConfig/maxOutputTokens", MAX_OUTPUT, How::Take),
                ("/generationConfig/max_output_tokens", MAX_OUTPUT, How::Take),
                ("/generation_config/maxOutputTokens", MAX_OUTPUT, How::Take),
                ("/generation_config/max_output_tokens", MAX_OUTPUT, How::Take),
                ("/parameters/maxOutputTokens", MAX_OUTPUT, How::Take),
                ("/generationConfig/candidateCount", CHOICES, How::Take),
                ("/generationConfig/candidate_count", CHOICES, How::Take),
                ("/generation_config/candidateCount", CHOICES, How::Take),
                ("/generation_config/candidate_count", CHOICES, How::Take),
            ],
            _ => &[
                ("/model", MODEL, How::Take),
                ("/stream", STREAM, How::Take),
                ("/stream_options/include_usage", USAGE, How::Take),
                ("/max_tokens", MAX_OUTPUT, How::Take),
                ("/max_completion_tokens", MAX_OUTPUT, How::Take),
                ("/max_tokens_to_sample", MAX_OUTPUT, How::Take),
                ("/n", CHOICES, How::Take),
                ("/thinking/budget_tokens", THOUGHT, How::Take),
            ],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, pointers: &[&[String]], body: &str) -> Said {
        let questions = Questions::new(api, pointers);
        let mut bytewise = Body::new(&questions, "");
        body.as_bytes().chunks(1).for_each(|byte| bytewise.feed(byte));
        let mut whole = Body::new(&questions, "");
        whole.feed(body.as_bytes());
        assert_eq!(format!("{:?}", bytewise.said), format!("{:?}", whole.said), "{body}");
        whole.said
    }

    #[test]
    fn the_body_names_model_stream_and_length() {
        let body = r#"{"messages":[{"role":"user","content":"\"model\": \"no\""}],
            "model":"gpt-5","stream":true,"max_tokens":90,"max_completion_tokens":50,"stream_options":{"include_usage":false}}"#;
        let said = read(Api::OpenAiChat, &[], body);
        assert_eq!(said.model.as_deref(), Some("gpt-5"));
        assert_eq!((said.stream, said.max_output), (Some(true), Some(50)));
        assert_eq!(said.usage, Some(false));
        assert_eq!(said.bytes, body.len() as u64);

        let said = read(Api::GeminiGenerate, &[], r#"{"generationConfig":{"maxOutputTokens":7}}"#);
        assert_eq!(said.max_output, Some(7));
    }

    #[test]
    fn the_most_that_an_answer_may_have_is_read_in_every_spelling() {
        #[rustfmt::skip]
        let cases = [
            (Api::OpenAiChat,        r#"{"max_tokens":7.0}"#,                                   Some(7)),
            (Api::OpenAiChat,        r#"{"max_tokens":"7"}"#,                                   Some(7)),
            (Api::OpenAiChat,        r#"{"max_tokens":null,"max_completion_tokens":7}"#,        Some(7)),
            (Api::OpenAiChat,        r#"{"max_tokens":-1}"#,                                    None),
            (Api::OpenAiChat,        r#"{"max_tokens":7e0,"max_tokens":9}"#,                    Some(7)),
            (Api::OpenAiChat,        r#"{"max_\u0074okens":7}"#,                                Some(7)),
            (Api::OpenAiChat,        r#"{"messages":[{"max_tokens":7}]}"#,                      None),
            (Api::OpenAiResponses,   r#"{"max_output_tokens":7}"#,                              Some(7)),
            (Api::AnthropicMessages, r#"{"max_tokens":7}"#,                                     Some(7)),
            (Api::AnthropicComplete, r#"{"max_tokens_to_sample":7}"#,                           Some(7)),
            (Api::GeminiGenerate,    r#"{"generationConfig":{"maxOutputTokens":"7"}}"#,         Some(7)),
            (Api::GeminiGenerate,    r#"{"generation_config":{"max_output_tokens":7}}"#,        Some(7)),
            (Api::BedrockConverse,   r#"{"inferenceConfig":{"maxTokens":7}}"#,                  Some(7)),
            (Api::BedrockInvoke,     r#"{"inferenceConfig":{"max_new_tokens":7}}"#,             Some(7)),
            (Api::OllamaChat,        r#"{"options":{"num_predict":7}}"#,                        Some(7)),
            (Api::OllamaChat,        r#"{"options":{"num_predict":-2}}"#,                       None),
            (Api::TgiGenerate,       r#"{"parameters":{"max_new_tokens":7}}"#,                  Some(7)),
            (Api::VendorChat,        r#"{"parameters":{"max_tokens":7}}"#,                      Some(7)),
            (Api::VendorChat,        r#"{"completion_args":{"max_tokens":7}}"#,                 Some(7)),
            (Api::TgiGenerate,       r#"{"sampling_params":{"max_new_tokens":7}}"#,             Some(7)),
        ];
        for (api, body, most) in cases {
            assert_eq!(read(api, &[], body).max_output, most, "{api:?} {body}");
        }
    }

    #[test]
    fn pointers_find_strings_and_numbers_alone() {
        let user = ["user".to_owned()];
        let org = ["metadata".to_owned(), "org".to_owned()];
        let pointers: [&[String]; 2] = [&user, &org];
        #[rustfmt::skip]
        let cases = [
            (r#"{"user":"a\u00e9","metadata":{"org":7}}"#, Some("aé"), Some("7")),
            (r#"{"user":null,"metadata":{"org":{}}}"#,      None,      None),
            (r#"{"user":["a"],"metadata":[{"org":"x"}]}"#,  None,      None),
            ("not json",                                    None,      None),
        ];
        for (body, first, second) in cases {
            let said = read(Api::AnthropicMessages, &pointers, body);
            let got: Vec<_> = said.values.iter().map(Option::as_deref).collect();
            assert_eq!(got, [first, second], "{body}");
        }
    }

    #[test]
    fn a_form_says_what_a_document_says() {
        let user = ["user".to_owned()];
        let questions = Questions::new(Api::OpenAiImages, &[&user]);
        let mut body = Body::new(&questions, "multipart/form-data; boundary=b");
        for (name, value) in [("model", "gpt-image-1"), ("n", "3"), ("user", "ann")] {
            let part = format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.feed(part.as_bytes());
        }
        body.feed(b"--b--");
        let said = body.end();
        assert_eq!((said.model.as_deref(), said.pictures), (Some("gpt-image-1"), Some(3)));
        assert_eq!(said.values, [Some("ann".to_owned())]);
    }

    #[test]
    fn a_pointer_may_ask_for_what_is_read_anyway() {
        let model = ["model".to_owned()];
        let said = read(Api::OpenAiChat, &[&model], r#"{"model":"m"}"#);
        assert_eq!(said.model.as_deref(), Some("m"));
        assert_eq!(said.values, [Some("m".to_owned())]);
    }
}
