//! Reports.

use axum::Router;

use crate::state::Shared;

/// `/v1/reports/...`
pub fn router() -> Router<Shared> {
    Router::new()
}
