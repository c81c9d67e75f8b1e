//! Budgets that roll along, and what they get beside their limits.

use serde_json::{Value, json};

use crate::support::{Service, ask, row};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS, time_zone: Europe/Berlin}
plans: [{name: Pro, price: 9}]
customers:
  - id: acme
    plan: Pro
    token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    budgets:
      - {limit: {requests: 10}, rolling: 24h, action: refuse}
      - {limit: {tokens: 100}, window: month, roll_over: {tokens: 30}, action: refuse}
    raises: [{budget: tokens-month, limit: {tokens: 150}, from: 2026-11-24, until: 2026-11-26}]
    credits: [{budget: tokens-month, amount: {tokens: 7}, on: 2026-12-02}]
"#;
const ROLLING: &str = "acme/requests-rolling-24h";
const MONTH: &str = "acme/tokens-month";

/// The same service at another time.
fn at(service: Service, now: &str) -> Service {
    let dir = service.dir.clone();
    drop(service);
    Service::start_in(dir, &["--now", now])
}

/// What is lent to a gateway that needs so much.
fn lend(service: &Service, gateway: &str, budget: &str, need: u64) -> Value {
    let wants = json!({"wants": [{"budget": budget, "window": 0, "need": need, "want": need}]});
    service.sync(&ask(gateway, 1, wants)).json()["grants"][0].clone()
}

fn used(service: &Service, at: usize) -> (Value, Value) {
    let usage = service.get("/v1/customers/acme/usage", "test").json();
    (usage["budgets"][at]["used"].clone(), usage["budgets"][at]["limit"].clone())
}

#[test]
fn what_was_used_counts_for_a_whole_day_and_no_longer() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-22T10:00:00Z"]);
    let first = lend(&service, "g1", ROLLING, 6);
    assert_eq!((&first["amount"], &first["left"]), (&json!(6), &json!(4)));
    let charges = json!([{"budget": ROLLING, "window": first["window"], "amount": 5}]);
    let back = json!([{"budget": ROLLING, "window": first["window"], "amount": 1}]);
    let rest = json!({"rows": [row("c1", "acme", 1, charges)], "returns": back});
    service.sync(&ask("g1", 2, rest)).json();
    let service = at(service, "2026-11-23T09:00:00Z");
    assert_eq!(used(&service, 0), (json!(5), json!(10)));
    assert_eq!(lend(&service, "g2", ROLLING, 6)["amount"], 0, "five are used, and not a day ago");
    let later = lend(&service, "g3", ROLLING, 5);
    assert_eq!((&later["amount"], &later["used"]), (&json!(5), &json!(5)));
    let service = at(service, "2026-11-23T10:10:00Z");
    assert_eq!(lend(&service, "g4", ROLLING, 1)["amount"], 0, "to the end of the step");
    let service = at(service, "2026-11-23T10:24:00Z");
    assert_eq!(lend(&service, "g5", ROLLING, 5)["amount"], 5);
    assert_eq!(lend(&service, "g6", ROLLING, 1)["amount"], 0, "the other five are lent");
}

#[test]
fn gateways_that_ask_at_once_share_what_a_day_has() {
    let service = Service::start(CUSTOMERS, &[]);
    let lent: u64 = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..8)
            .map(|n| {
                let service = &service;
                scope.spawn(move || {
                    (0..4_u64)
                        .map(|m| lend(service, &format!("g{n}-{m}"), ROLLING, 1))
                        .map(|grant| grant["amount"].as_u64().unwrap())
                        .sum::<u64>()
                })
            })
            .collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).sum()
    });
    assert_eq!(lent, 10);
}

#[test]
fn raises_end_credits_are_of_their_month_and_what_was_left_is_rolled_over() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    assert_eq!(lend(&service, "g1", MONTH, 101)["amount"], 0);
    let service = at(service, "2026-11-24T12:00:00Z");
    assert_eq!(used(&service, 1), (json!(0), json!(150)));
    let lent = lend(&service, "g2", MONTH, 120);
    assert_eq!(lent["amount"], 120);
    let service = at(service, "2026-11-26T12:00:00Z");
    let window = lent["window"].clone();
    let charges = json!([{"budget": MONTH, "window": window, "amount": 80}]);
    let back = json!([{"budget": MONTH, "window": window, "amount": 40}]);
    let rest = json!({"rows": [row("c1", "acme", 1, charges)], "returns": back});
    service.sync(&ask("g2", 2, rest)).json();
    assert_eq!(
        used(&service, 1),
        (json!(80), json!(100)),
        "the raise is over, what was used stays"
    );
    assert_eq!(lend(&service, "g3", MONTH, 21)["amount"], 0);
    let service = at(service, "2026-12-01T12:00:00Z");
    assert_eq!(used(&service, 1), (json!(0), json!(120)), "20 were left");
    let service = at(service, "2026-12-02T12:00:00Z");
    assert_eq!(used(&service, 1), (json!(0), json!(127)), "and a credit");
    assert_eq!(lend(&service, "g4", MONTH, 128)["amount"], 0);
    assert_eq!(lend(&service, "g5", MONTH, 127)["amount"], 127);
    let told = service.sync(&ask("g6", 1, json!({"tenants": ["acme"]}))).json();
    assert_eq!(told["tenants"][0]["budgets"][1]["limit"], 127);
    let service = at(service, "2027-01-01T12:00:00Z");
    assert_eq!(used(&service, 1).1, 100, "all of it may have been used");
}
