//! `tollgate-quota serve` runs the service, `tollgate-quota check FILE` checks a customers.yaml,
//! `tollgate-quota reconcile` holds the ledger beside access logs and providers' exports.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use tollgate_quota::{
    customers::{Book, Fault},
    prices, reload,
    run::{self, Setup},
    state::Terms,
    store::Place,
};
use tracing::level_filters::LevelFilter;

/// Meters and limits what LLM calls cost, per customer.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service.
    ///
    /// TOLLGATE_GATEWAY_SECRET is what gateways show as a bearer token; TOLLGATE_ADMIN_TOKEN is
    /// what opens the admin port, made and printed once if it is not set.
    Serve(Serve),
    /// Check a customers.yaml, a price book, or both. Exits with 1 if there is anything wrong.
    Check(Check),
    /// Book the calls of an access log that no gateway has reported, or hold the ledger beside a
    /// provider's usage export. Exits with 1 if a line or the export cannot be read.
    Reconcile(reconcile::Reconcile),
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Check {
    /// The customers.
    file: Option<PathBuf>,
    /// The price book.
    #[arg(long)]
    prices: Option<PathBuf>,
}

#[derive(Args)]
struct Serve {
    /// The customers, their plans and budgets. Read again when it changes.
    #[arg(long)]
    config: PathBuf,
    /// A newer price book, which gateways take in the place of their own. Read again when it changes.
    #[arg(long)]
    prices: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// Where gateways and customers ask.
    #[arg(long, default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Where the page, the reports and the metrics are.
    #[arg(long, default_value = "127.0.0.1:7071")]
    admin: SocketAddr,
    /// Take every client of the gateway port for a gateway.
    #[arg(long)]
    insecure_no_auth: bool,
    /// Begin at this time instead of now, and go on from there: for tests.
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
    /// For how long calls may be admitted on a lease: for tests.
    #[arg(long, hide = true, default_value_t = Terms::default().admit_ms)]
    admit_ms: u64,
    /// How much longer the gateway may be silent before its leases go to suspense: for tests.
    #[arg(long, hide = true, default_value_t = Terms::default().settle_ms)]
    settle_ms: u64,
    /// Say only what goes wrong.
    #[arg(long)]
    quiet: bool,
}

#[path = "program/reconcile.rs"]
mod reconcile;

/// Where the database is.
#[derive(Args)]
struct Database {
    /// The database: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`. A password for PostgreSQL
    /// is better in PGPASSWORD or in a file that PGPASSFILE names.
    #[arg(long, conflicts_with = "db")]
    database: Option<Place>,
    /// The database file of SQLite's; made if there is none.
    #[arg(long, default_value = "tollgate.db")]
    db: PathBuf,
}

impl From<Database> for Place {
    fn from(given: Database) -> Self {
        given.database.unwrap_or(Self::File(given.db))
    }
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(files) => check(&files),
        Command::Serve(serve) => {
            let level = if serve.quiet { LevelFilter::WARN } else { LevelFilter::INFO };
            log_to_stderr(level);
            ended(run::run(serve.into()).map(|()| true))
        }
        Command::Reconcile(task) => {
            log_to_stderr(LevelFilter::WARN);
            ended(task.run())
        }
    }
}

/// How a command ended: well, not so well, or not at all.
fn ended(well: Result<bool, run::Fault>) -> ExitCode {
    match well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tollgate-quota: {error}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(level: LevelFilter) {
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colours)
        .with_writer(io::stderr)
        .init();
}

impl From<Serve> for Setup {
    fn from(serve: Serve) -> Self {
        Self {
            config: serve.config,
            prices: serve.prices,
            database: serve.database.into(),
            listen: serve.listen,
            admin: serve.admin,
            insecure_no_auth: serve.insecure_no_auth,
            now: serve.now,
            terms: Terms { admit_ms: serve.admit_ms, settle_ms: serve.settle_ms },
        }
    }
}

fn check(files: &Check) -> ExitCode {
    let customers = files.file.as_deref().map(|file| {
        let count =
            |book: &Book| format!("{} customers, {} plans", book.customers.len(), book.plans.len());
        said(file, reload::read(file).map(|(book, _)| count(&book)))
    });
    let prices = files.prices.as_deref().map(|file| {
        said(file, prices::read(file, None).map(|read| format!("prices {}", read.version())))
    });
    let good = customers.unwrap_or(true) & prices.unwrap_or(true);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says what stands in a file or what is wrong with it; whether nothing is.
fn said(file: &Path, read: Result<String, Vec<Fault>>) -> bool {
    let file = file.display();
    match &read {
        Ok(what) => println!("{file}: ok: {what}"),
        Err(faults) => {
            for fault in faults {
                println!("{file}:{}: {}", fault.line, fault.place());
            }
        }
    }
    read.is_ok()
}
