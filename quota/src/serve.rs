//! The two ports: one for gateways and customers, one for the business itself.

use std::time::Instant;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use crate::{
    auth,
    metrics::Asked,
    page, report,
    state::Shared,
    sync::{self, Outcome, Refusal},
    usage,
};

/// What stands on the gateway port.
pub fn gateway_port(state: Shared) -> Router {
    Router::new()
        .route("/v1/sync", post(sync))
        .route("/v1/customers/{id}/usage", get(usage::usage))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(state)
}

/// What stands on the admin port.
pub fn admin_port(state: Shared) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .merge(report::router())
        .merge(page::router())
        .layer(middleware::from_fn_with_state(state.clone(), auth::admins_only));
    let open = Router::new()
        .route("/login", post(auth::login))
        .route("/logout", post(auth::logout))
        .merge(page::public());
    guarded.merge(open).with_state(state)
}

async fn sync(State(state): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let begun = now();
    let (asked, response) = heard(&state, &headers, &body).await;
    state.metrics.asked(asked, begun.elapsed());
    response
}

async fn heard(state: &Shared, headers: &HeaderMap, body: &[u8]) -> (Asked, Response) {
    if !state.keys.is_gateway(headers) {
        return (Asked::Unauthorized, auth::unauthorized());
    }
    let ask = match sync::read(body) {
        Ok(ask) => ask,
        Err(refusal) => return (Asked::Garbage, garbage(refusal)),
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    match sync::hear(state, &ask, body).await {
        Ok(Outcome::Heard(answer)) => (Asked::Heard, (json, answer).into_response()),
        Ok(Outcome::Again(answer)) => (Asked::Again, (json, answer).into_response()),
        Ok(Outcome::Stale(seq)) => {
            let body = Json(json!({"error": "an ask of this number was heard before", "seq": seq}));
            (Asked::Stale, (StatusCode::CONFLICT, body).into_response())
        }
        Err(error) => {
            tracing::error!(%error, "an ask could not be booked; the gateway sends it again");
            (Asked::Failed, StatusCode::SERVICE_UNAVAILABLE.into_response())
        }
    }
}

fn garbage(refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::Shape(line, column) => format!("not an ask: line {line}, column {column}"),
        Refusal::Version => "`v` must be 1".to_owned(),
        Refusal::Gateway => "`gateway` must be 1 to 512 bytes without NUL".to_owned(),
        Refusal::Sequence => "`seq` must be at least 1".to_owned(),
    };
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

/// Ready is who can read and write what happened.
async fn readyz(State(state): State<Shared>) -> Response {
    match state.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be used\n").into_response()
        }
    }
}

async fn metrics(State(state): State<Shared>) -> Response {
    let text = state.metrics.text(&state.books(), &state.prices());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[expect(clippy::disallowed_methods, reason = "how long an answer took is not a decision")]
fn now() -> Instant {
    Instant::now()
}

/// The largest ask. One sync interval of a busy worker is far below it.
const MAX_BODY: usize = 8 * 1024 * 1024;
