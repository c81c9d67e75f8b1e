//! The service from start to end.

use std::{
    env, error,
    fmt::Write as _,
    future::IntoFuture as _,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use sqlx::Row as _;
use tokio::{net::TcpListener, signal::unix, sync::watch, task::JoinHandle};

use crate::{
    alert,
    auth::{self, Digest, Keys},
    clock::Clock,
    customers::{self, Book},
    newcomers, prices, prune, reload, serve, silence,
    state::{Shared, State, Terms},
    store::{Place, Store, StoreError},
};

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `customers.yaml`.
    pub config: PathBuf,
    /// The price book that gateways are handed, if there is one.
    pub prices: Option<PathBuf>,
    /// The database.
    pub database: Place,
    /// The gateway port.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// Whether everybody may be a gateway.
    pub insecure_no_auth: bool,
    /// What time it is, if not now.
    pub now: Option<Timestamp>,
    /// How leases are lent.
    pub terms: Terms,
}

/// Any reason not to start.
pub type Fault = Box<dyn error::Error + Send + Sync>;

/// Runs until it is told to end: by SIGTERM, or by Ctrl-C.
///
/// # Errors
///
/// Returns why it could not start, or go on.
pub fn run(setup: Setup) -> Result<(), Fault> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(setup))
}

async fn serve(setup: Setup) -> Result<(), Fault> {
    let (book, text) = customers(&setup.config)?;
    let gateway = gateway_key(setup.insecure_no_auth)?;
    let store = open(&setup.database).await?;
    let admin = admin_key(&store).await?;
    let clock = setup.now.map_or_else(Clock::default, Clock::set_to);
    let state = State::new(store, clock, Keys::new(gateway, admin), book);
    let state: Shared = Arc::new(state.with_terms(setup.terms));
    newcomers::look(&state).await?;
    reload::remember(&state, &state.book()).await?;
    first_prices(&state, setup.prices.as_deref()).await?;
    let gateways = bind(setup.listen).await?;
    let admins = bind(setup.admin).await?;
    tracing::info!(gateways = %gateways.local_addr()?, admin = %admins.local_addr()?, "ready");
    let tasks = [
        tokio::spawn(reload::watch(state.clone(), setup.config, text)),
        tokio::spawn(prices::watch(state.clone(), setup.prices)),
        tokio::spawn(sweep(state.clone())),
        tokio::spawn(prune(state.clone())),
        tokio::spawn(alert::run(state.clone())),
    ];
    let (end, ends) = watch::channel(());
    let ports = [
        port(gateways, serve::gateway_port(state.clone()), ends.clone()),
        port(admins, serve::admin_port(state.clone()), ends),
    ];
    told_to_end().await?;
    tracing::info!("ending: what is under way is answered first");
    drop(end);
    for port in ports {
        // Whoever holds a connection open does not keep the service from ending.
        if let Ok(ended) = tokio::time::timeout(GRACE, port).await {
            ended??;
        }
    }
    for task in tasks {
        task.abort();
    }
    state.store.close().await;
    Ok(())
}

/// The customers of a file, and its text.
///
/// # Errors
///
/// Returns all that is wrong with it.
pub fn customers(file: &Path) -> Result<(Book, String), Fault> {
    Ok(reload::read(file).map_err(|faults| unusable(file, faults))?)
}

/// The price book of the database, and of the file if there is one.
async fn first_prices(state: &State, file: Option<&Path>) -> Result<(), Fault> {
    prices::look(state).await?;
    let Some(file) = file else { return Ok(()) };
    let read = prices::read(file, state.prices().edition.as_deref());
    let read = read.map_err(|faults| unusable(file, faults))?;
    Ok(prices::take(state, Ok(read)).await?)
}

fn unusable(file: &Path, faults: Vec<customers::Fault>) -> String {
    let mut text = format!("{} cannot be used:", file.display());
    for fault in faults {
        let _ = write!(text, "\n  {fault}");
    }
    text
}

/// The database at a place.
///
/// # Errors
///
/// Returns why it cannot be used.
pub async fn open(place: &Place) -> Result<Store, Fault> {
    Ok(Store::open(place).await.map_err(|error| format!("{place}: {error}"))?)
}

fn port(
    listener: TcpListener,
    router: axum::Router,
    mut ends: watch::Receiver<()>,
) -> JoinHandle<io::Result<()>> {
    let ended = async move {
        // It is dropped, never sent to.
        let _ = ends.changed().await;
    };
    tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(ended).into_future())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}").into())
}

async fn told_to_end() -> io::Result<()> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    Ok(())
}

/// Moves the leases of silent gateways into suspense, for as long as it is polled.
async fn sweep(state: Shared) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match swept(&state).await {
            Ok(leases) => state.metrics.expired(leases),
            Err(error) => tracing::warn!(%error, "leases could not be looked through"),
        }
    }
}

async fn swept(state: &State) -> Result<usize, StoreError> {
    let now_ms = state.clock.now_ms();
    if !silence::any_expired(state.store.reader(), now_ms).await? {
        return Ok(0);
    }
    let mut tx = state.store.begin().await?;
    let leases = silence::expire(&mut tx, now_ms).await?;
    tx.commit().await?;
    Ok(leases)
}

/// Forgets what is of no use any more, for as long as it is polled.
async fn prune(state: Shared) {
    loop {
        match prune::prune(&state.store, state.clock.now_ms()).await {
            Ok(leases) => state.metrics.closed(leases),
            Err(error) => tracing::warn!(%error, "what is old could not be forgotten"),
        }
        tokio::time::sleep(PRUNE).await;
    }
}

fn gateway_key(open: bool) -> Result<Option<Digest>, Fault> {
    match env::var(GATEWAY).ok().filter(|secret| !secret.is_empty()) {
        Some(secret) => Ok(Some(auth::digest(secret))),
        None if open => Ok(None),
        None => Err(format!("{GATEWAY} must be set, or --insecure-no-auth be given").into()),
    }
}

/// The digest of the admin token: of the one in the environment, else of the one made before, else
/// of a new one, which is printed, once: by the replica that comes first.
async fn admin_key(store: &Store) -> Result<Digest, Fault> {
    if let Some(token) = env::var(ADMIN).ok().filter(|token| !token.is_empty()) {
        return Ok(auth::digest(token));
    }
    let token = auth::hex(&auth::random()?);
    let mut tx = store.begin().await?;
    let insert = sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('admin_token_sha256', $1) \
         ON CONFLICT (name) DO NOTHING",
    );
    let made = insert.bind(auth::hex(&auth::digest(&token))).execute(&mut *tx).await?;
    let kept = sqlx::query("SELECT value FROM setting WHERE name = 'admin_token_sha256'");
    let kept: String = kept.fetch_one(&mut *tx).await?.try_get(0)?;
    tx.commit().await?;
    if made.rows_affected() == 1 {
        println!("The admin token, shown this once: {token}");
    }
    auth::unhex(&kept).ok_or_else(|| "the stored admin token is damaged".into())
}

const GATEWAY: &str = "TOLLGATE_GATEWAY_SECRET";
const ADMIN: &str = "TOLLGATE_ADMIN_TOKEN";
/// How often silent gateways are looked for. Nothing depends on it: suspense frees nothing.
const SWEEP: Duration = Duration::from_secs(1);
/// How often what is old is looked for, by each replica; one of them does it.
const PRUNE: Duration = Duration::from_secs(60);
/// How long answers under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);
