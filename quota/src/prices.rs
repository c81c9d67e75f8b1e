//! The price book that gateways are handed, if one is newer than theirs.
//!
//! It comes from a file, read again whenever that changes, and stands in the database for all
//! replicas: of several that have different files, all hand out the newest. A version is one book
//! for ever, so that what a call was priced by can be told years later. A newer book has all models
//! of the one before it, closed where they are gone: it replaces the whole, and never half of it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sqlx::Row as _;
use tollgate::{
    price::{Book, is_version, pack},
    sync::{Answer, Edition, Knows},
};

use crate::{
    auth::{digest, hex},
    customers::Fault,
    reload,
    state::{Shared, State},
    store::StoreError,
};

/// The book in force, and what became of the file.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// What gateways are handed, once there is a book.
    pub edition: Option<Arc<Edition>>,
    /// What is wrong with the file as it stands now, if anything is.
    pub faults: Vec<Fault>,
}

/// A book that was read from a file.
#[derive(Debug)]
pub struct Read {
    edition: Edition,
    digest: String,
}

/// Reads the file of a book, and checks all of it; `former` is the one that it is to follow.
///
/// # Errors
///
/// Returns what is wrong with it.
pub fn read(path: &Path, former: Option<&Edition>) -> Result<Read, Vec<Fault>> {
    let text = reload::text(path)?;
    let fault = |line, path: &str, what: String| vec![Fault { line, path: path.to_owned(), what }];
    let mut json = serde_json::Deserializer::from_str(&text);
    let book: Book = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let inner = error.inner();
        fault(inner.line().max(1), &path, format!("cannot be read: {inner}"))
    })?;
    let version = book.version();
    if !is_version(version) {
        return Err(fault(1, "version", format!("must be {VERSION}, not `{version}`")));
    }
    let packed = pack(text.as_bytes()).map_err(|error| fault(1, "", format!("is {error}")))?;
    let former = former_names(former, version);
    let names = book.names().map_err(|error| fault(1, "", error.to_string()))?;
    let missing: Vec<_> = former.difference(&names).collect();
    if let Some(first) = missing.first() {
        let (what, count) = ("must have all models of the book before it", missing.len());
        let why = format!("{what}, `closed` where they are gone: {count} are missing, as {first}");
        return Err(fault(1, "providers", why));
    }
    let edition = Edition { version: version.to_owned(), packed: STANDARD.encode(packed) };
    Ok(Read { edition, digest: hex(&digest(text.as_bytes())) })
}

impl Read {
    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.edition.version
    }
}

/// The models that a newer book must have: those of the book in force, else of the built-in one.
fn former_names(former: Option<&Edition>, version: &str) -> BTreeSet<String> {
    let handed = former.filter(|former| former.version.as_str() < version);
    let handed = handed.and_then(|former| STANDARD.decode(&former.packed).ok());
    let book = match handed {
        Some(packed) => Book::unpack(packed.into()),
        None => Book::embedded(),
    };
    book.and_then(|book| book.names()).unwrap_or_default()
}

/// Looks at the file and at the database every second, for as long as it is polled.
pub async fn watch(state: Shared, path: Option<PathBuf>) {
    let mut last = path.as_deref().map(reload::text);
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = look(&state).await {
            tracing::warn!(%error, "the price book could not be looked up");
        }
        let now = path.as_deref().map(reload::text);
        if let Some(path) = path.as_deref().filter(|_| now != last) {
            last = now;
            let read = read(path, state.prices().edition.as_deref());
            if let Err(error) = take(&state, read).await {
                tracing::error!(%error, "the price book could not be written down");
                // It is tried again.
                last = None;
            }
        }
    }
}

/// Takes a book that was read, unless it has faults: then the last good one stays.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn take(state: &State, read: Result<Read, Vec<Fault>>) -> Result<(), StoreError> {
    let faults = match read {
        Ok(read) => put(state, &read).await?,
        Err(faults) => faults,
    };
    for fault in &faults {
        tracing::error!("price book: {fault}; the last good one stays in force");
    }
    state.metrics.repriced(faults.is_empty());
    state.renew_prices(|prices| prices.faults = faults);
    look(state).await
}

/// Writes a book down for all replicas.
async fn put(state: &State, read: &Read) -> Result<Vec<Fault>, StoreError> {
    let Read { edition: Edition { version, packed }, digest } = read;
    let mut tx = state.store.begin().await?;
    let insert = sqlx::query(
        "INSERT INTO price_book (version, digest, packed, since_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (version) DO NOTHING",
    );
    let insert = insert.bind(version).bind(digest).bind(packed).bind(state.clock.now_ms());
    insert.execute(&mut *tx).await?;
    let there: String = sqlx::query_scalar("SELECT digest FROM price_book WHERE version = $1")
        .bind(version)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    if there == *digest {
        return Ok(Vec::new());
    }
    let what = format!("must be a new one: `{version}` has been handed out with other prices");
    Ok(vec![Fault { line: 1, path: "version".to_owned(), what }])
}

/// Takes the newest book of the database, if it is not in force here.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn look(state: &State) -> Result<(), StoreError> {
    // Versions are compared as texts, byte by byte, whatever the database makes of them.
    let versions: Vec<String> = sqlx::query_scalar("SELECT version FROM price_book")
        .fetch_all(state.store.reader())
        .await?;
    let Some(newest) = versions.into_iter().max() else { return Ok(()) };
    if state.prices().edition.is_some_and(|edition| edition.version == newest) {
        return Ok(());
    }
    let Some(packed) = packed(state, &newest).await? else { return Ok(()) };
    match Book::embedded() {
        Ok(book) if newest.as_str() <= book.version() => {
            tracing::warn!(version = %newest, built_in = %book.version(), "gateways of this \
                version have newer prices than the price book");
        }
        _ => tracing::info!(version = %newest, "prices are in force"),
    }
    let edition = Arc::new(Edition { version: newest, packed });
    state.renew_prices(|prices| prices.edition = Some(edition));
    Ok(())
}

async fn packed(state: &State, version: &str) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT packed FROM price_book WHERE version = $1");
    let row = row.bind(version).fetch_optional(state.store.reader()).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// What a gateway that `knows` this of prices is handed.
#[must_use]
pub fn for_gateway(state: &State, knows: Option<&Knows>) -> Option<Arc<Edition>> {
    let (knows, edition) = (knows?, state.prices().edition?);
    let version = edition.version.as_str();
    let news = version > knows.version.as_str() && knows.refused.as_deref() != Some(version);
    news.then_some(edition)
}

/// An answer as it is written down: with the name of the book that it hands out, not the book.
#[must_use]
pub fn noted(edition: &Edition) -> Edition {
    Edition { version: edition.version.clone(), packed: String::new() }
}

/// The answer that was written down as `text`, as it was sent.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn as_sent(state: &State, text: String) -> Result<String, StoreError> {
    if !text.contains(NOTED) {
        return Ok(text);
    }
    let Ok(mut answer) = serde_json::from_str::<Answer>(&text) else { return Ok(text) };
    if let Some(edition) = &mut answer.prices {
        edition.packed = packed(state, &edition.version).await?.unwrap_or_default();
    }
    Ok(serde_json::to_string(&answer).unwrap_or(text))
}

const VERSION: &str =
    "a date and more, as 2026-12-01.acme: at most 64 of a-z, A-Z, 0-9, `.`, `-`, `_`";
/// What a book looks like in an answer that is written down; in a string its quotes are escaped.
const NOTED: &str = "\"packed\":\"\"";
/// How long a change may go unseen.
const PAUSE: Duration = Duration::from_secs(1);
