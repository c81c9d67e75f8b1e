//! The real service on free ports, with a database of its own, and what it is asked.
//!
//! The database is SQLite's, or, where `ON_POSTGRES` holds the address of a server, one on that.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};

/// A running service. It is killed when it goes out of scope; its files are left for a look.
pub(crate) struct Service {
    pub(crate) process: Child,
    pub(crate) dir: PathBuf,
    gateways: String,
    admins: String,
}

/// What the service said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Service {
    /// Starts one with these customers.
    pub(crate) fn start(customers: &str, arguments: &[&str]) -> Self {
        let (dir, number) = new_dir();
        let database = env::var(ON_POSTGRES).map_or_else(
            |_| format!("sqlite:{}", dir.join("tollgate.db").display()),
            |server| new_database(&server, &format!("t{}_{number}", std::process::id())),
        );
        Self::start_anew(dir, customers, &database, arguments)
    }

    /// Starts one with these customers on this database.
    pub(crate) fn start_on(customers: &str, database: &str, arguments: &[&str]) -> Self {
        Self::start_anew(new_dir().0, customers, database, arguments)
    }

    fn start_anew(dir: PathBuf, customers: &str, database: &str, arguments: &[&str]) -> Self {
        fs::write(dir.join("customers.yaml"), customers).unwrap();
        fs::write(dir.join("database"), database).unwrap();
        Self::start_in(dir, arguments)
    }

    /// Starts one on the files of another.
    pub(crate) fn start_in(dir: PathBuf, arguments: &[&str]) -> Self {
        // Files that may not grow are an error to it then, not its end.
        let mut process = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_tollgate-quota"))
            .arg("serve")
            .arg("--config")
            .arg(dir.join("customers.yaml"))
            .arg("--database")
            .arg(fs::read_to_string(dir.join("database")).unwrap())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(arguments)
            .env("TOLLGATE_GATEWAY_SECRET", "gate")
            .env("TOLLGATE_ADMIN_TOKEN", "boss")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready =
            lines.find(|line| line.contains("gateways=")).expect("the service does not start");
        let address = |name| {
            let word = ready.split(' ').find_map(|word| word.strip_prefix(name)).unwrap();
            format!("http://{word}")
        };
        let (gateways, admins) = (address("gateways="), address("admin="));
        thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        Self { process, dir, gateways, admins }
    }

    pub(crate) fn sync(&self, ask: &Value) -> Said {
        send(&format!("{}/v1/sync", self.gateways), "gate", Some(ask.to_string().as_bytes()))
    }

    pub(crate) fn post(&self, secret: &str, body: &[u8]) -> Said {
        send(&format!("{}/v1/sync", self.gateways), secret, Some(body))
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Said {
        send(&format!("{}{path}", self.gateways), token, None)
    }

    pub(crate) fn admin(&self, path: &str, token: &str) -> Said {
        send(&format!("{}{path}", self.admins), token, None)
    }

    pub(crate) fn gateways(&self) -> &str {
        &self.gateways
    }

    /// Another replica on the same database.
    pub(crate) fn replica(&self, arguments: &[&str]) -> Self {
        Self::start_in(self.dir.clone(), arguments)
    }

    /// What a query of one number finds.
    pub(crate) fn number(&self, sql: &'static str) -> i64 {
        self.try_number(sql).unwrap()
    }

    /// The same, or nothing while the database is away.
    pub(crate) fn try_number(&self, sql: &'static str) -> Option<i64> {
        let url = fs::read_to_string(self.dir.join("database")).unwrap();
        // Sums of whole numbers are of another type in PostgreSQL.
        let sql = format!("SELECT CAST(({sql}) AS BIGINT)");
        with(&url, async |db| sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(db).await)
    }

    pub(crate) fn rewrite(&self, customers: &str) {
        fs::write(self.dir.join("customers.yaml"), customers).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A new directory, and its number.
fn new_dir() -> (PathBuf, u64) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let dir = dir.join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    (dir, number)
}

/// A new database on a server.
pub(crate) fn new_database(server: &str, name: &str) -> String {
    let create = format!("CREATE DATABASE {name}");
    with(&format!("{server}/postgres"), async |db| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(db).await
    });
    format!("{server}/{name}")
}

/// Does something with a connection of its own; nothing comes of it while the database is away.
pub(crate) fn with<T>(
    url: &str,
    what: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, sqlx::Error>,
) -> Option<T> {
    sqlx::any::install_default_drivers();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async { what(&mut AnyConnection::connect(url).await?).await });
    match done {
        Ok(done) => Some(done),
        Err(sqlx::Error::Io(_)) => None,
        // It is ending, or starting.
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code.starts_with("57")) =>
        {
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The environment variable with the address of the server on which databases are made.
pub(crate) const ON_POSTGRES: &str = "TOLLGATE_TEST_POSTGRES";

/// Asks once; `None` where there was no answer.
pub(crate) fn try_send(url: &str, secret: &str, body: Option<&[u8]>) -> Option<Said> {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let bearer = format!("Bearer {secret}");
    let response = match body {
        Some(body) => agent.post(url).header("authorization", bearer).send(body),
        None => agent.get(url).header("authorization", bearer).call(),
    };
    let mut response = response.ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some(Said { status: response.status().as_u16(), text })
}

fn send(url: &str, secret: &str, body: Option<&[u8]>) -> Said {
    try_send(url, secret, body).expect("no answer")
}

/// Tries until it is so, for ten seconds.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("not within ten seconds: {what}");
}

/// An ask of a gateway with one worker.
pub(crate) fn ask(gateway: &str, seq: u64, rest: Value) -> Value {
    let mut ask = json!({"v": 1, "gateway": gateway, "node": "edge", "worker": 0, "seq": seq});
    for (key, value) in rest.as_object().unwrap() {
        ask[key] = value.clone();
    }
    ask
}

/// A call of a tenant that cost `cost` and is charged to these budgets.
pub(crate) fn row(id: &str, tenant: &str, cost: u64, charges: Value) -> Value {
    json!({
        "call": {
            "v": 1, "id": id, "t": 1_795_000_000_000_u64, "ms": 20, "tenant": tenant, "provider": "openai",
            "api": "openai.chat", "model": "gpt-5", "status": 200, "usage": "reported",
            "leaves": {"input": 7, "output": 3}, "cost": cost, "decision": "pass",
        },
        "charges": charges,
    })
}

/// The window of the budget at `at` in what was said of a tenant.
pub(crate) fn window(said: &Value, tenant: usize, budget: usize) -> u64 {
    said["tenants"][tenant]["budgets"][budget]["window"]["id"].as_u64().unwrap()
}
