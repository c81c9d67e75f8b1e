//! Units of the plan's own, which count once in a window however many calls they take.

use serde_json::{Value, json};

use crate::support::{Service, ask, row, window};

const CUSTOMERS: &str = "
business: {name: Acme, time_zone: UTC}
plans:
  - name: Pro
    price: 49
    unit: {name: AI analyses}
    budgets: [{limit: {units: 3}, window: month, action: refuse}]
customers:
  - {id: mega, name: Megaco, plan: Pro}
";
const BUDGET: &str = "mega/units-month";

fn charge(start: u64, unit: &str) -> Value {
    json!([{"budget": BUDGET, "window": start, "amount": 1, "unit": unit}])
}

#[test]
fn what_two_gateways_count_is_one_unit_and_the_rest_comes_back() {
    let service = Service::start(CUSTOMERS, &[]);
    let start = window(&service.sync(&ask("a", 1, json!({"tenants": ["mega"]}))).json(), 0, 0);
    let want = json!([{"budget": BUDGET, "window": start, "need": 1, "want": 1}]);
    for gateway in ["a", "b"] {
        let said = service.sync(&ask(gateway, 2, json!({"wants": want}))).json();
        assert_eq!(said["grants"][0]["amount"], 1);
    }
    let first = json!({"rows": [row("c1", "mega", 5, charge(start, "one"))]});
    service.sync(&ask("a", 3, first));
    let again = json!({
        "rows": [row("c2", "mega", 5, charge(start, "one")), row("c3", "mega", 5, charge(start, "two")),
                 row("c4", "mega", 5, charge(start, "two"))],
        "units": [{"budget": BUDGET, "window": start, "unit": "one"},
                  {"budget": BUDGET, "window": start, "unit": "three"}],
    });
    let said = service.sync(&ask("b", 3, again)).json();
    assert_eq!(
        said["counted"],
        json!([{"budget": BUDGET, "window": start, "unit": "one"}]),
        "of what is asked for, what is counted"
    );
    let balance = |column: &str| {
        service.number(Box::leak(format!("SELECT {column} FROM balance").into_boxed_str()))
    };
    // The second gateway's unit of `one` came back; its `two` was beyond what it had then.
    assert_eq!((balance("settled"), balance("on_loan"), balance("overrun")), (2, 0, 1));
    let said = service.sync(&ask("b", 4, json!({"wants": want}))).json();
    assert_eq!((&said["grants"][0]["amount"], &said["grants"][0]["left"]), (&json!(1), &json!(0)));
    assert_eq!(service.number("SELECT COUNT(*) FROM charge"), 2);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 4, "each call has its row");
}

#[test]
fn a_unit_with_an_impossible_id_counts_by_itself() {
    let service = Service::start(CUSTOMERS, &[]);
    let start = window(&service.sync(&ask("a", 1, json!({"tenants": ["mega"]}))).json(), 0, 0);
    let long = "x".repeat(300);
    let rows = ["\0", long.as_str(), ""].into_iter().enumerate();
    let rows: Vec<_> =
        rows.map(|(n, unit)| row(&format!("c{n}"), "mega", 5, charge(start, unit))).collect();
    service.sync(&ask("a", 2, json!({"rows": rows})));
    assert_eq!(service.number("SELECT settled FROM balance"), 3);
}
