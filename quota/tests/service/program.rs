//! The service as a program: who is let in, what it refuses, how it starts, ends and crashes.

use std::{fs, process::Command, sync::Mutex, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{Service, ask, eventually, row, try_send};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS}
plans:
  - name: Pro
    price: "49"
    unit: {name: AI analyses, feature: analysis}
    upgrade_url: https://example.com/upgrade
    budgets:
      - {limit: {units: 2000}, window: month, action: refuse}
      - {limit: {usd: "20"}, window: month, action: refuse}
customers:
  # The token is `test`.
  - {id: mega, name: MegaCo, plan: Pro, token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
  - {id: acme, plan: Pro}
"#;

#[test]
fn only_who_has_the_secret_is_let_in() {
    let service = Service::start(CUSTOMERS, &[]);
    let good = ask("g", 1, json!({})).to_string();
    for (secret, status) in [("wrong", 401), ("", 401), ("boss", 401), ("test", 401), ("gate", 200)]
    {
        assert_eq!(service.post(secret, good.as_bytes()).status, status, "gateway: {secret}");
    }
    for (token, status) in [("gate", 401), ("", 401), ("boss", 200)] {
        assert_eq!(service.admin("/metrics", token).status, status, "admin: {token}");
    }
    for path in ["/metrics", "/v1/reports/customers", "/"] {
        assert_ne!(service.get(path, "boss").status, 200, "{path} is not on the gateway port");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(service.get(path, "").status, 200, "{path}");
    }
}

#[test]
fn garbage_is_refused_and_large_asks_are_not() {
    let service = Service::start(CUSTOMERS, &[]);
    for body in [&b"garbage"[..], b"", b"\xff\xfe\x00", b"[]", b"{\"v\":1}", &b"[".repeat(100_000)]
    {
        let said = service.post("gate", body);
        assert_eq!(said.status, 400, "{}", said.text);
        assert!(!said.text.contains("garbage"), "{}", said.text);
    }
    let rows: Vec<_> = (0..5_000).map(|n| row(&format!("c-{n}"), "mega", 1, json!([]))).collect();
    let large = ask("g", 1, json!({ "rows": rows }));
    assert!(large.to_string().len() > 1_000_000, "a megabyte");
    service.sync(&large).json();
    assert_eq!(service.number("SELECT calls FROM hourly"), 5_000);
    // The service may hang up before it has heard all of it.
    let said =
        try_send(&format!("{}/v1/sync", service.gateways()), "gate", Some(&vec![b' '; 9_000_000]));
    assert!(said.is_none_or(|said| said.status == 413));
    assert_eq!(service.get("/healthz", "").status, 200);
}

#[test]
fn a_customer_sees_its_own_usage_and_no_cost() {
    let service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    let charges = json!([
        {"budget": "mega/analysis.units-month", "window": 1_793_491_200, "amount": 1_500, "beyond": 1_500},
        {"budget": "mega/usd-month", "window": 1_793_491_200, "amount": 4_321_987_654_u64, "beyond": 0},
    ]);
    service.sync(&ask("g", 1, json!({"rows": [row("c", "mega", 4_321_987_654, charges)]}))).json();
    let said = service.get("/v1/customers/mega/usage", "test");
    let usage = said.json();
    assert_eq!(usage["plan"], "Pro");
    let analyses = &usage["budgets"][0];
    assert_eq!((&analyses["used"], &analyses["left"]), (&json!(1_500), &json!(500)));
    assert_eq!((&analyses["unit"], &analyses["used_percent"]), (&json!("AI analyses"), &json!(75)));
    assert_eq!(analyses["resets_at"], "2026-12-01T00:00:00+00:00");
    assert_eq!(usage["budgets"][1]["used_percent"], 21);
    assert_eq!([0, 1].map(|at| &usage["budgets"][at]["hold"]), ["firm", "soft"]);
    assert!(!said.text.contains("4321987654") && !said.text.contains("4.32"), "{}", said.text);
    for (id, token) in
        [("mega", ""), ("mega", "gate"), ("acme", "test"), ("acme", ""), ("none", "test")]
    {
        let said = service.get(&format!("/v1/customers/{id}/usage"), token);
        assert_eq!(said.status, 401, "{id} {token}");
    }
}

#[test]
fn a_faulty_file_changes_nothing_and_is_told() {
    let service = Service::start(CUSTOMERS, &[]);
    let shows = |line: &str| service.admin("/metrics", "boss").text.contains(line);
    assert!(shows("tollgate_quota_customers_good 1"));
    service.rewrite(&CUSTOMERS.replace("\"49\"", "many"));
    eventually("the fault shows", || shows("tollgate_quota_customers_good 0"));
    let said = service.sync(&ask("g", 1, json!({"tenants": ["mega"]}))).json();
    assert_eq!(said["tenants"][0]["plan"], "Pro", "the last good one stays");
    service.rewrite(&CUSTOMERS.replace("units: 2000", "units: 7"));
    eventually("the good one is taken", || shows("tollgate_quota_reloads_total 1"));
    assert!(shows("tollgate_quota_customers_good 1"));
    let said = service.sync(&ask("g", 2, json!({"tenants": ["acme"]}))).json();
    let acme = said["tenants"].as_array().unwrap().iter().find(|tenant| tenant["name"] == "acme");
    assert_eq!(acme.unwrap()["budgets"][0]["limit"], 7);
}

#[test]
fn what_customers_pay_is_remembered_when_it_changes() {
    let service = Service::start(CUSTOMERS, &[]);
    service.rewrite(&CUSTOMERS.replace("\"49\"", "\"99\""));
    eventually("it is written down", || {
        service.number("SELECT COUNT(*) FROM standing WHERE customer = 'mega'") == 2
    });
    assert_eq!(
        service.number("SELECT MAX(revenue) FROM standing WHERE since_ms = 0"),
        49_000_000_000
    );
    assert_eq!(service.number("SELECT MAX(revenue) FROM standing"), 99_000_000_000);
}

#[test]
fn check_tells_what_is_wrong_and_where() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let check = |name: &str, text: &str| {
        let file = dir.join(format!("{}-{name}.yaml", std::process::id()));
        fs::write(&file, text).unwrap();
        let program = env!("CARGO_BIN_EXE_tollgate-quota");
        let output = Command::new(program).arg("check").arg(&file).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, said) = check("good", CUSTOMERS);
    assert!(good && said.ends_with("ok: 2 customers, 1 plans\n"), "{said}");
    let (good, said) = check("bad", &CUSTOMERS.replace("\"49\"", "many"));
    assert!(!good && said.contains(".yaml:5: `plans[0].price` must be US dollars"), "{said}");
}

#[test]
fn it_ends_when_told_to_and_what_was_answered_stays() {
    let mut service = Service::start(CUSTOMERS, &[]);
    service.sync(&ask("g", 1, json!({"rows": [row("c", "mega", 1, json!([]))]}))).json();
    let pid = service.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(service.process.wait().unwrap().success());
    let service = Service::start_in(service.dir.clone(), &[]);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 1);
}

/// What a worker of the crash test does until all it has to say was heard.
struct Worker {
    gateway: String,
    /// The asks, in order, of one row each.
    asks: Vec<Value>,
    heard: usize,
}

#[test]
fn a_crash_under_load_loses_and_doubles_nothing() {
    let charges = |amount: u64| json!([{"budget": "mega/usd-month", "window": 1_793_491_200, "amount": amount, "beyond": amount / 2}]);
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let gateway = format!("g{worker}");
            let wants = json!([{"budget": "mega/usd-month", "window": 0, "need": 10, "want": 500}]);
            let ask = |seq: u64| {
                let amount = worker * 1_000 + seq;
                let row = row(&format!("{gateway}-{seq}"), "mega", amount, charges(amount));
                ask(&gateway, seq, json!({"rows": [row], "wants": wants}))
            };
            let asks = (1..=150).map(ask).collect();
            Mutex::new(Worker { gateway: gateway.clone(), asks, heard: 0 })
        })
        .collect();
    let mut service = Service::start(CUSTOMERS, &["--now", "2026-11-23T12:00:00Z"]);
    for _ in 0..3 {
        let url = format!("{}/v1/sync", service.gateways());
        thread::scope(|scope| {
            for worker in &workers {
                scope.spawn(|| worker.lock().unwrap().talk(&url));
            }
            thread::sleep(Duration::from_millis(150));
            service.process.kill().unwrap();
        });
        service.process.wait().unwrap();
        service = Service::start_in(service.dir.clone(), &["--now", "2026-11-23T12:00:00Z"]);
        agrees(&service);
    }
    let url = format!("{}/v1/sync", service.gateways());
    let said = |worker: &Mutex<Worker>| worker.lock().unwrap().heard;
    let before: usize = workers.iter().map(said).sum();
    assert!((1..1_200).contains(&before), "killed in between: {before}");
    thread::scope(|scope| {
        for worker in &workers {
            scope.spawn(|| worker.lock().unwrap().talk(&url));
        }
    });
    agrees(&service);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 8 * 150);
    let sum: u64 = (0..8).map(|worker| worker * 1_000 * 150 + 150 * 151 / 2).sum();
    assert_eq!(service.number("SELECT SUM(cost) FROM ledger"), i64::try_from(sum).unwrap());
}

impl Worker {
    /// Says what it has to say, until there is no answer.
    fn talk(&mut self, url: &str) {
        while let Some(ask) = self.asks.get(self.heard) {
            let Some(said) = try_send(url, "gate", Some(ask.to_string().as_bytes())) else {
                return;
            };
            assert_eq!(said.status, 200, "{}: {}", self.gateway, said.text);
            self.heard += 1;
        }
    }
}

/// Whether all numbers are what the ledger says.
fn agrees(service: &Service) {
    let ledger = service.number("SELECT COALESCE(SUM(cost), 0) FROM ledger");
    assert_eq!(service.number("SELECT COALESCE(SUM(cost), 0) FROM hourly"), ledger);
    assert_eq!(service.number("SELECT COALESCE(SUM(amount), 0) FROM charge"), ledger);
    assert_eq!(service.number("SELECT COALESCE(SUM(settled), 0) FROM balance"), ledger);
    assert_eq!(
        service.number("SELECT COALESCE(SUM(overrun), 0) FROM charge"),
        service.number("SELECT COALESCE(SUM(overrun), 0) FROM balance")
    );
    assert_eq!(
        service
            .number("SELECT COALESCE(SUM(granted - settled - returned - suspense), 0) FROM lease"),
        service.number("SELECT COALESCE(SUM(on_loan), 0) FROM balance")
    );
    let within =
        "SELECT COUNT(*) FROM balance WHERE settled - overrun + on_loan + suspense > 20000000000";
    assert_eq!(service.number(within), 0);
}
