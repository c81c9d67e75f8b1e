//! `tollgate-quota reconcile`: what a killed gateway had not reported comes back from its log, once.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::support::{Said, Service, ask, eventually, row};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS}
plans:
  - name: Pro
    price: "49"
    unit: {name: AI analyses, feature: analysis}
    budgets:
      - {limit: {requests: 1000}, window: month, action: refuse}
      - {limit: {units: 50}, window: month, action: refuse}
customers:
  - {id: mega, name: MegaCo, plan: Pro, keys: [org_mega]}
"#;
/// The calls of the tests began on 18 November.
const NOW: [&str; 2] = ["--now", "2026-11-23T12:00:00Z"];

impl Service {
    /// Runs `reconcile` on this service's database. Its status is the program's.
    fn reconcile(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_tollgate-quota"))
            .arg("reconcile")
            .args(arguments)
            .arg("--config")
            .arg(self.dir.join("customers.yaml"))
            .arg("--database")
            .arg(fs::read_to_string(self.dir.join("database")).unwrap())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let status = u16::try_from(output.status.code().unwrap()).unwrap();
        Said { status, text: String::from_utf8(text).unwrap() }
    }

    fn log(&self, lines: &[String]) -> String {
        let file = self.dir.join("access.log");
        fs::write(&file, lines.join("\n")).unwrap();
        file.display().to_string()
    }
}

fn call(id: &str) -> Value {
    let mut call = row(id, "org_mega", 5, json!([]))["call"].clone();
    call["feature"] = json!("analysis");
    call
}

fn line(id: &str) -> String {
    json!({"request_id": "the client says so", "call": call(id).to_string()}).to_string()
}

#[test]
fn a_hundred_calls_of_a_killed_gateway_come_back_once() {
    let service = Service::start(CUSTOMERS, &NOW);
    let want = json!({"budget": "mega/requests-month", "window": 0, "need": 120, "want": 120});
    let known = json!({"call": call("dead-0-0"), "charges": []});
    service.sync(&ask("dead", 1, json!({"wants": [want], "rows": [known]}))).json();
    let lines: Vec<_> = (0..101).map(|n| line(&format!("dead-0-{n}"))).collect();
    let log = service.log(&[&lines[..], &lines[40..60]].concat());

    let said = service.reconcile(&[&log, NOW[0], NOW[1]]);
    assert!(said.text.contains("left to gateways that may report:    100"), "{}", said.text);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 1, "it was heard of just now");

    let said = service.reconcile(&[&log, "--gone", "--dry-run", NOW[0], NOW[1]]);
    assert!(said.text.contains("to be restored:     100, 500 nano-dollars"), "{}", said.text);
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 1);

    for restored in [100, 0] {
        let said = service.reconcile(&[&log, "--gone", NOW[0], NOW[1]]);
        let expected = format!("restored now:       {restored}, {} nano-dollars", restored * 5);
        assert!(said.status == 0 && said.text.contains(&expected), "{}", said.text);
        assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 101);
        assert_eq!(service.number("SELECT SUM(calls) FROM hourly WHERE customer = 'mega'"), 101);
    }
    assert_eq!(
        service.number("SELECT settled FROM balance WHERE budget LIKE '%requests-month'"),
        100
    );
    assert_eq!(
        service.number("SELECT overrun FROM balance WHERE budget LIKE '%requests-month'"),
        0
    );
    let units = "SELECT settled - overrun FROM balance WHERE budget LIKE '%units-month'";
    assert_eq!(service.number(units), 0, "there was no lease of those: all 100 are overrun");
    eventually("what is left of the lease is in suspense", || {
        service.number("SELECT suspense FROM balance WHERE budget LIKE '%requests-month'") == 20
    });
    // The gateway was not dead after all: what it reports now is known.
    let rows: Vec<_> = (0..101)
        .map(|n| {
            json!({"call": call(&format!("dead-0-{n}")), "charges": [
        {"budget": "mega/requests-month", "window": 1_793_491_200, "amount": 1}]})
        })
        .collect();
    service.sync(&ask("dead", 2, json!({"rows": rows}))).json();
    assert_eq!(service.number("SELECT COUNT(*) FROM ledger"), 101);
    assert_eq!(
        service.number("SELECT settled FROM balance WHERE budget LIKE '%requests-month'"),
        100
    );
}

#[test]
fn the_log_and_the_ledger_are_held_beside_each_other() {
    let service = Service::start(CUSTOMERS, &NOW);
    let rows = [
        row("gw-0-1", "org_mega", 5, json!([])),
        row("gw-0-2", "org_mega", 6, json!([])),
        row("gw-0-3", "org_mega", 5, json!([])),
    ];
    service.sync(&ask("gw", 1, json!({"rows": rows}))).json();
    let plain = |id: &str| {
        json!({"anything": rows[0]["call"].as_object().map(|call| {
            let mut call = call.clone();
            call.insert("id".into(), json!(id));
            call
        })})
        .to_string()
    };
    let log = service.log(&[
        plain("gw-0-1"),
        plain("gw-0-2"),
        "{\"call\":\"{\\\"v\".".to_owned(),
        "{}".to_owned(),
    ]);
    let said = service.reconcile(&[&log, NOW[0], NOW[1]]);
    assert_eq!(said.status, 1, "a line cannot be read");
    for line in [
        "lines that cannot be read:           1, the first is line 3",
        "in both, the same:                   1",
        "differing (left as booked): 1\n  gw-0-2\n",
        "only in the ledger:                  1\n  gw-0-3\n",
    ] {
        assert!(said.text.contains(line), "{line}: {}", said.text);
    }
    assert_eq!(service.number("SELECT SUM(cost) FROM ledger"), 16);
}

#[test]
fn a_provider_s_export_shows_what_was_captured() {
    let service = Service::start(CUSTOMERS, &NOW);
    let rows: Vec<_> =
        (0..9).map(|n| row(&format!("gw-0-{n}"), "org_mega", 5, json!([]))).collect();
    service.sync(&ask("gw", 1, json!({"rows": rows}))).json();
    let file = service.dir.join("usage.json");
    let mut export = json!({"object": "page", "has_more": false, "data": [
        {"object": "bucket", "start_time": 1_794_960_000, "end_time": 1_795_046_400, "results": [
            {"object": "organization.usage.completions.result", "input_tokens": 70, "output_tokens": 27,
             "num_model_requests": 10, "model": "gpt-5"}]}]});
    fs::write(&file, export.to_string()).unwrap();
    let arguments = ["--usage-export", file.to_str().unwrap(), "--provider", "openai"];
    let said = service.reconcile(&arguments);
    let cells =
        |at: usize| said.text.lines().nth(at).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(cells(1), ["2026-11-18", "gpt-5", "input", "70", "63", "90", "%"], "{}", said.text);
    assert_eq!(cells(2), ["2026-11-18", "gpt-5", "output", "27", "27", "100", "%"]);
    export["data"][0]["results"][0]["input_tokens"] = json!("many");
    fs::write(&file, export.to_string()).unwrap();
    let said = service.reconcile(&arguments);
    assert!(said.status == 1 && said.text.contains("line 1: `data[0].results[0]"), "{}", said.text);
}
