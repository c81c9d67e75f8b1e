//! Several replicas at once on one database, with no leader among them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    postgres::Postgres,
    support::{ON_POSTGRES, Said, Service, ask, eventually, new_database, row, try_send},
};

const CUSTOMERS: &str = r#"
business: {name: Acme SaaS}
plans:
  - name: Pro
    price: "49"
    budgets:
      - {limit: {requests: 1000}, window: month, action: refuse}
      - {limit: {usd: "0.0001"}, window: month, action: refuse}
customers:
  - {id: mega, name: MegaCo, plan: Pro}
  - {id: acme, name: Acme Corp, plan: Pro}
"#;
/// The month of November 2026, and the budgets that are counted in it.
const NOW: [&str; 2] = ["--now", "2026-11-23T12:00:00Z"];
const MONTH: u64 = 1_793_491_200;
const BUDGETS: [&str; 4] =
    ["mega/requests-month", "mega/usd-month", "acme/requests-month", "acme/usd-month"];

/// A worker of a gateway that says all it has to say, to whichever replica answers.
struct Worker {
    gateway: String,
    asks: Vec<Value>,
    heard: usize,
    /// Whether each ask goes to all replicas at once.
    shouts: bool,
}

impl Worker {
    /// Calls of its own, and those that its pair reports too, in the other order.
    fn new(number: usize, asks: u64) -> Self {
        let gateway = format!("g{number}");
        let ask = |seq: u64| {
            let charges = |at: usize| {
                json!([
                    {"budget": BUDGETS[at % 4], "window": MONTH, "amount": 3, "beyond": 1},
                    {"budget": BUDGETS[(at + 1) % 4], "window": MONTH, "amount": 3, "beyond": 1},
                ])
            };
            let call =
                |name: String, at: usize| row(&name, ["mega", "acme"][at % 2], 6, charges(at));
            let mut rows: Vec<_> = (0..4)
                .map(|at| call(format!("pair{}-{seq}-{at}", number / 2), at))
                .chain([call(format!("{gateway}-{seq}"), number)])
                .collect();
            let want =
                |at: usize| json!({"budget": BUDGETS[at], "window": 0, "need": 2, "want": 90});
            let mut wants: Vec<_> = (0..4).map(want).collect();
            if number % 2 == 1 {
                rows.reverse();
                wants.reverse();
            }
            ask(&gateway, seq, json!({"rows": rows, "wants": wants, "tenants": ["mega", "acme"]}))
        };
        Self {
            asks: (1..=asks).map(ask).collect(),
            gateway,
            heard: 0,
            shouts: number.is_multiple_of(3),
        }
    }

    fn talk(&mut self, replicas: &[String], until: &AtomicBool) {
        let mut silent = 0;
        while let Some(ask) = self.asks.get(self.heard) {
            let body = ask.to_string();
            let said = |url: &String| try_send(url, "gate", Some(body.as_bytes()));
            let heard: Vec<Said> = if self.shouts {
                thread::scope(|scope| {
                    let all: Vec<_> =
                        replicas.iter().map(|url| scope.spawn(|| said(url))).collect();
                    all.into_iter().filter_map(|said| said.join().unwrap()).collect()
                })
            } else {
                let url = &replicas[(self.heard + silent) % replicas.len()];
                said(url).into_iter().collect()
            };
            let good: Vec<_> = heard.into_iter().filter(|said| said.status != 503).collect();
            match good.first() {
                Some(first) => {
                    assert_eq!(first.status, 200, "{}: {}", self.gateway, first.text);
                    assert!(good.iter().all(|said| said == first), "one answer: {good:?}");
                    self.heard += 1;
                    silent = 0;
                }
                None if until.load(SeqCst) => return,
                None => {
                    silent += 1;
                    assert!(silent < 300, "{}: nobody answers", self.gateway);
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
}

const WORKERS: usize = 8;
const ASKS: u64 = 40;

fn workers() -> Vec<Mutex<Worker>> {
    (0..WORKERS).map(|number| Mutex::new(Worker::new(number, ASKS))).collect()
}

/// Lets all workers talk while something happens, and looks at the balances all the while.
fn under_load(service: &Service, workers: &[Mutex<Worker>], urls: &[String], event: impl FnOnce()) {
    let (over, never) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let talks: Vec<_> = workers
            .iter()
            .map(|worker| scope.spawn(|| worker.lock().unwrap().talk(urls, &never)))
            .collect();
        scope.spawn(|| {
            while !over.load(SeqCst) {
                if let Some(beyond) = service.try_number(BEYOND) {
                    assert_eq!(beyond, 0, "more is used and lent than there is");
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        event();
        let ended: Vec<_> = talks.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, SeqCst);
        ended.into_iter().for_each(|talk| talk.unwrap());
    });
}

const BEYOND: &str = "SELECT COUNT(*) FROM balance WHERE settled - overrun + on_loan + suspense \
    > CASE WHEN budget LIKE '%usd-month' THEN 100000 ELSE 1000 END";

/// Whether each call stands there once, and all numbers are what the ledger says.
fn agrees(service: &Service) {
    let calls = i64::try_from(WORKERS as u64 * ASKS + WORKERS as u64 / 2 * ASKS * 4).unwrap();
    let number = |sql| service.number(sql);
    assert_eq!(number("SELECT COUNT(*) FROM ledger"), calls);
    assert_eq!(number("SELECT SUM(calls) FROM hourly"), calls);
    assert_eq!(number("SELECT SUM(cost) FROM hourly"), calls * 6);
    assert_eq!(number("SELECT COUNT(*) FROM charge"), calls * 2);
    assert_eq!(number("SELECT SUM(settled) FROM balance"), calls * 6);
    assert_eq!(
        number("SELECT SUM(overrun) FROM charge"),
        number("SELECT SUM(overrun) FROM balance")
    );
    assert_eq!(
        number("SELECT SUM(granted - settled - returned - suspense) FROM lease"),
        number("SELECT SUM(on_loan) FROM balance")
    );
    assert_eq!(number(BEYOND), 0);
}

fn urls(replicas: &[&Service]) -> Vec<String> {
    replicas.iter().map(|replica| format!("{}/v1/sync", replica.gateways())).collect()
}

#[test]
fn two_replicas_count_each_call_once_and_lend_no_more_than_there_is() {
    let one = Service::start(CUSTOMERS, &NOW);
    let two = one.replica(&NOW);
    let workers = workers();
    under_load(&one, &workers, &urls(&[&one, &two]), || ());
    agrees(&one);
    assert!(one.number("SELECT SUM(granted) FROM lease") > 0);
    for replica in [&one, &two] {
        let text = replica.admin("/metrics", "boss").text;
        let busy = |line: &&str| line.starts_with("tollgate_quota_syncs_total{result=\"heard\"}");
        let heard = text.lines().find(busy).unwrap().rsplit(' ').next().unwrap();
        assert!(heard.parse::<u64>().unwrap() > 10, "both have worked: {heard}");
        assert!(text.contains("syncs_total{result=\"failed\"} 0"), "{text}");
    }
}

#[test]
fn any_replica_repeats_an_answer_and_sees_what_another_has_lent() {
    let one = Service::start(CUSTOMERS, &NOW);
    let two = one.replica(&NOW);
    let want = json!({"wants": [{"budget": "mega/requests-month", "window": 0, "need": 600, "want": 600}]});
    let first = ask("g", 1, want.clone());
    let said = one.sync(&first);
    assert_eq!(said.json()["grants"][0]["amount"], 600);
    assert_eq!(two.sync(&first), said, "byte for byte");
    assert_eq!(two.sync(&ask("g", 1, json!({}))).status, 409);
    let other = two.sync(&ask("h", 1, want)).json();
    assert_eq!(
        (&other["grants"][0]["amount"], &other["grants"][0]["left"]),
        (&json!(0), &json!(400))
    );
    assert_eq!(one.number("SELECT on_loan FROM balance"), 600);
}

#[test]
fn a_gateway_goes_on_with_the_other_replica_when_one_is_killed() {
    let one = Service::start(CUSTOMERS, &NOW);
    let mut two = one.replica(&NOW);
    let (workers, urls) = (workers(), urls(&[&one, &two]));
    under_load(&one, &workers, &urls, || {
        thread::sleep(Duration::from_millis(400));
        two.process.kill().unwrap();
    });
    agrees(&one);
}

#[test]
fn a_replica_that_stands_still_holds_up_the_others_for_seconds_only() {
    let one = Service::start(CUSTOMERS, &NOW);
    let two = one.replica(&NOW);
    let signal = |name: &str| {
        let pid = two.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    if std::env::var_os(ON_POSTGRES).is_none() {
        // With SQLite, who stands still with the file locked keeps it locked.
        return;
    }
    let workers = workers();
    let (urls, stuck) = (urls(&[&one]), urls(&[&two]));
    let never = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| workers[0].lock().unwrap().talk(&stuck, &never));
        thread::sleep(Duration::from_millis(60));
        signal("-STOP");
        under_load(&one, &workers[1..], &urls, || ());
        signal("-CONT");
    });
    let never = AtomicBool::new(false);
    workers[0].lock().unwrap().talk(&urls, &never);
    agrees(&one);
}

#[test]
fn a_change_of_the_file_is_taken_by_each_and_written_down_once() {
    let one = Service::start(CUSTOMERS, &[]);
    let two = one.replica(&[]);
    one.rewrite(&CUSTOMERS.replace("\"49\"", "\"99\""));
    for replica in [&one, &two] {
        let taken = || replica.admin("/metrics", "boss").text.contains("quota_reloads_total 1");
        eventually("both have taken it", taken);
    }
    assert_eq!(one.number("SELECT COUNT(*) FROM standing WHERE customer = 'mega'"), 2);
    assert_eq!(one.number("SELECT COUNT(*) FROM standing"), 4);
}

#[test]
fn two_replicas_tell_an_alert_once() {
    let told = Arc::new(AtomicUsize::new(0));
    let port = listen(told.clone());
    let customers = format!(
        "{CUSTOMERS}alerts: {{slack: {{url: \"http://127.0.0.1:{port}/\"}}, thresholds: [80], margin: 1000}}\n"
    );
    let one = Service::start(&customers, &NOW);
    let two = one.replica(&NOW);
    thread::scope(|scope| {
        for (number, replica) in [&one, &two, &one, &two].into_iter().enumerate() {
            scope.spawn(move || {
                for seq in 1..=10 {
                    let charges = BUDGETS.map(
                        |budget| json!({"budget": budget, "window": MONTH, "amount": 100_000}),
                    );
                    let rows = [row(&format!("c-{number}-{seq}"), "mega", 1, json!(charges))];
                    replica.sync(&ask(&format!("g{number}"), seq, json!({"rows": rows}))).json();
                }
            });
        }
    });
    eventually("all are told", || {
        one.number("SELECT COUNT(*) FROM delivery WHERE state = 'sent'") == 4
    });
    thread::sleep(Duration::from_secs(1));
    assert_eq!(told.load(SeqCst), 4, "one for each budget");
    assert_eq!(one.number("SELECT SUM(attempts) FROM delivery"), 4);
}

/// Takes requests, and counts them.
fn listen(count: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            count.fetch_add(1, SeqCst);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
        }
    });
    port
}

#[test]
fn postgres_may_be_killed_under_load() {
    if std::env::var_os(ON_POSTGRES).is_some() {
        return;
    }
    let Some(mut server) = Postgres::start() else { return };
    let database = new_database(&server.url(), "quota");
    let one = Service::start_on(CUSTOMERS, &database, &NOW);
    let two = one.replica(&NOW);
    let workers = workers();
    under_load(&one, &workers, &urls(&[&one, &two]), || {
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(300));
            server.kill();
            assert_eq!(one.get("/readyz", "").status, 503);
            server.return_();
        }
    });
    agrees(&one);
    eventually("it is ready again", || one.get("/readyz", "").status == 200);
}
