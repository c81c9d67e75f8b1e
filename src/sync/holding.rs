//! How calls are held against a budget.

use serde::{Deserialize, Serialize};

/// How calls are held against a budget, and what becomes of those that need more than there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holding {
    /// Whether a call holds the most that it can come to, so that nothing is overspent; else what
    /// it is expected to come to.
    #[serde(skip_serializing_if = "is_false")]
    pub worst_case: bool,
    /// Whether a request that needs more than is left has its longest answer cut down to that.
    #[serde(skip_serializing_if = "is_false")]
    pub lower: bool,
    /// Whether a stream that outgrows its hold is ended when no more can be had.
    #[serde(skip_serializing_if = "is_false")]
    pub end: bool,
    /// For how many milliseconds a call waits for what others hold.
    #[serde(skip_serializing_if = "is_zero")]
    pub wait_ms: u32,
}

impl Holding {
    /// Whether it is as it is unless somebody says otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}
