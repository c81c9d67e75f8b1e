use crate::provider::frames::tests::frame;
use crate::provider::{Answer, Api, Evidence, Places, Trouble};
use crate::usage::Unit::*;

/// An answer to a call of `model`, in whatever pieces it comes.
fn read(api: Api, model: &str, headers: &[(&str, &str)], body: &[u8], whole: bool) -> Evidence {
    let of_size = |size| {
        let mut answer = Answer::new(&Places::default(), api, "");
        answer.note_asked(model);
        let header = |name: &str| headers.iter().find(|(own, _)| *own == name);
        answer.read_head(|name| header(name).map(|(_, value)| (*value).to_owned()));
        body.chunks(size).for_each(|chunk| answer.feed(chunk));
        answer.finish("bedrock", whole)
    };
    let uncut = of_size(usize::MAX);
    for size in [1, 2, 7, 64] {
        assert_eq!(of_size(size), uncut, "in chunks of {size}");
    }
    uncut
}

fn leaves(evidence: &Evidence) -> Vec<(crate::usage::Unit, u64)> {
    evidence.reported.as_ref().map(|reported| reported.usage.leaves().collect()).unwrap_or_default()
}

fn event(payload: &str) -> Vec<u8> {
    frame(&[(":event-type", "x"), (":message-type", "event")], payload.as_bytes())
}

/// A stream of a vendor's own documents.
fn wrapped(documents: &[&str]) -> Vec<u8> {
    let wrap = |text: &&str| event(&format!("{{\"bytes\":\"{}\",\"p\":\"ab\"}}", base64(text)));
    documents.iter().flat_map(wrap).collect()
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| {
        let bits = bytes.iter().chain(&[0, 0]).take(3).fold(0, |n, b| (n << 8) | usize::from(*b));
        let letter = |at: usize| match at <= bytes.len() {
            true => char::from(LETTERS[(bits >> (18 - 6 * at)) & 63]),
            false => '=',
        };
        [0, 1, 2, 3].map(letter)
    };
    text.as_bytes().chunks(3).flat_map(group).collect()
}

#[test]
fn conventions_of_converse_hold() {
    let claude = "us.anthropic.claude-sonnet-4-6";
    let gpt = "openai.gpt-5.6";
    #[rustfmt::skip]
    let cases: &[(_, &str, &[_])] = &[
        (claude, r#"{"inputTokens":5,"outputTokens":6,"totalTokens":11}"#, &[(Input, 5), (Output, 6)]),
        (claude, r#"{"inputTokens":5,"outputTokens":6,"totalTokens":28,"cacheReadInputTokens":7,"cacheReadInputTokenCount":7,"cacheWriteInputTokens":10,"cacheWriteInputTokenCount":10}"#,
            &[(Input, 5), (CacheRead, 7), (CacheWrite, 10), (Output, 6)]),
        (claude, r#"{"inputTokens":5,"outputTokens":6,"cacheWriteInputTokens":10,"cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":5}]}"#,
            &[(Input, 5), (CacheWrite, 1), (CacheWrite5m, 5), (CacheWrite1h, 4), (Output, 6)]),
        (claude, r#"{"inputTokens":50,"outputTokens":6,"totalTokens":56,"cacheReadInputTokens":7}"#,
            &[(Input, 43), (CacheRead, 7), (Output, 6)]),
        // OpenAI's models have the cache in the input of a stream, and twice in the total.
        (gpt,    r#"{"inputTokens":12401,"outputTokens":9,"totalTokens":24809,"cacheReadInputTokens":8367,"cacheWriteInputTokens":4032}"#,
            &[(Input, 2), (CacheRead, 8367), (CacheWrite, 4032), (Output, 9)]),
        (gpt,    r#"{"inputTokens":2,"outputTokens":9,"totalTokens":5004,"cacheWriteInputTokens":4993}"#,
            &[(Input, 2), (CacheWrite, 4993), (Output, 9)]),
    ];
    for (model, usage, expected) in cases {
        let metadata = event(&format!(r#"{{"metrics":{{"latencyMs":1}},"usage":{usage}}}"#));
        let stop = event(r#"{"stopReason":"end_turn","p":"abc"}"#);
        let stream = [stop, metadata].concat();
        let evidence = read(Api::BedrockConverseStream, model, &[], &stream, true);
        assert_eq!(leaves(&evidence), *expected, "{usage}");
        assert_eq!((evidence.is_final, evidence.trouble), (true, None), "{usage}");
    }
}

#[test]
fn an_answer_of_converse_says_tier_and_router_and_its_input_is_fresh_whoever_made_the_model() {
    let body = br#"{"output":{"message":{"content":[{"text":"abcd"},{"toolUse":{"input":{"a":1}}}]}},
        "stopReason":"end_turn","serviceTier":{"type":"priority"},
        "trace":{"promptRouter":{"invokedModelId":"arn:aws:bedrock:::inference-profile/us.amazon.nova-pro-v1:0"}},
        "usage":{"inputTokens":5000,"outputTokens":6,"totalTokens":9999,"cacheWriteInputTokens":4993,"serverToolUsage":{}}}"#;
    let evidence = read(Api::BedrockConverse, "openai.gpt-5.6", &[], body, true);
    assert_eq!(leaves(&evidence), [(Input, 5000), (CacheWrite, 4993), (Output, 6)]);
    assert_eq!(evidence.service_tier.as_deref(), Some("priority"));
    assert_eq!(
        evidence.model.as_deref(),
        Some("arn:aws:bedrock:::inference-profile/us.amazon.nova-pro-v1:0")
    );
    assert_eq!(evidence.text_bytes, 6 + 7);
    assert!(!evidence.reported.unwrap().partial);
}

#[test]
fn tools_that_have_no_price_here_make_a_cost_incomplete() {
    let body = |tools: &str| {
        format!(r#"{{"usage":{{"inputTokens":1,"outputTokens":1,"serverToolUsage":{tools}}}}}"#)
    };
    for (tools, partial) in [("{}", false), (r#"{"x":0}"#, false), (r#"{"x":2}"#, true)] {
        let evidence = read(Api::BedrockConverse, "m", &[], body(tools).as_bytes(), true);
        assert_eq!(evidence.reported.unwrap().partial, partial, "{tools}");
    }
}

#[test]
fn a_stream_that_breaks_says_what_came_and_that_it_is_not_all() {
    let text = event(r#"{"contentBlockIndex":0,"delta":{"text":"abcdefgh"},"p":"abcdef"}"#);
    let stop = event(r#"{"stopReason":"end_turn"}"#);
    let usage = event(r#"{"usage":{"inputTokens":5,"outputTokens":6,"totalTokens":11}}"#);
    let exception = frame(
        &[(":exception-type", "modelStreamErrorException"), (":message-type", "exception")],
        br#"{"message":"lost"}"#,
    );
    let all = [&*text, &*stop, &*usage].concat();
    let broken = [&*text, b"\0\0\0\x10abcdefgh"].concat();
    #[rustfmt::skip]
    let cases = [
        // the stream as it came                 whole  final  error  trouble
        (all.clone(),                            true,  true,  false, None),
        (all.clone(),                            false, true,  false, None),
        ([&*text, &*stop].concat(),              true,  false, false, None),
        (all[..all.len() - 9].to_vec(),          true,  false, false, Some(Trouble::Cut)),
        ([&*text, &*exception].concat(),         true,  false, true,  None),
        ([&*all, &*exception].concat(),          true,  false, true,  None),
        (broken,                                 true,  false, false, Some(Trouble::NotJson)),
    ];
    for (at, (stream, whole, is_final, error, trouble)) in cases.into_iter().enumerate() {
        let evidence = read(Api::BedrockConverseStream, "m", &[], &stream, whole);
        assert_eq!(
            (evidence.is_final, evidence.error, evidence.trouble, evidence.text_bytes),
            (is_final, error, trouble, 10),
            "{at}"
        );
    }
    let plain = br#"{"message":"Too many requests"}"#;
    let evidence = read(Api::BedrockConverseStream, "m", &[], plain, true);
    assert_eq!((evidence.reported, evidence.trouble), (None, None));
}

#[test]
fn what_a_vendors_body_says_is_read_and_bedrocks_own_counts_are_right() {
    let counts = |input: &'static str, output: &'static str| {
        vec![
            ("x-amzn-bedrock-input-token-count", input),
            ("x-amzn-bedrock-output-token-count", output),
        ]
    };
    let input = || vec![("x-amzn-bedrock-input-token-count", "7")];
    let cached = || {
        let mut all = counts("5", "6");
        all.push(("x-amzn-bedrock-cache-read-input-token-count", "7"));
        all.push(("x-amzn-bedrock-cache-write-input-token-count", "10"));
        all
    };
    let claude = r#"{"model":"claude-x","content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":7,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_1h_input_tokens":10},"output_tokens":6}}"#;
    let cut = claude.replace(",\"output_tokens\":6", "");
    let gpt = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}"#;
    let of_claude = vec![(Input, 5), (CacheRead, 7), (CacheWrite1h, 10), (Output, 6)];
    let of_gpt = vec![(Input, 5), (CacheRead, 4), (Output, 5), (Reasoning, 3)];
    type Headers = Vec<(&'static str, &'static str)>;
    #[rustfmt::skip]
    let cases: Vec<(Headers, &str, Vec<_>)> = vec![
        (cached(),           claude,                                                        of_claude.clone()),
        // A header less than the body has.
        (counts("5", "6"),   claude,                                                        of_claude.clone()),
        (vec![],             claude,                                                        of_claude.clone()),
        // A guardrail has rewritten the body.
        (cached(),           &cut,                                                          of_claude),
        (counts("9", "8"),   gpt,                                                           of_gpt.clone()),
        (vec![],             gpt,                                                           of_gpt),
        (vec![],             r#"{"usage":{"inputTokens":5,"outputTokens":6,"cacheReadInputTokenCount":7}}"#, vec![(Input, 5), (CacheRead, 7), (Output, 6)]),
        (counts("5", "6"),   r#"{"usage":{"inputTokens":5,"totalTokens":5}}"#,              vec![(Input, 5), (Output, 6)]),
        (vec![],             r#"{"inputTextTokenCount":5,"results":[{"tokenCount":6,"outputText":"a"}]}"#, vec![(Input, 5), (Output, 6)]),
        (vec![],             r#"{"embedding":[0.1],"inputTextTokenCount":5}"#,              vec![(Input, 5)]),
        (vec![],             r#"{"generation":"a","prompt_token_count":5,"generation_token_count":6}"#, vec![(Input, 5), (Output, 6)]),
        (counts("5", "6"),   r#"{"generations":[{"text":"a"}]}"#,                           vec![(Input, 5), (Output, 6)]),
        (input(),            r#"{"embeddings":[[0.1]]}"#,                                   vec![(Input, 7)]),
        (vec![],             r#"{"images":["aGk=","aGk="],"error":null}"#,                  vec![(Image, 2)]),
        (vec![],             r#"{"result":"success","artifacts":[{"base64":"aGk="}]}"#,     vec![(Image, 1)]),
        (vec![],             r#"{"results":[{"index":0,"relevance_score":0.8}]}"#,          vec![]),
    ];
    for (headers, body, expected) in cases {
        let evidence = read(Api::BedrockInvoke, "m", &headers, body.as_bytes(), true);
        assert_eq!(leaves(&evidence), expected, "{headers:?} {body}");
        assert_eq!(evidence.trouble, None, "{headers:?} {body}");
    }
}

#[test]
fn headers_tell_the_usage_of_an_answer_that_the_client_did_not_wait_for() {
    let headers = [
        ("x-amzn-bedrock-input-token-count", "5"),
        ("x-amzn-bedrock-output-token-count", "6"),
        ("x-amzn-bedrock-service-tier", "flex"),
    ];
    let half = br#"{"content":[{"text":"ab"#;
    let evidence = read(Api::BedrockInvoke, "m", &headers, half, false);
    assert_eq!((leaves(&evidence), evidence.is_final), (vec![(Input, 5), (Output, 6)], true));
    assert_eq!(evidence.service_tier.as_deref(), Some("flex"));
    let evidence = read(Api::BedrockInvoke, "m", &[], half, false);
    assert_eq!((evidence.reported, evidence.is_final), (None, false));
}

#[test]
fn the_last_document_of_a_stream_counts_for_all_vendors() {
    let metrics = r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":6,"invocationLatency":9"#;
    let start = r#"{"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":5,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_1h_input_tokens":10},"output_tokens":1}}}"#;
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":88}}"#;
    let text = r#"{"type":"content_block_delta","delta":{"text":"abcd"}}"#;
    let claude = format!(r#"{{"type":"message_stop",{metrics},"cacheWriteInputTokenCount":10}}}}"#);
    let titan = format!(r#"{{"outputText":"abcd",{metrics}}}}}"#);
    let nova =
        format!(r#"{{"metadata":{{"usage":{{"inputTokens":5,"outputTokens":6}}}},{metrics}}}}}"#);
    #[rustfmt::skip]
    let cases: &[(&[&str], &[_], bool)] = &[
        (&[start, text, delta, &claude], &[(Input, 5), (CacheWrite1h, 10), (Output, 6)],  true),
        (&[start, text, delta],          &[(Input, 5), (CacheWrite1h, 10), (Output, 88)], true),
        (&[start, text],                 &[(Input, 5), (CacheWrite1h, 10), (Output, 1)],  false),
        (&[&titan],                      &[(Input, 5), (Output, 6)],                      true),
        (&[r#"{"contentBlockDelta":{"delta":{"text":"abcd"}}}"#, &nova], &[(Input, 5), (Output, 6)], true),
        (&[text],                        &[],                                             false),
    ];
    for (documents, expected, is_final) in cases {
        let evidence = read(Api::BedrockInvokeStream, "m", &[], &wrapped(documents), false);
        assert_eq!(
            (leaves(&evidence), evidence.is_final),
            (expected.to_vec(), *is_final),
            "{documents:?}"
        );
        assert_eq!((evidence.text_bytes, evidence.trouble), (6, None), "{documents:?}");
    }
}

#[test]
fn a_stream_of_titan_that_a_guardrail_ends_counts_itself() {
    let blocked = r#"{"outputText":"no","index":0.0,"totalOutputTextTokenCount":3.0,"inputTextTokenCount":6.0,"amazon-bedrock-guardrailAction":"INTERVENED"}"#;
    let told = read(
        Api::BedrockInvokeStream,
        "amazon.titan-text-express-v1",
        &[],
        &wrapped(&[blocked]),
        true,
    );
    assert_eq!((leaves(&told), told.is_final), (vec![(Input, 6), (Output, 3)], true));
}
