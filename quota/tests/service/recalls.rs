//! Leases that are called back for others.

use serde_json::json;

use crate::support::{Service, ask, window};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS, time_zone: UTC}
plans:
  - name: Pro
    price: "49"
    budgets:
      - {limit: {tokens: 1000}, window: month, action: refuse, hold: worst_case, too_large: lower, wait_ms: 500}
customers:
  - {id: mega, name: MegaCo, plan: Pro}
"#;

const BUDGET: &str = "mega/tokens-month";

#[test]
fn what_others_wait_for_is_called_back_with_the_next_answer() {
    let service = Service::start(CUSTOMERS, &[]);
    let said = service.sync(&ask("g", 1, json!({"tenants": ["mega"]}))).json();
    let holding = &said["tenants"][0]["budgets"][0]["holding"];
    assert_eq!(*holding, json!({"worst_case": true, "lower": true, "wait_ms": 500}));
    let month = window(&said, 0, 0);
    let want = |need| json!([{"budget": BUDGET, "window": month, "need": need, "want": need}]);
    let first = service.sync(&ask("g", 2, json!({"wants": want(900)}))).json();
    assert_eq!(first["grants"][0]["lent"], 900);
    assert_eq!(first["recalls"], json!(null), "nobody waits");
    let waits = service.sync(&ask("h", 1, json!({"wants": want(500)}))).json();
    assert_eq!(waits["grants"][0]["amount"], 0);
    assert_eq!(waits["recalls"], json!(null), "it has nothing of it");
    let asked = service.sync(&ask("g", 3, json!({}))).json();
    assert_eq!(asked["recalls"], json!([{"budget": BUDGET, "window": month}]));
    let back = json!([{"budget": BUDGET, "window": month, "amount": 800}]);
    service.sync(&ask("g", 4, json!({"returns": back}))).json();
    let granted = service.sync(&ask("h", 2, json!({"wants": want(500)}))).json();
    assert_eq!(granted["grants"][0]["amount"], 500);
    let asked = service.sync(&ask("g", 5, json!({}))).json();
    assert_eq!(asked["recalls"], json!(null), "nobody waits any more for the 100 that it has");
}

#[test]
fn nothing_is_called_back_in_the_answer_that_grants_it() {
    let service = Service::start(CUSTOMERS, &[]);
    let want =
        |need| json!({"wants": [{"budget": BUDGET, "window": 0, "need": need, "want": need}]});
    let first = service.sync(&ask("g", 1, want(900))).json();
    assert_eq!(first["grants"][0]["amount"], 900);
    let waits = service.sync(&ask("h", 1, want(500))).json();
    assert_eq!(waits["grants"][0]["amount"], 0);
    let more = service.sync(&ask("g", 2, want(50))).json();
    assert_eq!((&more["grants"][0]["amount"], &more["recalls"]), (&json!(50), &json!(null)));
    let window = &first["grants"][0]["window"];
    let asked = service.sync(&ask("g", 3, json!({}))).json();
    assert_eq!(asked["recalls"], json!([{"budget": BUDGET, "window": window}]), "one still waits");
}
