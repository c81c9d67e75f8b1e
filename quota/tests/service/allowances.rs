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

/// Reports calls, each with how much it takes of a budget in which window.
fn take(service: &Service, gateway: &str, seq: u64, budget: &str, calls: &[(&str, &Value, u64)]) {
    let rows = calls.iter().map(|(id, window, amount)| {
        row(id, "acme", 1, json!([{"budget": budget, "window": window, "amount": amount}]))
    });
    let rows: Vec<_> = rows.collect();
    service.sync(&ask(gateway, seq, json!({"rows": rows}))).json();
}

/// The sum of all thresholds that were told.
fn told(service: &Service) -> i64 {
    service.number("SELECT COALESCE(SUM(threshold), 0) FROM alert_outbox")
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

#[test]
fn calls_that_end_after_their_step_count_once_among_all_steps() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-22T10:00:00Z"]);
    let first = &lend(&service, "g1", ROLLING, 5)["window"];
    take(&service, "g1", 2, ROLLING, &[("c1", first, 5)]);
    let service = at(service, "2026-11-22T10:30:00Z");
    let second = &lend(&service, "g2", ROLLING, 2)["window"];
    take(&service, "g2", 2, ROLLING, &[("c2", second, 2)]);
    assert_eq!(told(&service), 0, "seven of ten");
    take(&service, "g1", 3, ROLLING, &[("c3", first, 1)]);
    assert_eq!(told(&service), 80, "eight");
    take(&service, "g1", 4, ROLLING, &[("c4", first, 1), ("c5", second, 1)]);
    assert_eq!(told(&service), 180, "ten");
    let ten = "SELECT COUNT(*) FROM alert_outbox WHERE body LIKE '%\"used\":10,\"limit\":10,%'";
    assert_eq!(service.number(ten), 1);
    let service = at(service, "2026-11-23T11:00:00Z");
    take(&service, "g1", 5, ROLLING, &[("c6", first, 10)]);
    assert_eq!(told(&service), 180, "more than a day ago");
}

#[test]
fn what_ends_after_its_month_is_measured_by_the_limit_of_that_month() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    let november = &lend(&service, "g1", MONTH, 60)["window"];
    take(&service, "g1", 2, MONTH, &[("c1", november, 60)]);
    let service = at(service, "2026-12-02T12:00:00Z");
    assert_eq!(used(&service, 1), (json!(0), json!(137)), "December has more");
    take(&service, "g1", 3, MONTH, &[("c2", november, 25)]);
    assert_eq!(told(&service), 80);
    let of_november =
        "SELECT COUNT(*) FROM alert_outbox WHERE body LIKE '%\"used\":85,\"limit\":100,%'";
    assert_eq!(service.number(of_november), 1);
}

#[test]
fn a_replica_that_is_still_in_the_step_before_counts_what_the_next_one_has() {
    let behind = Service::start(CUSTOMERS, &["--now", "2026-11-22T10:20:00Z"]);
    let ahead = behind.replica(&["--now", "2026-11-22T10:24:00Z"]);
    let next = lend(&ahead, "g1", ROLLING, 4);
    assert_eq!(next["amount"], 4);
    let none = lend(&behind, "g2", ROLLING, 7);
    assert_ne!(none["window"], next["window"]);
    assert_eq!(none["amount"], 0, "four of ten are lent");
    let charges = json!([{"budget": ROLLING, "window": next["window"], "amount": 5}]);
    let wants = json!([{"budget": ROLLING, "window": 0, "need": 2, "want": 2}]);
    let rest = json!({"rows": [row("c1", "acme", 1, charges)], "wants": wants});
    let said = behind.sync(&ask("g3", 1, rest)).json();
    let grant = &said["grants"][0];
    assert_eq!((&grant["amount"], &grant["used"]), (&json!(0), &json!(5)), "also by this ask");
    assert_eq!(used(&behind, 0), (json!(5), json!(10)));
    assert_eq!(lend(&behind, "g4", ROLLING, 1)["amount"], 1);
}
