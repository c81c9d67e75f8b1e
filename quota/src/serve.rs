//! The two ports: one for gateways and customers, one for the business itself.

use axum::{Router, http::StatusCode, middleware, routing::get, routing::post};

use crate::{auth, page, report, state::Shared};

/// What stands on the gateway port.
pub fn gateway_port(state: Shared) -> Router {
    Router::new().route("/healthz", get(|| async { StatusCode::OK })).with_state(state)
}

/// What stands on the admin port.
pub fn admin_port(state: Shared) -> Router {
    let guarded = Router::new().merge(report::router()).merge(page::router());
    let guarded = guarded.layer(middleware::from_fn_with_state(state.clone(), auth::admins_only));
    let open = Router::new()
        .route("/login", post(auth::login))
        .route("/logout", post(auth::logout))
        .merge(page::public());
    guarded.merge(open).with_state(state)
}
