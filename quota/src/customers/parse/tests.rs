use super::*;
use tollgate::sync::Action;

const GOOD: &str = r#"
business: {name: Acme SaaS, time_zone: Europe/Berlin}
plans:
  - name: Pro
    price: "49"
    unit: {name: AI analyses, feature: analysis}
    budgets:
      - limit: {units: 2000}
        window: month
        action: {refuse: {status: 402, message: No more.}}
      - {limit: {usd: 20.5}, window: month, anchor_day: 15, warn_at: [50], shadow: true}
  - {name: Free, price: 0, budgets: [{limit: {requests: 10}, window: day, action: refuse}]}
customers:
  - id: mega
    name: MegaCo
    plan: [{plan: Free}, {plan: Pro, from: 2026-11-10}]
    revenue: 99.50
    keys: [org_mega, "mega@example.com"]
    budgets:
      - {limit: {units: 3000}, window: month, action: {downgrade: {models: {gpt-5: gpt-5-mini}}}}
      - {id: nightly, feature: batch, limit: {tokens: 5}, window: day}
  - {id: acme, plan: Free, token_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}
alerts: {slack: {url_env: SLACK_URL}, thresholds: [75], margin: 40}
"#;

#[test]
fn a_good_file_is_read_whole() {
    let book = Book::parse(GOOD).unwrap();
    let mega = book.find("org_mega").unwrap();
    assert_eq!((mega.id.as_str(), book.find("mega").unwrap().name.as_str()), ("mega", "MegaCo"));
    let at = "2026-11-23T00:00:00Z".parse().unwrap();
    assert_eq!(book.plan_of(mega, at).unwrap().name, "Pro");
    assert_eq!(book.revenue_of(mega, at).nanos(), 99_500_000_000);
    let rules = book.rules_of(mega, at);
    let seen: Vec<_> =
        rules.iter().map(|rule| (mega.budget_id(rule), rule.limit, &rule.warn_at[..])).collect();
    #[rustfmt::skip]
    assert_eq!(seen, [
        ("mega/analysis.units-month".to_owned(), 3_000, &[75][..]),
        ("mega/usd-month".to_owned(), 20_500_000_000, &[50][..]),
        ("mega/nightly.tokens-day".to_owned(), 5, &[75][..]),
    ]);
    assert_eq!(rules[0].feature.as_deref(), Some("analysis"), "the plan's unit says which");
    assert!(matches!(&rules[0].action, Action::Downgrade { models, .. } if models.len() == 1));
    let (owner, rule) = book.budget("mega/nightly.tokens-day", at).unwrap();
    assert_eq!((owner.id.as_str(), rule.feature.as_deref()), ("mega", Some("batch")));
    assert!(book.budget("mega/nightly.usd-day", at).is_none());
    assert_eq!(book.alerts.margin, 40);
}

#[test]
fn plans_begin_on_their_day_in_the_zone_of_the_business() {
    let book = Book::parse(GOOD).unwrap();
    let mega = book.find("mega").unwrap();
    #[rustfmt::skip]
    let cases = [
        ("2026-01-01T00:00:00Z", "Free", Some(27_039_600_000)),
        ("2026-11-09T22:59:59Z", "Free", Some(1_000)),
        ("2026-11-09T23:00:00Z", "Pro",  None),
    ];
    for (at, plan, changes_in_ms) in cases {
        let at = at.parse().unwrap();
        assert_eq!(book.plan_of(mega, at).unwrap().name, plan, "{at}");
        assert_eq!(book.plan_changes_in_ms(mega, at), changes_in_ms, "{at}");
    }
}

#[test]
fn faults_are_told_with_line_and_field() {
    #[rustfmt::skip]
    let cases = [
        // in the place of                 stands                          line  path                              and what
        ("time_zone: Europe/Berlin",       "time_zone: Mars",              2,    "business.time_zone",             "IANA"),
        ("name: Acme SaaS",                "name: A, currency: EUR",       2,    "business.currency",              "must be USD"),
        ("price: \"49\"",                  "price: forty-nine",            5,    "plans[0].price",                 "US dollars"),
        ("price: \"49\"",                  "price: -1",                    5,    "plans[0].price",                 "US dollars"),
        ("price: \"49\"",                  "prize: \"49\"",                5,    "plans[0].prize",                 "unknown field"),
        ("limit: {units: 2000}",           "limit: {apples: 2000}",        8,    "plans[0].budgets[0].limit",      "unknown field"),
        ("limit: {units: 2000}",           "limit: {units: -5}",           8,    "plans[0].budgets[0].limit",      "-5"),
        ("        window: month\n",        "        window: fortnight\n",      9,    "plans[0].budgets[0].window",     "unknown variant"),
        ("status: 402",                    "status: 500",                  10,   "plans[0].budgets[0].action",     "402, 403 or 429"),
        ("anchor_day: 15",                 "anchor_day: 32",               11,   "plans[0].budgets[1].anchor_day", "1 to 31"),
        ("warn_at: [50]",                  "warn_at: [0]",                 11,   "plans[0].budgets[1].warn_at",    "percent"),
        ("name: Free",                     "name: Pro",                    12,   "plans[1].name",                  "already"),
        ("id: mega\n",                     "id: me ga\n",                  14,   "customers[0].id",                "without"),
        ("plan: Pro, from: 2026-11-10",    "plan: Gold, from: 2026-11-10", 16,   "customers[0].plan[1].plan",      "no `Gold`"),
        ("from: 2026-11-10",               "from: soon",                   16,   "customers[0].plan[1].from",      "must be a day"),
        ("plan: Free}, {plan: Pro, from",  "plan: Pro}, {plan: Pro, form", 16,   "customers[0].plan[1].form",      "unknown field"),
        ("from: 2026-11-10}",              "from: 2026-11-10}, {plan: Pro, from: 2026-11-10}", 16, "customers[0].plan[2].from", "after"),
        ("id: nightly",                    "id: usd-day, feature: x",      21,   "customers[0].budgets[1]",        "duplicate"),
        ("id: nightly, feature: batch, limit: {tokens: 5}, window: day", "limit: {units: 1}, window: month", 21, "customers[0].budgets[1]", "of its own"),
        ("id: acme",                       "id: org_mega",                 22,   "customers[1].id",                "already"),
        ("token_sha256: 9f",               "token_sha256: xx",             22,   "customers[1].token_sha256",      "hexadecimal"),
        ("slack: {url_env: SLACK_URL}",    "slack: {}",                    23,   "alerts.slack",                   "one of"),
        ("slack: {url_env: SLACK_URL}",    "slack: {url: ftp://x}",        23,   "alerts.slack.url",               "http"),
    ];
    for (old, new, line, path, what) in cases {
        assert!(GOOD.contains(old), "{old}");
        let faults = Book::parse(&GOOD.replacen(old, new, 1)).expect_err(new);
        let hit = |fault: &Fault| {
            fault.line == line && fault.path.starts_with(path) && fault.what.contains(what)
        };
        // What cannot be parsed as YAML has no path.
        let repeated = |fault: &Fault| what == "duplicate" && fault.line == line;
        assert!(faults.iter().any(|fault| hit(fault) || repeated(fault)), "{new}: {faults:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let text = GOOD
        .replace("price: \"49\"", "price: x")
        .replace("margin: 40", "margin: 40, thresholds: [0]");
    let text = text.replace("thresholds: [75], ", "").replace("from: 2026-11-10", "from: soon");
    assert_eq!(Book::parse(&text).unwrap_err().len(), 3);
}

#[test]
fn a_secret_is_not_shown() {
    let text = GOOD.replace("url_env: SLACK_URL", "url: https://hooks.example/T0/B0/topsecret");
    let shown = format!("{:?}", Book::parse(&text).unwrap().alerts);
    assert!(!shown.contains("topsecret"), "{shown}");
}
