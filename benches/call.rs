//! What the core costs per call: reading requests and answers, looking up prices, all together.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that meets what it does not expect has failed"
)]

use std::hint::black_box;
use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate::config::{Config, LogField};
use tollgate::desk::Desk;
use tollgate::exchange::{Close, Exchange, Teller};
use tollgate::gate::Gate;
use tollgate::price::{Book, Prices};
use tollgate::provider::{Answer, Api, Places};
use tollgate::request::{Body, Questions};
use tollgate::shared::{Conflict, Shared, Version};
use tollgate::who::{Lookup, Origin};

const USAGE: &str = r#"{"prompt_tokens":812,"completion_tokens":240,"total_tokens":1052,"prompt_tokens_details":{"cached_tokens":512},"completion_tokens_details":{"reasoning_tokens":64}}"#;
const MODEL: &str = "gpt-4o-mini-2024-07-18";

/// A worker that shares nothing: without budgets nothing is asked of it.
struct Alone;

impl Shared for Alone {
    fn load(&self, _: &str) -> Option<(Vec<u8>, Version)> {
        None
    }

    fn store(&mut self, _: &str, _: &[u8], _: Option<Version>) -> Result<(), Conflict> {
        Ok(())
    }
}

/// An answer of about 2 KB.
fn json_answer() -> Vec<u8> {
    let text = "The gateway says \\\"yes\\\" to what it can pay for.\\n".repeat(34);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{USAGE}}}"#
    )
    .into_bytes()
}

/// A stream of 200 events, each on its own.
fn events() -> Vec<Vec<u8>> {
    let event = |choices: &str, usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
             \"model\":\"{MODEL}\",\"choices\":[{choices}],\"usage\":{usage}}}\n\n"
        )
        .into_bytes()
    };
    let word = event(
        r#"{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}"#,
        "null",
    );
    let mut events = vec![word; 198];
    events.push(event("", USAGE));
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// A chat request whose content has about so many bytes.
fn request(content: &str) -> Vec<u8> {
    format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{content}"}}],"stream":true,"max_tokens":500,"user":"u-1"}}"#
    )
    .into_bytes()
}

fn image(bytes: usize) -> String {
    format!("data:image/png;base64,{}", "iVBORw0KGgoAAAANSUhEUg".repeat(bytes / 22))
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer");
    let places = Places::default();
    let read = |chunks: &[&[u8]]| {
        let mut answer = Answer::new(&places, Api::OpenAiChat, "");
        chunks.iter().for_each(|chunk| answer.feed(chunk));
        answer.finish("openai", true)
    };
    let json = json_answer();
    let events = events();
    let whole = events.concat();
    let single: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
    for (name, chunks) in [
        ("JSON of 2 KB", vec![json.as_slice()]),
        ("200 events in one chunk", vec![whole.as_slice()]),
        ("200 events in 200 chunks", single),
    ] {
        assert!(read(&chunks).is_final);
        let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        group.throughput(Throughput::Bytes(bytes.try_into().unwrap()));
        group.bench_function(name, |b| b.iter(|| read(black_box(&chunks))));
    }
    group.finish();
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    let user = ["user".to_owned()];
    let questions = Questions::new(Api::OpenAiChat, &[&user]);
    let prose = "Tell me what this month will cost, please. ".repeat(21);
    for (name, body) in
        [("body of 1 KB", request(&prose)), ("body of 1 MB, an image", request(&image(1_000_000)))]
    {
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap()));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut reader = Body::new(&questions, "");
                reader.feed(black_box(&body));
                reader.end()
            });
        });
    }
    // Time for each part must not grow with the parts that come with it.
    let form = Questions::new(Api::OpenAiTranscriptions, &[]);
    for parts in [1_000, 10_000] {
        let body = "--b\r\n\r\n\r\n".repeat(parts);
        group.throughput(Throughput::Elements(parts.try_into().unwrap()));
        group.bench_function(format!("form of {parts} parts"), |b| {
            b.iter(|| {
                let mut reader = Body::new(&form, "multipart/form-data; boundary=b");
                reader.feed(black_box(body.as_bytes()));
                reader.end()
            });
        });
    }
    group.finish();
}

fn prices(c: &mut Criterion) {
    let mut group = c.benchmark_group("price");
    let book = Book::embedded().expect("a book");
    group.bench_function("look up, first time", |b| {
        b.iter(|| book.find(black_box("openai"), black_box(MODEL)).is_some());
    });
    let prices = Prices::new(book, Vec::new());
    group.bench_function("look up again", |b| {
        b.iter(|| prices.find(black_box("openai"), black_box(MODEL)).is_some());
    });
    group.finish();
}

fn exchanges(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange");
    let config = br#"{"tenant":[{"header":"x-tenant-id"}],"user":[{"body":"/user"}]}"#;
    let gate = Rc::new(Gate::new(Config::parse(config).unwrap()).unwrap());
    let request = request("Tell me what this month will cost, please.");
    let json = [json_answer()];
    let events = events();
    let mut desk = Desk::default();
    let mut run = |answer: &[Vec<u8>]| {
        let target = gate.target("POST", "/v1/chat/completions", "api.openai.com", "");
        let mut exchange =
            Exchange::open(Rc::clone(&gate), target.unwrap(), "call-1".into(), 1, |origin| {
                match origin {
                    Origin::Body(_) => Lookup::NotYet,
                    _ => Lookup::Value(b"acme".to_vec()),
                }
            });
        let _ = exchange
            .on_request_headers(false, Teller { desk: &mut desk, shared: &mut Alone, now_ms: 3 });
        let _ = exchange.on_request_body(
            black_box(&request),
            true,
            Teller { desk: &mut desk, shared: &mut Alone, now_ms: 3 },
        );
        exchange.on_answer_head(200, "", "", |_| None);
        answer.iter().for_each(|chunk| exchange.on_answer_body(chunk, false, || 2));
        exchange.on_answer_end();
        let (record, _) = exchange
            .close(Close::new(""), Teller { desk: &mut desk, shared: &mut Alone, now_ms: 3 });
        LogField::ALL.map(|field| record.field(field))
    };
    for (name, answer) in [("JSON", &json[..]), ("200 events", &events)] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| b.iter(|| run(black_box(answer))));
    }
    group.finish();
}

criterion_group!(calls, answers, requests, prices, exchanges);
criterion_main!(calls);
