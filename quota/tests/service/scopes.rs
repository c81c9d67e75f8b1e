//! Budgets of some calls, of parts, and of several customers.

use serde_json::json;

use crate::support::{Service, ask, row, window};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS}
plans: [{name: Pro, price: 9}]
pools:
  - name: partners
    customers: [acme, "eu-*"]
    budgets:
      - {limit: {requests: 10}, window: day, action: refuse}
customers:
  - {id: acme, plan: Pro, token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, budgets: [
      {id: dear, match: {model: gpt-5*}, limit: {usd: 5}, window: day},
      {id: each, per: [feature], limit: {tokens: 100}, window: day, action: refuse}]}
  - {id: eu-1, plan: Pro}
  - {id: us-1, plan: Pro}
"#;

fn of(gateway: &str, seq: u64, rest: serde_json::Value) -> serde_json::Value {
    let mut ask = ask(gateway, seq, rest);
    ask["level"] = 1.into();
    ask
}

#[test]
fn a_pool_is_lent_to_all_of_its_customers_and_never_beyond_its_limit() {
    let service = Service::start(CUSTOMERS, &[]);
    let pool = "/partners/requests-day";
    let mut lent = 0;
    for (at, gateway) in ["g1", "g2", "g3", "g4"].into_iter().enumerate() {
        let member = if at % 2 == 0 { "acme" } else { "eu-1" };
        let names = json!({"tenants": [member, "us-1"]});
        let said = service.sync(&of(gateway, 1, names)).json();
        let known = said["tenants"].as_array().unwrap().iter().find(|t| t["id"] != "us-1").unwrap();
        let shared = known["budgets"].as_array().unwrap().iter().find(|b| b["id"] == pool).unwrap();
        let stranger =
            said["tenants"].as_array().unwrap().iter().find(|t| t["id"] == "us-1").unwrap();
        assert_eq!(stranger["budgets"], json!([]));
        let start = shared["window"]["id"].as_u64().unwrap();
        for seq in 2..6 {
            let wants = json!({"wants": [{"budget": pool, "window": start, "need": 1, "want": 1}]});
            lent += service.sync(&of(gateway, seq, wants)).json()["grants"][0]["amount"]
                .as_u64()
                .unwrap();
        }
    }
    assert_eq!(lent, 10);
    let usage = service.get("/v1/customers/acme/usage", "test").json();
    let seen =
        usage["budgets"].as_array().unwrap().iter().find(|b| b["shared"] == "partners").unwrap();
    assert_eq!((&seen["limit"], seen.get("used")), (&json!(10), None), "what others use is theirs");
}

#[test]
fn parts_are_lent_and_settled_by_themselves_and_shown_to_their_customer() {
    let service = Service::start(CUSTOMERS, &[]);
    let said = service.sync(&of("g", 1, json!({"tenants": ["acme"]}))).json();
    let start = window(&said, 0, 1);
    assert_eq!(said["tenants"][0]["budgets"][1]["per"], json!(["feature"]));
    let id = |feature: &str| format!("acme/each.tokens-day/feature={feature}");
    let wants = ["chat", "search"]
        .map(|feature| json!({"budget": id(feature), "window": start, "need": 100, "want": 100}));
    let said = service.sync(&of("g", 2, json!({"wants": wants}))).json();
    assert_eq!(
        (&said["grants"][0]["amount"], &said["grants"][1]["amount"]),
        (&json!(100), &json!(100))
    );
    let charges = json!([{"budget": id("chat"), "window": start, "amount": 60}]);
    let again = json!({"budget": id("chat"), "window": start, "need": 0, "want": 0});
    let said = service.sync(&of(
        "g",
        3,
        json!({"rows": [row("c1", "acme", 5, charges)], "wants": [again]}),
    ));
    assert_eq!(said.json()["grants"][0]["used"], 60);
    let usage = service.get("/v1/customers/acme/usage", "test").json();
    let seen = usage["budgets"].as_array().unwrap().iter().find(|b| b["id"] == "each").unwrap();
    assert_eq!(
        seen["parts"][0],
        json!({"part": "feature=chat", "used": 60, "left": 40, "used_percent": 60})
    );
    assert_eq!((&seen["used_percent"], seen.get("used")), (&json!(60), None));
    let whole = json!([{"budget": "acme/each.tokens-day", "window": start, "need": 1, "want": 1}]);
    let said = service.sync(&of("g", 4, json!({"wants": whole}))).json();
    assert_eq!(said["grants"][0]["amount"], 0, "there is no whole of it");
}

#[test]
fn an_old_gateway_is_not_told_of_what_it_would_apply_too_widely() {
    let service = Service::start(CUSTOMERS, &[]);
    let said = service.sync(&ask("old", 1, json!({"tenants": ["acme"]}))).json();
    let ids: Vec<_> =
        said["tenants"][0]["budgets"].as_array().unwrap().iter().map(|b| b["id"].clone()).collect();
    assert_eq!(ids, ["/partners/requests-day"]);
    let metrics = service.admin("/metrics", "boss").text;
    assert!(metrics.contains("tollgate_quota_budgets_withheld_total 2"), "{metrics}");
}
