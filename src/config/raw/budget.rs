//! A budget in the filter's own configuration.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::shape::{Object, Whole, Word};
use crate::rule::{
    RawAction, RawDay, RawHold, RawLimit, RawMatch, RawOutrun, RawRule, RawTooLarge, RawWindow,
};
use crate::scope::Facet;

/// A budget: who may use how much, and what happens then.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema), schemars(rename = "Budget"))]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawBudget {
    /// Whose calls count: a tenant's; `*` for each tenant's by themselves; all calls together if
    /// absent.
    pub(in crate::config) tenant: Option<String>,
    /// Its name, if not that of its feature, unit and window. A tenant's own budget takes the place
    /// of the one of `*` of the same name.
    id: Option<String>,
    /// The feature whose calls count; all if absent.
    feature: Option<String>,
    /// Which calls count, by more than that. Such a budget needs an `id`.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Option<Object<RawMatch>>,
    /// What is counted by itself: `[feature]` is one such budget for each feature. It needs an `id`.
    pub(in crate::config) per: Option<Vec<Word<Facet>>>,
    /// The most in a window.
    limit: Object<RawLimit>,
    /// How its `units` are called in front of people, such as `AI analyses`.
    #[serde(default)]
    pub(in crate::config) unit_name: String,
    /// How often it begins anew.
    window: Word<RawWindow>,
    /// On which day a month, quarter or year begins: 1 to 31, or the last day of shorter months.
    anchor_day: Option<Whole>,
    /// In which month a quarter or year begins: 1 to 12.
    anchor_month: Option<Whole>,
    /// On which day a week begins; Monday if absent.
    week_begins: Option<Word<RawDay>>,
    /// Percentages of the limit from which on calls pass with a warning; 80 and 100 if absent.
    warn_at: Option<Vec<Whole>>,
    /// What happens at the limit: `warn` (if absent), `refuse`, or an object that says more.
    #[serde(default)]
    action: RawAction,
    /// Where more can be bought, for `{upgrade_url}` in messages.
    #[serde(default)]
    pub(in crate::config) upgrade_url: String,
    /// Whether what would happen at the limit is only recorded.
    #[serde(default)]
    shadow: bool,
    /// What a call holds while it is under way: what it is expected to come to (`expected`, if
    /// absent), or the most that it can come to (`worst_case`), so that nothing is overspent.
    hold: Option<Word<RawHold>>,
    /// What becomes of a request that needs more than is left: what `action` says (`refuse`, if
    /// absent), or its longest answer is cut down to what is left (`lower`).
    too_large: Option<Word<RawTooLarge>>,
    /// What becomes of a stream that outgrows its hold when no more can be had: it goes on (`pass`,
    /// if absent), or it is ended by an error (`end`).
    outrun: Option<Word<RawOutrun>>,
    /// For how many milliseconds a call waits for what others hold, before `action`: up to 10000;
    /// 0 if absent.
    wait_ms: Option<Whole>,
}

impl RawBudget {
    /// What it has in common with the budgets of `customers.yaml`.
    pub(in crate::config) fn rule(self) -> RawRule {
        let Self { id, feature, matches, per, limit, window, anchor_day, anchor_month, .. } = self;
        let Self { week_begins, warn_at, action, shadow, hold, too_large, outrun, wait_ms, .. } =
            self;
        RawRule {
            id,
            feature,
            matches,
            per,
            limit,
            window: Some(window),
            rolling: None,
            roll_over: None,
            anchor_day,
            anchor_month,
            week_begins,
            warn_at,
            action,
            shadow,
            hold,
            too_large,
            outrun,
            wait_ms,
        }
    }
}
