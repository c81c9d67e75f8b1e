//! What models cost more in regions, and what operators say of it.

use super::*;

/// A model that costs more in regions: here `maker` sells it, and `shop` sells it too.
const REGIONS: &str = r#"{"format":1,"version":"test","providers":[
{"id":"shop","aliases":[],"fallback":["maker"],"models":[]},
{"id":"maker","aliases":[],"fallback":[],"models":[
  {"id":"m","match":{"equals":"m"},
   "prices":[{"rates":{"input":[1000000],"output":[10000000],"web_search":[5000000],"request":[7000000000000]}}],
   "variants":[{"when":{"region":"far"},"rates":{"output":[13000000]}},
               {"when":{"processing":"batch"},"rates":{"output":[5000000]}}],
   "surcharges":["geo=us times=1.1","region=eu times=1.1","region=far times=1",
                 "seller=shop region=eu times=1.25","region=*"]}]}]}"#;

fn regional(multipliers: Vec<Multiplier>) -> Prices {
    let book = Book::parse(REGIONS.as_bytes()).unwrap();
    Prices::new(book, Vec::new()).with_multipliers(multipliers)
}

#[test]
fn regions_cost_more_by_the_token_and_what_they_cost_may_be_unknown() {
    let prices = regional(Vec::new());
    let usage = used(&[(Unit::Output, 333), (Unit::WebSearch, 1_000_000)]);
    // 333 tokens at 10, and what is charged by the piece: 5,000,000 and a fee of 7,000,000.
    let pieces = 12_000_000;
    let region = |name| Terms { region: Some(name), ..Terms::default() };
    let us = Terms { geo: Some("us"), ..Terms::default() };
    #[rustfmt::skip]
    let cases = [
        ("maker", Terms::default(),                     3_330, true),
        ("maker", region("eu"),                         3_663, true),
        ("maker", us,                                   3_663, true),
        ("maker", Terms { batch: true, ..region("eu") }, 1_832, true), // 1,831.5
        ("maker", region("far"),                        4_329, true),
        ("maker", region("nowhere"),                    3_330, false),
        ("shop",  Terms::default(),                     3_330, true),
        ("shop",  region("eu"),                         4_163, true),  // 4,162.5
        ("shop",  us,                                   3_330, true),
        ("shop",  region("nowhere"),                    3_330, true),
    ];
    for (provider, terms, tokens, complete) in cases {
        let tariff = prices.find(provider, "m").unwrap();
        let cost = tariff.cost(&usage, &terms).unwrap();
        let told = (cost.amount.nanos() - pieces, cost.complete);
        assert_eq!(told, (tokens, complete), "{provider} {terms:?}");
        let only = used(&[(Unit::Output, 333)]);
        let most = tariff.dearest(&Terms { batch: false, ..terms }).unwrap().cost(0, 333).unwrap();
        assert!(tariff.cost(&only, &terms).unwrap().amount <= most, "{provider} {terms:?}");
    }
}

#[test]
fn the_operators_multiplier_counts_the_books_prices_and_is_named() {
    let times = |text| Times::parse(text).unwrap();
    let of = |model, region, from, by| Multiplier::new(model, region, from, times(by)).unwrap();
    let prices = regional(vec![
        of((Some("maker"), "m"), Some("nowhere"), 0, "1.2"),
        of((None, "my-*"), Some("eu"), 0, "2"),
        of((None, "m"), None, 1_000, "0.9"),
    ]);
    let usage = used(&[(Unit::Output, 333)]);
    let fee = 7_000_000;
    let region = |name| Terms { region: Some(name), ..Terms::default() };
    #[rustfmt::skip]
    let cases = [
        ("m",     Terms::default(),               3_330 + fee,         true,  "test"),
        ("m",     region("nowhere"),              3_996 + fee * 6 / 5, true,  "test.x1.2"),
        ("m",     region("eu"),                   3_663 + fee,         true,  "test"),
        ("my-m",  region("eu"),                   2 * (3_330 + fee),   true,  "test.x2"),
        ("m",     Terms { at: 999, ..region("eu") },   3_663 + fee,    true,  "test"),
        ("m",     Terms { at: 1_000, ..region("eu") }, 3_297 + fee * 9 / 10, true, "test.x0.9"), // 3,296.7
        ("m",     Terms { at: 1_000, ..region("other") }, 2_997 + fee * 9 / 10, false, "test.x0.9"),
    ];
    for (asked, terms, nanos, complete, version) in cases {
        let multiplier = prices.multiplier("maker", [Some("m"), Some(asked)], &terms);
        let tariff = prices.find("maker", "m").unwrap().with(multiplier);
        let cost = tariff.cost(&usage, &terms).unwrap();
        let told = (cost.amount.nanos(), cost.complete, tariff.charged_by());
        assert_eq!(told, (nanos, complete, version.to_owned()), "{asked} {terms:?}");
        assert!(cost.amount <= tariff.dearest(&terms).unwrap().cost(0, 333).unwrap(), "{terms:?}");
    }
    let own = Override::new(None, "m", &[(Priced::Unit(Unit::Output), NanoUsd::new(1_000_000))]);
    let contract = Prices::new(Book::parse(REGIONS.as_bytes()).unwrap(), vec![own.unwrap()])
        .with_multipliers(vec![of((None, "*"), None, 0, "3")]);
    let terms = Terms::default();
    let multiplier = contract.multiplier("maker", [Some("m"), None], &terms);
    let tariff = contract.find("maker", "m").unwrap().with(multiplier);
    assert_eq!(tariff.charged_by(), "configured");
    assert_eq!(tariff.cost(&usage, &terms).unwrap().amount.nanos(), 333);
}

#[test]
fn the_embedded_book_knows_what_regions_cost() {
    let prices = Prices::new(Book::embedded().unwrap(), Vec::new());
    let million = used(&[(Unit::Output, 1_000_000)]);
    #[rustfmt::skip]
    let cases = [
        // provider   model                      region           dollars  complete
        ("openai",    "gpt-5.4",                 None,            15_000, true),
        ("openai",    "gpt-5.4",                 Some("eu"),      16_500, true),
        ("openai",    "gpt-5.4",                 Some("us"),      16_500, true),
        ("openai",    "gpt-5.4",                 Some("jp"),      15_000, false),
        ("openai",    "gpt-4.1",                 Some("eu"),       8_000, true),
        ("openai",    "gpt-4.1",                 Some("gov"),      8_800, true),
        ("azure",     "gpt-5",                   None,            10_000, true),
        ("azure",     "gpt-5",                   Some("eu"),      11_000, true),
        ("azure",     "gpt-6-sol",               Some("eu"),      12_000, true),
        ("azure",     "gpt-6-sol",               Some("us"),      11_000, true),
        ("vertex",    "claude-sonnet-4-5@20250929", None,         15_000, true),
        ("vertex",    "claude-sonnet-4-5@20250929", Some("us-east5"), 16_500, true),
        ("vertex",    "claude-sonnet-5",         Some("eu"),      11_000, true),
        ("vertex",    "gemini-3.6-flash",        None,             3_750, true),
        ("vertex",    "gemini-3.6-flash",        Some("eu"),       4_125, true),
        ("vertex",    "gemini-2.5-pro",          Some("eu"),      10_000, true),
        ("bedrock",   "us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("us-east-1"),     16_500, true),
        ("bedrock",   "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("us-gov-west-1"), 18_000, true),
        ("bedrock",   "meta.llama3-70b-instruct-v1:0", Some("us-east-1"),  3_500, true),
        ("bedrock",   "meta.llama3-70b-instruct-v1:0", Some("sa-east-1"),  5_880, true),
        ("bedrock",   "meta.llama3-70b-instruct-v1:0", Some("eu-north-1"), 3_500, false),
    ];
    for (provider, model, region, millis, complete) in cases {
        let terms = Terms { at: 1_795_600_000, region, ..Terms::default() };
        let cost = prices.find(provider, model).unwrap().cost(&million, &terms).unwrap();
        let told = (cost.amount.nanos() / 1_000_000, cost.complete);
        assert_eq!(told, (millis, complete), "{provider} {model} {region:?}");
    }
}
