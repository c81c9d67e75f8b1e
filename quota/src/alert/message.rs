//! An alert in words, and in the shapes that channels take.
//!
//! A customer's name is foreign text: in Slack's markup it could call everyone in the channel, so
//! the three characters that begin such a thing are written as entities.

use serde::{Deserialize, Serialize};
use tollgate::calendar::Cycle;

/// Something that people are told once. This is the body of the generic webhook, and what the
/// database keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// The same at every delivery.
    pub(crate) id: String,
    /// What happened.
    pub(crate) kind: Kind,
    /// When, in RFC 3339.
    pub(crate) raised_at: String,
    /// Whose it is.
    pub(crate) customer: Customer,
    /// The budget, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
    /// The percentage that was passed.
    pub(crate) threshold_percent: u32,
    /// How much of `limit` was used when it was passed: nano-dollars, or what the budget counts.
    pub(crate) used: u64,
    /// The limit of the budget; the month's revenue in nano-dollars.
    pub(crate) limit: u64,
    /// The whole in a sentence.
    pub(crate) text: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A budget was used up to a threshold.
    #[default]
    Budget,
    /// A customer cost more than a share of what it pays.
    Margin,
}

impl Kind {
    /// The name in the database.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Margin => "margin",
        }
    }
}

/// A customer, as an alert names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customer {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its plan.
    pub(crate) plan: String,
}

/// A budget, as an alert names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// Its id.
    pub(crate) id: String,
    /// What it counts: `usd`, `tokens`, `requests` or `units`.
    pub(crate) unit: String,
    /// The feature whose calls count, if not all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) feature: Option<String>,
    /// `day` or `month`.
    pub(crate) window: String,
    /// When the window began, in seconds since 1970 UTC.
    pub(crate) window_start: u64,
}

/// The sentence about a budget; `used` and `limit` are amounts with their unit.
pub(crate) fn budget_text(
    name: &str,
    threshold: u32,
    used: &str,
    limit: &str,
    cycle: Cycle,
) -> String {
    let this = match cycle {
        Cycle::Day => " for today".to_owned(),
        Cycle::Once => String::new(),
        Cycle::Rolling { .. } => format!(" for the last {}", cycle.words()),
        cycle => format!(" for this {}", cycle.label()),
    };
    if threshold >= 100 {
        format!("{name} has used up its {limit}{this}: {used}.")
    } else {
        format!("{name} has used {threshold} % of its {limit}{this}: {used}.")
    }
}

/// The sentence about a margin.
pub(crate) fn margin_text(name: &str, threshold: u32, cost: &str, revenue: &str) -> String {
    format!("{name} costs more than {threshold} % of what it pays: {cost} of {revenue} this month.")
}

/// The body for a Slack webhook.
pub(crate) fn slack(alert: &Alert) -> String {
    let text = alert.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let sign = if alert.threshold_percent >= 100 { ":rotating_light:" } else { ":warning:" };
    serde_json::json!({ "text": format!("{sign} {text}") }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_what_was_passed() {
        #[rustfmt::skip]
        let cases = [
            (budget_text("MegaCo", 80, "1,612", "2,000 AI analyses", Cycle::Month { day: 1 }),
             "MegaCo has used 80 % of its 2,000 AI analyses for this month: 1,612."),
            (budget_text("MegaCo", 100, "$5.02", "$5", Cycle::Day),
             "MegaCo has used up its $5 for today: $5.02."),
            (budget_text("MegaCo", 80, "41", "50 requests", Cycle::Once),
             "MegaCo has used 80 % of its 50 requests: 41."),
            (margin_text("MegaCo", 50, "$24.61", "$49"),
             "MegaCo costs more than 50 % of what it pays: $24.61 of $49 this month."),
        ];
        for (text, expected) in cases {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_name_cannot_call_the_channel() {
        let alert = Alert { text: "<!channel> & <@U1>".into(), ..Alert::default() };
        let body: serde_json::Value = serde_json::from_str(&slack(&alert)).unwrap();
        assert_eq!(body["text"], ":warning: &lt;!channel&gt; &amp; &lt;@U1&gt;");
    }
}
