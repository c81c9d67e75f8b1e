//! The page over a database that holds what the numbers are known of.

use askama::Template as _;
use jiff::Timestamp;

use super::load;
use super::view::Row;
use crate::alert::{Balance, Settled, outbox, raise};
use crate::auth::{Keys, digest};
use crate::clock::Clock;
use crate::customers::Book;
use crate::monthly;
use crate::report::calendar::Days;
use crate::report::costs::Name;
use crate::state::State;
use crate::store::{Place, Store};

/// The customers of the article, and one with a name that would be markup.
const CUSTOMERS: &str = r#"
business: { name: "Northwind & Sons", time_zone: Asia/Kolkata }
plans:
  - { name: Free, price: "0" }
  - name: Pro
    price: "49"
    unit: { name: AI analyses }
    budgets: [{ limit: { units: 2000 }, window: month }]
customers:
  - { id: acme, name: Acme Corp, plan: Pro }
  - { id: megaco, name: MegaCo, plan: Pro }
  - { id: startupxy, name: StartupXY, plan: Free }
  - { id: evil, name: "</script><script>alert(1)</script>", plan: [{ plan: Free }, { plan: Pro, from: 2026-11-16 }] }
alerts: { slack: { url: "http://127.0.0.1:9/" } }
"#;

/// A service at noon of 23 November by UTC, over a database of its own.
async fn service(test: &str) -> State {
    serving(test, CUSTOMERS).await
}

async fn serving(test: &str, customers: &str) -> State {
    let path = std::env::temp_dir().join(format!("tollgate-{}-{test}.db", std::process::id()));
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    let store = Store::open(&Place::File(path)).await.unwrap();
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let book = Book::parse(customers).unwrap();
    State::new(store, Clock::set_to(now), Keys::new(None, digest("token")), book)
}

/// Books calls of an hour, as the ledger does.
async fn book(state: &State, hour: &str, names: [&str; 3], cost: i64, unpriced: i64) {
    let hour: Timestamp = hour.parse().unwrap();
    let [customer, feature, model] = names;
    let mut tx = state.store.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO hourly (hour, customer, plan, feature, provider, model, calls, refused, failed,
                             estimated, unpriced, input_tokens, output_tokens, cost)
         VALUES ($1, $2, 'Pro', $3, 'openai', $4, 10, 0, 0, 1, $5, 100, 20, $6)",
    )
    .bind(hour.as_second())
    .bind(customer)
    .bind(feature)
    .bind(model)
    .bind(unpriced)
    .bind(cost)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn article(state: &State) {
    book(state, "2026-11-02T18:30:00Z", ["acme", "chat", "gpt-5"], 3_200_000_000, 0).await;
    book(state, "2026-11-20T06:30:00Z", ["megaco", "chat", "gpt-5"], 80_000_000_000, 0).await;
    book(state, "2026-11-21T06:30:00Z", ["megaco", "", "claude"], 7_400_000_000, 2).await;
    book(state, "2026-11-22T06:30:00Z", ["startupxy", "chat", "gpt-5"], 800_000_000, 0).await;
    book(state, "2026-11-22T06:30:00Z", ["", "chat", "gpt-5"], 8_600_000_000, 0).await;
    // The last hour of October, by the business's clock, and the first of November.
    book(state, "2026-10-31T17:30:00Z", ["acme", "chat", "gpt-5"], 99_000_000_000, 0).await;
    book(state, "2026-10-31T18:30:00Z", ["evil", "chat", "gpt-5"], 1_000_000_000, 0).await;
}

#[tokio::test]
async fn the_page_shows_what_the_article_says() {
    let state = service("article").await;
    article(&state).await;
    let page = load::page(&state).await.unwrap();
    let rows: Vec<_> = page
        .customers
        .iter()
        .map(|row| {
            let Row { rank, name, plan, cost, revenue, margin, .. } = row;
            (
                *rank,
                name.as_str(),
                plan.as_str(),
                cost.text.as_str(),
                revenue.text.as_str(),
                margin.text.as_str(),
            )
        })
        .collect();
    #[rustfmt::skip]
    assert_eq!(rows, [
        (1, "MegaCo",    "Pro",  "$87.40", "$49",    "−78 %"),
        (2, "Acme Corp", "Pro",  "$3.20",  "$49",    "93 %"),
        (3, "</script><script>alert(1)</script>", "Pro", "$1.00", "$24.50", "96 %"),
        (4, "StartupXY", "Free", "$0.80",  "$0",     "−100 %"),
    ]);
    let anonymous = page.anonymous.as_ref().unwrap();
    assert_eq!((anonymous.cost.text.as_str(), anonymous.margin.text.as_str()), ("$8.60", "−100 %"));
    assert_eq!(page.tiles[0].figure, "$101.00");
    assert_eq!(page.tiles[4].figure, "91.4 %");
    assert_eq!(page.all.as_ref().unwrap().revenue.text, "$122.50");
    assert_eq!(page.facts[1].figure, "2");
}

#[tokio::test]
async fn names_are_text_wherever_they_stand() {
    let state = service("names").await;
    article(&state).await;
    let html = load::page(&state).await.unwrap().render().unwrap();
    assert!(!html.contains("<script>alert"), "{html}");
    assert!(html.contains("Northwind &#38; Sons") || html.contains("Northwind &amp; Sons"));
    let (_, data) = html.split_once("type=\"application/json\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let names: Vec<_> = data["daily"]["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"</script><script>alert(1)</script>"), "{names:?}");
}

#[tokio::test]
async fn an_empty_service_has_a_page() {
    let state = service("empty").await;
    let page = load::page(&state).await.unwrap();
    assert!(page.anonymous.is_none() && !page.has_costs && page.months.is_empty());
    let html = page.render().unwrap();
    assert!(html.contains("No calls in the last 30 days"));
}

#[tokio::test]
async fn days_and_splits_add_up() {
    let state = service("days").await;
    article(&state).await;
    for by in [Name::Customer, Name::Model, Name::Feature] {
        let chart = load::chart(&state, by, None).await.unwrap();
        let sum: i64 = chart.series.iter().flat_map(|series| &series.nanos).sum();
        assert_eq!(sum, 200_000_000_000, "{by:?}");
        assert_eq!((chart.days.len(), chart.days[29].as_str()), (30, "23 Nov"));
    }
    let chart = load::chart(&state, Name::Model, Some("megaco".into())).await.unwrap();
    let names: Vec<_> = chart.series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["gpt-5", "claude"]);
}

#[tokio::test]
async fn other_ranges_prorate_revenue() {
    let state = service("ranges").await;
    article(&state).await;
    let days = Days::new("2026-11-14".parse().unwrap(), "2026-11-17".parse().unwrap()).unwrap();
    let outcomes = crate::report::outcomes(&state, days, false).await.unwrap();
    let evil = outcomes.iter().find(|outcome| outcome.id == "evil").unwrap();
    // Two of its four days came before its paid plan.
    assert_eq!((evil.revenue, evil.forecast), (3_266_666_667, None));
    let acme = outcomes.iter().find(|outcome| outcome.id == "acme").unwrap();
    assert_eq!((acme.revenue, acme.cost(), acme.margin()), (6_533_333_333, 0, Some(100)));
}

#[tokio::test]
async fn what_counts_beside_a_window_is_shown_of_budgets_that_are_nearly_full() {
    let customers = r#"
business: { name: Acme, time_zone: UTC }
plans: [{ name: Pro, price: 49 }]
customers:
  - { id: rolls, name: Rolls, plan: Pro, budgets: [{ limit: { requests: 10 }, rolling: 24h }] }
  - { id: keeps, name: Keeps, plan: Pro, budgets: [{ limit: { requests: 10 }, window: day, roll_over: { requests: 5 } }] }
"#;
    let state = serving("beside", customers).await;
    // What rolls was used hours ago, and nothing since; what is kept is left from yesterday.
    for (budget, at, settled) in [
        ("rolls/requests-rolling-24h", "2026-11-22T06:00:00Z", 7),
        ("rolls/requests-rolling-24h", "2026-11-22T18:00:00Z", 6),
        ("rolls/requests-rolling-24h", "2026-11-23T02:24:00Z", 3),
        ("keeps/requests-day", "2026-11-22T00:00:00Z", 7),
        ("keeps/requests-day", "2026-11-23T00:00:00Z", 11),
    ] {
        let at: Timestamp = at.parse().unwrap();
        let mut tx = state.store.begin().await.unwrap();
        let insert = sqlx::query("INSERT INTO balance VALUES ($1, $2, $3, 0, 0, 0)");
        let insert = insert.bind(budget).bind(at.as_second()).bind(settled);
        insert.execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    let page = load::page(&state).await.unwrap();
    let seen = page.budgets.iter();
    let seen: Vec<_> =
        seen.map(|b| (b.customer.as_str(), b.used.as_str(), b.limit.as_str())).collect();
    assert_eq!(seen, [("Rolls", "9", "10 requests"), ("Keeps", "11", "13 requests")]);
}

#[tokio::test]
async fn an_alert_is_told_once_for_each_threshold() {
    let state = service("alerts").await;
    for (used, told) in [(1_599, 0), (1_600, 1), (1_700, 1), (2_000, 2), (2_400, 2)] {
        settle(&state, "megaco/units-month", used).await;
        assert_eq!(due(&state).await, told, "{used}");
    }
    let page = load::page(&state).await.unwrap();
    let texts: Vec<_> = page.alerts.iter().map(|alert| alert.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "MegaCo has used up its 2,000 AI analyses for this month: 2,000.",
            "MegaCo has used 80 % of its 2,000 AI analyses for this month: 1,600.",
        ]
    );
    assert_eq!(page.alerts[0].deliveries[0].text, "Slack: on its way");
}

#[tokio::test]
async fn a_jump_over_two_thresholds_is_one_message() {
    let state = service("jump").await;
    settle(&state, "megaco/units-month", 2_500).await;
    assert_eq!(due(&state).await, 1);
    settle(&state, "megaco/units-month", 2_600).await;
    assert_eq!(due(&state).await, 1);
}

#[tokio::test]
async fn costs_above_half_of_the_revenue_are_told_once_a_month() {
    let state = service("margin").await;
    let (book, now) = (state.book(), state.clock.now_ms());
    let month = monthly::month_of(&book.business.zone, now);
    let booked = ["acme", "megaco", "startupxy"].map(|id| ((id.to_owned(), month), 0)).into();
    for _ in 0..2 {
        article_once(&state).await;
        let mut tx = state.store.begin().await.unwrap();
        let spent = monthly::add(&mut tx, &book.business.zone, &booked).await.unwrap();
        let settled = Settled { spent, ..Settled::default() };
        raise(&mut tx, &state.book(), state.clock.now(), &settled).await.unwrap();
        tx.commit().await.unwrap();
    }
    let told = outbox::latest(state.store.reader(), 9).await.unwrap();
    let texts: Vec<_> = told.iter().map(|told| told.alert.text.as_str()).collect();
    assert_eq!(texts, ["MegaCo costs more than 50 % of what it pays: $87.40 of $49 this month."]);
}

#[tokio::test]
async fn of_two_replicas_one_makes_a_delivery() {
    let state = service("claims").await;
    settle(&state, "megaco/units-month", 1_700).await;
    let now = state.clock.now_ms();
    let claims = outbox::claim(&state.store, "slack", now).await.unwrap();
    assert_eq!((claims.len(), claims[0].attempt), (1, 1));
    assert_eq!(outbox::claim(&state.store, "slack", now + 59_000).await.unwrap(), []);
    // The replica died: after a minute another one has it, with the same id.
    let again = outbox::claim(&state.store, "slack", now + 60_001).await.unwrap();
    assert_eq!((&again[0].alert, again[0].attempt), (&claims[0].alert, 2));
    // The first comes back from the dead: it has lost its word.
    outbox::settle(&state.store, &claims[0], Ok(()), now + 60_002).await.unwrap();
    assert_eq!(deliveries(&state).await[0].state, "due");
    let failed = Err(("answered 503".to_owned(), Some(5_000)));
    outbox::settle(&state.store, &again[0], failed, now + 60_003).await.unwrap();
    let seen = deliveries(&state).await;
    assert_eq!((seen[0].error.as_str(), seen[0].next_ms), ("answered 503", now + 65_003));
    let third = outbox::claim(&state.store, "slack", now + 65_003).await.unwrap();
    outbox::settle(&state.store, &third[0], Ok(()), now + 65_004).await.unwrap();
    assert_eq!(deliveries(&state).await[0].state, "sent");
    assert_eq!(outbox::claim(&state.store, "slack", now + 999_000).await.unwrap(), []);
}

async fn article_once(state: &State) {
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM hourly")
        .fetch_one(state.store.reader())
        .await
        .unwrap();
    if rows == 0 {
        article(state).await;
    }
}

/// Settles a balance and raises what follows.
async fn settle(state: &State, budget: &str, used: u64) {
    let window_start = 1_793_471_400;
    let balance = Balance { budget: budget.to_owned(), window_start, used, fresh: 0 };
    let settled = Settled { balances: vec![balance], ..Settled::default() };
    let mut tx = state.store.begin().await.unwrap();
    raise(&mut tx, &state.book(), state.clock.now(), &settled).await.unwrap();
    tx.commit().await.unwrap();
}

async fn due(state: &State) -> i64 {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM delivery");
    count.fetch_one(state.store.reader()).await.unwrap()
}

async fn deliveries(state: &State) -> Vec<outbox::Delivery> {
    let told = outbox::latest(state.store.reader(), 1).await.unwrap();
    told.into_iter().flat_map(|told| told.deliveries).collect()
}
