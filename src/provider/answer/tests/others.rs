//! Google's other calls, Cohere, and the servers that one runs oneself.

use super::{evidence, leaves};
use crate::provider::answer::{Answer, Places};
use crate::provider::{Api, Evidence};
use crate::usage::Unit::{self, *};

type Leaves = &'static [(Unit, u64)];

fn stream(events: &[&str]) -> String {
    events.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect()
}

fn lines(documents: &[&str]) -> String {
    documents.iter().map(|document| format!("{document}\n")).collect()
}

/// What each body says, all of it.
fn check(cases: &[(Api, String, Leaves)]) {
    for (api, body, expected) in cases {
        let evidence = evidence(*api, body, true);
        assert_eq!(leaves(&evidence), *expected, "{api:?} {body}");
        assert_eq!((evidence.is_final, evidence.trouble), (!expected.is_empty(), None), "{body}");
    }
}

#[test]
fn searches_with_gemini_are_counted_as_they_are_charged() {
    let body = |model: &str, grounding: &str| {
        format!(
            r#"{{"candidates":[{{"groundingMetadata":{grounding}}}],"modelVersion":"{model}",
                "usageMetadata":{{"promptTokenCount":5}}}}"#
        )
    };
    let queries = r#"{"webSearchQueries":["","a","b"]}"#;
    let maps =
        r#"{"groundingChunks":[{"maps":{"uri":"u"}},{"web":{"uri":"w"}},{"maps":{"uri":"v"}}]}"#;
    let running = [&body("gemini-3-pro", queries)[..], &body("gemini-3-pro", "{}")]
        .map(|event| format!("data: {}\r\n\r\n", event.replace('\n', "")));
    check(&[
        (Api::GeminiGenerate, body("gemini-3-pro", queries), &[(Input, 5), (WebSearch, 2)]),
        (Api::GeminiGenerate, body("gemini-2.5-pro", queries), &[(Input, 5), (WebSearch, 1)]),
        (Api::GeminiGenerate, body("gemini-3-pro", maps), &[(Input, 5), (MapsSearch, 1)]),
        (Api::GeminiGenerate, body("gemini-3-pro", "{}"), &[(Input, 5)]),
        (Api::GeminiStream, running.concat(), &[(Input, 5), (WebSearch, 2)]),
    ]);
}

#[test]
fn vertex_names_its_class_of_service_in_words_or_numbers() {
    for (traffic, tier) in [
        (r#""ON_DEMAND_FLEX""#, Some("ON_DEMAND_FLEX")),
        ("2", Some("PROVISIONED_THROUGHPUT")),
        ("0", None),
    ] {
        let body =
            format!(r#"{{"usageMetadata":{{"promptTokenCount":5,"trafficType":{traffic}}}}}"#);
        assert_eq!(evidence(Api::GeminiGenerate, &body, true).service_tier.as_deref(), tier);
    }
}

#[test]
fn embeddings_and_predictions_of_google_count_what_they_say() {
    let embedded = |usage: &str| format!(r#"{{"embeddings":[{{"values":[0.5,1e-3]}}]{usage}}}"#);
    let one = |tokens: &str| {
        format!(r#"{{"embeddings":{{"statistics":{{"token_count":{tokens}}},"values":[0.5]}}}}"#)
    };
    let predicted = |list: &str| {
        format!(r#"{{"predictions":[{list}],"metadata":{{"billableCharacterCount":9}}}}"#)
    };
    let picture = format!(r#"{{"bytesBase64Encoded":"{}"}}"#, "A".repeat(40_000));
    let details = r#","usageMetadata":{"promptTokenCount":261,"promptTokenDetails":[
        {"modality":"IMAGE","tokenCount":258},{"modality":"TEXT","tokenCount":3}]}"#;
    check(&[
        (Api::GeminiEmbed, embedded(""), &[]),
        (Api::GeminiEmbed, embedded(details), &[(Input, 3), (InputImage, 258)]),
        (Api::VertexPredict, predicted(&[one("1"), one("2.0"), one("4")].join(",")), &[(Input, 7)]),
        (Api::VertexPredict, predicted(&format!("{picture},{picture}")), &[(Image, 2)]),
        (Api::VertexPredict, predicted(r#"{"bytesBase64Encoded":""}"#), &[]),
        (
            Api::VertexPredict,
            r#"{"predictions":[{"content":"ab"}],"metadata":{"tokenMetadata":{"inputTokenCount":{"totalTokens":5},"outputTokenCount":{"totalTokens":2}}}}"#.to_owned(),
            &[(Input, 5), (Output, 2)],
        ),
        (Api::VertexPredict, r#"{"name":"operations/1"}"#.to_owned(), &[]),
    ]);
    let absurd = evidence(Api::VertexPredict, &predicted(&[one("3"), one("-1")].join(",")), true);
    assert_eq!((absurd.reported, absurd.is_final), (None, false));
}

const INTERACTION: &str = r#"{"id":"v1","model":"gemini-3","status":"completed","service_tier":"flex","usage":{
    "total_input_tokens":20,"total_output_tokens":3,"total_thought_tokens":7,"total_cached_tokens":6,
    "total_tool_use_tokens":2,"total_tokens":32,
    "input_tokens_by_modality":[{"modality":"text","tokens":12},{"modality":"image","tokens":8}],
    "grounding_tool_count":[{"type":"google_search","count":3},{"type":"retrieval","count":9}]}}"#;

#[test]
fn an_interaction_says_the_same_in_a_document_and_in_events() {
    let whole = INTERACTION.replace('\n', "");
    let events = [
        r#"{"interaction":{"id":"v1","status":"in_progress"},"metadata":{"usage":{"total_input_tokens":9}}}"#,
        r#"{"status":"in_progress","event_type":"interaction.status_update"}"#,
        r#"{"delta":{"type":"text","text":"abcd"},"event_type":"step.delta"}"#,
        &format!(r#"{{"interaction":{whole},"event_type":"interaction.completed"}}"#),
        "[DONE]",
    ];
    for (api, body) in [
        (Api::GeminiInteractions, whole.clone()),
        (Api::GeminiInteractionPoll, whole.clone()),
        (Api::GeminiInteractions, stream(&events)),
    ] {
        let evidence = evidence(api, &body, true);
        #[rustfmt::skip]
        let expected =
            [(Input, 6), (CacheRead, 6), (InputTool, 2), (InputImage, 8), (Output, 3), (Reasoning, 7), (WebSearch, 3)];
        assert_eq!(leaves(&evidence), expected, "{body}");
        assert_eq!(evidence.service_tier.as_deref(), Some("flex"));
        assert_eq!(evidence.told_again.as_deref(), Some("v1"));
        assert_eq!((evidence.is_final, evidence.pending), (true, false));
    }
    let cut = evidence(Api::GeminiInteractions, &stream(&events[..3]), false);
    assert_eq!((cut.is_final, cut.pending, cut.text_bytes), (false, false, 6));
}

#[test]
fn an_interaction_in_the_background_is_told_later() {
    let body =
        r#"{"id":"v1","status":"in_progress","object":"interaction","agent":"deep-research"}"#;
    let evidence = evidence(Api::GeminiInteractions, body, true);
    assert_eq!((evidence.reported, evidence.pending), (None, true));
    assert_eq!(evidence.told_again.as_deref(), Some("v1"));
}

#[test]
fn a_stream_of_a_response_that_is_cut_is_not_one_in_the_background() {
    for (background, pending) in [("true", true), ("false", false)] {
        let created = format!(
            r#"{{"response":{{"id":"r","status":"in_progress","background":{background},"usage":null}}}}"#
        );
        let evidence = evidence(Api::OpenAiResponses, &stream(&[&created]), false);
        assert_eq!(evidence.pending, pending, "{background}");
    }
}

#[test]
fn cohere_counts_what_it_bills() {
    let usage = r#"{"billed_units":{"input_tokens":8,"output_tokens":50},
        "tokens":{"input_tokens":1394,"output_tokens":55,"reasoning_tokens":38},"cached_tokens":1360}"#
        .replace('\n', "");
    let meta = |units: &str| format!(r#"{{"id":"x","meta":{{"billed_units":{units}}}}}"#);
    let v1_end = r#"{"event_type":"stream-end","response":{"text":"ab","meta":{"billed_units":
        {"input_tokens":6,"output_tokens":33}}}}"#
        .replace('\n', "");
    let v1 = [r#"{"event_type":"text-generation","text":"ab"}"#, &v1_end];
    check(&[
        (
            Api::CohereChat,
            format!(r#"{{"message":{{"content":[{{"text":"ab"}}]}},"usage":{usage}}}"#),
            &[(Input, 8), (Output, 12), (Reasoning, 38)],
        ),
        (
            Api::CohereChat,
            stream(&[
                r#"{"type":"content-delta","delta":{"message":{"content":{"text":"ab"}}}}"#,
                &format!(
                    r#"{{"type":"message-end","delta":{{"finish_reason":"COMPLETE","usage":{usage}}}}}"#
                ),
                "[DONE]",
            ]),
            &[(Input, 8), (Output, 12), (Reasoning, 38)],
        ),
        (Api::CohereV1Chat, lines(&v1), &[(Input, 6), (Output, 33)]),
        (Api::CohereV1Chat, stream(&v1), &[(Input, 6), (Output, 33)]),
        (
            Api::CohereV1Generate,
            meta(r#"{"input_tokens":5,"output_tokens":7}"#),
            &[(Input, 5), (Output, 7)],
        ),
        (
            Api::CohereEmbed,
            meta(r#"{"input_tokens":4,"image_tokens":9}"#),
            &[(Input, 4), (InputImage, 9)],
        ),
        (Api::CohereEmbed, meta(r#"{"images":2}"#), &[(Image, 2)]),
        (Api::Rerank, meta(r#"{"search_units":1}"#), &[(SearchUnit, 1)]),
        (Api::Rerank, r#"{"results":[],"usage":{"total_tokens":26}}"#.to_owned(), &[(Input, 26)]),
        (
            Api::CohereChat,
            r#"{"usage":{"tokens":{"input_tokens":3,"output_tokens":4}}}"#.to_owned(),
            &[(Input, 3), (Output, 4)],
        ),
        (Api::CohereChat, r#"{"message":{"content":[]}}"#.to_owned(), &[]),
    ]);
    let cut = evidence(Api::CohereV1Chat, &lines(&v1[..1]), false);
    assert_eq!((cut.is_final, cut.text_bytes), (false, 4));
}

#[test]
fn ollama_counts_at_its_end_and_a_prompt_left_out_is_unknown() {
    let spoken = r#"{"model":"m","message":{"content":"ab","thinking":"c"},"done":false}"#;
    let done = |counts: &str| format!(r#"{{"model":"m","done":true{counts}}}"#);
    let full = done(r#","prompt_eval_count":9,"prompt_eval_cached_count":4,"eval_count":3"#);
    check(&[
        (Api::OllamaChat, lines(&[spoken, &full]), &[(Input, 5), (CacheRead, 4), (Output, 3)]),
        (Api::OllamaGenerate, full, &[(Input, 5), (CacheRead, 4), (Output, 3)]),
        (
            Api::OllamaEmbed,
            r#"{"embeddings":[[0.5]],"prompt_eval_count":2}"#.to_owned(),
            &[(Input, 2)],
        ),
        (Api::OllamaChat, lines(&[spoken, &done("")]), &[]),
    ]);
    let cached = evidence(Api::OllamaChat, &lines(&[spoken, &done(r#","eval_count":3"#)]), true);
    assert_eq!((leaves(&cached), cached.is_final), (vec![(Output, 3)], false));
    assert_eq!(cached.model.as_deref(), Some("m"));
    let cut = evidence(Api::OllamaChat, &lines(&[spoken]), false);
    assert_eq!((cut.reported, cut.text_bytes), (None, 7));
}

/// What a server of text-generation-inference says with these headers.
fn generated(headers: &[(&str, &str)], body: &str) -> Evidence {
    let mut answer = Answer::new(&Places::default(), Api::TgiGenerate, "");
    answer.read_head(|name| {
        let found = headers.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    answer.feed(body.as_bytes());
    answer.finish("tgi", true)
}

#[test]
fn a_generation_counts_by_headers_or_details() {
    let headers = [("x-prompt-tokens", "7"), ("x-generated-tokens", "5")];
    let token = r#"{"token":{"id":1,"text":"ab"},"generated_text":null,"details":null}"#;
    let last = |details: &str| {
        stream(&[
            token,
            &format!(r#"{{"token":{{"text":"c"}},"generated_text":"abc","details":{details}}}"#),
        ])
    };
    let list = r#"[{"generated_text":"ab","details":{"generated_tokens":5,"prefill":[{"id":1},{"id":2}]}}]"#;
    #[rustfmt::skip]
    let cases: [(&[_], String, Leaves, bool); 6] = [
        (&headers, r#"{"generated_text":"ab"}"#.to_owned(),                        &[(Input, 7), (Output, 5)], true),
        (&headers, r#"{"details":{"generated_tokens":5,"best_of_sequences":[{"generated_tokens":2}]}}"#.to_owned(),
                                                                                   &[(Input, 7), (Output, 7)], true),
        (&[],      list.to_owned(),                                                &[(Input, 2), (Output, 5)], true),
        (&[],      last(r#"{"generated_tokens":3,"input_length":4}"#),             &[(Input, 4), (Output, 3)], true),
        (&[],      last(r#"{"generated_tokens":3}"#),                              &[(Output, 3)],             false),
        (&[],      last("null"),                                                   &[],                        false),
    ];
    for (headers, body, expected, is_final) in cases {
        let evidence = generated(headers, &body);
        assert_eq!((&leaves(&evidence)[..], evidence.is_final), (expected, is_final), "{body}");
    }
}

#[test]
fn tokens_of_pictures_count_apart_from_those_of_text() {
    let usage = r#"{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},
        "output_tokens":30,"output_tokens_details":{"image_tokens":25,"text_tokens":5}}"#;
    let expected = [(Input, 10), (InputImage, 40), (Output, 5), (OutputImage, 25)];
    let picture = format!(r#"{{"data":[{{"b64_json":"AA=="}}],"usage":{usage}}}"#);
    assert_eq!(leaves(&evidence(Api::OpenAiImages, &picture, true)), expected);

    let response = format!(
        r#"{{"id":"r","status":"completed","tool_usage":{{"image_gen":{usage}}},"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
    );
    let told = evidence(Api::OpenAiResponses, &response, true).reported.unwrap();
    let made: Vec<_> =
        told.parts.iter().map(|part| part.usage.leaves().collect::<Vec<_>>()).collect();
    assert_eq!(made, [expected.to_vec()]);
}

#[test]
fn servers_that_count_beside_the_text_are_read_in_their_own_words() {
    let event = |text: &str, counts: &str| {
        format!(r#"{{"model_id":"m","results":[{{"generated_text":"{text}",{counts}}}]}}"#)
    };
    let first = event(
        "",
        r#""generated_token_count":0,"input_token_count":8,"stop_reason":"not_finished""#,
    );
    let next = event(
        "ab",
        r#""generated_token_count":1,"input_token_count":0,"stop_reason":"not_finished""#,
    );
    let last =
        event("c", r#""generated_token_count":3,"input_token_count":0,"stop_reason":"eos_token""#);
    let llama = |stop: bool, tokens: u8| {
        format!(
            r#"{{"content":"ab","stop":{stop},"tokens_predicted":{tokens},"tokens_evaluated":8}}"#
        )
    };
    let deep = r#"{"results":[{"generated_text":"ab"}],"inference_status":{"tokens_input":8,"tokens_generated":3}}"#;
    let aleph = r#"{"completions":[{"completion":"ab"}],"num_tokens_prompt_total":8,"num_tokens_generated":3}"#;
    let told: Leaves = &[(Input, 8), (Output, 3)];
    check(&[
        (Api::TgiGenerate, stream(&[&first, &next, &last]), told),
        (Api::TgiGenerate, stream(&[&llama(false, 1), &llama(true, 3)]), told),
        (Api::TgiGenerate, llama(true, 3), told),
        (Api::TgiGenerate, deep.to_owned(), told),
        (Api::TgiGenerate, aleph.to_owned(), told),
        (
            Api::OpenAiEmbeddings,
            r#"{"results":[{"embedding":[0.5]}],"input_token_count":8}"#.to_owned(),
            &[(Input, 8)],
        ),
    ]);
    for half in [stream(&[&first, &next]), stream(&[&llama(false, 1)])] {
        assert!(!evidence(Api::TgiGenerate, &half, true).is_final, "{half}");
    }
}
