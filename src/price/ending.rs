//! What may stand around a model's name without making it the name of another model.
//!
//! The data says of many models only how their names begin, or what they contain. Taken as it is,
//! `claude-opus-4-60` would be a `claude-opus-4-6`, and any new model would silently have the price
//! of an older one. So what follows must tell no more than which snapshot or revision it is: dates,
//! numbers of revisions, and a few words that all sellers use for them.

use super::name;

/// Whether `rest` of a name, after `text`, says no more than which edition of the model it is.
pub(super) fn is_edition(text: &str, rest: &str) -> bool {
    if text.ends_with(name::FINE_TUNED_AZURE) {
        return true;
    }
    // A fine-tuned model names whose it is behind the snapshot that it was made from.
    let whose = if text.starts_with(name::FINE_TUNED) { rest.split_once(':') } else { None };
    let rest = whose.map_or(rest, |(snapshot, _)| snapshot);
    if rest.is_empty() {
        return true;
    }
    match rest.strip_prefix(SEPARATORS) {
        Some(bare) => are_editions(bare, rest.starts_with(':')),
        None => text.ends_with(SEPARATORS) && are_editions(rest, text.ends_with(':')),
    }
}

/// Whether `head` of a name, before its text, says no more than who made the model and where it is.
pub(super) fn is_origin(head: &str) -> bool {
    let words = head.strip_suffix('.').map(|words| words.split('.'));
    head.is_empty() || words.is_some_and(|mut words| words.all(|word| ORIGINS.contains(&word)))
}

/// `rest` may begin a revision, as what stands behind a colon does.
fn are_editions(rest: &str, revision: bool) -> bool {
    let mut parts = Vec::with_capacity(4);
    let mut colon = revision;
    for part in rest.split_inclusive(SEPARATORS) {
        parts.push((colon, part.trim_end_matches(SEPARATORS)));
        colon = part.ends_with(':');
    }
    !parts.is_empty() && !rest.ends_with(SEPARATORS) && known(&parts)
}

/// Whether all parts are dates, revisions or words of editions.
fn known(mut parts: &[(bool, &str)]) -> bool {
    loop {
        parts = match parts {
            [] => return true,
            [(_, y), (_, m), (_, d), rest @ ..] if is_year(y) && is_day(m, d) => rest,
            [(_, m), (_, y), rest @ ..] if is_month(m) && is_year(y) => rest,
            [(_, m), (_, d), rest @ ..] if is_day(m, d) => rest,
            [(true, part), rest @ ..] if is_revision(part) || is_word(part) => rest,
            [(false, part), rest @ ..] if is_word(part) => rest,
            _ => return false,
        }
    }
}

/// One part by itself: `latest`, `v1`, `20250514`, `0613` or `2411`, `001`.
fn is_word(part: &str) -> bool {
    let version = part.strip_prefix('v').is_some_and(|n| n.len() == 1 && digits(n));
    let number = digits(part)
        && match part.len() {
            3 => part.starts_with('0'),
            4 => {
                let (first, last) = part.split_at(2);
                is_day(first, last) || (is_recent(first) && is_month(last))
            }
            8 => name::date(part).is_some(),
            _ => false,
        };
    version || number || WORDS.contains(&part)
}

/// Behind a colon: the revision, `0`, or on Bedrock the context that was bought with it, `200k`.
fn is_revision(part: &str) -> bool {
    let context = part.strip_suffix('k').is_some_and(|n| n.len() <= 4 && digits(n));
    context || (part.len() == 1 && digits(part))
}

fn is_year(part: &str) -> bool {
    part.len() == 4 && part.strip_prefix("20").is_some_and(is_recent)
}

/// Whether two digits are a year in which there were such models.
fn is_recent(part: &str) -> bool {
    digits(part) && ("20".."50").contains(&part)
}

fn is_month(part: &str) -> bool {
    part.len() == 2 && digits(part) && ("01".."13").contains(&part)
}

fn is_day(month: &str, day: &str) -> bool {
    is_month(month) && day.len() == 2 && digits(day) && ("01".."32").contains(&day)
}

fn digits(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands between the parts of a name.
const SEPARATORS: [char; 3] = ['-', '@', ':'];
/// Words that sellers use for editions of one model, at one price.
const WORDS: [&str; 4] = ["default", "exp", "latest", "preview"];
/// Regions of profiles, and vendors that some texts leave out.
const ORIGINS: [&str; 13] = [
    "amazon",
    "anthropic",
    "apac",
    "au",
    "ca",
    "eu",
    "global",
    "in",
    "jp",
    "regional",
    "sa",
    "us",
    "us-gov",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_told_from_other_models() {
        #[rustfmt::skip]
        let cases = [
            ("claude-opus-4-6",        "",                    true),
            ("claude-opus-4-6",        "-20260205",           true),
            ("claude-opus-4-6",        "@20260205",           true),
            ("claude-opus-4-6",        "@default",            true),
            ("claude-opus-4-6",        "-v1:0",               true),
            ("claude-opus-4-6",        "-20260205-v1:0",      true),
            ("claude-opus-4-6",        "-20260205-v1:0:200k", true),
            ("claude-opus-4-6",        "-latest",             true),
            ("claude-opus-4-6",        "0",                   false),
            ("claude-opus-4-6",        "0-20260205",          false),
            ("claude-opus-4-6",        "-1",                  false),
            ("claude-opus-4-6",        "-1-20260205",         false),
            ("claude-opus-4-6",        "-20261305",           false),
            ("claude-opus-4-6",        "-20260205-fast",      false),
            ("claude-opus-4-6",        "-fast",               false),
            ("claude-opus-4-6",        ".1",                  false),
            ("claude-opus-4-6",        "-",                   false),
            ("claude-opus-4-6",        "--",                  false),
            ("claude-opus-4-6",        "-v1:0/a1b2c3",        false),
            ("claude-opus-4-6",        "-v12",                false),
            ("claude-opus-4-6",        ":12",                 false),
            ("claude-opus-4-6",        ":free",               false),
            ("gemini-2.5-pro",         "-preview-05-06",      true),
            ("gemini-2.5-pro",         "-preview-09-2025",    true),
            ("gemini-2.5-pro",         "-exp-03-25",          true),
            ("gemini-2.5-pro",         "-001",                true),
            ("gemini-2.5-pro",         "-101",                false),
            ("gemini-2.5-pro",         "-8b",                 false),
            ("gemini-2.5-pro",         "-preview-13-06",      false),
            ("gemini-2.5-pro",         "-preview-tts",        false),
            ("mistral-large",          "-2411",               true),
            ("gpt-4",                  "-0613",               true),
            ("gpt-4",                  "-9999",               false),
            ("gpt-5-nano-",            "2025-08-07",          true),
            ("gpt-5-nano-",            "2025-08",             false),
            ("gpt-5-nano-",            "2025-13-07",          false),
            ("gpt-5-nano-",            "ultra",               false),
            ("gpt-3.5-turbo-instruct", ":20230824-v2",        true),
            ("amazon.titan-embed-text-v2", ":0",              true),
            ("ft:gpt-3.5-turbo",       "-0125:acme::id",      true),
            ("ft:gpt-3.5-turbo",       ":acme:mine-2:id",     true),
            ("ft:gpt-3.5-turbo",       "-instruct:acme::id",  false),
            ("gpt-4o-mini-2024-07-18.ft-", "0a1b2c",          true),
        ];
        for (text, rest, same) in cases {
            assert_eq!(is_edition(text, rest), same, "{text} {rest}");
        }
    }

    #[test]
    fn origins_are_regions_and_vendors() {
        #[rustfmt::skip]
        let cases = [
            ("", true), ("us.", true), ("us-gov.", true), ("eu.anthropic.", true), ("amazon.", true),
            (".", false), ("us", false), ("my-", false), ("my.", false), ("us.my.", false), ("acme/", false),
        ];
        for (head, known) in cases {
            assert_eq!(is_origin(head), known, "{head}");
        }
    }
}
