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
    let found = book.budget("mega/nightly.tokens-day", at).unwrap();
    assert_eq!((found.owner.name(), found.rule.feature.as_deref()), ("MegaCo", Some("batch")));
    assert!(book.budget("mega/nightly.usd-day", at).is_none());
    assert_eq!(book.alerts.margin, 40);
}

#[test]
fn newcomers_have_a_plan_and_a_bound() {
    let with = |rule: &str| Book::parse(&format!("{GOOD}newcomers: {rule}\n"));
    let rule = with("{plan: Free}").unwrap().newcomers.unwrap();
    assert_eq!((rule.plan.as_str(), rule.at_most), ("Free", 1_000));
    #[rustfmt::skip]
    let cases = [
        ("{plan: None}",              "`newcomers.plan` must be one of the plans: there is no `None`"),
        ("{plan: Free, at_most: 0}",  "`newcomers.at_most` must be 1 to 100000"),
        ("{at_most: 5}",              "`newcomers` cannot be read: missing field `plan`"),
    ];
    for (rule, expected) in cases {
        let faults = with(rule).unwrap_err();
        assert_eq!((faults[0].line, faults[0].place()), (24, expected.to_owned()));
    }
}

/// What may count for calls of a customer.
fn ids(book: &Book, customer: &str) -> Vec<String> {
    let at = "2026-11-23T00:00:00Z".parse().unwrap();
    let all = book.budgets_of(book.find(customer).unwrap(), at).into_iter();
    all.map(|(owner, rule)| owner.budget_id(rule)).collect()
}

#[test]
fn budgets_are_for_those_that_they_match_and_pools_are_shared() {
    let more = r#"
budgets:
  - {id: trial, match: {tenant: "trial-*", model: gpt-5*}, limit: {usd: 1}, window: day}
  - {id: nightly, match: {plan: [Pro]}, limit: {tokens: 7}, window: day}
pools:
  - name: partners
    customers: [acme, "trial-*"]
    budgets:
      - {limit: {usd: 500}, window: month, action: refuse}
      - {id: free, match: {plan: Free}, per: [feature, model], limit: {input_tokens: 9}, window: hour}
  - {name: all, customers: ["*"], budgets: [{limit: {requests: 9}, window: minute}]}
alerts:"#;
    let text = GOOD.replace("\nalerts:", more);
    let text = text.replace("  - {id: acme,", "  - {id: trial-1, plan: Pro}\n  - {id: acme,");
    let book = Book::parse(&text).unwrap();
    let pools = |id: &str| {
        let all = ids(&book, id).into_iter();
        all.filter(|id| id.starts_with('/')).collect::<Vec<_>>()
    };
    assert_eq!(pools("mega"), ["/all/requests-minute"]);
    assert_eq!(pools("trial-1"), ["/partners/usd-month", "/all/requests-minute"]);
    assert_eq!(
        pools("acme"),
        ["/partners/usd-month", "/partners/free.input_tokens-hour", "/all/requests-minute"]
    );
    assert!(ids(&book, "trial-1").contains(&"trial-1/trial.usd-day".to_owned()));
    assert!(ids(&book, "trial-1").contains(&"trial-1/nightly.tokens-day".to_owned()));
    assert!(!ids(&book, "acme").contains(&"acme/trial.usd-day".to_owned()));
    let at = "2026-11-23T00:00:00Z".parse().unwrap();
    let own = book.budget("mega/nightly.tokens-day", at).unwrap();
    assert_eq!(own.rule.limit, 5, "a customer's own takes the place of what all have");
    #[rustfmt::skip]
    let cases = [
        ("/partners/usd-month",                             Some(("partners", ""))),
        ("/partners/free.input_tokens-hour/feature=a/model=b", Some(("partners", "feature=a/model=b"))),
        ("/partners/free.input_tokens-hour",                None),
        ("/partners/usd-month/feature=a",                   None),
        ("/nobody/usd-month",                               None),
        ("trial-1/trial.usd-day",                           Some(("trial-1", ""))),
    ];
    for (id, expected) in cases {
        let found = book.budget(id, at).map(|found| (found.owner.name(), found.part));
        assert_eq!(found, expected, "{id}");
    }
}

#[test]
fn what_a_pool_or_a_match_cannot_be_is_told() {
    let of = |more: &str| {
        let text = GOOD.replace("\nalerts:", &format!("\n{more}\nalerts:"));
        Book::parse(&text)
            .expect_err(more)
            .into_iter()
            .map(|f| f.place())
            .collect::<Vec<_>>()
            .join("; ")
    };
    #[rustfmt::skip]
    let cases = [
        ("pools: [{name: a/b, customers: [], budgets: []}]", "`pools[0].name` must be 1 to 128"),
        ("pools: [{name: a, customers: [], budgets: []}, {name: a, customers: [], budgets: []}]", "`pools[1].name` must differ"),
        ("budgets: [{match: {model: x}, limit: {usd: 1}, window: day}]", "`budgets[0]` must have an `id`"),
        ("budgets: [{per: [feature], limit: {usd: 1}, window: day}]", "`budgets[0]` must have an `id`"),
        ("budgets: [{id: a, match: {model: \"g*5\"}, limit: {usd: 1}, window: day}]", "`budgets[0].match.model[0]` must be a name"),
        ("budgets: [{id: a, match: {modell: g}, limit: {usd: 1}, window: day}]", "unknown field `modell`"),
        ("budgets: [{limit: {usd: 1}, rolling: soon}]", "`budgets[0].rolling` must be a time such as"),
        ("budgets: [{limit: {usd: 1}, rolling: 24h, window: day}]", "`budgets[0]` must have exactly one of `window` and `rolling`"),
        ("budgets: [{limit: {usd: 1}}]", "`budgets[0]` must have exactly one of `window` and `rolling`"),
        ("budgets: [{limit: {usd: 1}, rolling: 24h, anchor_day: 3}]", "`budgets[0].rolling` has no anchor"),
        ("budgets: [{limit: {usd: 1}, rolling: 24h, roll_over: {usd: 1}}]", "`budgets[0].roll_over` is of use with windows"),
        ("budgets: [{limit: {usd: 1}, window: month, roll_over: {tokens: 1}}]", "`budgets[0].roll_over` must be of what `limit` is"),
        ("pools: [{name: a, customers: [], budgets: [], raises: [{budget: x, limit: {usd: 1}, until: 2026-12-01}]}]", "`pools[0].raises[0].budget` must be one of its budgets"),
        ("pools: [{name: a, customers: [], budgets: [{limit: {usd: 1}, window: day}], raises: [{budget: usd-day, limit: {usd: 2}, from: 2026-12-01, until: 2026-12-01}]}]", "`pools[0].raises[0].until` must be after"),
        ("pools: [{name: a, customers: [], budgets: [{limit: {usd: 1}, window: day}], credits: [{budget: usd-day, amount: {tokens: 2}, on: soon}]}]", "`pools[0].credits[0].amount` must be of what"),
        ("pools: [{name: a, customers: [], budgets: [{limit: {usd: 1}, window: hour}], credits: [{budget: usd-hour, amount: {usd: 2}, on: 2026-12-01}]}]", "`pools[0].credits[0].budget` must be a budget whose windows are a day"),
        ("budgets: [{id: a, per: [tenant], limit: {usd: 1}, window: day}]", "unknown variant `tenant`"),
        ("pools: [{name: a, customers: [], budgets: [{limit: {tokens: 1, input_tokens: 1}, window: day}]}]", "`pools[0].budgets[0].limit` must have exactly one"),
    ];
    for (more, expected) in cases {
        let told = of(more);
        assert!(told.contains(expected), "{more}: {told}");
    }
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
        assert_eq!(book.changes_in_ms(mega, at), changes_in_ms, "{at}");
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
