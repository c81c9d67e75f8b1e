//! The command `reconcile`.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tollgate_quota::{
    newcomers,
    reconcile::{
        Export, Provider,
        capture::table,
        restore::{Difference, Task, restore},
    },
    run::{self, Fault},
    state::Terms,
    store::Place,
};

use crate::Database;

/// What `reconcile` is told.
#[derive(Args)]
pub(crate) struct Reconcile {
    /// The access log, in JSON lines; `-` for standard input.
    #[arg(required_unless_present = "usage_export", requires = "config")]
    access_log: Option<PathBuf>,
    /// The customers: what each call counts against.
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// Write nothing, only tell.
    #[arg(long)]
    dry_run: bool,
    /// The gateways of this log are gone: do not leave to them what they may still report.
    #[arg(long)]
    gone: bool,
    /// What a provider says was used: a file of its usage API's answers, .json or .csv.
    #[arg(long, requires = "provider", conflicts_with = "access_log")]
    usage_export: Option<PathBuf>,
    /// Whose export it is.
    #[arg(long)]
    provider: Option<Whose>,
    /// Take this for the present time: for tests.
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

/// Whose export it is.
#[derive(Clone, Copy, ValueEnum)]
enum Whose {
    Openai,
    Anthropic,
}

impl From<Whose> for Provider {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Openai => Self::OpenAi,
            Whose::Anthropic => Self::Anthropic,
        }
    }
}

impl Reconcile {
    /// Does it. Returns whether all could be read.
    pub(crate) fn run(self) -> Result<bool, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match (&self.usage_export, self.provider) {
                (Some(file), Some(whose)) => {
                    let export = read(file, whose.into())?;
                    let store = run::open(&self.database.into()).await?;
                    print!("{}", table(&store, whose.into(), &export).await?);
                    Ok(true)
                }
                _ => self.restore().await,
            }
        })
    }

    async fn restore(self) -> Result<bool, Fault> {
        let (book, _) = run::customers(&self.config.ok_or("--config is needed")?)?;
        let log = open(&self.access_log.ok_or("an access log is needed")?)?;
        let place: Place = self.database.into();
        let store = run::open(&place).await?;
        let book = book.with(newcomers::all(&store).await?);
        let terms = Terms::default();
        let lease_ms = terms.admit_ms.saturating_add(terms.settle_ms);
        let task = Task {
            book: &book,
            now: self.now.unwrap_or_else(Timestamp::now),
            patience_ms: (!self.gone).then_some(lease_ms),
            dry: self.dry_run,
        };
        let difference = restore(&store, task, log).await?;
        store.close().await;
        print(&difference, self.dry_run);
        Ok(difference.broken.0 == 0)
    }
}

fn read(file: &Path, provider: Provider) -> Result<Export, Fault> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let read = match file.extension().and_then(|end| end.to_str()) {
        Some("json") => Export::json(provider, &text),
        Some("csv") => Export::csv(provider, &text),
        _ => return Err(format!("{name}: must be a .json or a .csv").into()),
    };
    Ok(read.map_err(|fault| format!("{name}: {fault}"))?)
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Fault> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn print(difference: &Difference, dry: bool) {
    let Difference { lines, broken, calls, same, differing, restored, cost, waiting, only_ledger } =
        difference;
    println!("lines of the log:                    {lines}");
    if let (count, Some(first)) = broken {
        println!("lines that cannot be read:           {count}, the first is line {first}");
    }
    println!("calls of the log:                    {calls}");
    println!("in both, the same:                   {same}");
    println!("in both, differing (left as booked): {}", differing.len());
    list(differing);
    let done = if dry {
        "only in the log, to be restored:     "
    } else {
        "only in the log, restored now:       "
    };
    println!("{done}{restored}, {cost} nano-dollars");
    println!("left to gateways that may report:    {waiting}");
    println!("only in the ledger:                  {}", only_ledger.len());
    list(only_ledger);
}

fn list(ids: &[String]) {
    for id in ids.iter().take(LISTED) {
        println!("  {id}");
    }
    if ids.len() > LISTED {
        println!("  and {} more", ids.len().saturating_sub(LISTED));
    }
}

/// Ids that are printed.
const LISTED: usize = 20;
