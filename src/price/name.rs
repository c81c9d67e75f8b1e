//! The names that a model may stand under in the book, most telling first.
//!
//! A name is tried as it is, in lower case; then with a compact date written out; then without one
//! after the other of the prefixes of gateways and vendors; and last without its date, for a
//! snapshot that the book does not list has the price of its model. A fine-tuned model is never
//! taken for its base.

/// The names to try for `model`, in order, each once.
pub(super) fn candidates(model: &str) -> Vec<String> {
    let name = model.trim().to_ascii_lowercase();
    let mut names = Vec::with_capacity(4);
    add_dated(&mut names, &name);
    if base(&name).is_some() {
        return names;
    }
    let mut bare = without_path(&name);
    add_dated(&mut names, bare);
    while let Some(rest) = without_prefix(bare) {
        bare = rest;
        add_dated(&mut names, bare);
    }
    if let Some(undated) = without_date(bare) {
        add(&mut names, undated.to_owned());
    }
    names
}

/// The name of the model from which the fine-tuned model `name` was made, and what follows it.
pub(super) fn base(name: &str) -> Option<&str> {
    let azure = || name.split_once(FINE_TUNED_AZURE).map(|(base, _)| base);
    name.strip_prefix(FINE_TUNED).or_else(azure)
}

/// Adds `name`, and `name` with its compact date written out.
fn add_dated(names: &mut Vec<String>, name: &str) {
    add(names, name.to_owned());
    if let Some(dashed) = with_dashed_date(name) {
        add(names, dashed);
    }
}

fn add(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// `gpt-5.2-20251211` as `gpt-5.2-2025-12-11`, wherever in the name such a date ends a part of it.
fn with_dashed_date(name: &str) -> Option<String> {
    let is_end = |at: &usize| matches!(name.as_bytes().get(*at), None | Some(b'-' | b':'));
    let mut from = 0;
    let mut dashed = String::with_capacity(name.len().saturating_add(2));
    for (start, _) in name.match_indices('-') {
        let begin = start.saturating_add(1);
        let end = begin.saturating_add(COMPACT);
        let Some((year, month, day)) = name.get(begin..end).and_then(date) else { continue };
        if !is_end(&end) {
            continue;
        }
        dashed.push_str(name.get(from..begin)?);
        dashed.extend([year, "-", month, "-", day]);
        from = end;
    }
    dashed.push_str(name.get(from..)?);
    (from > 0).then_some(dashed)
}

/// The year, month and day of a compact date of this century.
pub(super) fn date(text: &str) -> Option<(&str, &str, &str)> {
    let (year, month, day) = (text.get(..4)?, text.get(4..6)?, text.get(6..8)?);
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok());
    let (y, m, d): (u32, u32, u32) = (number(year)??, number(month)??, number(day)??);
    let days = match m {
        2 if y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    ((2000..2100).contains(&y) && (1..=days).contains(&d)).then_some((year, month, day))
}

/// The name behind a path of Vertex, or in the ARN of one of Amazon's own profiles.
fn without_path(name: &str) -> &str {
    if name.starts_with("projects/") || name.starts_with("publishers/") {
        return name.split_once("/models/").map_or(name, |(_, model)| model);
    }
    let after = |kind| name.split_once(kind).map(|(_, model)| model);
    let arn = name.starts_with("arn:").then(|| ARNS.into_iter().find_map(after)).flatten();
    arn.unwrap_or(name)
}

/// The name behind one prefix of a gateway, a vendor or, on Bedrock, a region.
fn without_prefix(name: &str) -> Option<&str> {
    let regional = || {
        let bare = REGIONS.iter().find_map(|region| name.strip_prefix(region)).unwrap_or(name);
        bare.strip_prefix("anthropic.")
    };
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).or_else(regional)
}

/// The name before `-2025-08-07`, `-20250514`, `@20250514` or `@default`.
fn without_date(name: &str) -> Option<&str> {
    let dashed = || {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(DASHED)?)?;
        let [year, month, day] = [tail.get(..4)?, tail.get(5..7)?, tail.get(8..)?];
        let dashes = tail.get(4..5) == Some("-") && tail.get(7..8) == Some("-");
        date(&[year, month, day].concat()).filter(|_| dashes).and(head.strip_suffix('-'))
    };
    let compact = || {
        let (head, tail) = name.split_at_checked(name.len().checked_sub(COMPACT)?)?;
        date(tail).and(head.strip_suffix(['-', '@']))
    };
    let named = || name.strip_suffix("@default");
    dashed().or_else(compact).or_else(named).filter(|head| !head.is_empty())
}

/// Marks the name of a fine-tuned model: `ft:base:organisation:suffix:id`.
pub(super) const FINE_TUNED: &str = "ft:";
/// Marks it on Azure: `base.ft-id`.
pub(super) const FINE_TUNED_AZURE: &str = ".ft-";
/// Length of `20250807`.
const COMPACT: usize = 8;
/// Length of `2025-08-07`.
const DASHED: usize = 10;

/// Kinds of ARNs on Bedrock that end with the model's own name.
const ARNS: [&str; 2] = [":inference-profile/", ":foundation-model/"];

/// What gateways and SDKs put before a model's own name.
const PREFIXES: [&str; 32] = [
    "anthropic/",
    "azure/",
    "azure_ai/",
    "bedrock/",
    "bedrock_mantle/",
    "cerebras/",
    "cohere/",
    "databricks/",
    "deepseek/",
    "fireworks_ai/",
    "gemini/",
    "google/",
    "groq/",
    "huggingface/",
    "invoke/",
    "litellm_proxy/",
    "minimax/",
    "mistral/",
    "mistralai/",
    "models/",
    "moonshot/",
    "moonshotai/",
    "openai/",
    "openrouter/",
    "perplexity/",
    "together_ai/",
    "vercel_ai_gateway/",
    "vertex/",
    "vertex_ai/",
    "x-ai/",
    "xai/",
    "zai/",
];

/// Regions of inference profiles that may stand before `anthropic.`.
const REGIONS: [&str; 7] = ["apac.", "au.", "eu.", "global.", "jp.", "us-gov.", "us."];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_from_the_most_telling_on() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str]); 20] = [
            ("GPT-5",                          &["gpt-5"]),
            ("gpt-5-2025-08-07",               &["gpt-5-2025-08-07", "gpt-5"]),
            ("gpt-5.2-20251211",               &["gpt-5.2-20251211", "gpt-5.2-2025-12-11", "gpt-5.2"]),
            ("gpt-5.2-20251311",               &["gpt-5.2-20251311"]),
            ("gpt-5.2-20250230",               &["gpt-5.2-20250230"]),
            ("claude-opus-4@20250514",         &["claude-opus-4@20250514", "claude-opus-4"]),
            ("openai/gpt-5",                   &["openai/gpt-5", "gpt-5"]),
            ("openrouter/openai/gpt-5",        &["openrouter/openai/gpt-5", "openai/gpt-5", "gpt-5"]),
            ("models/gemini-2.5-pro",          &["models/gemini-2.5-pro", "gemini-2.5-pro"]),
            ("publishers/google/models/gemini-2.5-pro",
                                               &["publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"]),
            ("us.anthropic.claude-opus-4-6",   &["us.anthropic.claude-opus-4-6", "claude-opus-4-6"]),
            ("ft:gpt-4o-mini-2024-07-18:o::i", &["ft:gpt-4o-mini-2024-07-18:o::i"]),
            ("gpt-4o-2024-08-06.ft-0123",      &["gpt-4o-2024-08-06.ft-0123"]),
            ("claude-opus-4-8@default",        &["claude-opus-4-8@default", "claude-opus-4-8"]),
            ("x-ai/grok-4",                    &["x-ai/grok-4", "grok-4"]),
            ("accounts/fireworks/models/glm-5",&["accounts/fireworks/models/glm-5"]),
            ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0",
                &["arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-pro-v1:0", "eu.amazon.nova-pro-v1:0"]),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2",
                &["arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2"]),
            ("litellm_proxy/groq/llama-3",     &["litellm_proxy/groq/llama-3", "groq/llama-3", "llama-3"]),
            ("",                               &[""]),
        ];
        for (model, names) in cases {
            assert_eq!(candidates(model), names, "{model}");
        }
    }

    #[test]
    fn foreign_bytes_do_no_harm() {
        for model in
            ["-", "é-20251211é", "--------", "ééééé", "@20250514", "-2025-08-07", "a-2025é08"]
        {
            assert!(!candidates(model).is_empty(), "{model}");
        }
    }
}
