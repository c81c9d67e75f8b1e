//! Answers that break off, and which of their counts are those of the whole.

use super::{evidence, leaves, read};
use crate::provider::answer::{Answer, Places, Trouble};
use crate::provider::{Api, Evidence};
use crate::usage::Unit;

fn sse(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// Chat events whose totals run, as Perplexity and vLLM send them.
fn running(tokens: u32) -> String {
    format!(
        r#"{{"choices":[{{"delta":{{"content":"ab"}}}}],"usage":{{"prompt_tokens":9,"completion_tokens":{tokens}}}}}"#
    )
}

const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;

#[test]
fn a_document_that_breaks_off_is_no_report_however_its_end_came() {
    let element = r#"{"candidates":[{"content":{"parts":[{"text":"ab"}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3}}"#;
    #[rustfmt::skip]
    let cases = [
        (Api::GeminiStream,         format!("[{element}\n,\r\n"),                        true),
        (Api::GeminiStream,         format!("[{element}\n,\r\n{}", &element[..70]),      true),
        (Api::OpenAiChat,           r#"{"usage":{"prompt_tokens":9},"choices":[{"me"#.into(), true),
        (Api::OllamaChat,           r#"{"model":"m","prompt_eval_count":9,"eval"#.into(),  true),
        (Api::OpenAiTranscriptions, r#"{"duration":3.5,"text":"ab"#.into(),                true),
        (Api::GeminiStream,         format!("[{element}]"),                               false),
        (Api::OllamaChat,           format!("{{\"response\":\"a\"}}\n{}\n", r#"{"eval_count":3,"prompt_eval_count":9,"done":true}"#), false),
    ];
    for (api, body, breaks_off) in cases {
        for whole in [true, false] {
            let evidence = evidence(api, &body, whole);
            assert!(evidence.reported.is_some(), "{body}");
            assert_eq!(evidence.is_final, !breaks_off, "{body}");
            let named = breaks_off && whole;
            assert_eq!(evidence.trouble, named.then_some(Trouble::Cut), "{whole} {body}");
        }
    }
}

#[test]
fn what_follows_a_whole_document_takes_nothing_from_it() {
    for rest in ["\n\n", " garbage", "}", "\0\0"] {
        let body = format!(r#"{{"usage":{{"prompt_tokens":9,"completion_tokens":3}}}}{rest}"#);
        let evidence = evidence(Api::OpenAiChat, &body, true);
        assert_eq!(leaves(&evidence), [(Unit::Input, 9), (Unit::Output, 3)], "{body}");
        assert!(evidence.is_final, "{body}");
    }
}

#[test]
fn totals_that_run_are_those_of_the_whole_once_the_stream_has_said_that_it_ends() {
    let (early, late) = (running(1), running(3));
    let interaction = r#"{"interaction":{"id":"i","status":"completed","usage":{"total_input_tokens":9,"total_output_tokens":3}}}"#;
    let begun = r#"{"metadata":{"usage":{"total_input_tokens":9}}}"#;
    let thinks = r#"{"candidates":[{"content":{"parts":[{"text":"ab"}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1}}"#;
    let blocked =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9}}"#;
    #[rustfmt::skip]
    let cases = [
        // what came, with a clean end                                        final
        (Api::OpenAiChat,         sse(&[&early, &late]),                      false),
        (Api::OpenAiChat,         sse(&[USAGE, &early[..]]),                  false),
        (Api::OpenAiChat,         sse(&[&early, &late, "[DONE]"]),            true),
        (Api::OpenAiChat,         sse(&[&early, &late]) + "data:[DONE]",      true),
        (Api::OpenAiChat,         sse(&[&early, &late, STOP]),                true),
        (Api::OpenAiChat,         sse(&[&early, &late, USAGE]),               true),
        // OpenRouter's last event has usage beside an empty text, and no reason to stop.
        (Api::OpenAiChat,         sse(&[&early, STOP, r#"{"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":9}}"#]), true),
        (Api::OpenAiChat,         sse(&[r#"{"choices":[{"delta":{"content":"ab"}}]}"#, r#"{"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":9}}"#]), true),
        (Api::OpenAiChat,         sse(&[&early, "[DON"]),                     false),
        (Api::OpenAiChat,         sse(&[&early, "[DONE] ?"]),                 false),
        (Api::OpenAiChat,         sse(&[&early, USAGE]) + "data: {\"choi",    false),
        (Api::GeminiStream,       sse(&[thinks]),                             false),
        (Api::GeminiStream,       sse(&[blocked]),                            true),
        (Api::GeminiInteractions, sse(&[begun]),                              false),
        (Api::GeminiInteractions, sse(&[begun, interaction]),                 true),
        (Api::OpenAiResponses,    sse(&[r#"{"response":{"status":"in_progress","usage":{"input_tokens":9}}}"#, r#"{"delta":"ab"}"#]), false),
    ];
    for (api, body, is_final) in cases {
        let evidence = evidence(api, &body, true);
        assert!(evidence.reported.is_some(), "{body}");
        assert_eq!(evidence.is_final, is_final, "{body}");
    }
}

#[test]
fn an_error_takes_away_what_was_told_before_it_and_not_what_comes_with_it() {
    let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"},"usage":{"input_tokens":9,"output_tokens":3}}}"#;
    let error = r#"{"error":{"code":500}}"#;
    #[rustfmt::skip]
    let cases = [
        (Api::OpenAiResponses, sse(&[r#"{"delta":"ab"}"#, failed]),   true),
        (Api::OpenAiChat,      sse(&[&running(1), error]),            false),
        (Api::OpenAiChat,      sse(&[USAGE, error, "[DONE]"]),        false),
        (Api::OpenAiChat,      sse(&[STOP, error, USAGE, "[DONE]"]),  true),
    ];
    for (api, body, is_final) in cases {
        let evidence = evidence(api, &body, true);
        assert_eq!((evidence.is_final, evidence.error), (is_final, true), "{body}");
    }
}

#[test]
fn usage_that_cannot_be_kept_is_not_replaced_by_an_older_one() {
    let long =
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":9,"x":"{}"}}}}"#, "x".repeat(20_000));
    let deep = format!(r#"{{"choices":[],"usage":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let huge = r#"{"choices":[],"usage":{"prompt_tokens":9,"x":1e999}}"#.to_owned();
    for bad in [long, deep, huge] {
        let stream = sse(&[USAGE, &bad, "[DONE]"]);
        for size in [1_000, usize::MAX] {
            let evidence = read(Api::OpenAiChat, stream.as_bytes(), size, true);
            assert_eq!((evidence.is_final, evidence.trouble), (false, Some(Trouble::Usage)));
        }
        let evidence = read(Api::OpenAiChat, sse(&[&bad, USAGE]).as_bytes(), 1_000, true);
        assert!(evidence.is_final);
    }
}

#[test]
fn data_that_breaks_off_in_its_coding_is_no_report() {
    let stream = sse(&[&running(1), &running(2), STOP.trim(), USAGE]);
    let coded = miniz_oxide::deflate::compress_to_vec_zlib(stream.as_bytes(), 6);
    let decode = |coded: &[u8]| -> Evidence {
        let mut answer = Answer::new(&Places::default(), Api::OpenAiChat, "deflate");
        answer.feed(coded);
        answer.finish("openai", true)
    };
    assert!(decode(&coded).is_final);
    for len in 20..coded.len() - 20 {
        assert!(!decode(&coded[..len]).is_final, "{len}");
    }
}
