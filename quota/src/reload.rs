//! `customers.yaml`, read at the start and again whenever it changes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::Row as _;
use tollgate::desk::FRESH_MS;

use crate::{
    customers::{Book, Fault},
    newcomers,
    state::{Shared, State},
    statement::Statement,
    store::{Kind, StoreError, Tx, column},
};

/// Reads the file: what stands in it, and its text.
///
/// # Errors
///
/// Returns everything that is wrong with it.
pub fn read(path: &Path) -> Result<(Book, String), Vec<Fault>> {
    let text = text(path)?;
    Ok((Book::parse(&text)?, text))
}

/// Looks at the file every second, for as long as it is polled, and takes what has changed since
/// its text was `read`.
pub async fn watch(state: Shared, path: PathBuf, read: String) {
    let mut last = Ok(read);
    loop {
        tokio::time::sleep(PAUSE).await;
        look_around(&state).await;
        let now = text(&path);
        if now == last {
            continue;
        }
        take(&state, now.clone().and_then(|text| Book::parse(&text))).await;
        last = now;
    }
}

/// Takes in the customers who have appeared at other replicas, and writes down what they all pay.
async fn look_around(state: &State) {
    let looked = match newcomers::look(state).await {
        Ok(true) => remember(state, &state.book()).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = looked {
        tracing::warn!(%error, "customers who have appeared could not be looked for");
    }
}

/// Takes a newer file, unless it has faults: then the last good one stays.
async fn take(state: &State, read: Result<Book, Vec<Fault>>) {
    let good = read.is_ok();
    match &read {
        Ok(book) => {
            tracing::info!(customers = book.customers.len(), "customers.yaml is in force");
            let met: Vec<_> = state.book().customers.met().cloned().collect();
            if let Err(error) = remember(state, &book.clone().with(met)).await {
                tracing::error!(%error, "what customers pay could not be written down");
            }
        }
        Err(faults) => {
            for fault in faults {
                tracing::error!("customers.yaml: {fault}; the last good one stays in force");
            }
        }
    }
    state.renew(read);
    state.metrics.reloaded(good);
}

/// Writes down which plan each customer has and what it pays, where that has changed: each change
/// once, however many replicas see it.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn remember(state: &State, book: &Book) -> Result<(), StoreError> {
    let now = state.clock.now();
    let mut tx = state.store.begin().await?;
    // Whoever comes second waits here, and then finds the change written down.
    let one_by_one = sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('standing', '') \
         ON CONFLICT (name) DO UPDATE SET value = setting.value",
    );
    one_by_one.execute(&mut *tx).await?;
    let last = last(&mut tx).await?;
    let stands = book.customers.values().filter_map(|customer| {
        let plan = book.plan_of(customer, now).map_or("", |plan| plan.name.as_str());
        let stand = (plan, column(book.revenue_of(customer, now).nanos()));
        let since_ms = match last.get(&customer.id) {
            None => 0,
            Some((plan, revenue)) if stand == (plan.as_str(), *revenue) => return None,
            Some(_) => now.as_millisecond(),
        };
        Some((customer.id.as_str(), since_ms, stand))
    });
    let stands: Vec<_> = stands.collect();
    for some in stands.chunks(BATCH) {
        stand(&mut tx, some).await?;
    }
    tx.commit().await
}

/// The plan of each customer and what it pays, as they were last written down.
async fn last(tx: &mut Tx) -> Result<BTreeMap<String, (String, i64)>, StoreError> {
    let rows = sqlx::query(
        "SELECT customer, plan, revenue FROM standing AS s WHERE since_ms = \
         (SELECT MAX(since_ms) FROM standing WHERE customer = s.customer)",
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

/// Writes down since when these customers have which plan and pay how much.
async fn stand(tx: &mut Tx, stands: &[(&str, i64, (&str, i64))]) -> Result<(), StoreError> {
    let mut upsert =
        Statement::new(Kind::of(tx), "INSERT INTO standing (customer, since_ms, plan, revenue) ");
    upsert.rows(stands, |row, (customer, since_ms, (plan, revenue))| {
        row.bind(*customer).bind(*since_ms).bind(*plan).bind(*revenue);
    });
    upsert.push(
        " ON CONFLICT (customer, since_ms) DO UPDATE SET plan = excluded.plan, \
         revenue = excluded.revenue",
    );
    upsert.query().execute(&mut **tx).await.map(drop)
}

/// The text of a file, or why there is none.
pub(crate) fn text(path: &Path) -> Result<String, Vec<Fault>> {
    fs::read_to_string(path).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::InvalidData => "must be UTF-8".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        vec![Fault { line: 1, path: String::new(), what }]
    })
}

/// The longest that a gateway in use goes on by what a file said before: until the change is seen,
/// until the gateway reports and hears that there is one, until it has asked what, and until the
/// last of its workers has looked.
pub const IN_FORCE: Duration = Duration::from_millis(1_000 + 2 * FRESH_MS + 1_000);
/// How long a change may go unseen.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows of one statement: with four columns, far below the 32,766 parameters that SQLite takes.
const BATCH: usize = 1_000;
