//! The signature of the generic webhook, as <https://www.standardwebhooks.com> has it.
//!
//! What is signed is `id.timestamp.body`, so that a receiver can refuse what is old or was already
//! seen. A secret that begins with `whsec_` is base64; any other is taken as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of the `webhook-signature` header.
pub(crate) fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn every_part_counts() {
        let signed = [
            ("s", "i", 1, "b"),
            ("t", "i", 1, "b"),
            ("s", "j", 1, "b"),
            ("s", "i", 2, "b"),
            ("s", "i", 1, "c"),
        ]
        .map(|(secret, id, at, body)| sign(secret, id, at, body).unwrap());
        let distinct: std::collections::BTreeSet<_> = signed.iter().collect();
        assert_eq!(distinct.len(), signed.len());
    }
}
