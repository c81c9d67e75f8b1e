//! The terms under which a call was served, and the conditions that rates have on them.

use serde::Deserialize;

/// The terms under which a call was served: as the answer says, not as the request asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// When the call began, in seconds since 1970 UTC.
    pub at: u64,
    /// The provider's word for the class of service, such as `flex` or `ON_DEMAND_PRIORITY`.
    pub service_tier: Option<&'a str>,
    /// Whether the call was part of a batch.
    pub batch: bool,
    /// The provider's word for the speed of generation, such as `fast`.
    pub speed: Option<&'a str>,
    /// Where it was computed, if that was for the client to choose: Anthropic's `inference_geo`.
    pub geo: Option<&'a str>,
    /// The region of the endpoint that it went to, where that has one: `eu`, `us-gov-west-1`.
    pub region: Option<&'a str>,
    /// How much of the web was searched: Perplexity's `search_context_size`.
    pub search_context: Option<&'a str>,
    /// How it was searched: Perplexity's `search_type`.
    pub search_type: Option<&'a str>,
    /// The endpoint to which a seller of other providers' models sent the call.
    pub route: Option<&'a str>,
}

impl Terms<'_> {
    /// The class of service in one word for all providers; `batch` is none of them.
    fn tier(&self) -> Option<Tier<'_>> {
        let word = self.service_tier?;
        Some(match word.to_ascii_lowercase().as_str() {
            "batch" => Tier::Batch,
            // Vertex's `trafficType`; capacity that was bought in advance costs what calls would
            // have cost. The others write the same words in different ways.
            "standard" | "on_demand" | "provisioned_throughput" => Tier::Word("standard"),
            "priority" | "on_demand_priority" => Tier::Word("priority"),
            "flex" | "on_demand_flex" => Tier::Word("flex"),
            "default" => Tier::Word("default"),
            "ultrafast" => Tier::Word("ultrafast"),
            "fast" => Tier::Word("fast"),
            _ => Tier::Word(word),
        })
    }

    fn is_batch(&self) -> bool {
        self.batch || self.tier() == Some(Tier::Batch)
    }

    /// Whether the call was served on terms that cost more than the standard ones wherever they
    /// are sold, so that the standard price is too low.
    pub(super) fn are_dearer(&self) -> bool {
        let dear = [Some(Tier::Word("priority")), Some(Tier::Word("ultrafast"))];
        dear.contains(&self.tier()) || self.speed == Some("fast")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier<'a> {
    Word(&'a str),
    Batch,
}

/// Terms that must all be met.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct When {
    processing: Option<Processing>,
    service_tier: Option<Box<str>>,
    speed: Option<Box<str>>,
    geo: Option<Box<str>>,
    region: Option<Box<str>>,
    search_context: Option<Box<str>>,
    search_type: Option<Box<str>>,
    route: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Processing {
    Batch,
}

impl When {
    pub(super) fn is(&self, terms: &Terms<'_>) -> bool {
        let said = |wanted: &Option<Box<str>>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        let tier = || match terms.tier() {
            Some(Tier::Word(word)) => Some(word),
            Some(Tier::Batch) | None => None,
        };
        (self.processing.is_none() || terms.is_batch())
            && (self.service_tier.is_none() || said(&self.service_tier, tier()))
            && said(&self.speed, terms.speed)
            && said(&self.geo, terms.geo)
            && said(&self.region, terms.region)
            && said(&self.search_context, terms.search_context)
            && said(&self.search_type, terms.search_type)
            && said(&self.route, terms.route)
    }

    /// Whether they can be met in this region.
    pub(super) fn may_be_in(&self, region: Option<&str>) -> bool {
        self.region.is_none() || self.region.as_deref() == region
    }

    /// Whether these are the terms that [`Terms::are_dearer`] asks for.
    pub(super) const fn is_of_tier(&self) -> bool {
        self.service_tier.is_some() || self.speed.is_some()
    }
}
