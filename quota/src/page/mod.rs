//! The page: which customers cost the most, what each day costs, what drives it, who pays its way.
//!
//! It is rendered here; its script sorts, searches, draws the charts and fetches the page again
//! every few seconds. Nothing comes from elsewhere, which its security policy holds browsers to.

mod chart;
mod load;
mod view;

use askama::Template;
use axum::Router;
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, middleware};
use serde::Deserialize;

use crate::report::costs::Name;
use crate::state::Shared;
use crate::store::StoreError;

/// What is shown without a token: `/login` and the assets.
pub fn public() -> Router<Shared> {
    let mut router = Router::new().route("/login", get(login));
    for (path, kind, text) in ASSETS {
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
        router = router.route(path, get(move || async move { (headers, text) }));
    }
    router.layer(middleware::map_response(guard))
}

/// What is shown to who has the token.
pub fn router() -> Router<Shared> {
    let router = Router::new().route("/", get(page)).route("/page/daily", get(daily));
    router.layer(middleware::map_response(guard))
}

async fn page(State(state): State<Shared>) -> Response {
    match load::page(&state).await {
        Ok(page) => html(&page),
        Err(error) => unavailable(&error),
    }
}

/// Which days the chart is to show.
#[derive(Debug, Deserialize)]
struct Daily {
    #[serde(default)]
    split: String,
    #[serde(default)]
    customer: String,
}

async fn daily(State(state): State<Shared>, Query(asked): Query<Daily>) -> Response {
    let by = match asked.split.as_str() {
        "model" => Name::Model,
        "feature" => Name::Feature,
        _ => Name::Customer,
    };
    let customer = Some(asked.customer).filter(|id| !id.is_empty());
    match load::chart(&state, by, customer).await {
        Ok(chart) => ([(header::CACHE_CONTROL, "no-store")], Json(chart)).into_response(),
        Err(error) => unavailable(&error),
    }
}

#[derive(Debug, Template)]
#[template(path = "login.html")]
struct Login {
    business: String,
    failed: bool,
}

async fn login(State(state): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let business = state.book().business.name.clone();
    html(&Login { business, failed: query.as_deref() == Some("wrong") })
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => ([(header::CACHE_CONTROL, "no-store")], Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn unavailable(error: &StoreError) -> Response {
    tracing::error!(%error, "the page cannot be read from the database");
    (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.\n").into_response()
}

/// Tells browsers to run and to fetch nothing but what comes from here, and to show the page in
/// no other.
async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        headers.insert(HeaderName::from_static(name), header::HeaderValue::from_static(value));
    }
    response
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the page is made of, beside itself.
const ASSETS: [(&str, &str, &str); 4] = [
    ("/assets/page.css", "text/css; charset=utf-8", include_str!("../../assets/page.css")),
    ("/assets/page.js", "text/javascript; charset=utf-8", include_str!("../../assets/page.js")),
    ("/assets/chart.js", "text/javascript; charset=utf-8", include_str!("../../assets/chart.js")),
    ("/assets/icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
];

#[cfg(test)]
mod tests;
