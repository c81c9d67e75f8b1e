//! Customers who appear by themselves: a name that nobody in `customers.yaml` has is one, with the
//! plan of `newcomers`, from the first ask that names it on. There are at most so many, because
//! names may come from clients; they stand in the database, so that all replicas know the same.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use tollgate::{
    rule::is_id,
    sync::{Ask, Row},
};

use crate::{
    customers::Newcomers,
    state::State,
    statement::Statement,
    store::{Kind, Store, StoreError, Tx, column},
};

/// Takes in whoever an ask is about and is not known yet.
///
/// # Errors
///
/// Returns an error if the database does. Then nobody is taken in.
pub async fn meet(state: &State, ask: &Ask) -> Result<(), StoreError> {
    let book = state.book();
    let Some(rule) = &book.newcomers else { return Ok(()) };
    let is_stranger = |name: &&str| book.find(name).is_none() && is_possible(name);
    let asked: BTreeSet<_> = ask.tenants.iter().map(String::as_str).filter(is_stranger).collect();
    // Another replica may have taken in those whose budgets this is about.
    let charges = ask.rows.iter().flat_map(|row| &row.charges).map(|charge| &charge.budget);
    let budgets = ask.wants.iter().map(|want| &want.budget).chain(charges);
    let owners = budgets.filter_map(|id| id.split_once('/')).map(|(owner, _)| owner);
    let mut strangers: BTreeSet<_> = owners.filter(is_stranger).collect();
    strangers.extend(&asked);
    // Nobody is taken in for a call that is over, but it is booked on whoever has been.
    let callers: Vec<_> = ask.rows.iter().filter_map(caller).collect();
    strangers.extend(callers.iter().map(String::as_str).filter(is_stranger));
    if strangers.is_empty() {
        return Ok(());
    }
    let mut met = among(state, &strangers).await?;
    let new: Vec<_> = asked.into_iter().filter(|name| !met.contains(*name)).collect();
    if !new.is_empty() && count(state).await? < column(rule.at_most) {
        let mut tx = state.store.begin().await?;
        let price = book.plans.get(&rule.plan).map_or(0, |plan| column(plan.price.nanos()));
        let taken = take(&mut tx, &new, (rule, price), state.clock.now()).await?;
        tx.commit().await?;
        state.metrics.met(taken.len());
        met.extend(taken);
    }
    state.meet(met);
    Ok(())
}

/// Takes in all whom any replica has met. Returns whether there was one who was not known here.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn look(state: &State) -> Result<bool, StoreError> {
    let book = state.book();
    if book.newcomers.is_none() {
        return Ok(false);
    }
    let count = count(state).await?;
    if state.has_seen(count) {
        return Ok(false);
    }
    let known = book.customers.met().count();
    state.meet(all(&state.store).await?);
    state.note_seen(count);
    Ok(state.book().customers.met().count() != known)
}

/// How many have been taken in.
async fn count(state: &State) -> Result<i64, StoreError> {
    sqlx::query_scalar("SELECT COUNT(*) FROM newcomer").fetch_one(state.store.reader()).await
}

/// Whose a call was.
fn caller(row: &Row) -> Option<String> {
    #[derive(Deserialize)]
    struct Whose {
        #[serde(default)]
        tenant: String,
    }
    serde_json::from_str(row.call.text()).ok().map(|Whose { tenant }| tenant)
}

/// All who have been taken in.
///
/// # Errors
///
/// Returns an error if the database does.
pub async fn all(store: &Store) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar("SELECT name FROM newcomer").fetch_all(store.reader()).await
}

/// Those of the names that have been taken in.
async fn among(state: &State, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, StoreError> {
    let mut met = BTreeSet::new();
    let names: Vec<_> = names.iter().collect();
    for some in names.chunks(BATCH) {
        let mut query =
            Statement::new(state.store.kind(), "SELECT name FROM newcomer WHERE name IN (");
        query.rows(some, |row, name| _ = row.bind(**name)).push(")");
        met.extend(query.scalar::<String>().fetch_all(state.store.reader()).await?);
    }
    Ok(met)
}

/// Writes down as many of the names as there is room for, and that they pay the price of their plan.
async fn take(
    tx: &mut Tx,
    names: &[&str],
    (rule, price): (&Newcomers, i64),
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    // Whoever comes second waits here, and counts those of the first.
    let one_by_one = sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('newcomers', '') \
         ON CONFLICT (name) DO UPDATE SET value = setting.value",
    );
    one_by_one.execute(&mut **tx).await?;
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM newcomer").fetch_one(&mut **tx).await?;
    let room = usize::try_from(column(rule.at_most).saturating_sub(count)).unwrap_or(0);
    let names = names.get(..names.len().min(room)).unwrap_or_default();
    for some in names.chunks(BATCH) {
        let mut insert = Statement::new(Kind::of(tx), "INSERT INTO newcomer (name, since_ms) ");
        insert.rows(some, |row, name| {
            row.bind(*name).bind(now.as_millisecond());
        });
        insert.push(" ON CONFLICT (name) DO NOTHING");
        insert.query().execute(&mut **tx).await?;
        let mut stand = Statement::new(
            Kind::of(tx),
            "INSERT INTO standing (customer, since_ms, plan, revenue) ",
        );
        stand.rows(some, |row, name| {
            row.bind(*name).bind(0_i64).bind(&rule.plan).bind(price);
        });
        stand.push(" ON CONFLICT (customer, since_ms) DO NOTHING");
        stand.query().execute(&mut **tx).await?;
    }
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Whether a customer can be called so. Calls without a tenant are nobody's.
fn is_possible(name: &str) -> bool {
    is_id(name) && !name.contains('\0') && name != ANONYMOUS
}

/// The tenant of calls without one, unless a gateway is told otherwise.
const ANONYMOUS: &str = "anonymous";
/// Names of one statement.
const BATCH: usize = 1_000;
