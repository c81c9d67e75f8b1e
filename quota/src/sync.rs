//! `POST /v1/sync`: one ask, one transaction, one answer.
//!
//! An ask that is sent again gets the answer that it got, byte for byte: a lost answer costs no
//! lease and counts no call twice. If the database fails, nothing of the ask holds, and the
//! gateway sends it again. `docs/protocol.md` says what follows from what.

use sqlx::Row as _;
use tollgate::sync::{Ask, VERSION};

use self::hearing::Hearing;
use crate::{
    auth::{digest, hex},
    newcomers, prices,
    state::State,
    store::{StoreError, Tx, column},
};

mod hearing;

/// What became of an ask.
#[derive(Debug)]
pub enum Outcome {
    /// It was heard. The text is the answer.
    Heard(String),
    /// It was heard before: the same answer again.
    Again(String),
    /// It is older than the last one, or says something else under the same number. The number is
    /// the last one that was heard.
    Stale(i64),
}

/// Why an ask is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not JSON of the right shape; the place in the text. What stands there is not repeated.
    Shape(usize, usize),
    /// Another version of the protocol.
    Version,
    /// The name of the gateway is empty or too long.
    Gateway,
    /// The sequence begins at 1.
    Sequence,
}

/// Reads an ask.
///
/// # Errors
///
/// Returns why it is none.
pub fn read(body: &[u8]) -> Result<Ask, Refusal> {
    let ask: Ask = serde_json::from_slice(body)
        .map_err(|error| Refusal::Shape(error.line(), error.column()))?;
    match &ask {
        Ask { v, .. } if *v != VERSION => Err(Refusal::Version),
        Ask { gateway, .. } if gateway.is_empty() || !is_name(gateway) => Err(Refusal::Gateway),
        Ask { seq: 0, .. } => Err(Refusal::Sequence),
        _ => Ok(ask),
    }
}

/// Hears an ask out: books, lends, looks up, answers.
///
/// # Errors
///
/// Returns an error if the database does. Then nothing has happened.
pub async fn hear(state: &State, ask: &Ask, body: &[u8]) -> Result<Outcome, StoreError> {
    newcomers::meet(state, ask).await?;
    let mut tx = state.store.begin().await?;
    let digest = hex(&digest(body));
    let (last, told, answer) = last(&mut tx, ask).await?;
    if last == column(ask.seq) && told == digest {
        tx.rollback().await?;
        return Ok(Outcome::Again(prices::as_sent(state, answer).await?));
    }
    if last >= column(ask.seq) {
        return Ok(Outcome::Stale(last));
    }
    let books = state.books();
    let now = state.clock.now();
    let hearing = Hearing { state, ask, book: &books.book, now, node: node(ask) };
    let news = state.acquaintances.news(&ask.gateway, &books, now);
    let mut answer = hearing.answer(&mut tx, &news).await?;
    let edition = prices::for_gateway(state, ask.prices.as_ref());
    answer.prices = edition.as_deref().map(prices::noted);
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let update = sqlx::query(
        "UPDATE reporter SET seq = $1, digest = $2, answer = $3, node = $4, seen_ms = $5 \
         WHERE gateway = $6 AND worker = $7",
    );
    let update = update.bind(column(ask.seq)).bind(digest).bind(&text).bind(node(ask));
    let update = update.bind(now.as_millisecond()).bind(&ask.gateway).bind(column(ask.worker));
    update.execute(&mut *tx).await?;
    tx.commit().await?;
    state.acquaintances.told(&ask.gateway, &books, now, &news, &answer);
    state.metrics.lent(&answer.grants);
    let Some(edition) = edition else { return Ok(Outcome::Heard(text)) };
    state.metrics.handed();
    answer.prices = Some((*edition).clone());
    Ok(Outcome::Heard(serde_json::to_string(&answer).unwrap_or(text)))
}

/// The last word with this worker: its number, what was asked, what was said; 0 if there was none.
/// It cannot be heard by two replicas at once: who comes second waits here.
async fn last(tx: &mut Tx, ask: &Ask) -> Result<(i64, String, String), StoreError> {
    let last = sqlx::query(
        "INSERT INTO reporter (gateway, worker, seq, digest, answer, node, seen_ms) \
         VALUES ($1, $2, 0, '', '', '', 0) ON CONFLICT (gateway, worker) DO UPDATE SET \
         seq = reporter.seq RETURNING seq, digest, answer",
    );
    let last = last.bind(&ask.gateway).bind(column(ask.worker)).fetch_one(&mut **tx).await?;
    Ok((last.try_get(0)?, last.try_get(1)?, last.try_get(2)?))
}

/// The gateway's name, as much of it as is stored.
fn node(ask: &Ask) -> &str {
    let name = ask.node.split('\0').next().unwrap_or_default();
    name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default()
}

/// Whether a text can name a gateway or a budget. PostgreSQL's texts have no NUL.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && !text.contains('\0')
}

/// The longest name of a gateway and the longest id of a budget.
const MAX_NAME: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ask_is_refused_without_repeating_it() {
        #[rustfmt::skip]
        let cases = [
            (&b"\xff\xfe"[..],                                     Refusal::Shape(1, 1)),
            (b"",                                                  Refusal::Shape(1, 0)),
            (b"{\"v\":1,\n\"gateway\":7}",                         Refusal::Shape(2, 11)),
            (b"{\"v\":2,\"gateway\":\"g\",\"worker\":0,\"seq\":1}", Refusal::Version),
            (b"{\"v\":1,\"gateway\":\"\",\"worker\":0,\"seq\":1}", Refusal::Gateway),
            (b"{\"v\":1,\"gateway\":\"\\u0000\",\"worker\":0,\"seq\":1}", Refusal::Gateway),
            (b"{\"v\":1,\"gateway\":\"g\",\"worker\":0,\"seq\":0}", Refusal::Sequence),
        ];
        for (body, refusal) in cases {
            assert_eq!(read(body), Err(refusal), "{}", body.escape_ascii());
        }
        assert!(read(b"{\"v\":1,\"gateway\":\"g\",\"worker\":0,\"seq\":1,\"new\":[]}").is_ok());
    }
}
