//! What a provider says was used, as its usage API tells it: JSON as it came, or the same fields as
//! CSV. A field that is missing or of another kind is a fault with its line and its name; what else
//! a provider may add is passed over.

use std::{collections::BTreeMap, fmt};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, de::DeserializeOwned};

/// Whose export it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `/v1/organization/usage/completions` and `/v1/organization/costs`.
    OpenAi,
    /// `/v1/organizations/usage_report/messages`.
    Anthropic,
}

impl Provider {
    /// The name in the ledger.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// What was used on a day of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens of prompts, cached ones included.
    pub input: u64,
    /// Tokens of answers.
    pub output: u64,
    /// Nano-dollars.
    pub cost: u64,
}

/// All of an export: by day in UTC, counted from 1970, and by model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// What was used. An empty model: the export does not tell models apart.
    pub used: BTreeMap<(i64, String), Used>,
    /// Whether it tells tokens, and not only costs.
    pub has_tokens: bool,
    /// Whether it tells costs.
    pub has_costs: bool,
}

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The field, as a path.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.field, self.what)
    }
}

#[derive(Deserialize)]
struct Page<B> {
    data: Vec<B>,
    has_more: bool,
}

#[derive(Deserialize)]
struct OpenAiBucket {
    start_time: i64,
    end_time: i64,
    results: Vec<OpenAiResult>,
}

#[derive(Deserialize)]
#[serde(tag = "object")]
enum OpenAiResult {
    #[serde(rename = "organization.usage.completions.result")]
    Usage { input_tokens: u64, output_tokens: u64, model: Option<String> },
    #[serde(rename = "organization.costs.result")]
    Costs { amount: Amount },
}

#[derive(Deserialize)]
struct Amount {
    value: serde_json::Value,
    currency: String,
}

#[derive(Deserialize)]
struct AnthropicBucket {
    starting_at: Timestamp,
    ending_at: Timestamp,
    results: Vec<AnthropicResult>,
}

#[derive(Deserialize)]
struct AnthropicResult {
    uncached_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    model: Option<String>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

impl Export {
    /// Reads pages as the API answers them: one, or a list of all.
    ///
    /// # Errors
    ///
    /// Returns the first thing that is wrong.
    pub fn json(provider: Provider, text: &str) -> Result<Self, Fault> {
        let mut export = Self::default();
        match provider {
            Provider::OpenAi => {
                for (place, bucket) in buckets::<OpenAiBucket>(text)? {
                    let day = day(&place, bucket.start_time, bucket.end_time)?;
                    for (at, result) in bucket.results.into_iter().enumerate() {
                        export.openai(day, result, &format!("{place}.results[{at}]"))?;
                    }
                }
            }
            Provider::Anthropic => {
                for (place, bucket) in buckets::<AnthropicBucket>(text)? {
                    let (start, end) =
                        (bucket.starting_at.as_second(), bucket.ending_at.as_second());
                    let day = day(&place, start, end)?;
                    for result in bucket.results {
                        let cache = result.cache_creation;
                        let parts = [
                            result.uncached_input_tokens,
                            result.cache_read_input_tokens,
                            cache.ephemeral_5m_input_tokens,
                            cache.ephemeral_1h_input_tokens,
                        ];
                        export.tokens(day, result.model, &parts, result.output_tokens);
                    }
                }
            }
        }
        Ok(export)
    }

    /// Reads a table with a header, and a column for each of the API's fields.
    ///
    /// # Errors
    ///
    /// Returns the first thing that is wrong.
    pub fn csv(provider: Provider, text: &str) -> Result<Self, Fault> {
        let mut lines = text.lines().enumerate();
        let header = lines.next().map(|(_, line)| cells(line)).unwrap_or_default();
        let (time, inputs): (_, &[&str]) = match provider {
            Provider::OpenAi => ("start_time", &["input_tokens"]),
            Provider::Anthropic => (
                "starting_at",
                &[
                    "uncached_input_tokens",
                    "cache_read_input_tokens",
                    "ephemeral_5m_input_tokens",
                    "ephemeral_1h_input_tokens",
                ],
            ),
        };
        let mut export = Self::default();
        for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let row = Row { line: at.saturating_add(1), header: &header, cells: cells(line) };
            let parts =
                inputs.iter().map(|name| row.number(name)).collect::<Result<Vec<_>, _>>()?;
            let model = Some(row.cell("model")?.to_owned());
            export.tokens(row.day(time)?, model, &parts, row.number("output_tokens")?);
        }
        Ok(export)
    }

    fn openai(&mut self, day: i64, result: OpenAiResult, place: &str) -> Result<(), Fault> {
        match result {
            OpenAiResult::Usage { input_tokens, output_tokens, model } => {
                self.tokens(day, model, &[input_tokens], output_tokens);
            }
            OpenAiResult::Costs { amount } => {
                let fault = |field: &str, what: &str| Fault {
                    line: 1,
                    field: format!("{place}.amount.{field}"),
                    what: what.to_owned(),
                };
                if !amount.currency.eq_ignore_ascii_case("usd") {
                    return Err(fault("currency", "must be usd"));
                }
                let cost = nanos(&amount.value);
                let cost = cost.ok_or_else(|| fault("value", "must be an amount of dollars"))?;
                let used = self.used.entry((day, String::new())).or_default();
                used.cost = used.cost.saturating_add(cost);
                self.has_costs = true;
            }
        }
        Ok(())
    }

    fn tokens(&mut self, day: i64, model: Option<String>, input: &[u64], output: u64) {
        let used = self.used.entry((day, model.unwrap_or_default())).or_default();
        used.input = input.iter().fold(used.input, |sum, part| sum.saturating_add(*part));
        used.output = used.output.saturating_add(output);
        self.has_tokens = true;
    }
}

/// The buckets of all pages, each with its place in the text.
fn buckets<B: DeserializeOwned>(text: &str) -> Result<Vec<(String, B)>, Fault> {
    let pages: Vec<Page<B>> =
        if text.trim_start().starts_with('[') { parse(text)? } else { vec![parse(text)?] };
    let last = pages.len().saturating_sub(1);
    if pages.get(last).is_none_or(|page| page.has_more) {
        let what = "must be false on the last page: the export is not whole".to_owned();
        return Err(Fault { line: text.lines().count(), field: "has_more".to_owned(), what });
    }
    let mut all = Vec::new();
    for (page, buckets) in pages.into_iter().enumerate() {
        let prefix = if last == 0 { String::new() } else { format!("[{page}].") };
        let buckets = buckets.data.into_iter().enumerate();
        all.extend(buckets.map(|(at, bucket)| (format!("{prefix}data[{at}]"), bucket)));
    }
    Ok(all)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| Fault {
        line: error.inner().line(),
        field: error.path().to_string(),
        what: error.inner().to_string(),
    })
}

/// The day of a bucket, which must not be longer than one.
fn day(place: &str, start: i64, end: i64) -> Result<i64, Fault> {
    let day = start.div_euclid(DAY);
    if start < end && end <= day.saturating_add(1).saturating_mul(DAY) {
        return Ok(day);
    }
    let what = "must lie within a day of UTC: ask for buckets of a day or shorter ones".to_owned();
    Err(Fault { line: 1, field: place.to_owned(), what })
}

/// Dollars as nano-dollars: a number, or a text of one.
fn nanos(value: &serde_json::Value) -> Option<u64> {
    let dollars = match value {
        serde_json::Value::String(text) => text.parse::<f64>().ok()?,
        value => value.as_f64()?,
    };
    // Nine decimals are printed, not calculated.
    let text = (dollars.is_finite() && dollars >= 0.0).then(|| format!("{dollars:.9}"))?;
    text.replace('.', "").parse().ok()
}

/// A line of a table.
struct Row<'a> {
    line: usize,
    header: &'a [String],
    cells: Vec<String>,
}

impl Row<'_> {
    fn cell(&self, name: &str) -> Result<&str, Fault> {
        let Some(at) = self.header.iter().position(|title| title == name) else {
            return Err(Fault { line: 1, ..self.fault(name, "there is no such column") });
        };
        self.cells.get(at).map(String::as_str).ok_or_else(|| self.fault(name, "is missing"))
    }

    fn number(&self, name: &str) -> Result<u64, Fault> {
        self.cell(name)?.parse().map_err(|_| self.fault(name, "must be a whole number"))
    }

    /// Seconds since 1970, or a time or a day in RFC 3339.
    fn day(&self, name: &str) -> Result<i64, Fault> {
        let text = self.cell(name)?;
        let date = || {
            let date: jiff::civil::Date = text.parse().ok()?;
            Some(
                TimeZone::UTC
                    .to_ambiguous_zoned_datetime(date.at(0, 0, 0, 0))
                    .compatible()
                    .ok()?
                    .timestamp(),
            )
        };
        let seconds = text.parse().ok();
        let time = seconds.or_else(|| Some(text.parse().ok().or_else(date)?.as_second()));
        let time = time.ok_or_else(|| self.fault(name, "must be a time"))?;
        Ok(time.div_euclid(DAY))
    }

    fn fault(&self, field: &str, what: &str) -> Fault {
        Fault { line: self.line, field: field.to_owned(), what: what.to_owned() }
    }
}

/// The cells of a line, with or without quotes.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(char) = chars.next() {
        let Some(cell) = cells.last_mut() else { break };
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            char => cell.push(char),
        }
    }
    cells
}

/// Seconds of a day of UTC.
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests;
