use super::*;
use crate::usage::{Unit, Usage};

mod endings;
mod others;
mod vendors;

/// Reads `body` in chunks of `size` bytes.
fn read(api: Api, body: &[u8], size: usize, whole: bool) -> Evidence {
    let mut answer = Answer::new(&Places::default(), api, "");
    body.chunks(size).for_each(|chunk| answer.feed(chunk));
    answer.finish(api.owner(), whole)
}

/// What `body` says, the same however it is cut.
fn evidence(api: Api, body: &str, whole: bool) -> Evidence {
    let uncut = read(api, body.as_bytes(), usize::MAX, whole);
    for size in [1, 2, 3, 5, 17] {
        assert_eq!(read(api, body.as_bytes(), size, whole), uncut, "in chunks of {size}");
    }
    uncut
}

fn leaves(evidence: &Evidence) -> Vec<(Unit, u64)> {
    evidence.reported.as_ref().map(|reported| reported.usage.leaves().collect()).unwrap_or_default()
}

const CHAT: &str = concat!(
    "data: {\"model\":\"\",\"choices\":[]}\n\n",
    "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"ab\"}}],\"usage\":null}\n\n",
    "data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":",
    "{\"prompt_tokens\":5,\"completion_tokens\":6}}}\n\n",
    "data: {\"choices\":[],\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,",
    "\"prompt_tokens_details\":{\"cached_tokens\":2}}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn a_chat_stream_says_model_tier_usage_and_text() {
    let evidence = evidence(Api::OpenAiChat, CHAT, true);
    assert_eq!(leaves(&evidence), [(Unit::Input, 3), (Unit::CacheRead, 2), (Unit::Output, 6)]);
    assert_eq!(evidence.model.as_deref(), Some("m-1"));
    assert_eq!(evidence.service_tier.as_deref(), Some("flex"));
    assert_eq!((evidence.text_bytes, evidence.is_final), (4, true));
    assert_eq!(evidence.trouble, None);
}

#[test]
fn usage_is_found_wherever_it_stands() {
    let with_usage = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;
    let other = r#"{"choices":[{"delta":{"content":"é \"usage\":{\"prompt_tokens\":9}"}}]}"#;
    #[rustfmt::skip]
    let streams = [
        format!("data: {with_usage}\n\ndata: [DONE]\n\n"),
        format!("data: {other}\r\n\r\ndata: {with_usage}\r\n\r\n"),
        format!("data: {with_usage}\n\ndata: {other}\n\ndata: [DONE]\n\n"),
        format!("data: {with_usage}\n\ndata: [DONE]"),
        format!("data: {other}\n\ndata: {with_usage}"),
        format!(": hello\n\nevent: x\ndata:{with_usage}\n\n"),
    ];
    for stream in streams {
        let evidence = evidence(Api::OpenAiChat, &stream, true);
        assert_eq!(leaves(&evidence), [(Unit::Input, 7), (Unit::Output, 5)], "{stream}");
    }
}

#[test]
fn chat_conventions_of_each_provider_hold() {
    #[rustfmt::skip]
    let cases = [
        // provider    usage                                                      input output reasoning
        ("openai",     r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}}"#, 9, 8, 3),
        ("xai",        r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":3}}"#, 9, 11, 3),
        ("vercel",     r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}}"#, 9, 11, 3),
        ("perplexity", r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"reasoning_tokens":30}"#, 9, 38, 30),
        ("perplexity", r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}"#, 9, 8, 0),
        ("mistral",    r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":22,"prompt_tokens_details":{"audio_tokens":5}}"#, 14, 8, 0),
        ("google",     r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#, 35, 74, 0),
        ("deepseek",   r#"{"prompt_tokens":9,"completion_tokens":8,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}"#, 9, 8, 0),
        ("openai",     r#"{"prompt_tokens":9,"total_tokens":9}"#, 9, 0, 0),
        ("openai",     r#"{"prompt_tokens":"9","completion_tokens":8.0}"#, 9, 8, 0),
        ("openrouter", r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":8}}"#, 10, 1, 0),
    ];
    for (provider, usage, input, output, reasoning) in cases {
        let body = format!(r#"{{"model":"m","usage":{usage}}}"#);
        let mut answer = Answer::new(&Places::default(), Api::OpenAiChat, "");
        answer.feed(body.as_bytes());
        let evidence = answer.finish(provider, true);
        let reported = evidence.reported.unwrap();
        let got = (
            reported.input_tokens(),
            reported.usage.output_tokens(),
            reported.usage.of(Unit::Reasoning),
        );
        assert_eq!(got, (input, output, reasoning), "{provider} {usage}");
        assert_eq!(evidence.trouble, None, "{provider} {usage}");
    }
}

#[test]
fn counts_that_cannot_be_are_clamped_and_marked() {
    let body = r#"{"usage":{"prompt_tokens":10,"completion_tokens":4,
        "prompt_tokens_details":{"cached_tokens":161}}}"#;
    let clamped = evidence(Api::OpenAiChat, body, true);
    assert_eq!(leaves(&clamped), [(Unit::CacheRead, 10), (Unit::Output, 4)]);
    assert_eq!(clamped.trouble, Some(Trouble::Inconsistent));
}

#[test]
fn counts_that_no_call_can_have_are_not_believed() {
    for count in ["-1", "1e30", "18446744073709551615"] {
        let body = format!(r#"{{"usage":{{"prompt_tokens":10,"completion_tokens":{count}}}}}"#);
        let evidence = evidence(Api::OpenAiChat, &body, true);
        assert_eq!((evidence.reported, evidence.is_final), (None, false), "{count}");
        assert_eq!(evidence.trouble, Some(Trouble::Inconsistent));
    }
}

#[test]
fn totals_are_final_once_the_model_has_stopped_and_not_before() {
    let event = |finish: &str, text: &str, tokens: u32| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":{tokens}}}}}\n\n"
        )
    };
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":9}}\n\n";
    let error = "data: {\"error\":{\"code\":500}}\n\n";
    let stop = event("\"stop\"", "a", 2);
    #[rustfmt::skip]
    let cases = [
        // the stream as far as it came                          final
        (event("null", "a", 1),                                  false),
        (stop.clone(),                                           true),
        ([&stop, &*event("null", "of another choice", 3)].concat(), false),
        ([&*event("null", "a", 1), "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n"].concat(), false),
        ([&*event("null", "a", 1), "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n", usage].concat(), true),
        ([&stop, error].concat(),                                false),
    ];
    for (stream, is_final) in cases {
        assert_eq!(evidence(Api::OpenAiChat, &stream, false).is_final, is_final, "{stream}");
    }
}

#[test]
fn a_body_that_ends_in_its_middle_is_named() {
    let cut = evidence(Api::OpenAiChat, r#"{"choices":[{"message":{"content":"a"#, true);
    assert_eq!(cut.trouble, Some(Trouble::Cut));
    let left = evidence(Api::OpenAiChat, r#"{"choices":[{"message":{"content":"a"#, false);
    assert_eq!(left.trouble, None);
}

#[test]
fn what_a_call_has_others_do_is_added_at_their_models() {
    let entry = |kind: &str, model: &str, input: u64| {
        format!(r#"{{"type":"{kind}"{model},"input_tokens":{input},"output_tokens":1}}"#)
    };
    let opus = r#","model":"opus""#;
    #[rustfmt::skip]
    let cases = [
        // entries                                                       input  beside, by another model
        (vec![entry("message", "", 10)],                                 10,    None),
        (vec![entry("compaction", "", 90), entry("message", "", 10)],    100,   None),
        (vec![entry("message", "", 10), entry("advisor_message", opus, 7)], 17, Some(7)),
        (vec![entry("message", "", 4), entry("fallback_message", "", 10)], 14,  None),
    ];
    for (entries, input, beside) in cases {
        let entries = entries.join(",");
        let body = format!(
            r#"{{"usage":{{"input_tokens":10,"output_tokens":1,"iterations":[{entries}]}}}}"#
        );
        let reported = evidence(Api::AnthropicMessages, &body, true).reported.unwrap();
        assert_eq!(reported.input_tokens(), input, "{body}");
        let parts = reported.parts.iter().map(|part| (part.model.as_deref(), part.usage));
        let parts: Vec<_> = parts.map(|(model, usage)| (model, usage.input_tokens())).collect();
        assert_eq!(parts, beside.map(|input| (Some("opus"), input)).as_slice(), "{body}");
    }
}

#[test]
fn searches_are_counted_where_the_answer_shows_them() {
    let grounded = r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":1}}"#;
    let tool_usage = r#"{"output":[{"type":"web_search_call"}],"tool_usage":{"web_search":{"num_requests":3}},"usage":{"input_tokens":1}}"#;
    let called = r#"{"output":[{"type":"web_search_call"},{"type":"message"},{"type":"web_search_call"}],"usage":{"input_tokens":1}}"#;
    #[rustfmt::skip]
    let cases = [
        (Api::GeminiGenerate,  grounded,   2),
        (Api::OpenAiResponses, tool_usage, 3),
        (Api::OpenAiResponses, called,     2),
    ];
    for (api, body, searches) in cases {
        let reported = evidence(api, body, true).reported.unwrap();
        assert_eq!(reported.usage.of(Unit::WebSearch), searches, "{body}");
    }
    let preview = r#"{"model":"gpt-4o-search-preview","usage":{"prompt_tokens":1}}"#;
    assert!(evidence(Api::OpenAiChat, preview, true).reported.unwrap().partial);
    let advised = |searches: u64| {
        let used = format!(r#"{{"tool_calls_executed":1,"web_search_requests":{searches}}}"#);
        let body = format!(r#"{{"usage":{{"prompt_tokens":1,"server_tool_use_details":{used}}}}}"#);
        evidence(Api::OpenAiChat, &body, true).reported.unwrap().partial
    };
    assert_eq!(
        (advised(0), advised(1)),
        (true, false),
        "what other tools did is not in the counts"
    );
}

#[test]
fn a_byte_order_mark_and_an_empty_usage_change_nothing() {
    let body = "\u{feff}{\"usage\":{\"prompt_tokens\":3}}";
    assert!(evidence(Api::OpenAiChat, body, true).is_final);
    let stream = "data: {\"usage\":{\"prompt_tokens\":3}}\n\ndata: {\"usage\":{}}\n\n";
    assert_eq!(leaves(&evidence(Api::OpenAiChat, stream, true)), [(Unit::Input, 3)]);
}

#[test]
fn an_explicit_zero_is_reported_and_nothing_is_not() {
    let zero =
        evidence(Api::OpenAiChat, r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#, true);
    assert_eq!((zero.reported.map(|r| r.usage), zero.is_final), (Some(Usage::default()), true));
    for body in
        [r#"{"usage":null}"#, r#"{"usage":{}}"#, "{}", r#"{"a":{"usage":{"prompt_tokens":1}}}"#]
    {
        let nothing = evidence(Api::OpenAiChat, body, true);
        assert_eq!((nothing.reported, nothing.is_final), (None, false), "{body}");
    }
}

const MESSAGE: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":",
    "{\"input_tokens\":10,\"cache_creation_input_tokens\":30,\"cache_read_input_tokens\":5,",
    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":10,\"ephemeral_1h_input_tokens\":20},",
    "\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"0123456789\"}}\n\n",
);
const DELTA: &str = concat!(
    "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":",
    "{\"input_tokens\":25,\"cache_read_input_tokens\":null,\"output_tokens\":40,",
    "\"output_tokens_details\":{\"thinking_tokens\":15},\"server_tool_use\":{\"web_search_requests\":2}}}\n\n",
);

#[test]
fn a_message_stream_is_merged_key_by_key() {
    let evidence = evidence(Api::AnthropicMessages, &format!("{MESSAGE}{DELTA}"), true);
    assert_eq!(
        leaves(&evidence),
        [
            (Unit::Input, 25),
            (Unit::CacheRead, 5),
            (Unit::CacheWrite5m, 10),
            (Unit::CacheWrite1h, 20),
            (Unit::Output, 25),
            (Unit::Reasoning, 15),
            (Unit::WebSearch, 2),
        ]
    );
    assert_eq!((evidence.model.as_deref(), evidence.is_final), (Some("claude"), true));
    assert_eq!(evidence.service_tier.as_deref(), Some("standard"));
}

#[test]
fn the_placeholder_of_a_message_stream_is_not_its_end() {
    for whole in [true, false] {
        let evidence = evidence(Api::AnthropicMessages, MESSAGE, whole);
        assert!(!evidence.is_final);
        assert_eq!(evidence.reported.unwrap().input_tokens(), 45);
        assert_eq!(evidence.text_bytes, 12);
    }
}

#[test]
fn a_split_older_than_its_total_leaves_a_rest() {
    let usage = r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":50,
        "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":0}}"#;
    let evidence = evidence(Api::AnthropicMessages, &format!(r#"{{"usage":{usage}}}"#), true);
    assert_eq!(leaves(&evidence)[1..3], [(Unit::CacheWrite, 30), (Unit::CacheWrite5m, 20)]);
}

#[test]
fn gemini_counts_thoughts_tools_and_modalities_apart() {
    let usage = r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,
        "thoughtsTokenCount":7,"toolUsePromptTokenCount":3,"totalTokenCount":130,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":4,"tokenCount":30}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],
        "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":15}]}"#;
    let body = format!(r#"{{"usageMetadata":{usage},"modelVersion":"gemini"}}"#);
    let evidence = evidence(Api::GeminiGenerate, &body, true);
    assert_eq!(
        leaves(&evidence),
        [
            (Unit::Input, 40),
            (Unit::CacheRead, 30),
            (Unit::InputTool, 3),
            (Unit::InputAudio, 20),
            (Unit::CacheReadAudio, 10),
            (Unit::Output, 5),
            (Unit::Reasoning, 7),
            (Unit::OutputImage, 15),
        ]
    );
    assert_eq!(evidence.trouble, None);
}

#[test]
fn the_last_gemini_event_with_counts_is_taken() {
    let events = [
        r#"{"usageMetadata":{"promptTokenCount":145,"candidatesTokenCount":1},"modelVersion":"g"}"#,
        r#"{"usageMetadata":{"promptTokenCount":85,"candidatesTokenCount":9}}"#,
        r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
        r#"{"candidates":[{"finishReason":"STOP"}]}"#,
    ];
    let sse: String = events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect();
    let array = format!("[{}\n]", events.join("\n,\r\n"));
    for body in [sse, array] {
        let evidence = evidence(Api::GeminiStream, &body, true);
        assert_eq!(leaves(&evidence), [(Unit::Input, 85), (Unit::Output, 9)], "{body}");
        assert!(evidence.is_final && evidence.model.as_deref() == Some("g"));
    }
}

#[test]
fn counts_that_google_leaves_out_follow_from_the_total() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"promptTokenCount":5,"totalTokenCount":12,"thoughtsTokenCount":3}"#, 5, 7),
        (r#"{"candidatesTokenCount":4,"totalTokenCount":12}"#,                    8, 4),
        (r#"{"promptTokenCount":5}"#,                                            5, 0),
    ];
    for (usage, input, output) in cases {
        let body = format!(r#"{{"usageMetadata":{usage}}}"#);
        let usage = evidence(Api::GeminiGenerate, &body, true).reported.unwrap().usage;
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (input, output), "{body}");
    }
}

#[test]
fn a_stream_cut_before_its_end_is_not_final() {
    let half = r#"data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let evidence = evidence(Api::OpenAiChat, &format!("{half}\n\n"), false);
    assert!(!evidence.is_final && evidence.reported.is_some());
}

#[test]
fn an_event_that_is_not_one_document_says_nothing() {
    let event = r#"{"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    for stream in [format!("data: {event}\ndata: {event}\n\n"), format!("data: {event}}}\n\n")] {
        let evidence = evidence(Api::OpenAiChat, &stream, true);
        assert_eq!((evidence.reported, evidence.trouble), (None, Some(Trouble::Event)), "{stream}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    #[rustfmt::skip]
    let cases = [
        ("",      "<html>\"usage\":{}</html>",       Trouble::NotJson),
        ("lzma",  "{\"usage\":{}}",                  Trouble::Coding(Fault::Unknown)),
        ("gzip",  "{\"usage\":{}}",                  Trouble::Coding(Fault::Damaged)),
        ("br",    "{\"usage\":{}}",                  Trouble::Coding(Fault::Damaged)),
        ("zstd",  "{\"usage\":{}}",                  Trouble::Coding(Fault::Damaged)),
    ];
    for (encoding, body, trouble) in cases {
        let mut answer = Answer::new(&Places::default(), Api::OpenAiChat, encoding);
        answer.feed(body.as_bytes());
        assert_eq!(answer.finish("openai", true).trouble, Some(trouble), "{encoding} {body}");
    }
    let long = format!(r#"{{"usage":{{"a":"{}"}}}}"#, "x".repeat(20_000));
    assert_eq!(evidence(Api::OpenAiChat, &long, true).trouble, Some(Trouble::Usage));
}

#[test]
fn an_error_in_the_body_is_noticed_in_either_framing() {
    for body in
        ["{\"error\":{\"code\":500}}", "event: error\ndata: {\"error\":{\"type\":\"x\"}}\n\n"]
    {
        assert!(evidence(Api::OpenAiChat, body, true).is_mere_error(), "{body}");
    }
    assert!(!evidence(Api::OpenAiChat, "{\"error\":null}", true).error);
}

#[test]
fn usage_of_nothing_but_null_does_not_displace_what_was_said_before() {
    let said = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;
    for hollow in
        ["{ }", r#"{"prompt_tokens":null,"prompt_tokens_details":{"cached_tokens": null}}"#]
    {
        let body = format!("data: {said}\n\ndata: {{\"usage\":{hollow}}}\n\n");
        let evidence = evidence(Api::OpenAiChat, &body, true);
        assert_eq!(leaves(&evidence), [(Unit::Input, 7), (Unit::Output, 5)], "{hollow}");
    }
    let less = r#"{"prompt_tokens": null, "completion_tokens": "6"}"#;
    let body = format!("data: {said}\n\ndata: {{\"usage\":{less}}}\n\n");
    assert_eq!(leaves(&evidence(Api::OpenAiChat, &body, true)), [(Unit::Output, 6)]);
}
