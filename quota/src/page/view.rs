//! What the page shows, as text: numbers become words here and nowhere else.
//!
//! Everything is made from values that were read before, so that a test can make any page.

use askama::Template;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Serialize;

use super::chart::{Chart, Mark};

use crate::reload;
use crate::report::account::Outcome;
use crate::report::calendar::Days;
use crate::report::costs::Sums;
use crate::report::margin;
use crate::report::text::{grouped, percent, price, share, usd};

/// The page.
#[derive(Debug, Template)]
#[template(path = "page.html")]
pub(crate) struct Page {
    pub(crate) business: String,
    pub(crate) zone: String,
    pub(crate) now_iso: String,
    pub(crate) now_text: String,
    pub(crate) month: String,
    pub(crate) day: i8,
    pub(crate) days: i8,
    pub(crate) config: Config,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) customers: Vec<Row>,
    pub(crate) customers_left_out: usize,
    pub(crate) anonymous: Option<Row>,
    pub(crate) all: Option<Row>,
    pub(crate) has_costs: bool,
    pub(crate) spikes: Vec<SpikeNote>,
    pub(crate) splits: Vec<Split>,
    pub(crate) months: Vec<Month>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) channels: String,
    pub(crate) facts: Vec<Fact>,
    pub(crate) data: String,
}

/// The state of the configuration file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// Where it is.
    pub(crate) path: String,
    /// Why the file as it is now was refused.
    pub(crate) fault: Option<String>,
}

/// A number at the top.
#[derive(Debug)]
pub(crate) struct Tile {
    pub(crate) title: &'static str,
    pub(crate) figure: String,
    pub(crate) note: String,
    pub(crate) bad: bool,
}

/// A line of the customers' table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) rank: usize,
    pub(crate) id: String,
    pub(crate) name: String,
    /// What a search looks in.
    pub(crate) find: String,
    pub(crate) plan: String,
    pub(crate) cost: Cell,
    pub(crate) revenue: Cell,
    pub(crate) margin: Cell,
    pub(crate) forecast: Cell,
    pub(crate) forecast_margin: Cell,
    pub(crate) unpriced: bool,
}

/// A number in a table, and what it is sorted by: empty where there is none.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) sort: String,
    pub(crate) negative: bool,
}

/// A spike in words.
#[derive(Debug)]
pub(crate) struct SpikeNote {
    pub(crate) name: String,
    pub(crate) day: String,
    pub(crate) cost: String,
    pub(crate) usual: String,
}

/// What the month's cost is made of.
#[derive(Debug)]
pub(crate) struct Split {
    /// The name that reports know it by.
    pub(crate) by: &'static str,
    pub(crate) title: &'static str,
    pub(crate) bars: Vec<Bar>,
}

/// A part of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) cost: String,
    pub(crate) share: String,
    pub(crate) per_mille: i128,
}

/// A month of the average customer.
#[derive(Debug)]
pub(crate) struct Month {
    pub(crate) month: String,
    pub(crate) customers: String,
    pub(crate) cost: String,
    pub(crate) revenue: String,
    pub(crate) margin: Cell,
}

/// A budget near its limit.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) customer: String,
    pub(crate) what: String,
    pub(crate) percent: String,
    pub(crate) used: String,
    pub(crate) limit: String,
    pub(crate) per_mille: i128,
    pub(crate) full: bool,
}

/// An alert.
#[derive(Debug)]
pub(crate) struct Alert {
    pub(crate) text: String,
    pub(crate) at: String,
    pub(crate) at_iso: String,
    pub(crate) deliveries: Vec<Delivery>,
}

/// What became of an alert on one channel.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) class: &'static str,
    pub(crate) text: String,
}

/// Something that says how far the rest can be trusted.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) title: &'static str,
    pub(crate) figure: String,
    pub(crate) note: String,
    pub(crate) bad: bool,
}

/// The page's clock: now, on the business's calendar.
#[derive(Clone, Debug)]
pub(crate) struct Now(pub(crate) ZonedDateTime);

/// What a month came to, over all customers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blend {
    /// The month.
    pub(crate) month: Days,
    /// Customers that had a plan in it.
    pub(crate) customers: i128,
    /// Nano-dollars.
    pub(crate) cost: i128,
    /// Nano-dollars.
    pub(crate) revenue: i128,
}

/// What the charts draw.
#[derive(Debug, Serialize)]
struct Data<'a> {
    daily: &'a Chart,
    months: Vec<BlendPoint>,
}

#[derive(Debug, Serialize)]
struct BlendPoint {
    name: String,
    cost: i64,
    revenue: i64,
}

impl Cell {
    fn usd(nanos: i128) -> Self {
        Self { text: usd(nanos), sort: nanos.to_string(), negative: nanos < 0 }
    }

    fn price(nanos: i128) -> Self {
        Self { text: price(nanos), ..Self::usd(nanos) }
    }

    fn percent(points: Option<i128>) -> Self {
        points.map_or_else(Self::none, |points| Self {
            text: percent(points),
            sort: points.to_string(),
            negative: points < 0,
        })
    }

    fn none() -> Self {
        Self { text: NONE.to_owned(), ..Self::default() }
    }
}

impl Row {
    /// The line of one customer.
    pub(crate) fn new(rank: usize, outcome: &Outcome) -> Self {
        Self {
            rank,
            id: outcome.id.clone(),
            name: outcome.name.clone(),
            find: format!("{} {} {}", outcome.name, outcome.id, outcome.plan),
            plan: outcome.plan.clone(),
            cost: Cell::usd(outcome.cost()),
            revenue: Cell::price(outcome.revenue),
            margin: Cell::percent(outcome.margin()),
            forecast: outcome.forecast.map_or_else(Cell::none, Cell::usd),
            forecast_margin: Cell::percent(outcome.forecast_margin()),
            unpriced: outcome.sums.unpriced > 0,
        }
    }
}

impl Now {
    /// An instant in milliseconds since 1970 UTC, on the calendar of a time zone.
    pub(crate) fn new(ms: i64, zone: &TimeZone) -> Self {
        let instant = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Self(instant.to_zoned_datetime(zone.clone()))
    }

    /// Today.
    pub(crate) fn today(&self) -> Date {
        self.0.date()
    }

    /// As machines read it.
    pub(crate) fn iso(&self) -> String {
        self.0.timestamp().to_string()
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        self.0.strftime("%-d %b %Y, %H:%M").to_string()
    }
}

/// The numbers at the top.
pub(crate) fn tiles(outcomes: &[Outcome], all: &Outcome) -> Vec<Tile> {
    let losing =
        outcomes.iter().filter(|o| !o.id.is_empty() && o.margin().is_some_and(|m| m < 0)).count();
    let anonymous = outcomes.iter().find(|o| o.id.is_empty()).map_or(0, Outcome::cost);
    let attributed = margin::share(all.cost().saturating_sub(anonymous), all.cost());
    let forecast = all.forecast.map_or_else(
        || "A forecast needs a day of traffic".to_owned(),
        |cost| format!("{} by the end of the month", usd(cost)),
    );
    let margin = |points: Option<i128>| points.map_or_else(|| NONE.to_owned(), percent);
    vec![
        Tile { title: "AI cost so far", figure: usd(all.cost()), note: forecast, bad: false },
        Tile {
            title: "Revenue",
            figure: price(all.revenue),
            note: format!("{} customers, whole month", count(outcomes)),
            bad: false,
        },
        Tile {
            title: "Margin so far",
            figure: margin(all.margin()),
            note: format!("Forecast {}", margin(all.forecast_margin())),
            bad: all.margin().is_some_and(|points| points < 0),
        },
        Tile {
            title: "Cost more than they pay",
            figure: losing.to_string(),
            note: if losing == 1 { "customer this month" } else { "customers this month" }
                .to_owned(),
            bad: losing > 0,
        },
        Tile {
            title: "Attributed cost",
            figure: attributed.map_or_else(|| NONE.to_owned(), share),
            note: format!("{} is anonymous", usd(anonymous)),
            bad: false,
        },
    ]
}

fn count(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| !outcome.id.is_empty()).count()
}

/// Parts of a whole, in their order: the dearest, and the rest as one.
pub(crate) fn bars(parts: &[(String, String, Sums)]) -> Vec<Bar> {
    let whole = parts.iter().fold(0, |sum: i128, part| sum.saturating_add(part.2.cost.into()));
    let largest = parts.iter().map(|part| i128::from(part.2.cost)).max().unwrap_or(0);
    let bar = |name: &str, note: String, cost: i128| Bar {
        name: name.to_owned(),
        note,
        cost: usd(cost),
        share: margin::share(cost, whole).map_or_else(String::new, share),
        per_mille: margin::divide(cost.saturating_mul(1_000), largest).unwrap_or(0).min(1_000),
    };
    let (shown, rest) = parts.split_at(parts.len().min(BARS));
    let mut bars: Vec<Bar> = shown
        .iter()
        .map(|(name, note, sums)| {
            let unpriced = match sums.unpriced {
                0 => String::new(),
                some => format!("{} without price", grouped(some.into())),
            };
            let notes = [note.clone(), unpriced].into_iter().filter(|note| !note.is_empty());
            bar(name, notes.collect::<Vec<_>>().join(" · "), sums.cost.into())
        })
        .collect();
    if !rest.is_empty() {
        let cost = rest.iter().fold(0, |sum: i128, part| sum.saturating_add(part.2.cost.into()));
        bars.push(bar(&format!("{} more", rest.len()), String::new(), cost));
    }
    bars
}

/// The months of the average customer, the latest first.
pub(crate) fn months(blends: &[Blend]) -> Vec<Month> {
    let each = |nanos: i128, customers: i128| {
        margin::divide(nanos, customers).map_or_else(|| NONE.to_owned(), usd)
    };
    let month = |blend: &Blend| Month {
        month: blend.month.first.strftime("%b %Y").to_string(),
        customers: grouped(blend.customers),
        cost: each(blend.cost, blend.customers),
        revenue: each(blend.revenue, blend.customers),
        margin: Cell::percent(margin::percent(blend.revenue, blend.cost)),
    };
    blends.iter().rev().map(month).collect()
}

/// The latest spikes in words.
pub(crate) fn spikes(marks: &[Mark], days: &[String]) -> Vec<SpikeNote> {
    let note = |mark: &Mark| SpikeNote {
        name: mark.name.clone(),
        day: days.get(mark.at).cloned().unwrap_or_default(),
        cost: usd(mark.cost),
        usual: usd(mark.usual),
    };
    marks.iter().rev().take(SPIKES).map(note).collect()
}

/// What the charts draw, as JSON that can stand in a page: no `<` of a name can end the script.
pub(crate) fn data(daily: &Chart, blends: &[Blend]) -> String {
    let each = |nanos: i128, customers: i128| {
        let each = margin::divide(nanos, customers).unwrap_or(0);
        i64::try_from(each).unwrap_or(i64::MAX)
    };
    let months = blends.iter().map(|blend| BlendPoint {
        name: blend.month.first.strftime("%b %Y").to_string(),
        cost: each(blend.cost, blend.customers),
        revenue: each(blend.revenue, blend.customers),
    });
    let data = Data { daily, months: months.collect() };
    let json = serde_json::to_string(&data).unwrap_or_default();
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// How far the numbers can be trusted.
pub(crate) fn facts(outcomes: &[Outcome], all: &Outcome, config: &Config) -> Vec<Fact> {
    let sums = all.sums;
    let anonymous = outcomes.iter().find(|o| o.id.is_empty()).map_or(0, |o| o.sums.calls);
    let attributed = i128::from(sums.calls.saturating_sub(anonymous));
    let covered = margin::share(attributed, sums.calls.into());
    vec![
        Fact {
            title: "Attribution",
            figure: covered.map_or_else(|| NONE.to_owned(), share),
            note: format!(
                "{} of {} calls carried a customer’s name",
                grouped(attributed),
                grouped(sums.calls.into())
            ),
            bad: false,
        },
        Fact {
            title: "Calls without a price",
            figure: grouped(sums.unpriced.into()),
            note: match sums.unpriced {
                0 => "Every call of this month has a price".to_owned(),
                _ => "Their cost is not in the sums above: the true cost is higher".to_owned(),
            },
            bad: sums.unpriced > 0,
        },
        Fact {
            title: "Estimated calls",
            figure: grouped(sums.estimated.into()),
            note: "The provider did not say what they used; their cost is in the sums".to_owned(),
            bad: false,
        },
        Fact {
            title: "Refused calls",
            figure: grouped(sums.refused.into()),
            note: "Stopped at a limit before they cost anything".to_owned(),
            bad: false,
        },
        Fact {
            title: "A change is in force after",
            figure: format!("{} s", reload::IN_FORCE.as_secs()),
            note: "At most: then a suspended customer, or one with a lower limit, spends no more at any \
                   gateway in use, and what was lent to it is back"
                .to_owned(),
            bad: false,
        },
        Fact {
            title: "Settings",
            figure: if config.fault.is_some() {
                "Refused".to_owned()
            } else {
                "In force".to_owned()
            },
            note: match config.fault {
                Some(_) => format!("The last good {} stays in force", config.path),
                None => format!("All that {} says", config.path),
            },
            bad: config.fault.is_some(),
        },
    ]
}

/// Stands where there is no number.
const NONE: &str = "–";
/// Parts that a split shows by name.
const BARS: usize = 8;
/// Spikes that are put into words.
const SPIKES: usize = 6;
