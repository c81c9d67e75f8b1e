//! Customers who appear by themselves.

use serde_json::{Value, json};

use crate::support::{Service, ask, eventually, row, window};

const CUSTOMERS: &str = "
business: {name: Acme, time_zone: UTC}
plans:
  - {name: Free, price: 0, budgets: [{limit: {requests: 10}, window: day, action: refuse}]}
  - {name: Pro, price: 49}
newcomers: {plan: Free, at_most: 2}
customers:
  - {id: mega, plan: Pro, keys: [org_mega]}
";

fn names(said: &Value) -> (Vec<&str>, Vec<&str>) {
    let of = |list: &'static str| said[list].as_array().into_iter().flatten();
    (
        of("tenants").filter_map(|tenant| tenant["name"].as_str()).collect(),
        of("unknown").filter_map(Value::as_str).collect(),
    )
}

#[test]
fn who_is_new_has_the_plan_of_newcomers_and_there_are_so_many() {
    let service = Service::start(CUSTOMERS, &[]);
    let asked =
        json!({"tenants": ["org_mega", "one", "a/b", "two words", "anonymous", "two", "zero"]});
    let said = service.sync(&ask("g", 1, asked)).json();
    assert_eq!(
        names(&said),
        (vec!["one", "org_mega", "two"], vec!["a/b", "anonymous", "two words", "zero"]),
        "the first that can be customers, until there are two"
    );
    assert_eq!(
        (&said["tenants"][0]["plan"], &said["tenants"][0]["id"]),
        (&json!("Free"), &json!("one"))
    );
    assert_eq!(said["tenants"][0]["budgets"][0]["id"], "one/requests-day");
    let charges =
        json!([{"budget": "one/requests-day", "window": window(&said, 0, 0), "amount": 1}]);
    service.sync(&ask("g", 2, json!({"rows": [row("c", "one", 7, charges)]})));
    let costs = service.admin("/v1/reports/costs?by=customer", "boss").json();
    let line = costs["lines"].as_array().unwrap().iter().find(|line| line["customer"] == "one");
    assert_eq!(line.unwrap()["cost_nano_usd"], 7);
    assert!(service.admin("/metrics", "boss").text.contains("tollgate_quota_newcomers_total 2"));
}

#[test]
fn any_replica_lends_to_whom_another_has_met_also_after_a_restart() {
    let first = Service::start(CUSTOMERS, &[]);
    let second = first.replica(&[]);
    let start = window(&first.sync(&ask("g", 1, json!({"tenants": ["one"]}))).json(), 0, 0);
    let want =
        json!({"wants": [{"budget": "one/requests-day", "window": start, "need": 1, "want": 1}]});
    assert_eq!(second.sync(&ask("g", 2, want.clone())).json()["grants"][0]["amount"], 1);
    let third = first.replica(&[]);
    assert_eq!(third.sync(&ask("g", 3, want)).json()["grants"][0]["amount"], 1);
    let said = second.sync(&ask("h", 1, json!({"tenants": ["two", "three"]}))).json();
    assert_eq!(names(&said).1, ["two"], "there are two already, whoever has met them");
    eventually("all replicas count all", || {
        let text = |service: &Service| service.admin("/metrics", "boss").text;
        [&first, &second, &third]
            .map(text)
            .iter()
            .all(|text| text.contains("tollgate_quota_customers 3"))
    });
}

#[test]
fn the_file_counts_for_more_and_may_send_them_away() {
    let service = Service::start(CUSTOMERS, &[]);
    service.sync(&ask("g", 1, json!({"tenants": ["one", "two"]})));
    service.rewrite(&CUSTOMERS.replace("customers:", "customers:\n  - {id: one, plan: Pro}"));
    let mut seq = 1;
    let mut plan = |name: &str| {
        seq += 1;
        let said = service.sync(&ask("h", seq, json!({"tenants": [name]}))).json();
        said["tenants"][0]["plan"].as_str().unwrap_or_default().to_owned()
    };
    eventually("the file is in force", || plan("one") == "Pro");
    assert_eq!(plan("two"), "Free", "the others stay");
    service.rewrite(&CUSTOMERS.replace("newcomers: {plan: Free, at_most: 2}\n", ""));
    eventually("nobody is taken in any more", || plan("two").is_empty());
}

#[test]
fn a_call_reported_to_another_replica_is_booked_on_whom_the_first_has_met() {
    let without =
        CUSTOMERS.replace(", budgets: [{limit: {requests: 10}, window: day, action: refuse}]", "");
    let first = Service::start(&without, &[]);
    let second = first.replica(&[]);
    first.sync(&ask("g", 1, json!({"tenants": ["one"]})));
    second.sync(&ask(
        "g",
        2,
        json!({"rows": [row("c", "one", 7, json!([])), row("d", "two", 5, json!([]))]}),
    ));
    assert_eq!(first.number("SELECT COUNT(*) FROM ledger WHERE customer = 'one'"), 1);
    assert_eq!(first.number("SELECT COUNT(*) FROM ledger WHERE customer = ''"), 1);
    assert_eq!(first.number("SELECT COUNT(*) FROM newcomer"), 1, "a report takes nobody in");
}

#[test]
fn what_they_pay_is_written_down_when_they_appear_and_when_it_changes() {
    let service = Service::start(CUSTOMERS, &[]);
    service.sync(&ask("g", 1, json!({"tenants": ["one"]})));
    let stands = "SELECT COUNT(*) FROM standing WHERE customer = 'one' AND plan = 'Free'";
    assert_eq!(service.number(stands), 1);
    service.rewrite(&CUSTOMERS.replace("price: 0", "price: 10"));
    eventually("the new price is written down", || service.number(stands) == 2);
    let old = "SELECT revenue FROM standing WHERE customer = 'one' AND since_ms = 0";
    assert_eq!(service.number(old), 0, "what was before stays");
}
