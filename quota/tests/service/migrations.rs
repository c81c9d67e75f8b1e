//! Databases that an earlier version of the service has left, and a later one.

use std::fs;

use serde_json::json;

use crate::support::{Service, ask, row, window, with};

const CUSTOMERS: &str = "
business: {name: Acme, time_zone: UTC}
plans: [{name: Pro, price: 49, budgets: [{limit: {units: 10}, window: month, action: refuse}]}]
newcomers: {plan: Pro}
customers: [{id: mega, plan: Pro}]
";
/// The tables that each version has added to the first.
const ADDED: [&[&str]; 4] = [&["price_book"], &["counted"], &["newcomer"], &["monthly"]];

/// Runs statements on the database of a service that has ended.
fn run(service: &Service, sql: &str) {
    let url = fs::read_to_string(service.dir.join("database")).unwrap();
    let sql = sql.to_owned();
    with(&url, async |db| sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db).await).unwrap();
}

/// A service that has booked a call and ended.
fn ended() -> (Service, u64) {
    let mut service = Service::start(CUSTOMERS, &[]);
    let start = window(&service.sync(&ask("g", 1, json!({"tenants": ["mega"]}))).json(), 0, 0);
    let want = json!([{"budget": "mega/units-month", "window": start, "need": 4, "want": 4}]);
    service.sync(&ask("g", 2, json!({"wants": want})));
    let charges = json!([{"budget": "mega/units-month", "window": start, "amount": 1}]);
    service.sync(&ask("g", 3, json!({"rows": [row("c1", "mega", 7, charges)]})));
    service.process.kill().unwrap();
    service.process.wait().unwrap();
    (service, start)
}

#[test]
fn what_an_earlier_version_has_kept_is_still_there_and_what_is_new_works() {
    for version in 1..=ADDED.len() {
        let (old, start) = ended();
        for table in ADDED.iter().skip(version - 1).flat_map(|tables| tables.iter()) {
            run(&old, &format!("DROP TABLE {table}"));
        }
        run(&old, &format!("DELETE FROM migration WHERE version > {version}"));
        let service = old.replica(&[]);
        assert_eq!(service.number("SELECT MAX(version) FROM migration"), 5, "of {version}");
        assert_eq!(service.number("SELECT SUM(cost) FROM ledger"), 7, "of {version}");
        let charges =
            json!([{"budget": "mega/units-month", "window": start, "amount": 1, "unit": "a"}]);
        let rows = json!([
            row("c1", "mega", 7, charges.clone()),
            row("c2", "mega", 7, charges.clone()),
            row("c3", "mega", 7, charges)
        ]);
        let said = service.sync(&ask("g", 4, json!({"rows": rows, "tenants": ["new"]}))).json();
        assert_eq!(said["tenants"][0]["plan"], "Pro", "of {version}");
        // One before, one for the unit of both; the second gave back what it held.
        let numbers = ["settled", "on_loan"].map(|column| {
            let sql = format!("SELECT {column} FROM balance WHERE budget = 'mega/units-month'");
            service.number(Box::leak(sql.into_boxed_str()))
        });
        assert_eq!(numbers, [2, 1], "of {version}");
        // What was booked before is in the month's sum, too.
        assert_eq!(service.number("SELECT cost FROM monthly"), 21, "of {version}");
    }
}

#[test]
#[should_panic(expected = "the service does not start")]
fn a_database_of_a_later_version_is_left_alone() {
    let (old, _) = ended();
    run(&old, "INSERT INTO migration (version) VALUES (99)");
    old.replica(&[]);
}
