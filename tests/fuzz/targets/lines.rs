//! Documents one after the other, and documents in one array: the usage that serde_json finds in
//! them, wherever they are cut, and the same however blanks and line ends stand between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::Api;
use tollgate_fuzz::{Input, Tree, counts, documents, read, totals};

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let documents = documents(input.body);
    let (before, between, after) = match input.choice & 3 {
        0 => ("", "\n", "\n"),
        1 => ("\r\n", "\r\n", ""),
        2 => (" ", " ", "\n\n"),
        _ => ("", "", ""),
    };
    let join = |between: &str| {
        let texts: Vec<_> = documents.iter().map(|(line, _)| *line).collect();
        texts.join(between.as_bytes())
    };
    let lines = [before.as_bytes(), &join(between), after.as_bytes()].concat();
    let said = read(&input, Api::OllamaChat, &lines);
    if let Some(expected) = lasts(&documents, ["prompt_eval_count", "eval_count"]) {
        assert_eq!(totals(&said), expected);
    }
    let array = [before, "[", &between.replace('\n', "\r\n")].concat().into_bytes();
    let list = [&array, &*join(&[between, ",", before].concat()), b"]", after.as_bytes()].concat();
    let said = read(&input, Api::GeminiStream, &list);
    let usages = documents.iter().filter_map(|(_, tree)| tree.at(&["usageMetadata"]));
    let names = ["promptTokenCount", "candidatesTokenCount"];
    if let Some(expected) = counts(usages.filter(|usage| has_counts(usage)), names) {
        assert_eq!(totals(&said), expected);
    }
});

/// The last of each count, where all of them are plain and none is said to come from a cache.
fn lasts(documents: &[(&[u8], Tree)], names: [&str; 2]) -> Option<Option<(u64, u64)>> {
    let mut last = [None, None];
    for (_, tree) in documents {
        if tree.at(&["prompt_eval_cached_count"]).is_some() {
            return None;
        }
        for (slot, name) in last.iter_mut().zip(names) {
            match tree.at(&[name]) {
                None | Some(Tree::Null) => {}
                Some(Tree::Number(number)) => {
                    *slot = Some(number.as_u64().filter(|n| *n < 1 << 30)?)
                }
                Some(_) => return None,
            }
        }
    }
    let [input, output] = last;
    Some((input.is_some() || output.is_some()).then(|| (input.unwrap_or(0), output.unwrap_or(0))))
}

/// Whether a name in it ends as those of counts do.
fn has_counts(usage: &Tree) -> bool {
    format!("{usage:?}").contains("TokenCount\"")
}
