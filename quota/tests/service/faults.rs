//! What goes wrong around the service: replays, clones, full disks, clocks that jump.

use std::{env, process::Command};

use serde_json::json;

use crate::support::{ON_POSTGRES, Service, ask, eventually, row};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS}
plans:
  - name: Pro
    price: "49"
    budgets:
      - {limit: {requests: 1000}, window: month, action: refuse}
customers:
  - {id: mega, name: MegaCo, plan: Pro}
"#;
const BUDGET: &str = "mega/requests-month";

#[test]
fn old_batches_that_come_again_in_any_order_change_nothing() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    let batch = |seq: u64| {
        let charge = json!([{"budget": BUDGET, "window": 1_793_491_200, "amount": 1}]);
        let rows = [
            row(&format!("c-{seq}"), "mega", 1, charge.clone()),
            row(&format!("c-{}", seq + 1), "mega", 1, charge),
        ];
        let want = json!([{"budget": BUDGET, "window": 0, "need": 0, "want": 10}]);
        ask("g", seq, json!({"rows": rows, "wants": want}))
    };
    // Batches overlap, and the third never arrives.
    for seq in [1, 2, 4] {
        service.sync(&batch(seq)).json();
    }
    let state = || {
        [
            "SELECT COUNT(*) FROM ledger",
            "SELECT settled FROM balance",
            "SELECT on_loan FROM balance",
        ]
        .map(|sql| service.number(sql))
    };
    let before = state();
    assert_eq!(before[..2], [5, 5]);
    for seq in [4, 1, 3, 2, 1, 4, 3] {
        let said = service.sync(&batch(seq));
        assert_eq!(said.status, if seq == 4 { 200 } else { 409 }, "{seq}");
    }
    assert_eq!(state(), before);
}

#[test]
fn two_gateways_of_one_name_have_leases_of_their_own() {
    let service = Service::start(CUSTOMERS, &[]);
    let want = |amount: u64| json!({"node": "edge", "wants": [{"budget": BUDGET, "window": 0, "need": amount, "want": amount}]});
    service.sync(&ask("incarnation-1", 1, want(30))).json();
    service.sync(&ask("incarnation-2", 1, want(40))).json();
    assert_eq!(service.number("SELECT COUNT(*) FROM lease"), 2);
    assert_eq!(service.number("SELECT on_loan FROM balance"), 70);
    // What one gives back is not the other's, however much it says.
    let window = service.number("SELECT window_start FROM balance");
    let back =
        json!({"node": "edge", "returns": [{"budget": BUDGET, "window": window, "amount": 1000}]});
    service.sync(&ask("incarnation-1", 2, back)).json();
    assert_eq!(service.number("SELECT on_loan FROM balance"), 40);
    // A clone of a gateway says something else under a number that was heard.
    assert_eq!(service.sync(&ask("incarnation-2", 1, want(99))).status, 409);
}

#[test]
fn a_clock_that_jumps_lends_nothing_twice() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    let want = |seq: u64, need: u64| {
        ask(
            "g",
            seq,
            json!({"wants": [{"budget": BUDGET, "window": 0, "need": need, "want": need}]}),
        )
    };
    service.sync(&want(1, 600)).json();
    let dir = service.dir.clone();
    drop(service);
    // A day ahead: who has not been heard of is silent.
    let ahead = Service::start_in(dir.clone(), &["--now", "2026-11-24T12:00:00Z"]);
    eventually("it is in suspense", || ahead.number("SELECT suspense FROM balance") == 600);
    drop(ahead);
    // Two days back: the lease is not lent again, and its gateway has it back.
    let back = Service::start_in(dir.clone(), &["--now", "2026-11-22T12:00:00Z"]);
    let other = json!({"wants": [{"budget": BUDGET, "window": 0, "need": 401, "want": 401}]});
    assert_eq!(back.sync(&ask("h", 1, other)).json()["grants"][0]["amount"], 0);
    assert_eq!(back.sync(&want(2, 400)).json()["grants"][0]["amount"], 400);
    assert_eq!(back.number("SELECT on_loan FROM balance"), 1_000);
    assert_eq!(back.number("SELECT suspense FROM balance"), 0);
    drop(back);
    // Ten days on, nobody has told what became of it: it counts as used.
    let later = Service::start_in(dir, &["--now", "2026-12-03T12:00:00Z"]);
    eventually("it is orphaned", || later.number("SELECT COUNT(*) FROM lease") == 0);
    assert_eq!(later.number("SELECT settled FROM balance"), 1_000);
    assert_eq!(later.number("SELECT on_loan + suspense + overrun FROM balance"), 0);
    assert_eq!(
        later.number("SELECT SUM(amount) FROM charge WHERE call_id = 'orphaned by g'"),
        1_000
    );
    eventually("its last word is forgotten", || later.number("SELECT COUNT(*) FROM reporter") == 0);
}

#[test]
fn a_full_disk_is_told_and_what_was_not_booked_is_booked_later() {
    if env::var_os(ON_POSTGRES).is_some() {
        // The disk is the server's own.
        return;
    }
    let service = Service::start(CUSTOMERS, &[]);
    let pid = service.process.id().to_string();
    let files_up_to = |bytes: &str| {
        let limit = format!("--fsize={bytes}:unlimited");
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    };
    let batch = |seq: u64| {
        let rows: Vec<_> =
            (0..2_000).map(|n| row(&format!("c-{seq}-{n}"), "mega", 1, json!([]))).collect();
        ask("g", seq, json!({ "rows": rows }))
    };
    service.sync(&batch(1)).json();
    files_up_to("65536");
    assert_eq!(service.sync(&batch(2)).status, 503);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 2_000);
    files_up_to("unlimited");
    service.sync(&batch(2)).json();
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 4_000);
    assert_eq!(service.get("/readyz", "").status, 200);
}
