//! The task that tells what is due.
//!
//! Replicas run it side by side: each delivery is claimed before it is made. A channel that is
//! down keeps the other from nothing; its deliveries wait, longer each time.

use std::time::Duration;

use super::channel::{Request, SLACK, WEBHOOK};
use super::outbox::{self, Claim};
use super::retry;
use crate::state::Shared;

/// Tells what is due, and what becomes due, for as long as it is polled.
pub async fn run(state: Shared) {
    tokio::join!(tell(&state, SLACK), tell(&state, WEBHOOK));
}

async fn tell(state: &Shared, channel: &str) {
    loop {
        match outbox::claim(&state.store, channel, state.clock.now_ms()).await {
            Ok(claims) if claims.is_empty() => tokio::time::sleep(PAUSE).await,
            Ok(claims) => {
                for claim in claims {
                    deliver(state, claim).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "alerts cannot be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn deliver(state: &Shared, claim: Claim) {
    let now_ms = state.clock.now_ms();
    let alerts = &state.book().alerts;
    let sent = match Request::new(&claim.channel, alerts, &claim.body, now_ms.div_euclid(1_000)) {
        Ok(request) => tokio::task::spawn_blocking(|| request.send())
            .await
            .unwrap_or_else(|_| Err("could not be sent".to_owned())),
        Err(missing) => Err(missing.to_owned()),
    };
    let sent = sent.map_err(|error| {
        tracing::warn!(alert = claim.alert, channel = claim.channel, error, "alert not delivered");
        (error, retry::wait_ms(&claim.alert, claim.attempt))
    });
    let settled = outbox::settle(&state.store, &claim, sent, state.clock.now_ms()).await;
    if let Err(error) = settled {
        tracing::warn!(%error, "a delivery cannot be written down: it will be made again");
    }
}

/// How often the outbox is looked at when there was nothing in it.
const PAUSE: Duration = Duration::from_millis(500);
