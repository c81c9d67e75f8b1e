//! What single vendors do in their own way, and encodings that are odd and legal.

use super::{evidence, leaves};
use crate::provider::answer::{Answer, Places};
use crate::provider::{Api, Evidence};
use crate::usage::Unit::{self, *};

type Leaves = &'static [(Unit, u64)];

fn said_by(provider: &str, api: Api, body: &str) -> Evidence {
    let mut answer = Answer::new(&Places::default(), api, "");
    answer.feed(body.as_bytes());
    answer.finish(provider, true)
}

#[test]
fn each_vendors_own_names_are_read() {
    use Api::{CohereV1Chat, GeminiGenerate, OpenAiChat, OpenAiResponses, TgiGenerate};
    #[rustfmt::skip]
    let cases: [(&str, Api, &str, Leaves); 15] = [
        ("perplexity", OpenAiResponses, r#"{"status":"completed","usage":{"input_tokens":9,"output_tokens":8,"total_tokens":17,"input_tokens_details":{"cache_read_input_tokens":4},"output_tokens_details":{"reasoning_tokens":5},"tool_calls_details":{"search_web":{"invocation":3}}}}"#,
                                        &[(Input, 5), (CacheRead, 4), (Output, 3), (Reasoning, 5), (WebSearch, 3)]),
        ("databricks", OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"cache_read_input_tokens":4,"cache_creation_input_tokens":2}}"#,
                                        &[(Input, 3), (CacheRead, 4), (CacheWrite, 2), (Output, 8)]),
        ("xai",        OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"reasoning_tokens":5,"cached_prompt_text_tokens":4}}"#,
                                        &[(Input, 5), (CacheRead, 4), (Output, 8), (Reasoning, 5)]),
        ("modal",      OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"reasoning_tokens":5}}"#,
                                        &[(Input, 9), (Output, 3), (Reasoning, 5)]),
        ("openai",     OpenAiResponses, r#"{"status":"completed","usage":{"input_tokens":9,"output_tokens":8},"tool_usage":{"web_search":{"num_requests":"2"}}}"#,
                                        &[(Input, 9), (Output, 8), (WebSearch, 2)]),
        ("sglang",     TgiGenerate,     r#"{"text":"ab","meta_info":{"finish_reason":{"type":"stop"},"prompt_tokens":9,"completion_tokens":8,"cached_tokens":4}}"#,
                                        &[(Input, 5), (CacheRead, 4), (Output, 8)]),
        ("llamacpp",   OpenAiChat,      r#"{"choices":[{"finish_reason":"stop"}],"usage":{"completion_tokens":8,"prompt_tokens":9,"total_tokens":17,"prompt_tokens_details":null},"timings":{"cache_n":236,"prompt_n":1}}"#,
                                        &[(Input, 9), (Output, 8)]),
        ("moonshot",   OpenAiChat,      r#"{"choices":[{"usage":{"prompt_tokens":9,"completion_tokens":8,"cached_tokens":4}}]}"#,
                                        &[(Input, 5), (CacheRead, 4), (Output, 8)]),
        ("mistral",    OpenAiChat,      r#"{"outputs":[{"model":"m","content":"ab"}],"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":24,"connector_tokens":7}}"#,
                                        &[(Input, 9), (InputTool, 7), (Output, 8)]),
        ("cloudflare", OpenAiChat,      r#"{"result":{"response":"ab","usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}},"success":true}"#,
                                        &[(Input, 9), (Output, 8)]),
        ("google",     GeminiGenerate,  r#"{"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":8}},"traceId":"t"}"#,
                                        &[(Input, 9), (Output, 8)]),
        ("alibaba",    OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,"cache_creation_input_tokens":2}}}"#,
                                        &[(Input, 3), (CacheRead, 4), (CacheWrite, 2), (Output, 8)]),
        ("writer",     OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_token_details":{"cached_tokens":4},"completion_token_details":{"reasoning_tokens":3}}}"#,
                                        &[(Input, 5), (CacheRead, 4), (Output, 5), (Reasoning, 3)]),
        ("deepinfra",  OpenAiChat,      r#"{"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"completion_tokens_details":{"reasoning_tokens":6}}}"#,
                                        &[(Input, 9), (Output, 2), (Reasoning, 6)]),
        ("reka",       CohereV1Chat,    r#"{"responses":[{"finish_reason":"stop"}],"usage":{"input_tokens":9,"output_tokens":8}}"#,
                                        &[(Input, 9), (Output, 8)]),
    ];
    for (provider, api, body, expected) in cases {
        let evidence = said_by(provider, api, body);
        assert_eq!(leaves(&evidence), expected, "{provider} {body}");
        assert!(evidence.is_final && evidence.trouble.is_none(), "{provider}");
    }
}

#[test]
fn pages_that_gemini_reads_count_as_pictures() {
    for modality in [r#""DOCUMENT""#, r#""document""#, "5"] {
        let body = format!(
            r#"{{"usageMetadata":{{"promptTokenCount":9,"promptTokensDetails":[{{"modality":{modality},"tokenCount":5}},{{"modality":"TEXT","tokenCount":4}}]}}}}"#
        );
        assert_eq!(
            leaves(&evidence(Api::GeminiGenerate, &body, true)),
            [(Input, 4), (InputImage, 5)]
        );
    }
}

#[test]
fn a_drawing_is_charged_beside_the_pictures_at_the_model_that_wrote_it() {
    let svg = r#"{"model":"gpt-5.5","input_tokens":7,"output_tokens":6,"reasoning_tokens":2,"total_tokens":13}"#;
    let body = format!(
        r#"{{"data":[{{"b64_json":"AA=="}}],"usage":{{"input_tokens":5,"output_tokens":4}},"svg_usage":{svg}}}"#
    );
    let reported = evidence(Api::OpenAiImages, &body, true).reported.unwrap();
    let all: Vec<_> = reported.usage.leaves().collect();
    assert_eq!(all, [(Input, 12), (Output, 8), (Reasoning, 2)]);
    let part = &reported.parts[0];
    assert_eq!(part.model.as_deref(), Some("gpt-5.5"));
    assert_eq!(part.usage.leaves().collect::<Vec<_>>(), [(Input, 7), (Output, 4), (Reasoning, 2)]);
}

/// Ways to write the same usage of 9 and 8 tokens.
const SPELLINGS: [&str; 14] = [
    r#"{"usage":{"prompt_tokens":9,"completion_tokens":8}}"#,
    r#"{"us\u0061ge":{"pr\u006fmpt_tokens":9,"completion_tokens":8}}"#,
    r#"{"usage":{"prompt_tokens":9.0,"completion_tokens":"8"}}"#,
    r#"{"usage":{"prompt_tokens":9e0,"completion_tokens":0.8e1}}"#,
    r#"{"usage":{"prompt_tokens":90E-1,"completion_tokens":" 8.0 "}}"#,
    r#"{"usage":{"prompt_tokens":1,"prompt_tokens":9,"completion_tokens":8}}"#,
    r#"{"usage":{"prompt_tokens":1,"completion_tokens":1},"usage":{"prompt_tokens":9,"completion_tokens":8}}"#,
    r#"{"usage":null,"a":[[[[[[[[[[{"usage":1}]]]]]]]]]],"usage":{"prompt_tokens":9,"completion_tokens":8},"usage":null}"#,
    "\u{feff} \t\r\n{ \"usage\" \n:\t{ \"prompt_tokens\" : 9 , \"completion_tokens\" : 8 } }\r\n",
    r#"{"usage":{"completion_tokens":8,"total_tokens":17}}"#,
    r#"{"usage":{"prompt_tokens":9,"completion_tokens":null,"total_tokens":17}}"#,
    r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":[],"completion_tokens_details":"no","x":{"prompt_tokens":1}}}"#,
    r#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}","tool_calls":[{"function":{"arguments":"{\"usage\":{\"prompt_tokens\":1}}"}}]},"usages":{"prompt_tokens":1}}],"usage":{"prompt_tokens":9,"completion_tokens":8}}"#,
    r#"{"choices":[{"message":{"content":{"usage":{"prompt_tokens":1}}}}],"usage":{"prompt_tokens":9,"completion_tokens":8},"metadata":{"usage":{"prompt_tokens":1}}}"#,
];

#[test]
fn a_document_says_the_same_in_every_legal_spelling() {
    for body in SPELLINGS {
        let evidence = evidence(Api::OpenAiChat, body, true);
        assert_eq!(leaves(&evidence), [(Input, 9), (Output, 8)], "{body}");
        assert!(evidence.is_final, "{body}");
    }
}

#[test]
fn an_event_says_the_same_in_every_legal_spelling() {
    for body in SPELLINGS {
        let body = body.trim_start_matches('\u{feff}');
        let text = r#"{"choices":[{"delta":{"content":"hé \ud83d\ude00 data: {\"usage\":{}}"}}],"usage":null}"#;
        // A blank line would end the event, so line ends within it become lines of data.
        let lines = body.trim().replace("\r\n", "\n").replace('\n', "\ndata:");
        for newline in ["\n", "\r\n", "\r"] {
            for tail in ["\n\ndata: [DONE]\n\n", "\n\n", "", "\n\n: bye\n\nid: 7\nretry: 10\n\n"] {
                let stream = format!("data: {text}\n\nevent: usage\ndata: {lines}{tail}")
                    .replace('\n', newline);
                let evidence = evidence(Api::OpenAiChat, &stream, true);
                assert_eq!(leaves(&evidence), [(Input, 9), (Output, 8)], "{stream:?}");
                // Totals beside text are final once the stream has said that it is over.
                let is_final = tail.contains("[DONE]") || !body.contains("choices");
                assert_eq!(evidence.is_final, is_final, "{stream:?}");
            }
        }
    }
}

#[test]
fn running_totals_of_dashscope_are_final_with_the_last_of_them() {
    let event = |text: &str, reason: &str, tokens: u8| {
        format!(
            "data:{{\"output\":{{\"choices\":[{{\"message\":{{\"content\":\"{text}\"}},\"finish_reason\":\"{reason}\"}}]}},\"usage\":{{\"input_tokens\":9,\"output_tokens\":{tokens},\"total_tokens\":{}}}}}\n\n",
            9 + tokens
        )
    };
    let half = event("ab", "null", 3);
    assert!(!said_by("alibaba", Api::OpenAiChat, &half).is_final);
    let all = said_by("alibaba", Api::OpenAiChat, &(half + &event("c", "stop", 8)));
    assert!(all.is_final);
    assert_eq!(leaves(&all), [(Input, 9), (Output, 8)]);
}

#[test]
fn usage_whose_keys_are_escaped_is_usage() {
    let body = r#"data: {"us\u0061geMetad\u0061ta":{"promptToken\u0043ount":9,"\u0063andidatesTokenC\u006funt":8},"candidates":[{"finishReason":"STOP"}]}"#;
    let evidence = said_by("google", Api::GeminiStream, &format!("{body}\n\n"));
    assert_eq!(leaves(&evidence), [(Input, 9), (Output, 8)]);
}
