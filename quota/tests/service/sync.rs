//! What gateways say and hear, by the real service.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Service, ask, eventually, row, window};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS, time_zone: Europe/Berlin}
plans:
  - name: Pro
    price: "49"
    unit: {name: AI analyses, feature: analysis}
    budgets:
      - {limit: {requests: 1000}, window: month, action: refuse}
      - {limit: {usd: "20"}, window: month, action: refuse}
customers:
  - {id: mega, name: MegaCo, plan: Pro, keys: [org_mega]}
  - {id: acme, name: Acme Corp, plan: Pro}
"#;

#[test]
fn an_ask_that_is_sent_again_is_answered_again_and_counts_once() {
    let service = Service::start(CUSTOMERS, &[]);
    let first = service.sync(&ask("g", 1, json!({"tenants": ["org_mega", "nobody"]})));
    let said = first.json();
    assert_eq!(said["tenants"][0]["id"], "mega");
    assert_eq!(said["unknown"], json!(["nobody"]));
    let month = window(&said, 0, 0);
    let wants = json!([{"budget": "mega/requests-month", "window": month, "need": 1, "want": 40}]);
    let charges =
        json!([{"budget": "mega/requests-month", "window": month, "amount": 1, "beyond": 1}]);
    let second =
        ask("g", 2, json!({"wants": wants, "rows": [row("c-1", "org_mega", 500, charges)]}));
    let answer = service.sync(&second);
    assert_eq!(answer.json()["grants"][0]["amount"], 40);
    for _ in 0..3 {
        assert_eq!(service.sync(&second), answer, "byte for byte");
    }
    assert_eq!(service.number("SELECT on_loan FROM balance"), 40);
    assert_eq!(service.number("SELECT settled FROM balance"), 1);
    assert_eq!(service.number("SELECT SUM(cost) FROM hourly WHERE customer = 'mega'"), 500);
    assert_eq!(service.sync(&ask("g", 1, json!({}))).status, 409, "older");
    let other = service.sync(&ask("g", 2, json!({})));
    assert_eq!(other.status, 409, "the same number, something else");
    assert!(other.text.contains("\"seq\":2"), "{}", other.text);
    let text = service.admin("/metrics", "boss").text;
    for line in ["syncs_total{result=\"again\"} 3", "syncs_total{result=\"stale\"} 2"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_call_is_booked_once_whoever_reports_it() {
    let service = Service::start(CUSTOMERS, &[]);
    let charges = json!([{"budget": "mega/usd-month", "window": 1_793_487_600, "amount": 9}]);
    let rows = json!([row("c", "mega", 9, charges.clone()), row("c", "mega", 9, charges)]);
    for (gateway, seq) in [("g", 1), ("g", 2), ("h", 1)] {
        service.sync(&ask(gateway, seq, json!({"rows": rows}))).json();
    }
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 1);
    assert_eq!(service.number("SELECT calls FROM hourly"), 1);
    assert_eq!(service.number("SELECT settled FROM balance"), 9);
    assert_eq!(service.number("SELECT overrun FROM balance"), 9, "there was no lease");
}

#[test]
fn calls_of_nobody_have_a_row_of_their_own() {
    let service = Service::start(CUSTOMERS, &[]);
    let mut unpriced = row("c-3", "mega", 0, json!([]));
    unpriced["call"].as_object_mut().unwrap().remove("cost");
    let rows = json!([
        row("c-1", "anonymous", 5, json!([])),
        row("c-2", "forged", 6, json!([])),
        unpriced,
        {"call": {"no": "id"}},
    ]);
    service.sync(&ask("g", 1, json!({"rows": rows}))).json();
    assert_eq!(service.number("SELECT SUM(cost) FROM hourly WHERE customer = ''"), 11);
    assert_eq!(service.number("SELECT unpriced FROM hourly WHERE customer = 'mega'"), 1);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger WHERE cost IS NULL"), 1);
    let text = service.admin("/metrics", "boss").text;
    assert!(text.contains("rows_total{result=\"unreadable\"} 1"), "{text}");
}

#[test]
fn parallel_asks_never_lend_more_than_there_is() {
    let service = Service::start(CUSTOMERS, &[]);
    let grants = |gateway: usize, seq: u64| {
        let wants = json!([{"budget": "acme/requests-month", "window": 0, "need": 3, "want": 100}]);
        let said = service.sync(&ask(&format!("g{gateway}"), seq, json!({ "wants": wants })));
        said.json()["grants"][0]["amount"].as_u64().unwrap()
    };
    let lent: u64 = thread::scope(|scope| {
        let asks: Vec<_> = (0..64)
            .map(|gateway| {
                scope.spawn(move || (1..=8).map(|seq| grants(gateway, seq)).sum::<u64>())
            })
            .collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).sum()
    });
    assert!((998..=1_000).contains(&lent), "less than a need is left: {lent}");
    assert_eq!(service.number("SELECT on_loan FROM balance"), i64::try_from(lent).unwrap());
    assert_eq!(
        service.number("SELECT SUM(granted) FROM lease"),
        i64::try_from(lent).unwrap(),
        "each lease knows its part"
    );
}

#[test]
fn what_silent_gateways_have_is_kept_for_them() {
    let service = Service::start(CUSTOMERS, &["--admit-ms", "200", "--settle-ms", "300"]);
    let want = |need: u64| json!({"wants": [{"budget": "acme/requests-month", "window": 0, "need": need, "want": need}]});
    let lent = service.sync(&ask("silent", 1, want(600))).json()["grants"][0].clone();
    assert_eq!((&lent["amount"], &lent["admit_ms"]), (&json!(600), &json!(200)));
    eventually("the lease is in suspense", || {
        service.number("SELECT suspense FROM balance") == 600
    });
    assert_eq!(service.number("SELECT on_loan FROM balance"), 0);
    let other = service.sync(&ask("other", 1, want(401))).json()["grants"][0].clone();
    assert_eq!((&other["amount"], &other["left"]), (&json!(0), &json!(400)), "not lent by guess");
    let charges =
        json!([{"budget": "acme/requests-month", "window": lent["window"], "amount": 100}]);
    service.sync(&ask("silent", 2, json!({"rows": [row("late", "acme", 1, charges)]}))).json();
    assert_eq!(service.number("SELECT suspense FROM balance"), 500, "settled late");
    assert_eq!(service.number("SELECT overrun FROM balance"), 0);
    service.sync(&ask("silent", 3, want(0))).json();
    assert_eq!(service.number("SELECT on_loan FROM balance"), 500, "it is back");
    let back = json!({"returns": [{"budget": "acme/requests-month", "window": lent["window"], "amount": 500}]});
    service.sync(&ask("silent", 4, back)).json();
    assert_eq!(service.number("SELECT on_loan + suspense FROM balance"), 0);
}

#[test]
fn a_new_month_begins_anew_and_the_old_one_still_takes_calls() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-30T22:59:57Z"]);
    let look = |seq: u64| service.sync(&ask("g", seq, json!({"tenants": ["acme"]}))).json();
    let november = look(1);
    assert_eq!(
        november["tenants"][0]["budgets"][0]["window"]["resets_at"],
        "2026-12-01T00:00:00+01:00"
    );
    let old = window(&november, 0, 0);
    let want = json!([{"budget": "acme/requests-month", "window": old, "need": 900, "want": 900}]);
    assert_eq!(
        service.sync(&ask("g", 2, json!({"wants": want}))).json()["grants"][0]["amount"],
        900
    );
    let mut seq = 2;
    eventually("December begins", || {
        seq += 1;
        window(&look(seq), 0, 0) != old
    });
    let charges = json!([{"budget": "acme/requests-month", "window": old, "amount": 2}]);
    let rest = json!({"rows": [row("late", "acme", 1, charges)], "wants": want});
    let said = service.sync(&ask("g", 100, rest)).json();
    let grant = &said["grants"][0];
    assert_eq!(grant["amount"], 900, "the new window is full");
    assert_eq!(grant["window"].as_u64().unwrap(), old + 30 * 86_400);
    assert_eq!(service.number("SELECT SUM(settled) FROM balance"), 2);
    let december = look(101);
    assert_eq!(december["tenants"][0]["budgets"][0]["used"], 0);
}

#[test]
fn changes_reach_gateways_that_know_the_customer() {
    let service = Service::start(CUSTOMERS, &[]);
    service.sync(&ask("g", 1, json!({"tenants": ["org_mega", "acme"]}))).json();
    service.sync(&ask("stranger", 1, json!({}))).json();
    let quiet = service.sync(&ask("g", 2, json!({}))).json();
    let edition = quiet["edition"].as_u64().unwrap();
    assert_eq!(quiet, json!({"v": 1, "seq": 2, "edition": edition}), "nothing new");
    let suspended = CUSTOMERS.replace("name: MegaCo,", "name: MegaCo, suspended: true,");
    let gone = |text: &str| {
        text.lines().filter(|line| !line.contains("id: acme")).collect::<Vec<_>>().join("\n")
    };
    service.rewrite(&gone(&suspended));
    let mut seq = 2;
    let mut said = Value::Null;
    eventually("the gateway hears of it", || {
        seq += 1;
        said = service.sync(&ask("g", seq, json!({}))).json();
        !said["tenants"].is_null()
    });
    assert_eq!(said["tenants"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&said["tenants"][0]["name"], &said["tenants"][0]["suspended"]),
        (&json!("org_mega"), &json!(true))
    );
    assert_eq!(said["unknown"], json!(["acme"]), "no customer any more");
    let wants = json!([{"budget": "mega/requests-month", "window": 0, "need": 1, "want": 1}]);
    let said = service.sync(&ask("g", seq + 1, json!({ "wants": wants }))).json();
    assert_eq!(said["grants"][0]["amount"], 0, "suspended");
    assert!(said["tenants"].is_null(), "told once");
    let stranger = service.sync(&ask("stranger", 2, json!({}))).json();
    assert_eq!(stranger, json!({"v": 1, "seq": 2, "edition": stranger["edition"]}));
    assert_ne!(stranger["edition"], edition, "whoever it did not tell asks again");
}
