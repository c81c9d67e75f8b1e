//! A newer price book, from its file to the gateways.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tollgate::price::Book;

use crate::support::{Said, Service, ask, eventually};

const CUSTOMERS: &str = "business: {name: Acme SaaS}\nplans: []\ncustomers: []\n";
const BUILT_IN: &str = include_str!("../../../src/price/book.json");

/// The built-in book under another version.
fn book(version: &str) -> String {
    let built_in = Book::embedded().unwrap().version().to_owned();
    BUILT_IN.replacen(
        &format!("\"version\":\"{built_in}\""),
        &format!("\"version\":\"{version}\""),
        1,
    )
}

/// A file for the book of one test.
fn file(name: &str, text: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = file.join(format!("{}-{name}.json", std::process::id()));
    fs::write(&file, text).unwrap();
    file
}

fn start(file: &Path) -> Service {
    Service::start(CUSTOMERS, &["--prices", file.to_str().unwrap()])
}

/// What a gateway hears that knows this of prices.
fn hear(service: &Service, seq: u64, knows: Value) -> Said {
    service.sync(&ask("g", seq, json!({"prices": knows})))
}

fn handed(said: &Said) -> Option<String> {
    let said = said.json();
    let edition = said.get("prices")?;
    let packed = STANDARD.decode(edition["packed"].as_str().unwrap()).unwrap();
    let book = Book::unpack(packed.into()).unwrap();
    assert_eq!(edition["version"], book.version());
    assert!(book.find("openai", "gpt-5").is_some());
    Some(book.version().to_owned())
}

fn shows(service: &Service, line: &str) -> bool {
    service.admin("/metrics", "boss").text.contains(line)
}

#[test]
fn gateways_with_older_prices_are_handed_the_book_and_others_are_not() {
    let service = start(&file("handed", &book("2999-01-01.acme")));
    let older = json!({"version": "2026-11-23"});
    let first = hear(&service, 1, older.clone());
    assert_eq!(handed(&first).as_deref(), Some("2999-01-01.acme"));
    assert_eq!(hear(&service, 1, older.clone()), first, "byte for byte, if the answer was lost");
    assert!(first.text.len() < 150_000, "{}", first.text.len());
    assert!(service.number("SELECT MAX(LENGTH(answer)) FROM reporter") < 200, "not written twice");
    for (seq, knows) in [
        (2, json!({"version": "2999-01-01.acme"})),
        (3, json!({"version": "2999-01-02"})),
        (4, json!({"version": "2026-11-23", "refused": "2999-01-01.acme"})),
        (5, Value::Null),
    ] {
        assert_eq!(handed(&hear(&service, seq, knows.clone())), None, "{knows}");
    }
    let other = json!({"version": "2026-11-23", "refused": "2998-01-01"});
    assert!(handed(&hear(&service, 6, other)).is_some());
    assert!(shows(&service, "tollgate_quota_price_books_handed_total 2"));
    assert!(shows(&service, "tollgate_quota_price_book{version=\"2999-01-01.acme\"} 1"));
}

#[test]
fn without_a_book_nothing_is_handed_out() {
    let service = Service::start(CUSTOMERS, &[]);
    assert_eq!(handed(&hear(&service, 1, json!({"version": ""}))), None);
}

#[test]
fn a_newer_file_is_taken_and_a_faulty_one_changes_nothing() {
    let file = file("reloaded", &book("2999-01-01"));
    let service = start(&file);
    let mut seq = 0;
    let mut now = || {
        seq += 1;
        handed(&hear(&service, seq, json!({"version": ""}))).unwrap()
    };
    for (fault, text) in [
        (1, book("2999-01-02").replace("{\"input\":", "{\"smell\":")),
        (2, book("2999-01-02").split_at(20_000).0.to_owned()),
        (3, book("2999-01-01").replace("[1250000000]", "[1250000001]")),
        (4, r#"{"format":1,"version":"2999-01-02","providers":[]}"#.to_owned()),
        (5, book("next")),
    ] {
        fs::write(&file, text).unwrap();
        let counted = format!("tollgate_quota_price_books_refused_total {fault}\n");
        eventually("the fault shows", || shows(&service, &counted));
        assert!(shows(&service, "tollgate_quota_price_book_good 0"));
        assert_eq!(now(), "2999-01-01");
    }
    fs::write(&file, book("2999-01-03")).unwrap();
    eventually("the good one is taken", || now() == "2999-01-03");
    assert!(shows(&service, "tollgate_quota_price_book_good 1"));
    fs::write(&file, book("2999-01-02")).unwrap();
    eventually("the older one is read", || shows(&service, "price_books_total 3"));
    assert_eq!(now(), "2999-01-03", "the newest counts");
}

#[test]
fn replicas_with_different_files_hand_out_the_newest() {
    let new = file("replica-new", &book("2999-02-02"));
    let one = start(&file("replica-old", &book("2999-02-01")));
    let two = one.replica(&["--prices", new.to_str().unwrap()]);
    let three = one.replica(&[]);
    let knows = json!({"version": ""});
    let mut seq = 0;
    for replica in [&two, &three, &one] {
        eventually("the newest is handed out", || {
            seq += 1;
            handed(&hear(replica, seq, knows.clone())).as_deref() == Some("2999-02-02")
        });
    }
    let first = hear(&one, seq + 1, knows.clone());
    assert_eq!(hear(&three, seq + 1, knows), first, "whoever answers again");
}

#[test]
fn check_tells_what_is_wrong_with_a_book_and_where() {
    let check = |name: &str, text: &str| {
        let file = file(name, text);
        let program = env!("CARGO_BIN_EXE_tollgate-quota");
        let arguments = ["check", "--prices", file.to_str().unwrap()];
        let output = Command::new(program).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, said) = check("good", &book("2999-01-01"));
    assert!(good && said.ends_with(".json: ok: prices 2999-01-01\n"), "{said}");
    #[rustfmt::skip]
    let cases = [
        ("unit",    book("2999-01-01").replacen("\"input\":[", "\"inputs\":[", 1), "`providers[0].models["),
        ("cut",     "{\"format\":1,\n\"version\":\"2999".to_owned(),                "json:2: "),
        ("version", book("latest"),                                                "`version` must be a date"),
        ("format",  book("2999-01-01").replacen("\"format\":1", "\"format\":2", 1), "price book of format 2"),
        ("twice",   r#"{"format":1,"version":"2999-01-01","providers":[{"id":"p","aliases":[],"fallback":[],"models":[
            {"id":"m","match":{"equals":"m"},"prices":[]},{"id":"m","match":{"equals":"n"},"prices":[]}]}]}"#.to_owned(), "twice"),
        ("half",    r#"{"format":1,"version":"2999-01-01","providers":[]}"#.to_owned(), "2330 are missing"),
    ];
    for (name, text, why) in cases {
        let (good, said) = check(name, &text);
        assert!(!good && said.contains(why), "{name}: {said}");
    }
}

#[test]
fn a_faulty_book_at_the_start_is_told_and_the_service_does_not_start() {
    let file = file("start", "{}");
    let program = env!("CARGO_BIN_EXE_tollgate-quota");
    let customers = file.with_extension("yaml");
    fs::write(&customers, CUSTOMERS).unwrap();
    let output = Command::new(program)
        .args(["serve", "--insecure-no-auth", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .arg("--db")
        .arg(file.with_extension("db"))
        .arg("--config")
        .arg(customers)
        .arg("--prices")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("cannot be used"), "{said}");
}
