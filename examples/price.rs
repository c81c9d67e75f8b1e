//! Prices calls from standard input: one JSON object per line, one answer per line.
//!
//! `prices/check.py` compares the answers with those of genai-prices.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use tollgate::price::{Book, Priced, Prices, Terms};
use tollgate::usage::Usage;

/// A call: which model, how much of which unit, on what terms.
#[derive(Deserialize)]
struct Call {
    provider: String,
    model: String,
    #[serde(default)]
    usage: BTreeMap<String, u64>,
    at: u64,
    service_tier: Option<String>,
    #[serde(default)]
    batch: bool,
    speed: Option<String>,
    search_context: Option<String>,
    search_type: Option<String>,
    geo: Option<String>,
    region: Option<String>,
    route: Option<String>,
}

/// What the book says: no `id` if it does not know the model, no `nanos` if it has no price.
#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a str>,
    nanos: Option<u64>,
    complete: bool,
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let prices = Prices::new(Book::embedded()?, Vec::new());
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        serde_json::to_writer(&mut out, &answer(&prices, &serde_json::from_str(&line?)?)?)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn answer<'a>(prices: &'a Prices, call: &Call) -> Result<Answer<'a>, String> {
    let tariff = prices.find(&call.provider, &call.model);
    let mut usage = Usage::default();
    for (label, &quantity) in &call.usage {
        let Some(Priced::Unit(unit)) = Priced::named(label) else {
            return Err(format!("no unit {label}"));
        };
        usage.add(unit, quantity);
    }
    let terms = Terms {
        at: call.at,
        service_tier: call.service_tier.as_deref(),
        batch: call.batch,
        speed: call.speed.as_deref(),
        search_context: call.search_context.as_deref(),
        search_type: call.search_type.as_deref(),
        geo: call.geo.as_deref(),
        region: call.region.as_deref(),
        route: call.route.as_deref(),
    };
    let cost = tariff.and_then(|tariff| tariff.cost(&usage, &terms));
    Ok(Answer {
        id: tariff.map(|tariff| tariff.id()),
        nanos: cost.map(|cost| cost.amount.nanos()),
        complete: cost.is_some_and(|cost| cost.complete),
    })
}
