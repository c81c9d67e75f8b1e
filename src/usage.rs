//! What a call used, in disjoint quantities.
//!
//! Providers count in different ways: some include cached tokens in the input, some do not; some
//! include reasoning in the output. The readers in [`crate::provider`] turn each convention into
//! the same leaves, none of which contains another, so a price is a sum of products.

/// One kind of thing that providers charge for. No unit contains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// Input tokens that came from no cache, went into no cache, and have no modality of their own.
    Input,
    /// Input tokens read from a cache.
    CacheRead,
    /// Input tokens written to a cache whose time to live is not known.
    CacheWrite,
    /// Input tokens written to a cache for five minutes.
    CacheWrite5m,
    /// Input tokens written to a cache for one hour.
    CacheWrite1h,
    /// Input tokens written to a cache for twelve hours.
    CacheWrite12h,
    /// Input tokens that the provider's own tools put into the prompt.
    InputTool,
    /// Audio input tokens from no cache.
    InputAudio,
    /// Audio input tokens read from a cache.
    CacheReadAudio,
    /// Image input tokens from no cache.
    InputImage,
    /// Image input tokens read from a cache.
    CacheReadImage,
    /// Video input tokens from no cache.
    InputVideo,
    /// Video input tokens read from a cache.
    CacheReadVideo,
    /// Output tokens of the answer, without those below.
    Output,
    /// Output tokens spent on reasoning that the client may not see.
    Reasoning,
    /// Audio output tokens.
    OutputAudio,
    /// Image output tokens.
    OutputImage,
    /// Video output tokens.
    OutputVideo,
    /// Tokens of the sources that the provider's own search cites.
    Citation,
    /// Web searches that the provider ran for the call.
    WebSearch,
    /// Look-ups on a map that the provider ran for the call.
    MapsSearch,
    /// Searches in the customer's files at the provider.
    FileSearch,
    /// Sessions of the provider's code interpreter.
    CodeSession,
    /// Units of a rerank: a query with its documents, as the provider counts them.
    SearchUnit,
    /// Images made or read that are charged for by the piece.
    Image,
    /// Pages of documents.
    Page,
    /// Characters of a text to be spoken or embedded.
    Character,
    /// Milliseconds of audio.
    AudioMilli,
}

impl Unit {
    /// Every unit, in the order of declaration.
    pub const ALL: [Self; 28] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::CacheWrite12h,
        Self::InputTool,
        Self::InputAudio,
        Self::CacheReadAudio,
        Self::InputImage,
        Self::CacheReadImage,
        Self::InputVideo,
        Self::CacheReadVideo,
        Self::Output,
        Self::Reasoning,
        Self::OutputAudio,
        Self::OutputImage,
        Self::OutputVideo,
        Self::Citation,
        Self::WebSearch,
        Self::MapsSearch,
        Self::FileSearch,
        Self::CodeSession,
        Self::SearchUnit,
        Self::Image,
        Self::Page,
        Self::Character,
        Self::AudioMilli,
    ];

    /// The name in metrics, in the price book and in the `call` field of the access log.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::CacheWrite12h => "cache_write_12h",
            Self::InputTool => "input_tool",
            Self::InputAudio => "input_audio",
            Self::CacheReadAudio => "cache_read_audio",
            Self::InputImage => "input_image",
            Self::CacheReadImage => "cache_read_image",
            Self::InputVideo => "input_video",
            Self::CacheReadVideo => "cache_read_video",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::OutputAudio => "output_audio",
            Self::OutputImage => "output_image",
            Self::OutputVideo => "output_video",
            Self::Citation => "citation",
            Self::WebSearch => "web_search",
            Self::MapsSearch => "maps_search",
            Self::FileSearch => "file_search",
            Self::CodeSession => "code_session",
            Self::SearchUnit => "search_unit",
            Self::Image => "image",
            Self::Page => "page",
            Self::Character => "character",
            Self::AudioMilli => "audio_ms",
        }
    }

    /// Which of the four totals of the access log a quantity counts towards.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::Input
            | Self::InputTool
            | Self::InputAudio
            | Self::InputImage
            | Self::InputVideo => Side::Input,
            Self::CacheRead
            | Self::CacheReadAudio
            | Self::CacheReadImage
            | Self::CacheReadVideo => Side::CacheRead,
            Self::CacheWrite | Self::CacheWrite5m | Self::CacheWrite1h | Self::CacheWrite12h => {
                Side::CacheWrite
            }
            Self::Output
            | Self::Reasoning
            | Self::OutputAudio
            | Self::OutputImage
            | Self::OutputVideo => Side::Output,
            Self::Citation
            | Self::WebSearch
            | Self::MapsSearch
            | Self::FileSearch
            | Self::CodeSession
            | Self::SearchUnit
            | Self::Image
            | Self::Page
            | Self::Character
            | Self::AudioMilli => Side::Item,
        }
    }
}

/// The coarse kind of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Tokens of the prompt from no cache.
    Input,
    /// Tokens of the prompt read from a cache.
    CacheRead,
    /// Tokens of the prompt written to a cache.
    CacheWrite,
    /// Tokens of the answer.
    Output,
    /// Charged by the piece or the length, or beside the tokens of the answer.
    Item,
}

/// What one of several models used that one call has employed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The model, or `None` for the one that answered.
    pub model: Option<String>,
    /// What it used.
    pub usage: Usage,
}

/// The quantities of one call, by unit. Sums stop at `u64::MAX` rather than wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage([u64; Unit::ALL.len()]);

impl Usage {
    /// How much of `unit` was used.
    #[must_use]
    pub fn of(&self, unit: Unit) -> u64 {
        self.0.get(unit as usize).copied().unwrap_or(0)
    }

    /// Adds `quantity` of `unit`.
    pub fn add(&mut self, unit: Unit, quantity: u64) {
        if let Some(slot) = self.0.get_mut(unit as usize) {
            *slot = slot.saturating_add(quantity);
        }
    }

    /// The same usage with `quantity` of `unit` added.
    #[must_use]
    pub fn with(mut self, unit: Unit, quantity: u64) -> Self {
        self.add(unit, quantity);
        self
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (unit, quantity) in other.leaves() {
            self.add(unit, quantity);
        }
        self
    }

    /// What is left without `part`, of which there may be more than there is.
    #[must_use]
    pub fn without(mut self, part: &Self) -> Self {
        for (slot, quantity) in self.0.iter_mut().zip(part.0) {
            *slot = slot.saturating_sub(quantity);
        }
        self
    }

    /// Moves up to `quantity` from one unit to another.
    pub fn shift(&mut self, from: Unit, to: Unit, quantity: u64) {
        let moved = quantity.min(self.of(from));
        if let Some(slot) = self.0.get_mut(from as usize) {
            *slot = slot.saturating_sub(moved);
        }
        self.add(to, moved);
    }

    /// Adds a `whole` and its parts: what the parts leave of it is `rest`.
    ///
    /// Parts that are together larger than the whole are cut, the last first, so that the sum is
    /// the whole. Returns whether that was necessary.
    pub fn divide(&mut self, whole: u64, rest: Unit, parts: &[(Unit, u64)]) -> bool {
        let mut left = whole;
        let mut cut = false;
        for &(unit, part) in parts {
            cut |= part > left;
            self.add(unit, part.min(left));
            left = left.saturating_sub(part);
        }
        self.add(rest, left);
        cut
    }

    /// The units used at all, with their quantities, in the order of [`Unit::ALL`].
    pub fn leaves(&self) -> impl Iterator<Item = (Unit, u64)> + '_ {
        Unit::ALL.into_iter().map(|unit| (unit, self.of(unit))).filter(|&(_, n)| n > 0)
    }

    /// All tokens of the prompt: uncached, read from and written to caches, put there by tools.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        self.sum(|side| matches!(side, Side::Input | Side::CacheRead | Side::CacheWrite))
    }

    /// All tokens read from caches.
    #[must_use]
    pub fn cache_read_tokens(&self) -> u64 {
        self.sum(|side| side == Side::CacheRead)
    }

    /// All tokens written to caches.
    #[must_use]
    pub fn cache_write_tokens(&self) -> u64 {
        self.sum(|side| side == Side::CacheWrite)
    }

    /// All tokens of the answer, with reasoning.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.sum(|side| side == Side::Output)
    }

    fn sum(&self, counts: impl Fn(Side) -> bool) -> u64 {
        self.leaves()
            .filter(|(unit, _)| counts(unit.side()))
            .fold(0, |sum, (_, n)| sum.saturating_add(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_own_slot_and_name() {
        let mut names = std::collections::BTreeSet::new();
        for (at, unit) in Unit::ALL.into_iter().enumerate() {
            assert_eq!(unit as usize, at);
            assert!(names.insert(unit.label()), "{} twice", unit.label());
        }
    }

    #[test]
    fn parts_never_make_more_than_their_whole() {
        let parts = [(Unit::CacheRead, 7), (Unit::InputAudio, 5)];
        #[rustfmt::skip]
        let cases = [
            // whole  cut    input  read  audio
            (20,      false, 8,     7,    5),
            (12,      false, 0,     7,    5),
            (10,      true,  0,     7,    3),
            (0,       true,  0,     0,    0),
        ];
        for (whole, cut, input, read, audio) in cases {
            let mut usage = Usage::default();
            assert_eq!(usage.divide(whole, Unit::Input, &parts), cut, "{whole}");
            let got = [Unit::Input, Unit::CacheRead, Unit::InputAudio].map(|u| usage.of(u));
            assert_eq!(got, [input, read, audio], "{whole}");
        }
    }

    #[test]
    fn totals_include_what_providers_call_input_and_output() {
        let usage = Usage::default()
            .with(Unit::Input, 10)
            .with(Unit::CacheRead, 20)
            .with(Unit::CacheWrite1h, 30)
            .with(Unit::InputTool, 1)
            .with(Unit::Output, 5)
            .with(Unit::Reasoning, 7)
            .with(Unit::WebSearch, 2);
        assert_eq!(usage.input_tokens(), 61);
        assert_eq!(usage.cache_read_tokens(), 20);
        assert_eq!(usage.cache_write_tokens(), 30);
        assert_eq!(usage.output_tokens(), 12);
    }
}
