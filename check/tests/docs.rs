//! What the documents say of configurations, metrics and fields is what the code says.

#![expect(clippy::unwrap_used, reason = "a test that cannot run its subject has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tollgate::{
    config::{Config, LogField},
    metrics::{self, Bounds, Label, Move},
    money::NanoUsd,
    price::Priced,
    provider::{Api, Reported, Trouble},
    record::{Amount, Decision, Outcome, Price, Record, SaidCost},
    usage::{Unit, Usage},
};

#[test]
fn every_block_of_yaml_or_json_can_be_used_as_it_stands() {
    let mut checked = 0;
    for document in documents() {
        for (line, info, text) in blocks(&document) {
            let place = format!("{}:{line}", document.display());
            match info.as_str() {
                // A fragment of something else: of Envoy's configuration, or of a log.
                "yaml fragment" => assert!(!check(&text).1.contains("must be YAML"), "{place}"),
                "json fragment" => drop(serde_json::from_str::<Value>(&text).expect(&place)),
                "yaml" | "json" => {
                    let (good, says) = check(&text);
                    assert!(good, "{place}: {says}");
                    checked += 1;
                }
                _ => assert!(!info.contains("yaml") && !info.contains("json"), "{place}: {info}"),
            }
        }
    }
    assert!(checked > 0);
}

#[test]
fn the_readme_shows_the_minimal_configuration() {
    let minimal = read("envoy/minimal.yaml");
    assert!(blocks(&root().join("README.md")).iter().any(|(_, _, text)| *text == minimal));
}

#[test]
fn the_readme_and_the_reference_have_every_field_of_the_configuration() {
    let schema = Config::schema().to_value();
    let fields: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&table("README.md", "field")), fields);
    let mut all = BTreeSet::new();
    properties(&schema, &mut all);
    let units: BTreeSet<_> = Priced::all().map(|priced| priced.label().to_owned()).collect();
    let described = names(&table("docs/configuration.md", "field"));
    let last = |path: &String| path.rsplit('.').next().unwrap().replace("[]", "");
    assert_eq!(described.iter().map(last).collect::<BTreeSet<_>>(), &all - &units);
}

#[test]
fn every_call_is_listed() {
    let labels: BTreeSet<_> = Api::ALL.map(|api| api.label().to_owned()).into();
    assert_eq!(names(&table("docs/providers.md", "call")), labels);
}

#[test]
fn the_access_log_has_the_fields_that_are_listed() {
    let fields: BTreeSet<_> = LogField::ALL.map(|field| field.name().to_owned()).into();
    assert_eq!(names(&table("docs/access-log.md", "name")), fields);
    let call: Value = serde_json::from_str(&record().field(LogField::Call).unwrap()).unwrap();
    let keys: BTreeSet<_> = call.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&table("docs/access-log.md", "key")), keys);
}

#[test]
fn the_metrics_are_those_that_are_listed() {
    let mut moved: BTreeMap<String, (String, String)> = BTreeMap::new();
    for step in metrics::moves(&record(), &mut All) {
        let (kind, full) = match step {
            Move::Count(name, _) => ("counter", name),
            Move::Sample(name, _) => ("histogram", name),
        };
        let mut parts: Vec<_> = full.split(";.;").collect();
        let name = parts.pop().unwrap().to_owned();
        let labels = parts.iter().map(|part| part.split("=.=").next().unwrap());
        let labels = labels.map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        moved.insert(name, (kind.to_owned(), labels));
    }
    let alone = [metrics::SKIPPED, metrics::UNHELD, metrics::UNLEASED, metrics::ROWS_LOST];
    for name in alone.into_iter().chain([metrics::CROWDED, metrics::PRICES_REFUSED]) {
        moved.insert(name.to_owned(), ("counter".to_owned(), String::new()));
    }
    let listed = table("docs/metrics.md", "metric").into_iter().map(|row| {
        let [name, kind, _, labels, ..] = row.as_slice() else { panic!("{row:?}") };
        (name.trim_matches('`').to_owned(), (kind.clone(), labels.clone()))
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), moved);
    let kinds: BTreeSet<_> = Unit::ALL.map(|unit| unit.label().to_owned()).into();
    assert_eq!(names(&table("docs/metrics.md", "kind")), kinds);
    let shown = names(&table("README.md", "metric"));
    assert_eq!(shown, moved.into_keys().collect());
}

/// A call of which everything can be said, so that it moves every metric.
fn record() -> Record {
    let usage = Usage::default().with(Unit::Input, 7).with(Unit::CacheWrite, 2);
    let some = || Some("x".to_owned());
    Record {
        call_id: String::new(),
        began_ms: 0,
        duration_ms: 20,
        ttft_ms: Some(5),
        tenant: some(),
        feature: some(),
        user: some(),
        unit: some(),
        provider: "openai".to_owned(),
        api: Api::OpenAiChat,
        request_model: some(),
        model: some(),
        model_exists: true,
        stream: true,
        service_tier: some(),
        region: some(),
        status: 200,
        attempts: 2,
        amount: Amount::Estimated(Reported { usage, overlap: 1, ..Reported::default() }),
        price: Price::AtLeast(NanoUsd::new(9), "v".to_owned()),
        said_cost: Some(SaidCost { cost: NanoUsd::new(11), listed: Some(NanoUsd::new(9)) }),
        decision: Decision::Pass,
        budget: Some("b".into()),
        firm: None,
        outcome: Outcome::Ok,
        trouble: Some(Trouble::Usage),
    }
}

/// Bounds that nothing exceeds.
struct All;

impl Bounds for All {
    fn value(&mut self, _: Label, _: &str) -> bool {
        true
    }

    fn series(&mut self, _: &str) -> bool {
        true
    }
}

/// What the checker says of a text, and whether that is good.
fn check(text: &str) -> (bool, String) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("block.yaml");
    fs::write(&file, text).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_tollgate-check")).arg(&file).output().unwrap();
    (run.status.success(), String::from_utf8(run.stdout).unwrap())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Every document at the root, in `docs/` and in `docs/decisions/`.
fn documents() -> Vec<PathBuf> {
    let folders = [root(), root().join("docs"), root().join("docs/decisions")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "md")).collect()
}

/// The fenced blocks of a document: line, what stands behind the fence, text.
fn blocks(document: &Path) -> Vec<(usize, String, String)> {
    let text = fs::read_to_string(document).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (line, at) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some((at, info.to_owned(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((at, info, text))) => open = Some((at, info, format!("{text}{line}\n"))),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block without an end", document.display());
    blocks
}

/// The rows of all tables of a file whose first column is called `head`.
fn table(file: &str, head: &str) -> Vec<Vec<String>> {
    let text = read(file);
    let mut rows = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [_, first, ..] = cells.as_slice() else {
            inside = false;
            continue;
        };
        if inside && !first.starts_with("--") {
            rows.push(cells.iter().skip(1).cloned().collect());
        }
        inside |= first == head;
    }
    assert!(!rows.is_empty(), "{file}: no table of {head}");
    rows
}

/// The names in the first column, of which one row may have several.
fn names(rows: &[Vec<String>]) -> BTreeSet<String> {
    let names = rows.iter().flat_map(|row| row.first().unwrap().split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The names of all properties anywhere in a schema.
fn properties(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                if let ("properties", Value::Object(members)) = (key.as_str(), value) {
                    names.extend(members.keys().cloned());
                    members.values().for_each(|member| properties(member, names));
                } else {
                    properties(value, names);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| properties(item, names)),
        _ => {}
    }
}
