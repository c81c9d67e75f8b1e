//! What is read from answers, in each dialect, however they come.

use crate::PRICED;
use crate::support::dialect::{ALL, ANTHROPIC, GEMINI, OPENAI, USED};
use crate::support::{Call, Dialect, Request, Worker, coded};

fn assert_used(call: &Call<'_>, about: &str) {
    let row = call.row();
    for (name, value) in USED {
        assert_eq!(row.get(name).map(String::as_str), Some(value), "{about}: {name} of {row:?}");
    }
    assert_eq!(call.fields(["cost_nano_usd", "cost_usd"]), ["314000", "0.000314000"], "{about}");
}

#[test]
fn the_usage_of_every_answer_is_read_and_priced() {
    let worker = Worker::new(PRICED);
    for dialect in ALL {
        let Dialect { provider, model, answered, .. } = dialect;
        for stream in [false, true] {
            let chunks = if stream { dialect.sse() } else { vec![dialect.json()] };
            let call = worker.exchange(&Request::of(&dialect, stream), &chunks);
            assert_used(&call, provider);
            let api = if stream { dialect.stream_api } else { dialect.api };
            let asked = if provider == "google" { answered } else { model };
            assert_eq!(
                call.fields(["tenant", "provider", "api", "request_model", "model", "stream"]),
                ["acme", provider, api, asked, answered, if stream { "true" } else { "false" }]
            );
            assert_eq!(
                call.fields(["decision", "price_version", "budget"]),
                ["pass", "configured", "-"]
            );
        }
    }
}

#[test]
fn where_an_answer_is_cut_does_not_matter() {
    let worker = Worker::new(PRICED);
    for dialect in ALL {
        for body in [dialect.json(), dialect.sse().concat()] {
            for size in [1, 2, 3, 7, 64, 1_000] {
                let chunks: Vec<_> = body.chunks(size).collect();
                let call = worker.exchange(&Request::of(&dialect, true), &chunks);
                assert_used(&call, &format!("{} in chunks of {size}", dialect.provider));
            }
        }
    }
    let body = OPENAI.sse().concat();
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        let call = worker.exchange(&Request::of(&OPENAI, true), &[head, tail]);
        assert_used(&call, &format!("cut at {cut}"));
    }
}

#[test]
fn a_compressed_answer_is_read_without_being_changed() {
    let worker = Worker::new(PRICED);
    for dialect in ALL {
        let bodies = [dialect.json(), dialect.sse().concat()];
        for (coding, body) in bodies.iter().flat_map(|body| coded(body)) {
            for size in [1, 20, 10_000] {
                let call = worker.ask(&Request::of(&dialect, true));
                let chunks: Vec<_> = body.chunks(size).collect();
                call.answer(200, &[("content-encoding", coding)], &chunks);
                call.end();
                assert_used(&call, &format!("{} {coding}", dialect.provider));
            }
        }
    }
}

#[test]
fn few_answers_with_large_windows_are_read_at_once_whatever_the_configuration() {
    let worker = Worker::new(PRICED);
    let [_, _, (_, br), (_, zstd)] = coded(&OPENAI.json());
    let begin = |coding| {
        let call = worker.ask(&Request::of(&OPENAI, false));
        call.answer_headers(200, &[("content-encoding", coding)], false);
        call
    };
    let finish = |call: &Call<'_>, body: &[u8]| {
        call.answer_body(body, true);
        call.end();
    };
    let mut reading: Vec<_> = (0..4).flat_map(|_| [begin("br"), begin("zstd")]).collect();
    assert!(worker.configure(PRICED));
    let beyond = begin("br");
    finish(&beyond, &br);
    assert_eq!(beyond.field("usage"), "estimated");
    assert_eq!(worker.counted(&["parse_failures_total", "reason=.=pool;."]), 1);
    // A client that leaves gives a place back.
    reading.remove(7).break_off("downstream_remote_disconnect");
    let next = begin("zstd");
    finish(&next, &zstd);
    assert_used(&next, "a place that was given back");
    for (at, call) in reading.iter().enumerate() {
        finish(call, [&br, &zstd][at % 2]);
        assert_used(call, "in time");
    }
    assert_eq!(worker.counted(&["parse_failures_total"]), 1);
}

#[test]
fn no_shape_of_a_stream_hides_its_usage() {
    let joined = |events: &[Vec<u8>]| String::from_utf8(events.concat()).unwrap();
    let events = OPENAI.sse();
    let (last, done) = (events.len() - 2, events.len() - 1);
    let stream = joined(&events);
    let comment = ": PROCESSING\n\n";
    #[rustfmt::skip]
    let cases = [
        ("as it should be",                          stream.clone()),
        ("lines that end with CRLF",                 stream.replace('\n', "\r\n")),
        ("lines that end with CR",                   stream.replace('\n', "\r")),
        ("no space after the colon",                 stream.replace("data: ", "data:")),
        ("a byte order mark",                        format!("\u{feff}{stream}")),
        ("blank lines first",                        format!("\n\n{stream}")),
        ("a comment first",                          format!("{comment}{stream}")),
        ("one more event behind the usage",          [&joined(&events[..done]), "data: {\"choices\":[]}\n\n", "data: [DONE]\n\n"].concat()),
        ("the usage last, and no [DONE]",            joined(&events[..done])),
        ("[DONE] without a blank line",              stream.trim_end().to_owned()),
        ("the usage without a blank line",           joined(&events[..done]).trim_end().to_owned()),
        ("the usage twice",                          [joined(&events[..done]), joined(&events[last..])].concat()),
    ];
    let worker = Worker::new(PRICED);
    for (name, text) in cases {
        // The second half of a character comes with all that follows it.
        let half = text.find('é').unwrap() + 1;
        for (head, tail) in [text.as_bytes().split_at(half), text.as_bytes().split_at(0)] {
            let call = worker.exchange(&Request::of(&OPENAI, true), &[head, tail]);
            assert_used(&call, name);
        }
    }
}

#[test]
fn a_gemini_stream_may_be_an_array() {
    let array = format!("[{}]", (GEMINI.events)().join(",\r\n"));
    let request =
        Request { path: GEMINI.stream_path.replace("?alt=sse", ""), ..Request::of(&GEMINI, true) };
    let worker = Worker::new(PRICED);
    for size in [1, 50, 10_000] {
        let chunks: Vec<_> = array.as_bytes().chunks(size).collect();
        assert_used(&worker.exchange(&request, &chunks), "an array");
    }
}

#[test]
fn an_answer_with_trailers_ends_with_them() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&ANTHROPIC, true));
    call.answer_headers(200, &[], false);
    call.answer_body(&ANTHROPIC.sse().concat(), false);
    call.answer_trailers();
    call.end();
    assert_used(&call, "trailers");
    assert_eq!(worker.counted(&["outcome=.=ok;"]), 1);
}

#[test]
fn an_answer_may_come_before_the_request_has_ended() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&OPENAI, false);
    let call = worker.stream();
    let (head, tail) = request.body.split_at(60);
    call.request_headers(&request, false);
    call.request_body(head, false);
    call.answer_headers(200, &[], false);
    call.request_body(tail, true);
    call.answer_body(&OPENAI.json(), true);
    call.end();
    assert_used(&call, "an early answer");
    assert_eq!(call.upstream().body, request.body);
}

#[test]
fn an_unknown_model_is_unpriced_and_never_free() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-tenant-id"}]}"#);
    let unknown =
        String::from_utf8(OPENAI.json()).unwrap().replace(OPENAI.answered, "no-such-model");
    let call = worker.exchange(&Request::of(&OPENAI, false), &[unknown]);
    assert_eq!(
        call.fields([
            "model",
            "usage",
            "output_tokens",
            "cost_nano_usd",
            "cost_usd",
            "price_version"
        ]),
        ["no-such-model", "reported", "25", "unpriced", "unpriced", "-"]
    );
    assert_eq!(worker.counted(&["tollgate_unpriced_total"]), 1);
    assert_eq!(worker.counted(&["tollgate_cost_nano_usd_total"]), 0);
}

#[test]
fn the_built_in_book_knows_the_models() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-tenant-id"}]}"#);
    for dialect in ALL {
        let call = worker.exchange(&Request::of(&dialect, false), &[dialect.json()]);
        let [cost, version] = call.fields(["cost_nano_usd", "price_version"]);
        assert!(cost.parse::<u64>().unwrap() > 0, "{}", dialect.provider);
        assert!(version.contains("genai-prices"), "{version}");
    }
    assert_eq!(worker.counted(&["tollgate_unpriced_total"]), 0);
}

#[test]
fn an_error_is_not_charged() {
    let error = r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#;
    #[rustfmt::skip]
    let cases = [
        // status  body       outcome
        (429,      error,     "client_error"),
        (400,      "",        "client_error"),
        (503,      "<html>",  "upstream_error"),
        (200,      error,     "upstream_error"),
    ];
    for (status, body, outcome) in cases {
        for dialect in ALL {
            let worker = Worker::new(PRICED);
            let call = worker.ask(&Request::of(&dialect, false));
            call.answer(status, &[], &[body]);
            call.end();
            assert_eq!(
                call.fields(["usage", "input_tokens", "cost_nano_usd"]),
                ["absent", "-", "0"],
                "{status} from {}",
                dialect.provider
            );
            assert_eq!(worker.counted(&["tollgate_requests_total", outcome]), 1, "{status}");
            assert_eq!(worker.counted(&["tollgate_parse_failures_total"]), 0, "{status}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_estimated_and_counted_by_reason() {
    let html = b"<html>no JSON at all</html>".to_vec();
    let long = format!(r#"{{"usage":{{"x":"{}"}}}}"#, "x".repeat(20_000));
    let absurd = r#"{"usage":{"prompt_tokens":-4,"completion_tokens":7}}"#;
    let cut = r#"{"choices":[{"message":{"content":"a"#;
    let clamped = r#"{"usage":{"prompt_tokens":4,"prompt_tokens_details":{"cached_tokens":9}}}"#;
    #[rustfmt::skip]
    let cases = [
        // encoding  body                                             reason          usage
        ("lzma",     vec![1, 2, 3],                                   "encoding",     "estimated"),
        ("gzip",     OPENAI.json(),                                   "damaged",      "estimated"),
        ("br",       OPENAI.json(),                                   "damaged",      "estimated"),
        ("zstd",     OPENAI.json(),                                   "damaged",      "estimated"),
        ("",         html,                                            "not_json",     "estimated"),
        ("",         b"{\"a\" nonsense".to_vec(),                     "not_json",     "estimated"),
        ("",         b"data: {\"choices\":[\n\ndata: {}\n\n".to_vec(), "event",       "estimated"),
        ("",         long.into_bytes(),                               "usage",        "estimated"),
        ("",         absurd.into(),                                   "inconsistent", "estimated"),
        ("",         clamped.into(),                                  "inconsistent", "reported"),
        ("",         cut.into(),                                      "cut",          "estimated"),
    ];
    for (encoding, body, reason, usage) in cases {
        let worker = Worker::new(PRICED);
        let call = worker.ask(&Request::of(&OPENAI, false));
        call.answer(200, &[("content-encoding", encoding)], &[body]);
        call.end();
        assert_eq!(call.field("usage"), usage, "{reason}");
        let reason =
            format!("provider=.=openai;.;reason=.={reason};.;tollgate_parse_failures_total");
        assert_eq!(worker.counters().get(&reason), Some(&1), "{reason}: {:?}", worker.counters());
    }
}

#[test]
fn the_call_field_has_all_that_a_ledger_row_needs() {
    let worker = Worker::new(PRICED);
    let call = worker.ask(&Request::of(&ANTHROPIC, false));
    worker.advance(1_500);
    call.answer(200, &[], &[ANTHROPIC.json()]);
    worker.advance(500);
    call.end();
    let mut field: serde_json::Value = serde_json::from_str(&call.field("call")).unwrap();
    assert_eq!(field["id"].take(), call.field("call_id").as_str());
    assert_eq!(field["t"].take(), 1_767_225_600_000_u64);
    assert_eq!(
        field,
        serde_json::json!({
            "v": 1, "id": null, "t": null, "ms": 2_000, "tenant": "acme", "provider": "anthropic",
            "api": "anthropic.messages", "asked": ANTHROPIC.model,
            "model": ANTHROPIC.answered, "status": 200, "usage": "reported",
            "leaves": {"input": 60, "cache_read": 40, "output": 20, "reasoning": 5},
            "cost": 314_000, "prices": "configured", "decision": "pass",
        })
    );
    assert_eq!(call.field("ttft_ms"), "1500");
}
