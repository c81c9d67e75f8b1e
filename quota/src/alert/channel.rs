//! The channels that alerts go to, and one attempt at each.

use std::time::Duration;

use super::message::{self, Alert};
use super::signature::sign;
use crate::customers::Alerts;

/// The name of the Slack channel in the database.
pub(crate) const SLACK: &str = "slack";
/// The name of the generic webhook in the database.
pub(crate) const WEBHOOK: &str = "webhook";

/// The channels that are set up.
pub(crate) fn set_up(alerts: &Alerts) -> Vec<&'static str> {
    let slack = alerts.slack.as_ref().map(|_| SLACK);
    let webhook = alerts.webhook.as_ref().map(|_| WEBHOOK);
    slack.into_iter().chain(webhook).collect()
}

/// How people call a channel.
pub(crate) fn called(channel: &str) -> &'static str {
    if channel == SLACK { "Slack" } else { "Webhook" }
}

/// A request that is ready to go. It holds secrets: it is never shown.
pub(crate) struct Request {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    /// The request for a channel.
    ///
    /// # Errors
    ///
    /// Returns what is missing, in words for the operator.
    pub(crate) fn new(
        channel: &str,
        alerts: &Alerts,
        body: &str,
        now: i64,
    ) -> Result<Self, &'static str> {
        let alert: Alert = serde_json::from_str(body).map_err(|_| "the alert cannot be read")?;
        if channel == SLACK {
            let url = alerts.slack.as_ref().ok_or("no longer set up")?;
            let url = url.read().ok_or("the variable of its address is not set")?;
            return Ok(Self { url, headers: Vec::new(), body: message::slack(&alert) });
        }
        let webhook = alerts.webhook.as_ref().ok_or("no longer set up")?;
        let url = webhook.url.read().ok_or("the variable of its address is not set")?;
        let mut headers =
            vec![("webhook-id", alert.id.clone()), ("webhook-timestamp", now.to_string())];
        if let Some(secret) = &webhook.secret {
            let secret = secret.read().ok_or("the variable of its secret is not set")?;
            let signature = sign(&secret, &alert.id, now, body).ok_or("cannot be signed")?;
            headers.push(("webhook-signature", signature));
        }
        Ok(Self { url, headers, body: body.to_owned() })
    }

    /// Sends it, and waits for the answer: at most `TIMEOUT`.
    ///
    /// # Errors
    ///
    /// Returns what went wrong, without the address: it is a secret.
    pub(crate) fn send(self) -> Result<(), String> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("tollgate-quota");
        let agent = config.build().new_agent();
        let mut request = agent.post(&self.url).content_type("application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        match request.send(self.body.as_str()) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("answered {}", answer.status().as_u16())),
            Err(ureq::Error::Timeout(_)) => Err("no answer in time".to_owned()),
            Err(ureq::Error::HostNotFound) => Err("no such host".to_owned()),
            Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_)) => {
                Err("no connection".to_owned())
            }
            Err(_) => Err("could not be sent".to_owned()),
        }
    }
}

/// How long one attempt may take. Shorter than a claim.
const TIMEOUT: Duration = Duration::from_secs(10);
