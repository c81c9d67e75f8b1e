//! What the documents show is what the service takes and says.

use std::{collections::BTreeSet, fs};

use tollgate::sync::{Answer, Ask};
use tollgate_quota::{call::Call, customers::Book};

use crate::support::Service;

#[test]
fn the_protocol_shows_an_ask_and_an_answer() {
    let text = read("docs/protocol.md");
    let [ask, answer] = blocks(&text, "json fragment").try_into().unwrap();
    let ask: Ask = serde_json::from_str(&ask).unwrap();
    let call = serde_json::from_str(ask.rows[0].call.text()).unwrap();
    assert!(Call::read(&call).is_some());
    assert_eq!(ask.wants.len(), 1);
    let answer: Answer = serde_json::from_str(&answer).unwrap();
    assert_eq!((answer.tenants.len(), answer.grants.len()), (1, 1));
}

#[test]
fn the_example_of_customers_is_a_good_one() {
    for example in blocks(&read("docs/quota.md"), "yaml fragment") {
        let book = Book::parse(&example).unwrap();
        assert_eq!(book.customers.len(), 2);
    }
}

#[test]
fn the_metrics_are_those_that_are_listed() {
    let service = Service::start("business: {name: Acme}", &[]);
    let text = service.admin("/metrics", "boss").text;
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE tollgate_quota_"));
    let names: BTreeSet<_> = names.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect();
    let document = read("docs/quota.md");
    let table = document.split("## Metrics").nth(1).unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let listed = cells.flat_map(|cell| cell.split(", ").map(str::to_owned).collect::<Vec<_>>());
    let bare = |name: String| name.replace('`', "").split('{').next().unwrap().to_owned();
    assert_eq!(listed.map(bare).collect::<BTreeSet<_>>(), names);
}

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The blocks of a kind.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split("\n```").next().unwrap().to_owned()).collect()
}
