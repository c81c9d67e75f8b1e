//! Who may ask: gateways by one secret, people of the business by another, customers by their own.
//!
//! Secrets are kept and compared as SHA-256 digests, byte by byte to the end, so that the time a
//! comparison takes tells nothing. The admin's cookie is signed with the token's digest: it needs
//! no store, and a new token ends every session.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
};

use axum::{
    extract::{Form, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::state::Shared;

/// The SHA-256 of a secret.
pub type Digest = [u8; 32];

/// What proves who asks.
pub struct Keys {
    /// Of gateways. `None`: anybody is one.
    gateway: Option<Digest>,
    /// Of the page, the reports and the metrics.
    admin: Digest,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// The keys with these digests.
    #[must_use]
    pub const fn new(gateway: Option<Digest>, admin: Digest) -> Self {
        Self { gateway, admin }
    }

    /// Whether a gateway asks.
    #[must_use]
    pub fn is_gateway(&self, headers: &HeaderMap) -> bool {
        self.gateway.is_none_or(|key| bearer(headers).is_some_and(|token| is(token, &key)))
    }

    /// Whether an admin asks, with the token or with the cookie of a session.
    #[must_use]
    pub fn is_admin(&self, headers: &HeaderMap, now_ms: i64) -> bool {
        bearer(headers).is_some_and(|token| is(token, &self.admin))
            || cookie(headers).is_some_and(|cookie| self.is_session(cookie, now_ms))
    }

    fn is_session(&self, cookie: &str, now_ms: i64) -> bool {
        let Some((until, _)) = cookie.split_once('.') else { return false };
        until.parse::<i64>().is_ok_and(|until| until > now_ms)
            && same(&digest(cookie), &digest(self.session(until)))
    }

    /// A cookie that is good until then: the time, and the same signed.
    fn session(&self, until: &str) -> String {
        let signed = Hmac::<Sha256>::new_from_slice(&self.admin).map_or_else(
            |_| String::new(),
            |mut mac| {
                mac.update(b"session ");
                mac.update(until.as_bytes());
                hex(&mac.finalize().into_bytes())
            },
        );
        format!("{until}.{signed}")
    }
}

/// Lets only admins through. Browsers are sent to `/login`.
pub async fn admins_only(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if state.keys.is_admin(headers, state.clock.now_ms()) {
        return next.run(request).await;
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return Redirect::to("/login").into_response();
    }
    unauthorized()
}

/// What a login form holds.
#[derive(Deserialize)]
pub struct Login {
    token: String,
}

/// `POST /login`: the token for a cookie.
pub async fn login(State(state): State<Shared>, Form(login): Form<Login>) -> Response {
    if !is(login.token.trim(), &state.keys.admin) {
        return Redirect::to("/login?wrong").into_response();
    }
    let until = state.clock.now_ms().saturating_add(SESSION_MS).to_string();
    let cookie =
        format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", state.keys.session(&until));
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// `POST /logout`: forgets the cookie.
pub async fn logout() -> Response {
    let cookie = format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

/// The answer to who shows nothing, or the wrong thing.
pub fn unauthorized() -> Response {
    let headers = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, headers, "not authorized\n").into_response()
}

/// The token in `authorization: Bearer ...`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whether `secret` is the one with this digest.
#[must_use]
pub fn is(secret: &str, expected: &Digest) -> bool {
    same(&digest(secret), expected)
}

/// The SHA-256 of a text.
#[must_use]
pub fn digest(text: impl AsRef<[u8]>) -> Digest {
    Sha256::digest(text.as_ref()).into()
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest that such a text stands for.
#[must_use]
pub fn unhex(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// Bytes that nobody can guess.
///
/// # Errors
///
/// Returns an error if the system has none.
pub fn random() -> io::Result<Digest> {
    let mut bytes = Digest::default();
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn same(left: &Digest, right: &Digest) -> bool {
    left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r)) == 0
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, v)| v)
}

const COOKIE: &str = "tollgate";
/// A session lasts for twelve hours.
const SESSION_MS: i64 = 12 * 60 * 60 * 1_000;
