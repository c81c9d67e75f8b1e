//! What is to be told, in the database.
//!
//! An alert is written in the transaction that settles the calls it is about: there is no moment
//! at which one of them is known and the other is not. Its id is made of what it is about, so it
//! can be written once only, by whichever replica comes first.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use sqlx::{Pool, Row as _};

use crate::statement::{BATCH, Statement};
use crate::store::{self, Connection, Db, Store, StoreError};

use super::message::{Alert, Budget, Customer, Kind};

/// Something that has thresholds, and how much of it is used.
pub(crate) struct Reached<'a> {
    /// Whose it is.
    pub(crate) customer: Customer,
    /// The budget; without one, it is about the customer's margin.
    pub(crate) budget: Option<Budget>,
    /// When the window began, in seconds since 1970 UTC.
    pub(crate) window_start: u64,
    /// The percentages that are told.
    pub(crate) thresholds: &'a [u32],
    /// How much is used.
    pub(crate) used: u64,
    /// Of how much.
    pub(crate) limit: u64,
    /// What is told of a percentage.
    pub(crate) text: Box<dyn Fn(u32) -> String + Send + Sync + 'a>,
}

/// Writes an alert for each threshold that was reached and not yet told.
///
/// Only the highest goes out: who jumps over 80 % and 100 % at once gets one message. The lower
/// one is kept as told.
pub(crate) async fn put(
    db: &mut Connection,
    reached: &[Reached<'_>],
    channels: &[&str],
    now_ms: i64,
) -> Result<(), StoreError> {
    let highest = reached.iter().filter_map(|reached| Some((reached.passed().next()?, reached)));
    let highest: Vec<_> =
        highest.map(|(percent, reached)| (reached.id(percent), reached)).collect();
    let told = told(db, &highest).await?;
    for (_, reached) in highest.iter().filter(|(id, _)| !told.contains(id)) {
        tell(db, reached, channels, now_ms).await?;
    }
    Ok(())
}

/// Those of the alerts that are written, in one look: nearly all are, once a threshold is passed.
async fn told(
    db: &mut Connection,
    alerts: &[(String, &Reached<'_>)],
) -> Result<BTreeSet<String>, StoreError> {
    let mut told = BTreeSet::new();
    for some in alerts.chunks(BATCH) {
        let mut query =
            Statement::new(store::Kind::of(db), "SELECT id FROM alert_outbox WHERE id IN (");
        query.rows(some, |row, (id, _)| _ = row.bind(id)).push(")");
        told.extend(query.scalar::<String>().fetch_all(&mut *db).await?);
    }
    Ok(told)
}

async fn tell(
    db: &mut Connection,
    reached: &Reached<'_>,
    channels: &[&str],
    now_ms: i64,
) -> Result<(), StoreError> {
    for (at, percent) in reached.passed().enumerate() {
        let alert = reached.alert(percent, now_ms, (reached.text)(percent));
        if !insert(db, reached, &alert, now_ms).await? {
            // This one was told, and with it or before it all that are lower.
            break;
        }
        if at == 0 {
            for channel in channels {
                deliver(db, &alert.id, channel, now_ms).await?;
            }
        }
    }
    Ok(())
}

/// Whether this percentage of a limit is used. Nothing is a part of no limit.
pub(crate) fn is_past(used: u64, limit: u64, percent: u32) -> bool {
    let part = u128::from(limit).saturating_mul(percent.into());
    limit > 0 && u128::from(used).saturating_mul(100) >= part
}

impl Reached<'_> {
    /// The thresholds that are passed, each once, the highest first.
    pub(crate) fn passed(&self) -> impl Iterator<Item = u32> + Send + use<> {
        let thresholds = self.thresholds.iter().copied();
        let passed = thresholds.filter(|percent| is_past(self.used, self.limit, *percent));
        passed.collect::<BTreeSet<_>>().into_iter().rev()
    }

    const fn kind(&self) -> Kind {
        if self.budget.is_some() { Kind::Budget } else { Kind::Margin }
    }

    fn scope(&self) -> &str {
        self.budget.as_ref().map_or("", |budget| &budget.id)
    }

    fn alert(&self, percent: u32, now_ms: i64, text: String) -> Alert {
        let raised_at =
            jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Alert {
            id: self.id(percent),
            kind: self.kind(),
            raised_at: raised_at.to_string(),
            customer: self.customer.clone(),
            budget: self.budget.clone(),
            threshold_percent: percent,
            used: self.used,
            limit: self.limit,
            text,
        }
    }

    fn id(&self, percent: u32) -> String {
        let (kind, start) = (self.kind().label(), self.window_start);
        let about = serde_json::json!([kind, self.customer.id, self.scope(), start, percent]);
        let hash = Sha256::digest(about.to_string());
        let hex = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("alert_{}", hex.collect::<String>())
    }
}

async fn insert(
    db: &mut Connection,
    reached: &Reached<'_>,
    alert: &Alert,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let body = serde_json::to_string(alert).unwrap_or_default();
    let done = sqlx::query(
        "INSERT INTO alert_outbox (id, kind, customer, scope, window_start, threshold, body, created_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&alert.id)
    .bind(alert.kind.label())
    .bind(&alert.customer.id)
    .bind(reached.scope())
    .bind(i64::try_from(reached.window_start).unwrap_or(i64::MAX))
    .bind(i64::from(alert.threshold_percent))
    .bind(body)
    .bind(now_ms)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn deliver(
    db: &mut Connection,
    alert: &str,
    channel: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO delivery (alert, channel, state, attempts, next_ms, error)
         VALUES ($1, $2, 'due', 0, $3, '') ON CONFLICT (alert, channel) DO NOTHING",
    )
    .bind(alert)
    .bind(channel)
    .bind(now_ms)
    .execute(db)
    .await?;
    Ok(())
}

/// A delivery that one replica may make, until its claim runs out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The alert's id.
    pub(crate) alert: String,
    /// Where it goes.
    pub(crate) channel: String,
    /// Which attempt it is, counted from 1.
    pub(crate) attempt: u32,
    /// Until when nobody else makes it, in milliseconds since 1970 UTC.
    until_ms: i64,
    /// The alert as it was written.
    pub(crate) body: String,
}

/// Claims what is due on a channel, for `CLAIM_MS`: a replica that dies meanwhile leaves it to
/// the others.
pub(crate) async fn claim(
    store: &Store,
    channel: &str,
    now_ms: i64,
) -> Result<Vec<Claim>, StoreError> {
    if !is_due(store.reader(), channel, now_ms).await? {
        return Ok(Vec::new());
    }
    let mut tx = store.begin().await?;
    // What another replica is about to claim is passed over, not waited for.
    let mut due = Statement::new(
        store.kind(),
        "SELECT alert, attempts, (SELECT body FROM alert_outbox WHERE id = alert) AS body
         FROM delivery WHERE state = 'due' AND next_ms <= ",
    );
    due.bind(now_ms).push(" AND channel = ").bind(channel);
    due.push(" ORDER BY next_ms LIMIT ").bind(AT_ONCE).push(store::Kind::of(&tx).locking(true));
    let until_ms = now_ms.saturating_add(CLAIM_MS);
    let mut claims = Vec::new();
    for row in due.query().fetch_all(&mut *tx).await? {
        let alert: String = row.try_get("alert")?;
        let attempt = row.try_get::<i64, _>("attempts")?.saturating_add(1);
        sqlx::query(
            "UPDATE delivery SET attempts = $1, next_ms = $2 WHERE alert = $3 AND channel = $4",
        )
        .bind(attempt)
        .bind(until_ms)
        .bind(&alert)
        .bind(channel)
        .execute(&mut *tx)
        .await?;
        claims.push(Claim {
            alert,
            channel: channel.to_owned(),
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            until_ms,
            body: row.try_get("body")?,
        });
    }
    tx.commit().await?;
    Ok(claims)
}

/// Whether there is anything to claim: the writer is not asked for nothing.
async fn is_due(pool: &Pool<Db>, channel: &str, now_ms: i64) -> Result<bool, StoreError> {
    let due =
        "SELECT 1 FROM delivery WHERE state = 'due' AND next_ms <= $1 AND channel = $2 LIMIT 1";
    Ok(sqlx::query(due).bind(now_ms).bind(channel).fetch_optional(pool).await?.is_some())
}

/// Writes down how a delivery went: `Ok`, or what was wrong and when to try again, if at all.
pub(crate) async fn settle(
    store: &Store,
    claim: &Claim,
    outcome: Result<(), (String, Option<i64>)>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let (state, next_ms, sent_ms, error) = match outcome {
        Ok(()) => ("sent", claim.until_ms, Some(now_ms), String::new()),
        Err((error, Some(wait))) => ("due", now_ms.saturating_add(wait), None, error),
        Err((error, None)) => ("failed", claim.until_ms, None, error),
    };
    let mut tx = store.begin().await?;
    // A claim that has run out may have become another's: then that one has the last word.
    sqlx::query(
        "UPDATE delivery SET state = $1, next_ms = $2, sent_ms = $3, error = $4
         WHERE alert = $5 AND channel = $6 AND state = 'due' AND next_ms = $7",
    )
    .bind(state)
    .bind(next_ms)
    .bind(sent_ms)
    .bind(error)
    .bind(&claim.alert)
    .bind(&claim.channel)
    .bind(claim.until_ms)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// An alert and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The alert.
    pub(crate) alert: Alert,
    /// When it was written, in milliseconds since 1970 UTC.
    pub(crate) at_ms: i64,
    /// What became of it, by channel.
    pub(crate) deliveries: Vec<Delivery>,
}

/// The state of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Where it goes.
    pub(crate) channel: String,
    /// `due`, `sent` or `failed`.
    pub(crate) state: String,
    /// Attempts made.
    pub(crate) attempts: i64,
    /// When the next is made.
    pub(crate) next_ms: i64,
    /// What was wrong with the last.
    pub(crate) error: String,
}

/// The latest alerts that went out, or would have if there were a channel.
pub(crate) async fn latest(pool: &Pool<Db>, count: i64) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.id, a.body, a.created_ms, d.channel, d.state, d.attempts, d.next_ms, d.error
         FROM (SELECT id, body, created_ms, threshold FROM alert_outbox
               ORDER BY created_ms DESC, threshold DESC, id LIMIT $1) AS a
         LEFT JOIN delivery AS d ON d.alert = a.id
         ORDER BY a.created_ms DESC, a.threshold DESC, a.id, d.channel",
    )
    .bind(count)
    .fetch_all(pool)
    .await?;
    let mut told: Vec<Told> = Vec::new();
    for row in rows {
        let id: String = row.try_get("id")?;
        if told.last().is_none_or(|last| last.alert.id != id) {
            let body: String = row.try_get("body")?;
            let alert =
                serde_json::from_str(&body).unwrap_or_else(|_| Alert { id, ..Alert::default() });
            told.push(Told { alert, at_ms: row.try_get("created_ms")?, deliveries: Vec::new() });
        }
        let Some(channel) = row.try_get::<Option<String>, _>("channel")? else { continue };
        let delivery = Delivery {
            channel,
            state: row.try_get("state")?,
            attempts: row.try_get("attempts")?,
            next_ms: row.try_get("next_ms")?,
            error: row.try_get("error")?,
        };
        if let Some(last) = told.last_mut() {
            last.deliveries.push(delivery);
        }
    }
    Ok(told)
}

/// How long a claim lasts: longer than any delivery takes.
const CLAIM_MS: i64 = 60_000;
/// Deliveries claimed at once: what one replica can make while the claim lasts.
const AT_ONCE: i64 = 4;
