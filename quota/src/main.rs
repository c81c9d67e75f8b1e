//! `tollgate-quota serve` runs the service, `tollgate-quota check FILE` checks a customers.yaml.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use tollgate_quota::{
    reload,
    run::{self, Setup},
    state::Terms,
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
    /// Check a customers.yaml. Exits with 1 if there is anything wrong with it.
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Args)]
struct Serve {
    /// The customers, their plans and budgets. Read again when it changes.
    #[arg(long)]
    config: PathBuf,
    /// The database file; made if there is none.
    #[arg(long, default_value = "tollgate.db")]
    db: PathBuf,
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

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check { file } => check(&file),
        Command::Serve(serve) => {
            let level = if serve.quiet { LevelFilter::WARN } else { LevelFilter::INFO };
            log_to_stderr(level);
            match run::run(serve.into()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("tollgate-quota: {error}");
                    ExitCode::FAILURE
                }
            }
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
            db: serve.db,
            listen: serve.listen,
            admin: serve.admin,
            insecure_no_auth: serve.insecure_no_auth,
            now: serve.now,
            terms: Terms { admit_ms: serve.admit_ms, settle_ms: serve.settle_ms },
        }
    }
}

fn check(file: &Path) -> ExitCode {
    match reload::read(file) {
        Ok((book, _)) => {
            let (plans, customers) = (book.plans.len(), book.customers.len());
            println!("{}: ok: {customers} customers, {plans} plans", file.display());
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in faults {
                println!("{}:{}: {}", file.display(), fault.line, fault.place());
            }
            ExitCode::FAILURE
        }
    }
}
