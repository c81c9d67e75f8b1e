//! What providers themselves say that a call cost, where they do.

use serde_json::Value;

use super::count::read;
use crate::money::NanoUsd;

/// The cost in a usage object of `provider`, rounded half up to a nano-dollar.
pub(super) fn said(usage: &Value, provider: &str) -> Option<NanoUsd> {
    match provider {
        "openrouter" => openrouter(usage),
        "vercel" => dollars(usage.get("cost")?),
        "perplexity" => dollars(usage.get("cost")?.get("total_cost")?),
        "xai" => {
            let ticks = u64::try_from(read(usage.get("cost_in_usd_ticks")?)?).ok()?;
            Some(NanoUsd::new(ticks.saturating_add(TICKS / 2) / TICKS))
        }
        _ => None,
    }
}

/// With a key of the customer's own, `cost` is OpenRouter's fee alone.
fn openrouter(usage: &Value) -> Option<NanoUsd> {
    let fee = dollars(usage.get("cost")?)?;
    if usage.get("is_byok").and_then(Value::as_bool) != Some(true) {
        return Some(fee);
    }
    let upstream = usage.get("cost_details")?.get("upstream_inference_cost")?;
    Some(fee.plus(dollars(upstream)?))
}

/// A number reads and prints as the decimal that was written, up to fifteen digits.
fn dollars(value: &Value) -> Option<NanoUsd> {
    match value {
        Value::Number(number) => NanoUsd::near_dollars(&number.to_string()),
        Value::String(text) => NanoUsd::near_dollars(text.trim()),
        _ => None,
    }
}

/// Parts of a nano-dollar in which xAI counts.
const TICKS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_to_the_nano_dollar() {
        #[rustfmt::skip]
        let cases = [
            ("openrouter", r#"{"cost": 7.159e-05}"#,                                   Some(71_590)),
            ("openrouter", r#"{"cost": 0}"#,                                           Some(0)),
            ("openrouter", r#"{"cost": 0.025265, "is_byok": false,
                               "cost_details": {"upstream_inference_cost": 0.02}}"#,   Some(25_265_000)),
            ("openrouter", r#"{"cost": 1e-7, "is_byok": true,
                               "cost_details": {"upstream_inference_cost": 3.6e-6}}"#, Some(3_700)),
            ("openrouter", r#"{"cost": 0, "is_byok": true}"#,                          None),
            ("openrouter", r#"{"cost": -1}"#,                                          None),
            ("openrouter", r#"{"prompt_tokens": 1}"#,                                  None),
            ("vercel",     r#"{"cost": "0.00014405"}"#,                                Some(144_050)),
            ("perplexity", r#"{"cost": {"request_cost": 0.005, "total_cost": 0.00512}}"#, Some(5_120_000)),
            ("xai",        r#"{"cost_in_usd_ticks": 6306005}"#,                        Some(630_601)),
            ("xai",        r#"{"cost_in_usd_ticks": 0}"#,                              Some(0)),
            ("xai",        r#"{"cost_in_usd_ticks": "6306005"}"#,                      Some(630_601)),
            ("xai",        r#"{"cost_in_usd_ticks": 6306005.0}"#,                      Some(630_601)),
            ("xai",        r#"{"cost_in_usd_ticks": -3}"#,                             None),
            ("openai",     r#"{"cost": 1}"#,                                           None),
        ];
        for (provider, usage, nanos) in cases {
            let cost = said(&serde_json::from_str(usage).unwrap(), provider);
            assert_eq!(cost.map(NanoUsd::nanos), nanos, "{provider} {usage}");
        }
    }
}
