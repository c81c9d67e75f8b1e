//! The page.

use axum::Router;

use crate::state::Shared;

/// What is shown without a token: `/login` and the assets.
pub fn public() -> Router<Shared> {
    Router::new()
}

/// What is shown to who has the token.
pub fn router() -> Router<Shared> {
    Router::new()
}
