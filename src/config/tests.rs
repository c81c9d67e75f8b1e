use super::*;
use crate::calendar::Cycle;
use crate::price::Priced;
use crate::sync::{self, Action};
use crate::usage::Unit;
use crate::who::{Origin, Pointer, San};

fn parse(json: &str) -> Result<Config, String> {
    Config::parse(json.as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn every_field_is_read() {
    let config = parse(
        r#"{
            "tenant": [
                {"header": "X-Tenant-Id", "capture": "^org_([a-z0-9]+)$"},
                {"jwt": {"payload": "jwt_payload", "claim": "/org/id"}},
                {"san": "uri"},
                {"body": "/user"}
            ],
            "feature": [{"header": "x-feature"}],
            "user": [{"san": "dns"}],
            "anonymous": "refuse",
            "strip": ["X-Tenant-Id"],
            "hold_headers": true,
            "max_buffered": 65536,
            "include_usage": false,
            "access_log": ["tenant", "call_id"],
            "metrics": {
                "enabled": false,
                "max_series": 500,
                "max_values": {"tenant": 1, "feature": 2, "model": 3}
            },
            "budgets": [
                {"tenant": "*", "limit": {"requests": 5.0}, "window": "minute", "action": "refuse"},
                {"tenant": "acme", "id": "guard", "feature": "chat", "limit": {"usd": "30.5"},
                 "window": "quarter", "anchor_day": 31, "anchor_month": 2, "warn_at": [50.0], "shadow": true,
                 "action": {"downgrade": {"models": {"gpt-5": "gpt-5-mini"}, "message": "No."}}},
                {"limit": {"units": 7}, "unit_name": "reports", "window": "week", "week_begins": "sunday",
                 "action": {"refuse": {"status": 402}}, "upgrade_url": "https://u"}
            ],
            "time_zone": "Europe/Berlin",
            "providers": [
                {"host": "*.LLM.internal", "provider": "openai", "region": "eu", "api": "openai"},
                {"cluster": "gpu", "provider": "my-vllm", "include_usage": true}
            ],
            "prices": [
                {"provider": "openai", "model": "my-*", "rates": {"input": "2.50", "output": 10, "cache_read": 0.0375}},
                {"model": "*", "rates": {"web_search": "1e4"}}
            ],
            "models": [{"provider": "azure", "model": "prod-*", "as": "openrouter/openai/gpt-5"}],
            "multipliers": [{"provider": "openai", "model": "gpt-*", "region": "jp", "from": "2027-01-01", "times": "1.10"}],
            "unpriced": {"rates": {"input": "15", "request": 1}},
            "cost_source": "provider"
        }"#,
    )
    .unwrap();

    let origins: Vec<_> = config.tenant.into_iter().map(|source| source.origin).collect();
    let claim = vec!["org".to_owned(), "id".to_owned()];
    let expected = [
        Origin::Header("x-tenant-id".to_owned()),
        Origin::Jwt { payload: "jwt_payload".to_owned(), claim },
        Origin::San(San::Uri),
        Origin::Body(Pointer::parse("/user").unwrap()),
    ];
    assert_eq!(origins, expected);
    assert_eq!(config.feature[0].origin, Origin::Header("x-feature".to_owned()));
    assert_eq!(config.user[0].origin, Origin::San(San::Dns));
    assert_eq!(config.anonymous, Anonymous::Refuse);
    assert_eq!(config.strip, ["x-tenant-id"]);
    assert!(config.hold_headers);
    assert_eq!(config.max_buffered, 65_536);
    assert_eq!(config.access_log, [LogField::CallId, LogField::Tenant]);
    let metrics =
        Metrics { enabled: false, max_series: 500, max_tenants: 1, max_features: 2, max_models: 3 };
    assert_eq!(config.metrics, metrics);
    assert_eq!(config.time_zone.iana_name(), Some("Europe/Berlin"));
    let [each, acme, all] = &config.budgets[..] else { panic!("{:?}", config.budgets) };
    assert_eq!(
        (&each.whose, &acme.whose, &all.whose),
        (&Whose::Each, &Whose::Tenant("acme".into()), &Whose::All)
    );
    let cycles = [each, acme, all].map(|budget| budget.rule.cycle);
    let first = jiff::civil::Weekday::Sunday;
    assert_eq!(
        cycles,
        [Cycle::Minute, Cycle::Quarter { month: 2, day: 31 }, Cycle::Week { first }]
    );
    let limits = [each, acme, all].map(|budget| (budget.rule.unit, budget.rule.limit));
    assert_eq!(
        limits,
        [(sync::Unit::Requests, 5), (sync::Unit::Usd, 30_500_000_000), (sync::Unit::Units, 7)]
    );
    assert_eq!((&each.rule.warn_at[..], &acme.rule.warn_at[..]), (&[80, 100][..], &[50][..]));
    assert_eq!((acme.rule.feature.as_deref(), acme.rule.shadow), (Some("chat"), true));
    let models = [("gpt-5".to_owned(), "gpt-5-mini".to_owned())].into();
    let actions = [
        Action::Refuse { status: 429, message: String::new() },
        Action::Downgrade { models, message: "No.".into() },
        Action::Refuse { status: 402, message: String::new() },
    ];
    assert_eq!([each, acme, all].map(|budget| budget.rule.action.clone()), actions);
    let names = [each, acme, all].map(|budget| budget.rule.name());
    assert_eq!(names, ["requests-minute", "guard.usd-quarter", "units-week"]);
    assert_eq!((all.unit_name.as_str(), all.upgrade_url.as_str()), ("reports", "https://u"));
    assert!(config.providers[0].applies("a.llm.internal:80", "", "/"));
    assert_eq!(config.providers[0].reads, Reads::Only(Family::OpenAi));
    assert!(config.providers[1].applies("", "gpu", "/"));
    assert_eq!(config.providers[1].provider, "my-vllm");
    let asked = [None, Some(true)];
    assert_eq!(
        (config.include_usage, [0, 1].map(|at| config.providers[at].include_usage)),
        (false, asked)
    );
    assert_eq!(config.prices[0].provider.as_deref(), Some("openai"));
    assert_eq!(config.prices[0].model, "my-*");
    let rates = [
        (Priced::Unit(Unit::Input), 2_500_000_000),
        (Priced::Unit(Unit::CacheRead), 37_500_000),
        (Priced::Unit(Unit::Output), 10_000_000_000),
    ];
    assert_eq!(config.prices[0].rates, BTreeMap::from(rates));
    assert_eq!(config.prices[1].provider, None);
    assert_eq!(
        config.prices[1].rates,
        BTreeMap::from([(Priced::Unit(Unit::WebSearch), 10_000_000_000_000)])
    );
    assert_eq!(config.providers[0].region.as_deref(), Some("eu"));
    let multiplier = PriceMultiplier {
        provider: Some("openai".to_owned()),
        model: "gpt-*".to_owned(),
        region: Some("jp".to_owned()),
        from: 1_798_761_600,
        times: Times::parse("1.1").unwrap(),
    };
    assert_eq!(config.multipliers, [multiplier]);
}

#[test]
fn no_configuration_is_the_default_one_and_has_no_fault() {
    let empty = format!("{:?}", parse("").unwrap());
    assert_eq!(format!("{:?}", parse("{}").unwrap()), empty);
    assert_eq!(format!("{:?}", validate::config(raw::Raw::default()).unwrap()), empty);
    let config = Config::default();
    assert_eq!(config.anonymous, Anonymous::Tenant("anonymous".to_owned()));
    assert_eq!(config.access_log, LogField::ALL);
    assert_eq!(config.max_buffered, 1_000_000);
    assert_eq!(config.metrics.max_series, 10_000);
}

#[test]
fn whole_numbers_are_read_however_they_are_printed() {
    #[rustfmt::skip]
    let cases = [
        ("20000",    Ok(20_000)),
        ("20000.0",  Ok(20_000)),
        ("2e4",      Ok(20_000)),
        ("2E+04",    Ok(20_000)),
        ("1e+06",    Ok(1_000_000)),
        ("20000.5",  Err("`max_buffered` must be a whole number, not floating point `20000.5`")),
        ("-20000",   Err("`max_buffered` must be a whole number, not `-20000`")),
        ("-2e4",     Err("`max_buffered` must be a whole number, not floating point `-20000.0`")),
        ("1e300",    Err("`max_buffered` must be a whole number, not floating point `1e+300`")),
        ("\"20000\"", Err("`max_buffered` must be a whole number, not string \"20000\"")),
        ("null",     Err("`max_buffered` must be a whole number, not null")),
        ("1023",     Err("`max_buffered` must be 1024 to 67108864")),
        ("67108865", Err("`max_buffered` must be 1024 to 67108864")),
    ];
    for (number, expected) in cases {
        let read = parse(&format!(r#"{{"max_buffered": {number}}}"#)).map(|c| c.max_buffered);
        assert_eq!(read, expected.map_err(str::to_owned), "{number}");
    }
}

#[test]
fn rates_are_read_exactly_or_refused() {
    #[rustfmt::skip]
    let cases = [
        ("\"0.0375\"",       Some(37_500_000)),
        ("0.0375",           Some(37_500_000)),
        ("0.000000001",      Some(1)),
        ("0",                Some(0)),
        ("10",               Some(10_000_000_000)),
        ("1e+06",            Some(1_000_000_000_000_000)),
        ("1000000000",       Some(1_000_000_000_000_000_000)),
        ("1000000001",       None),
        ("0.0000000001",     None),
        ("-1",               None),
        ("\"\"",             None),
        ("\"$1\"",           None),
        ("1e300",            None),
    ];
    for (rate, expected) in cases {
        let json = format!(r#"{{"prices": [{{"model": "m", "rates": {{"input": {rate}}}}}]}}"#);
        let read = parse(&json).map(|c| c.prices[0].rates[&Priced::Unit(Unit::Input)]);
        assert_eq!(read.as_ref().ok(), expected.as_ref(), "{rate}");
        if let Err(error) = read {
            assert_eq!(
                error,
                "`prices[0].rates.input` must be dollars per million: at most nine decimals, and at most 1000000000"
            );
        }
    }
}

#[test]
fn faults_name_the_field_and_what_it_must_be() {
    #[rustfmt::skip]
    let cases = [
        // the whole
        ("{",                     "the configuration must be JSON: EOF while parsing an object at line 1 column 1"),
        ("{} x",                  "the configuration must be JSON: trailing characters at line 1 column 4"),
        (" ",                     "the configuration must be JSON: EOF while parsing a value at line 1 column 1"),
        ("\u{feff}{}",            "the configuration must be JSON: expected value at line 1 column 1"),
        ("[]",                    "the configuration must be an object, not a list"),
        ("null",                  "the configuration must be an object, not null"),
        (r#""{}""#,               r#"the configuration must be an object, not string "{}""#),
        // shapes
        (r#"{"tennant": []}"#,    "`tennant` must be one of the fields `tenant`, `feature`, `user`, `unit`, `anonymous`, `strip`, `hold_headers`, `max_buffered`, `include_usage`, `access_log`, `metrics`, `service`, `budgets`, `time_zone`, `providers`, `prices`, `models`, `multipliers`, `unpriced`, `cost_source`, `max_attempts`, `tell`"),
        (r#"{"service": {}}"#,    "`service.cluster` must be given"),
        (r#"{"service": {"cluster": ""}}"#, "`service.cluster` must be the name of a cluster in Envoy's configuration"),
        (r#"{"service": {"cluster": "q", "timeout_ms": 0}}"#, "`service.timeout_ms` must be 1 to 10000"),
        (r#"{"service": {"cluster": "q", "on_failure": "maybe"}}"#, "`service.on_failure` must be `allow` or `refuse`, not `maybe`"),
        (r#"{"strip": [], "strip": []}"#, "`strip` must be given once"),
        (r#"{"tenant": {"header": "a"}}"#, "`tenant` must be a list, not an object"),
        (r#"{"tenant": ["x-tenant-id"]}"#, r#"`tenant[0]` must be an object, not string "x-tenant-id""#),
        (r#"{"tenant": [["x-tenant-id"]]}"#, "`tenant[0]` must be an object, not a list"),
        (r#"{"tenant": [{"header": "a"}, {"headr": "x"}]}"#, "`tenant[1].headr` must be one of the fields `header`, `jwt`, `san`, `body`, `capture`"),
        (r#"{"tenant": [{"header": 7}]}"#, "`tenant[0].header` must be a string, not `7`"),
        (r#"{"tenant": [{"jwt": {"payload": "p"}}]}"#, "`tenant[0].jwt.claim` must be given"),
        (r#"{"tenant": [{"jwt": ["p", "/c"]}]}"#, "`tenant[0].jwt` must be an object, not a list"),
        (r#"{"tenant": [{"san": "email"}]}"#, "`tenant[0].san` must be `uri` or `dns`, not `email`"),
        (r#"{"anonymous": "allow"}"#, r#"`anonymous` must be "refuse" or an object with only `tenant`, a string"#),
        (r#"{"anonymous": {"tenant": 1}}"#, r#"`anonymous` must be "refuse" or an object with only `tenant`, a string"#),
        (r#"{"anonymous": {}}"#, r#"`anonymous` must be "refuse" or an object with only `tenant`, a string"#),
        (r#"{"hold_headers": "yes"}"#, r#"`hold_headers` must be a boolean, not string "yes""#),
        (r#"{"access_log": "none"}"#, r#"`access_log` must be "all" or a list of field names"#),
        (r#"{"metrics": []}"#, "`metrics` must be an object, not a list"),
        (r#"{"metrics": {"max_values": {"user": 1}}}"#, "`metrics.max_values.user` must be one of the fields `tenant`, `feature`, `model`"),
        (r#"{"providers": [{"host": "a"}]}"#, "`providers[0].provider` must be given"),
        (r#"{"providers": [{"host": "a", "provider": "b", "api": "bedrock"}]}"#, "`providers[0].api` must be `openai`, `anthropic`, `gemini`, or a call such as `openai.chat`, not `bedrock`"),
        (r#"{"prices": [{"model": "m", "rates": {"input": true}}]}"#, r#"`prices[0].rates.input` must be dollars, such as "0.25""#),
        (r#"{"prices": [{"model": "m", "rates": []}]}"#, "`prices[0].rates` must be an object, not a list"),
        (r#"{"anonymous": 5}"#, r#"`anonymous` must be "refuse" or an object with only `tenant`, a string"#),
        (r#"{"tenant": [{"san": 5}]}"#, "`tenant[0].san` must be a string, not `5`"),
        (r#"{"tenant": [{"san": ["uri"]}]}"#, "`tenant[0].san` must be a string, not a list"),
        (r#"{"providers": [{"host": "a", "provider": "b", "api": 1}]}"#, "`providers[0].api` must be a string, not `1`"),
        // values
        (r#"{"anonymous": "refuse"}"#, "`anonymous` must not be `refuse` while `tenant` has no source: no call passes"),
        (r#"{"anonymous": {"tenant": " a"}}"#, "`anonymous.tenant` must be 1 to 128 bytes without control characters, and no blank at either end"),
        (r#"{"tenant": [{"header": "a"}, {"header": "b", "capture": "("}]}"#, "`tenant[1].capture` must be a regular expression: found open group without closing ')'"),
        (r#"{"tenant": [{}]}"#, "`tenant[0]` must have exactly one of `header`, `jwt`, `san` and `body`"),
        (r#"{"tenant": [{"header": "a", "body": "/b"}]}"#, "`tenant[0]` must have exactly one of `header`, `jwt`, `san` and `body`"),
        (r#"{"tenant": [{"header": "x tenant"}]}"#, "`tenant[0].header` must be the name of a request header"),
        (r#"{"tenant": [{"header": "Authorization"}]}"#, "`tenant[0].header` must not be a header that carries a key, unless `capture` cuts out a part that may be logged"),
        (r#"{"user": [{"body": "user"}]}"#, "`user[0].body` must be a JSON pointer, which begins with `/` and names a field, such as `/user`"),
        (r#"{"feature": [{"jwt": {"payload": "", "claim": "/a"}}]}"#, "`feature[0].jwt.payload` must be what `payload_in_metadata` of `jwt_authn` says"),
        (r#"{"feature": [{"jwt": {"payload": "p", "claim": "/a//b"}}]}"#, "`feature[0].jwt.claim` must be a JSON pointer without empty names"),
        (r#"{"strip": ["ok", ":path"]}"#, "`strip[1]` must be the name of a request header that does not frame or route it"),
        (r#"{"strip": ["Host"]}"#, "`strip[0]` must be the name of a request header that does not frame or route it"),
        (r#"{"metrics": {"max_series": 99}}"#, "`metrics.max_series` must be 100 to 1000000"),
        (r#"{"metrics": {"max_values": {"model": 0}}}"#, "`metrics.max_values.model` must be 1 to 1000000"),
        (r#"{"time_zone": "Mars/Base"}"#, "`time_zone` must be a name of the IANA database, such as Europe/Berlin"),
        (r#"{"budgets": [{"limit": {"usd": 1}}]}"#, "`budgets[0].window` must be given"),
        (r#"{"budgets": [{"window": "day"}]}"#, "`budgets[0].limit` must be given"),
        (r#"{"budgets": [{"limit": 5, "window": "day"}]}"#, "`budgets[0].limit` must be an object, not `5`"),
        (r#"{"budgets": [{"limit": {"usd": 1}, "window": "fortnight"}]}"#, "`budgets[0].window` must be one of `minute`, `hour`, `day`, `week`, `month`, `quarter`, `year`, `once`, not `fortnight`"),
        (r#"{"budgets": [{"limit": {"usd": 1}, "window": "day", "tenants": "a"}]}"#, "`budgets[0].tenants` must be one of the fields `tenant`, `id`, `feature`, `match`, `per`, `limit`, `unit_name`, `window`, `anchor_day`, `anchor_month`, `week_begins`, `warn_at`, `action`, `upgrade_url`, `shadow`, `hold`, `too_large`, `outrun`, `wait_ms`"),
        (r#"{"budgets": [{"limit": {}, "window": "day"}]}"#, "`budgets[0].limit` must have exactly one of `usd`, `tokens`, `input_tokens`, `output_tokens`, `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`, `requests` and `units`"),
        (r#"{"budgets": [{"limit": {"usd": 1, "tokens": 1}, "window": "day"}]}"#, "`budgets[0].limit` must have exactly one of `usd`, `tokens`, `input_tokens`, `output_tokens`, `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens`, `requests` and `units`"),
        (r#"{"budgets": [{"limit": {"usd": "-1"}, "window": "day"}]}"#, r#"`budgets[0].limit.usd` must be US dollars such as "49" or "0.25", at most 1000000"#),
        (r#"{"budgets": [{"limit": {"tokens": 1.5}, "window": "day"}]}"#, "`budgets[0].limit.tokens` must be a whole number, not floating point `1.5`"),
        (r#"{"budgets": [{"limit": {"tokens": 1e16}, "window": "day"}]}"#, "`budgets[0].limit` must be at most 1000000000000000"),
        (r#"{"budgets": [{"tenant": "a ", "limit": {"tokens": 1}, "window": "day"}]}"#, "`budgets[0].tenant` must be `*`, or 1 to 128 bytes without control characters, and no blank at either end"),
        (r#"{"budgets": [{"id": "a/b", "limit": {"tokens": 1}, "window": "day"}]}"#, "`budgets[0].id` must be 1 to 128 characters, without `/`, spaces or control characters"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "anchor_day": 1}]}"#, "`budgets[0].anchor_day` is of use with `month`, `quarter` and `year` only"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "year", "anchor_day": 32, "anchor_month": 13}]}"#, "`budgets[0].anchor_day` must be 1 to 31; `budgets[0].anchor_month` must be 1 to 12"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "month", "anchor_month": 2, "week_begins": "sunday"}]}"#, "`budgets[0].anchor_month` is of use with `quarter` and `year` only; `budgets[0].week_begins` is of use with `week` only"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "week", "week_begins": 7}]}"#, "`budgets[0].week_begins` must be a string, not `7`"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "warn_at": [80, 0]}]}"#, "`budgets[0].warn_at[1]` must be 1 to 1000, in percent"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": "stop"}]}"#, r#"`budgets[0].action` must be `warn`, `refuse`, `{refuse: ..}` or `{downgrade: ..}`, not string "stop""#),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": {}}]}"#, "`budgets[0].action` must have exactly one of `refuse` and `downgrade`"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": {"refuse": {"status": 500}}}]}"#, "`budgets[0].action.refuse.status` must be 402, 403 or 429"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": {"refuse": {"text": ""}}}]}"#, "`budgets[0].action.refuse.text` must be one of the fields `status` or `message`"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": {"downgrade": {"models": {}}}}]}"#, "`budgets[0].action.downgrade.models` must name a model"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day", "action": {"downgrade": {"models": {"a": "b", "a": "c"}}}}]}"#, "`budgets[0].action.downgrade.models.a` must be given once, and neither name may be empty"),
        (r#"{"budgets": [{"limit": {"tokens": 1}, "window": "day"}, {"limit": {"tokens": 2}, "window": "day"}]}"#, "`budgets[1]` must have an `id` of its own: there is a `tokens-day` already"),
        (r#"{"service": {"cluster": "q"}, "budgets": [{"limit": {"tokens": 1}, "window": "day"}]}"#, "`budgets` must not stand beside `service`: its budgets are in customers.yaml"),
        (r#"{"providers": [{"provider": "b"}]}"#, "`providers[0]` must have exactly one of `host` and `cluster`, or a `path`"),
        (r#"{"providers": [{"host": "a:443", "provider": "b"}]}"#, "`providers[0].host` must be a host without a port, or `*.` and one"),
        (r#"{"providers": [{"cluster": "", "provider": "b"}]}"#, "`providers[0].cluster` must be the name of a cluster"),
        (r#"{"providers": [{"cluster": "c", "provider": "Open AI"}]}"#, "`providers[0].provider` must be 1 to 64 of `a-z`, `0-9` and `-`"),
        (r#"{"prices": [{"model": "a*b", "rates": {"input": 1}}]}"#, "`prices[0].model` must be a model's name, or the beginning of one and a `*`"),
        (r#"{"prices": [{"model": "m", "rates": {}}]}"#, "`prices[0].rates` must have the rate of at least one unit"),
        (r#"{"prices": [{"model": "m", "rates": {"input": 1, "input": 2}}]}"#, "`prices[0].rates.input` must be given once"),
        (r#"{"prices": [{"model": "m", "rates": {"input": 1}}, {"model": "m", "rates": {"input": 1}}]}"#, "`prices[1]` must not repeat the provider and model of an earlier price"),
        (r#"{"models": [{"model": "m", "as": "gpt-5"}]}"#, "`models[0].as` must be a provider and a model, such as `openai/gpt-5`"),
        (r#"{"models": [{"model": "a*b", "as": "openai/gpt-5"}]}"#, "`models[0].model` must be a model's name, or the beginning of one and a `*`"),
        (r#"{"providers": [{"host": "a", "provider": "b", "region": "EU"}]}"#, "`providers[0].region` must be 1 to 32 of `a-z`, `0-9` and `-`"),
        (r#"{"multipliers": [{"model": "a*b", "times": "1"}]}"#, "`multipliers[0].model` must be a model's name, or the beginning of one and a `*`"),
        (r#"{"multipliers": [{"times": "1"}]}"#, "`multipliers[0].model` must be a model's name, or the beginning of one and a `*`"),
        (r#"{"multipliers": [{"model": "*", "time": "1"}]}"#, "`multipliers[0]` must have `model` and `times`, may have `provider`, `region` and `from`; `multipliers[0].times` must be a decimal above 0, at most 1000, with at most six decimals"),
        (r#"{"multipliers": [{"model": "*", "times": "1", "times": "2"}]}"#, "`multipliers[0]` must have `model` and `times`, may have `provider`, `region` and `from`"),
        (r#"{"multipliers": [{"model": "*", "times": "0"}]}"#, "`multipliers[0].times` must be a decimal above 0, at most 1000, with at most six decimals"),
        (r#"{"multipliers": [{"model": "*", "times": 1.1}]}"#, "`multipliers[0].times` must be a string, not floating point `1.1`"),
        (r#"{"multipliers": [{"model": "*", "times": "1", "from": "2027-02-29"}]}"#, "`multipliers[0].from` must be a day, such as `2027-01-01`"),
        (r#"{"multipliers": [{"model": "*", "times": "1", "from": "2027-+1-01", "region": ""}]}"#, "`multipliers[0].region` must be 1 to 32 of `a-z`, `0-9` and `-`; `multipliers[0].from` must be a day, such as `2027-01-01`"),
        (r#"{"unpriced": {"rates": {}}}"#, "`unpriced.rates` must have the rate of at least one unit"),
        (r#"{"unpriced": "free"}"#, "`unpriced` must be \"pass\", \"refuse\" or an object with only `rates`"),
        (r#"{"max_buffered": 1, "strip": [""], "tenant": [{}]}"#, "`tenant[0]` must have exactly one of `header`, `jwt`, `san` and `body`; `strip[0]` must be the name of a request header that does not frame or route it; `max_buffered` must be 1024 to 67108864"),
    ];
    for (json, expected) in cases {
        assert_eq!(parse(json).unwrap_err(), expected, "{json}");
    }
}

#[test]
fn names_that_are_not_known_are_answered_with_those_that_are() {
    let error = parse(r#"{"access_log": ["tenant", "tokens"]}"#).unwrap_err();
    assert!(error.starts_with("`access_log[1]` must be one of call_id, tenant, "), "{error}");
    assert!(error.ends_with(", ttft_ms, attempts, call"), "{error}");
    let error = parse(r#"{"prices": [{"model": "m", "rates": {"in": 1}}]}"#).unwrap_err();
    assert!(error.starts_with("`prices[0].rates.in` must be one of the units input, "), "{error}");
    assert!(error.ends_with(", audio_ms, request"), "{error}");
}

#[test]
fn lists_have_an_end() {
    let many = |item: &str, n: usize| vec![item; n].join(", ");
    #[rustfmt::skip]
    let cases = [
        ("tenant",    r#"{"header": "a"}"#,                    16),
        ("strip",     r#""a""#,                                64),
        ("providers", r#"{"host": "a", "provider": "b"}"#,     256),
    ];
    for (list, item, most) in cases {
        assert!(parse(&format!(r#"{{"{list}": [{}]}}"#, many(item, most))).is_ok(), "{list}");
        let error = parse(&format!(r#"{{"{list}": [{}]}}"#, many(item, most + 1))).unwrap_err();
        assert_eq!(error, format!("`{list}` must have at most {most} items"));
    }
}

#[test]
fn every_access_log_field_has_a_name_of_its_own() {
    for field in LogField::ALL {
        assert_eq!(LogField::named(field.name()), Some(field));
    }
}
