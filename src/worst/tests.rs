use super::*;
use crate::money::NanoUsd;
use crate::price::{Book, Override, Priced, Prices, Terms};
use crate::usage::Unit;

fn bounded(api: Api, body: &str) -> Result<(bool, Option<u64>, u64), Unbounded> {
    survey(api, body.as_bytes()).map(|s| (s.refers, s.output, s.choices))
}

#[test]
fn what_a_request_carries_is_told_from_what_it_refers_to() {
    use Api::{AnthropicMessages as Claude, GeminiGenerate as Gemini};
    use Api::{OpenAiChat as Chat, OpenAiEmbeddings as Embed, OpenAiResponses as Responses};
    let carried = Ok((false, None, 1));
    let refers = Ok((true, None, 1));
    #[rustfmt::skip]
    let cases = [
        (Chat, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, carried),
        (Chat, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":9,"n":3}"#, Ok((false, Some(9), 3))),
        (Chat, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#, refers),
        (Chat, r#"{"messages":[{"role":"user","content":[{"type":"image\u005furl","image\u005furl":{"url":"https://x"}}]}]}"#, refers),
        (Chat, r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#, refers),
        (Chat, r#"{"messages":[{"role":"assistant","audio":{"id":"a"}}]}"#, refers),
        (Chat, r#"{"tools":[{"type":"function","function":{"name":"f"}}]}"#, carried),
        (Chat, r#"{"tools":[{"type":"web_search"}]}"#, Err(Unbounded::Tools)),
        (Chat, r#"{"tools":[{"type":"web_search"}],"tools":[]}"#, Err(Unbounded::Tools)),
        (Chat, r#"{"web_search_options":{}}"#, Err(Unbounded::Parameter)),
        (Chat, r#"{"plugins":[{"id":"web"}]}"#, Err(Unbounded::Parameter)),
        (Chat, r#"{"models":["dear"]}"#, Err(Unbounded::Parameter)),
        (Chat, r#"{"n":"3"}"#, Err(Unbounded::Parameter)),
        (Chat, r#"{"max_tokens":5,"max_completion_tokens":50,"max_tokens":7}"#, Ok((false, Some(50), 1))),
        (Chat, r#"{"max_tokens":5,"max_completion_tokens":-1}"#, carried),
        (Chat, r#"{"max_tokens":0}"#, carried),
        (Chat, r#"{"max_tokens":null,"n":null}"#, carried),
        (Chat, r#"{"messages":[]} {}"#, Err(Unbounded::NotJson)),
        (Chat, "messages", Err(Unbounded::NotJson)),
        (Responses, r#"{"input":"hi","max_output_tokens":16}"#, Ok((false, Some(16), 1))),
        (Responses, r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#, carried),
        (Responses, r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#, refers),
        (Responses, r#"{"input":[{"id":"msg_1"}]}"#, refers),
        (Responses, r#"{"input":[{"type":"item_reference"}]}"#, refers),
        (Responses, r#"{"input":"hi","previous_response_id":"resp_1"}"#, refers),
        (Responses, r#"{"input":"hi","previous_response_id":null}"#, carried),
        (Responses, r#"{"input":"hi","conversation":{"id":"c"}}"#, refers),
        (Responses, r#"{"input":"hi","background":true}"#, Err(Unbounded::Parameter)),
        (Responses, r#"{"input":"hi","prompt":{"id":"p"}}"#, Err(Unbounded::Parameter)),
        (Responses, r#"{"input":"hi","tools":[{"type":"mcp","server_url":"x"}]}"#, Err(Unbounded::Tools)),
        (Claude, r#"{"max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"x"}]}]}]}"#, Ok((false, Some(9), 1))),
        (Claude, r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}]}"#, refers),
        (Claude, r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#, refers),
        (Claude, r#"{"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#, carried),
        (Claude, r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#, Err(Unbounded::Tools)),
        (Claude, r#"{"mcp_servers":[]}"#, Err(Unbounded::Parameter)),
        (Claude, r#"{"context_management":{}}"#, Err(Unbounded::Parameter)),
        (Gemini, r#"{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#, Ok((false, Some(7), 2))),
        (Gemini, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://x"}}]}]}"#, refers),
        (Gemini, r#"{"contents":[{"parts":[{"inline_data":{"data":""}}]}]}"#, refers),
        (Gemini, r#"{"contents":[],"cachedContent":"cachedContents/1"}"#, refers),
        (Gemini, r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#, Err(Unbounded::Tools)),
        (Gemini, r#"{"contents":[],"generationConfig":{"responseModalities":["IMAGE"]}}"#, Err(Unbounded::Parameter)),
        (Embed, r#"{"input":["a","b"]}"#, carried),
        (Api::OpenAiImages, "{}", Err(Unbounded::Api)),
        (Api::OpenAiCompletions, "{}", Err(Unbounded::Api)),
    ];
    for (api, body, expected) in cases {
        assert_eq!(bounded(api, body), expected, "{api:?} {body}");
    }
}

#[test]
fn bytes_that_may_become_more_count_for_more() {
    let survey = survey(Api::OpenAiChat, r#"{"user":"né"}"#.as_bytes()).unwrap();
    assert_eq!((survey.bytes, survey.foreign), (14, 2));
    assert_eq!(survey.tokens(), 14 + 2 * 2 + 1_024);
}

fn prices() -> Prices {
    let rates =
        [Unit::Input, Unit::Output].map(|unit| (Priced::Unit(unit), NanoUsd::new(1_000_000)));
    let own = Override::new(None, "own", &rates).unwrap();
    Prices::new(Book::embedded().unwrap(), vec![own])
}

fn demand_of(model: &str, body: &str, attempts: Option<u64>) -> Result<Demand, Unbounded> {
    let prices = prices();
    let around = Circumstances {
        api: Api::OpenAiChat,
        provider: "openai",
        model: Some(model),
        tariff: prices.find("openai", model),
        attempts,
        cost_source: CostSource::Book,
        terms: Terms { at: 1_795_000_000, ..Terms::default() },
    };
    demand(&survey(Api::OpenAiChat, body.as_bytes()), &around)
}

#[test]
fn a_bound_has_the_prompt_all_answers_and_all_attempts() {
    let body = r#"{"max_tokens":100,"n":2}"#;
    let input = body.len() as u64 + 1_024;
    let once = demand_of("own", body, Some(1)).unwrap();
    assert_eq!((once.most.tokens, once.least.tokens), (input + 200, input));
    assert_eq!((once.most.nano_usd, once.output), (input + 200, 100));
    let thrice = demand_of("own", body, Some(3)).unwrap();
    assert_eq!(thrice.most.tokens, 3 * (input + 200));
}

#[test]
fn what_no_byte_bounds_is_bounded_by_the_context_window_or_not_at_all() {
    let silent = demand_of("gpt-4o-mini", r#"{"messages":[]}"#, Some(1)).unwrap();
    assert_eq!(silent.output, 128_000);
    let image = r#"{"messages":[{"content":[{"image_url":{}}]}],"max_tokens":10}"#;
    let refers = demand_of("gpt-4o-mini", image, Some(1)).unwrap();
    assert_eq!(refers.most.tokens, 128_010);
    #[rustfmt::skip]
    let cases = [
        ("own",                   r#"{}"#,               Some(1), Unbounded::Window),
        ("own",                   image,                 Some(1), Unbounded::Window),
        ("nobody-knows",          r#"{"max_tokens":9}"#, Some(1), Unbounded::Unpriced),
        ("own",                   r#"{"max_tokens":9}"#, None,    Unbounded::Retries),
        ("gpt-4o-search-preview", r#"{"max_tokens":9}"#, Some(1), Unbounded::Tools),
    ];
    for (model, body, attempts, why) in cases {
        assert_eq!(demand_of(model, body, attempts), Err(why), "{model} {body}");
    }
}

#[test]
fn a_cost_that_the_provider_says_afterwards_has_no_bound() {
    let around = Circumstances {
        api: Api::OpenAiChat,
        provider: "openrouter",
        model: Some("own"),
        tariff: None,
        attempts: Some(1),
        cost_source: CostSource::Provider,
        terms: Terms::default(),
    };
    assert_eq!(demand(&survey(Api::OpenAiChat, b"{}"), &around), Err(Unbounded::Provider));
}
