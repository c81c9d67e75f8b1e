//! A newer price book that the quota service hands out.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tollgate::price::{Book, pack};

use crate::support::dialect::OPENAI;
use crate::support::{Process, Request, Worker};

const SERVICE: &str = r#"{"tenant": [{"header": "x-tenant-id"}],
    "service": {"cluster": "quota", "unknown": "allow"}}"#;

fn worker(process: &Arc<Mutex<Process>>, configuration: &str) -> Worker {
    let worker = Worker::in_process(process);
    assert!(worker.configure(configuration), "{:?}", worker.log());
    worker
}

/// A book in which an input token costs so many nano-dollars.
fn book(version: &str, nanos: u64) -> String {
    let rates = json!({"input": [nanos * 1_000_000], "output": [0]});
    let model = json!({"id": "mini", "match": {"starts_with": "gpt-4o-mini"},
        "prices": [{"rates": rates}]});
    json!({"format": 1, "version": version, "providers":
        [{"id": "openai", "aliases": [], "fallback": [], "models": [model]}]})
    .to_string()
}

/// What the service answers to the ask that was sent last, with this beside it.
fn answer(worker: &Worker, rest: &Value) -> Vec<u8> {
    let ask = asked(worker);
    let unknown = ask["tenants"].as_array().cloned().unwrap_or_default();
    let mut answer = json!({"v": 1, "seq": ask["seq"], "unknown": unknown});
    if let (Some(answer), Some(rest)) = (answer.as_object_mut(), rest.as_object()) {
        answer.extend(rest.clone());
    }
    answer.to_string().into_bytes()
}

fn handing(worker: &Worker, version: &str, packed: &[u8]) -> Vec<u8> {
    answer(worker, &json!({"prices": {"version": version, "packed": base64(packed)}}))
}

/// The ask that the worker sent last.
fn asked(worker: &Worker) -> Value {
    let body = worker.host(|host| host.calls.last().unwrap().1.clone());
    serde_json::from_slice(&body).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        let letter = |at: usize| match at <= three.len() {
            true => char::from(LETTERS[bits >> (18 - 6 * at) & 63]),
            false => '=',
        };
        [0, 1, 2, 3].map(letter)
    };
    bytes.chunks(3).flat_map(four).collect()
}

/// A whole call; the service knows nobody. Its cost, and the version of its prices.
fn call(worker: &Worker) -> [String; 2] {
    let request = Request::of(&OPENAI, false);
    let call = worker.ask(&request);
    if asked_about_tenant(worker) {
        worker.tell(200, &answer(worker, &json!({})));
    }
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    call.fields(["cost_nano_usd", "price_version"])
}

fn asked_about_tenant(worker: &Worker) -> bool {
    worker.host(|host| host.calls.len()) > 0 && asked(worker)["tenants"].is_array()
}

/// A tick at which rows are reported.
fn tick(worker: &Worker) {
    worker.advance(1_000);
    worker.tick();
}

fn built_in() -> String {
    Book::embedded().unwrap().version().to_owned()
}

#[test]
fn all_workers_take_a_newer_book_and_calls_under_way_keep_the_old_one() {
    let process = Arc::default();
    let [one, two] = [worker(&process, SERVICE), worker(&process, SERVICE)];
    let [_, before] = call(&one);
    assert_eq!(before, built_in());
    tick(&one);
    assert_eq!(asked(&one)["prices"]["version"], built_in());
    let under_way = one.ask(&Request::of(&OPENAI, false));
    one.tell(
        200,
        &handing(&one, "2999-01-01.test", &pack(book("2999-01-01.test", 7).as_bytes()).unwrap()),
    );
    under_way.answer(200, &[], &[OPENAI.json()]);
    under_way.end();
    assert_eq!(under_way.field("price_version"), built_in(), "it came in with these prices");
    let newer = ["700".to_owned(), "2999-01-01.test".to_owned()];
    assert_eq!(call(&one), newer);
    tick(&two);
    assert_eq!(call(&two), newer, "another worker finds it, without being sent it");
    let three = worker(&process, SERVICE);
    assert_eq!(call(&three), newer, "one that starts later has it at once");
    assert!(one.configure(&SERVICE.replace("allow\"", "allow\", \"sync_ms\": 999")));
    assert_eq!(call(&one), newer, "and so has a new configuration");
    tick(&one);
    assert_eq!(asked(&one)["prices"]["version"], "2999-01-01.test");
    assert_eq!(one.counted(&["prices=.=2999-01-01.test;.;tollgate_priced_total"]), 4);
    assert_eq!(worker(&Arc::default(), SERVICE).log().len(), 1);
}

#[test]
fn a_call_to_a_region_costs_what_it_costs_there_and_the_row_names_why() {
    let of = |configuration: &str, host: &str| {
        let worker = Worker::new(configuration);
        let call = worker.ask(&Request { host: host.to_owned(), ..Request::of(&OPENAI, false) });
        call.answer(200, &[], &[OPENAI.json()]);
        call.end();
        let row: Value = serde_json::from_str(&call.field("call")).unwrap();
        let version = call.field("price_version").replace(&built_in(), "book");
        let region = row["region"].as_str().unwrap_or("-").to_owned();
        [call.field("cost_nano_usd"), version, region]
    };
    let told =
        r#"{"providers": [{"host": "gateway.internal", "provider": "openai", "region": "gov"}]}"#;
    let contract =
        r#"{"multipliers": [{"provider": "openai", "model": "gpt-4o*", "times": "0.9"}]}"#;
    let instead = r#"{"multipliers": [{"model": "*", "region": "gov", "times": "2"}]}"#;
    let later = r#"{"multipliers": [{"model": "*", "from": "2999-01-01", "times": "2"}]}"#;
    #[rustfmt::skip]
    let cases = [
        ("{}",     "api.openai.com",     ["27000", "book",      "-"]),
        ("{}",     "gov.api.openai.com", ["29700", "book",      "gov"]),
        ("{}",     "us.api.openai.com",  ["27000", "book",      "us"]),
        (told,     "gateway.internal",   ["29700", "book",      "gov"]),
        (contract, "gov.api.openai.com", ["26730", "book.x0.9", "gov"]),
        (instead,  "gov.api.openai.com", ["54000", "book.x2",   "gov"]),
        (instead,  "api.openai.com",     ["27000", "book",      "-"]),
        (later,    "api.openai.com",     ["27000", "book",      "-"]),
    ];
    for (configuration, host, expected) in cases {
        assert_eq!(of(configuration, host), expected, "{configuration} {host}");
    }
}

#[test]
fn replicas_with_other_books_change_nothing_but_forwards() {
    let one = worker(&Arc::default(), SERVICE);
    let hand = |version: &str, nanos| {
        call(&one);
        tick(&one);
        let packed = pack(book(version, nanos).as_bytes()).unwrap();
        one.tell(200, &handing(&one, version, &packed));
        call(&one)
    };
    assert_eq!(hand("2999-01-02", 2), ["200", "2999-01-02"]);
    assert_eq!(hand("2999-01-01", 1), ["200", "2999-01-02"]);
    assert_eq!(hand("2999-01-02", 9), ["200", "2999-01-02"]);
    assert_eq!(hand("2020-01-01", 5), ["200", "2999-01-02"]);
    assert_eq!(hand("2999-01-03", 3), ["300", "2999-01-03"]);
    assert_eq!(one.counted(&["tollgate_prices_refused_total"]), 0);
}

#[test]
fn what_is_no_book_is_refused_whole_and_counted_and_not_asked_for_again() {
    let good = pack(book("2999-01-01", 1).as_bytes()).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    // Of a newer filter: what cannot be told cannot be priced.
    let strange = book("2999-01-01", 1).replace("\"output\"", "\"smell\"");
    assert!(pack(strange.as_bytes()).is_err());
    let huge = "A".repeat(400_000);
    let nonsense = ["", "!!!", "AAAA", &huge];
    let damaged: [&[u8]; 4] = [&good[..good.len() - 1], &flipped, &good[8..], b"{}"];
    for at in 0..8 {
        let one = worker(&Arc::default(), SERVICE);
        call(&one);
        tick(&one);
        let told = match damaged.get(at) {
            Some(packed) => handing(&one, "2999-01-01", packed),
            None => {
                let packed = nonsense[at - 4];
                answer(&one, &json!({"prices": {"version": "2999-01-01", "packed": packed}}))
            }
        };
        one.tell(200, &told);
        assert_eq!(call(&one)[1], built_in(), "case {at}");
        assert_eq!(one.counted(&["tollgate_prices_refused_total"]), 1, "case {at}");
        assert!(one.log().iter().any(|line| line.contains("newer prices refused")), "case {at}");
        tick(&one);
        let knows = &asked(&one)["prices"];
        assert_eq!(
            (&knows["version"], &knows["refused"]),
            (&json!(built_in()), &json!("2999-01-01"))
        );
        one.tell(200, &handing(&one, "2999-01-01", &good));
        assert_eq!(call(&one)[1], built_in(), "not again so soon");
        one.advance(600_000);
        tick(&one);
        one.tell(200, &handing(&one, "2999-01-01", &good));
        assert_eq!(call(&one)[1], "2999-01-01", "case {at}, later");
    }
}

#[test]
fn a_book_under_another_name_is_refused() {
    let one = worker(&Arc::default(), SERVICE);
    call(&one);
    tick(&one);
    let packed = pack(book("2999-01-01", 1).as_bytes()).unwrap();
    one.tell(200, &handing(&one, "2999-01-02", &packed));
    assert_eq!(call(&one)[1], built_in());
    assert_eq!(one.counted(&["tollgate_prices_refused_total"]), 1);
}

#[test]
fn the_operators_own_prices_come_before_any_book() {
    let own = SERVICE.replacen(
        '{',
        r#"{"prices": [{"model": "gpt-4o-mini", "rates":
        {"input": "1", "output": "1"}}], "#,
        1,
    );
    let one = worker(&Arc::default(), &own);
    call(&one);
    tick(&one);
    let packed = pack(book("2999-01-01", 1).as_bytes()).unwrap();
    one.tell(200, &handing(&one, "2999-01-01", &packed));
    assert_eq!(call(&one)[1], "configured");
}
