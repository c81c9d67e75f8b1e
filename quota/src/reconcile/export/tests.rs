//! Exports of both providers, good and bad.

use super::*;

const OPENAI: &str = r#"{
  "object": "page",
  "data": [
    {"object": "bucket", "start_time": 1795392000, "end_time": 1795478400, "results": [
      {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
       "input_cached_tokens": 800, "num_model_requests": 5, "project_id": null, "model": "gpt-5"},
      {"object": "organization.usage.completions.result", "input_tokens": 1, "output_tokens": 2,
       "num_model_requests": 1, "model": "gpt-5"}
    ]}
  ],
  "has_more": false
}"#;

const ANTHROPIC: &str = r#"{
  "data": [
    {"starting_at": "2026-11-23T00:00:00Z", "ending_at": "2026-11-24T00:00:00Z", "results": [
      {"uncached_input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 5,
       "cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 4},
       "server_tool_use": {"web_search_requests": 1}, "model": "claude-haiku-4-5-20251001"}
    ]}
  ],
  "has_more": false, "next_page": null
}"#;

const DAY_OF: i64 = 20_780;

fn one(model: &str, used: Used) -> BTreeMap<(i64, String), Used> {
    BTreeMap::from([((DAY_OF, model.to_owned()), used)])
}

#[test]
fn exports_are_summed_by_day_and_model() {
    let gpt = one("gpt-5", Used { input: 1_001, output: 502, cost: 0 });
    let claude = one("claude-haiku-4-5-20251001", Used { input: 10, output: 5, cost: 0 });
    assert_eq!(Export::json(Provider::OpenAi, OPENAI).unwrap().used, gpt);
    let twice = format!("[{}, {OPENAI}]", OPENAI.replace("false", "true"));
    let twice = Export::json(Provider::OpenAi, &twice).unwrap().used;
    assert_eq!(twice, one("gpt-5", Used { input: 2_002, output: 1_004, cost: 0 }));
    assert_eq!(Export::json(Provider::Anthropic, ANTHROPIC).unwrap().used, claude);
    let csv = "start_time,\"model\",input_tokens,output_tokens\n1795392000,gpt-5,1000,500\r\n\
               2026-11-23,\"gpt-5\",1,2\n";
    assert_eq!(Export::csv(Provider::OpenAi, csv).unwrap().used, gpt);
    let csv = "starting_at,model,uncached_input_tokens,cache_read_input_tokens,\
               ephemeral_5m_input_tokens,ephemeral_1h_input_tokens,output_tokens\n\
               2026-11-23T07:00:00Z,claude-haiku-4-5-20251001,1,2,3,4,5\n";
    assert_eq!(Export::csv(Provider::Anthropic, csv).unwrap().used, claude);
}

#[test]
fn costs_are_nano_dollars() {
    let costs = |value: &str| {
        let text = format!(
            r#"{{"data":[{{"start_time":1795392000,"end_time":1795478400,"results":[
            {{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}}}}]}}],
            "has_more":false}}"#
        );
        Export::json(Provider::OpenAi, &text)
    };
    #[rustfmt::skip]
    let cases = [("0.06", 60_000_000), ("12", 12_000_000_000), ("\"0.0000001\"", 100), ("1e-7", 100)];
    for (value, cost) in cases {
        let export = costs(value).unwrap();
        assert!(export.has_costs && !export.has_tokens);
        assert_eq!(export.used, one("", Used { cost, ..Used::default() }), "{value}");
    }
    let fault = costs("-1").unwrap_err();
    assert_eq!(fault.field, "data[0].results[0].amount.value");
}

#[test]
fn faults_name_line_and_field() {
    let openai =
        |from: &str, to: &str| Export::json(Provider::OpenAi, &OPENAI.replacen(from, to, 1));
    let anthropic =
        |from: &str, to: &str| Export::json(Provider::Anthropic, &ANTHROPIC.replacen(from, to, 1));
    let csv = |text: &str| Export::csv(Provider::OpenAi, text);
    const HEADER: &str = "start_time,model,input_tokens,output_tokens\n";
    #[rustfmt::skip]
    let cases = [
        (openai("\"has_more\": false", "\"has_more\": true"),     11, "has_more"),
        (openai("1795478400", "1795999999"),                      1,  "data[0]"),
        (openai("1000", "-1"),                                    6,  "data[0].results[0]"),
        (openai("\"start_time\": 1795392000, ", ""),              9,  "data[0]"),
        (openai("usage.completions", "usage.unheard"),            5,  "data[0].results[0].object"),
        (anthropic("\"output_tokens\": 5", "\"output_tokens\": \"5\""), 4, "data[0].results[0].output_tokens"),
        (anthropic("2026-11-24T00:00:00Z", "soon"),               3,  "data[0].ending_at"),
        (csv(&format!("{HEADER}2026-11-23,gpt-5,1.5,2\n")),       2,  "input_tokens"),
        (csv(&format!("{HEADER}\n2026-11-23,gpt-5,1\n")),         3,  "output_tokens"),
        (csv(&format!("{HEADER}yesterday,gpt-5,1,2\n")),          2,  "start_time"),
        (csv("start_time,model,input_tokens\n2026-11-23,m,1\n"),  1,  "output_tokens"),
    ];
    for (read, line, field) in cases {
        let fault = read.unwrap_err();
        assert_eq!(fault.field, field, "{fault}");
        assert!(fault.line.abs_diff(line) <= 1, "{line}: {fault}");
    }
    assert!(csv("").unwrap().used.is_empty());
}
