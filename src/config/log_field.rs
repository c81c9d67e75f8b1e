//! The fields of the access log, by the names that operators write into their log format.

/// One field of the access log, read as `%FILTER_STATE(wasm.tollgate.NAME:PLAIN)%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogField {
    /// The id that the filter made for the call.
    CallId,
    /// Whose call it is.
    Tenant,
    /// Which feature made it.
    Feature,
    /// Which user made it.
    User,
    /// Who answered.
    Provider,
    /// Which API was called, such as `openai.chat`.
    Api,
    /// The model that was asked for.
    RequestModel,
    /// The model that answered.
    Model,
    /// Whether the answer was streamed.
    Stream,
    /// All tokens of the prompt.
    InputTokens,
    /// Those read from a cache.
    CacheReadTokens,
    /// Those written to a cache.
    CacheWriteTokens,
    /// All tokens of the answer.
    OutputTokens,
    /// Those spent on reasoning.
    ReasoningTokens,
    /// The cost in billionths of a dollar.
    CostNanoUsd,
    /// The cost in dollars.
    CostUsd,
    /// The cost in billionths of a dollar, as the provider itself says.
    ProviderCostNanoUsd,
    /// The version of the prices.
    PriceVersion,
    /// Whether the usage is reported, estimated or absent.
    Usage,
    /// What was decided about the call.
    Decision,
    /// The budget that decided it.
    Budget,
    /// Whether the call could use no more than it held: `firm` or `soft`.
    Hold,
    /// Milliseconds to the first token.
    TtftMs,
    /// How often the call was sent upstream.
    Attempts,
    /// The whole call in one compact field.
    Call,
}

impl LogField {
    /// Every field, in the order of declaration.
    pub const ALL: [Self; 25] = [
        Self::CallId,
        Self::Tenant,
        Self::Feature,
        Self::User,
        Self::Provider,
        Self::Api,
        Self::RequestModel,
        Self::Model,
        Self::Stream,
        Self::InputTokens,
        Self::CacheReadTokens,
        Self::CacheWriteTokens,
        Self::OutputTokens,
        Self::ReasoningTokens,
        Self::CostNanoUsd,
        Self::CostUsd,
        Self::ProviderCostNanoUsd,
        Self::PriceVersion,
        Self::Usage,
        Self::Decision,
        Self::Budget,
        Self::Hold,
        Self::TtftMs,
        Self::Attempts,
        Self::Call,
    ];

    /// The name in the configuration and in the access log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallId => "call_id",
            Self::Tenant => "tenant",
            Self::Feature => "feature",
            Self::User => "user",
            Self::Provider => "provider",
            Self::Api => "api",
            Self::RequestModel => "request_model",
            Self::Model => "model",
            Self::Stream => "stream",
            Self::InputTokens => "input_tokens",
            Self::CacheReadTokens => "cache_read_tokens",
            Self::CacheWriteTokens => "cache_write_tokens",
            Self::OutputTokens => "output_tokens",
            Self::ReasoningTokens => "reasoning_tokens",
            Self::CostNanoUsd => "cost_nano_usd",
            Self::CostUsd => "cost_usd",
            Self::ProviderCostNanoUsd => "provider_cost_nano_usd",
            Self::PriceVersion => "price_version",
            Self::Usage => "usage",
            Self::Decision => "decision",
            Self::Budget => "budget",
            Self::Hold => "hold",
            Self::TtftMs => "ttft_ms",
            Self::Attempts => "attempts",
            Self::Call => "call",
        }
    }

    /// The field of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}
