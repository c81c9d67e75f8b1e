//! The scanner against serde_json: the same values at the places asked for, wherever it is cut.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use tollgate::json::{Found, How, Pick, Scanner, Spec};
use tollgate_fuzz::{Input, Tree};

/// Places side by side, within each other, in lists, and at the greatest depth.
const PLACES: [&[&str]; 8] = [
    &["usage"],
    &["*", "usage"],
    &["choices", "*", "delta", "content"],
    &["choices", "*", "usage"],
    &["a"],
    &["a", "b"],
    &["a", "b", "*"],
    &["a", "a", "a", "a", "a", "a", "a", "a"],
];

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let whole = scan(&mut [input.body].into_iter());
    assert_eq!(scan(&mut input.pieces(input.body)), whole);
    assert_eq!(scan(&mut input.body.chunks(1)), whole);
    if let Some(tree) = Tree::parse(input.body) {
        let mut expected = Vec::new();
        collect(&tree, &PLACES.map(|place| (Some(place), place)), &mut expected);
        let is_container = matches!(tree, Tree::List(_) | Tree::Object(_));
        assert_eq!(whole.broken, !is_container);
        let values: Vec<_> = whole
            .values
            .iter()
            .map(|(pick, raw)| (*pick, Tree::parse(raw).expect("a whole value")))
            .collect();
        assert_eq!(values, expected);
    }
});

#[derive(Debug, PartialEq)]
struct Scan {
    values: Vec<(Pick, Vec<u8>)>,
    text: usize,
    broken: bool,
    whole: bool,
}

fn scan(pieces: &mut dyn Iterator<Item = &[u8]>) -> Scan {
    let mut spec = Spec::default();
    for (place, pick) in PLACES.iter().zip(0..) {
        spec.add(&format!("/{}", place.join("/")), pick, How::Take).expect("room");
    }
    spec.add("/text", TEXT, How::Measure).expect("room");
    let mut scanner = Scanner::new(Rc::new(spec));
    let (mut values, mut text) = (Vec::new(), 0);
    for piece in pieces {
        scanner.feed(piece, &mut |found| match found {
            Found::Value(pick, raw) => values.push((pick, raw.to_vec())),
            Found::TooLong(pick) => values.push((pick, b"too long".to_vec())),
            Found::Text(_, bytes) => text += bytes,
        });
    }
    let broken = scanner.is_broken();
    Scan { values, text, broken, whole: scanner.restart() }
}

const TEXT: Pick = 100;

/// A place by what of it is still to go, if the way has been right so far.
type Way = (Option<&'static [&'static str]>, &'static [&'static str]);

/// The values that a scanner must report of `tree`, in the order of the text.
fn collect(tree: &Tree, ways: &[Way; 8], values: &mut Vec<(Pick, Tree)>) {
    let is_container = matches!(tree, Tree::List(_) | Tree::Object(_));
    let goes_on = ways.iter().any(|(rest, _)| rest.is_some_and(|rest| !rest.is_empty()));
    if !(is_container && goes_on) {
        let ends = ways.iter().zip(0..).filter(|((rest, _), _)| *rest == Some(&[]));
        values.extend(ends.map(|(_, pick)| (pick, tree.clone())));
        return;
    }
    let below = |is_next: &dyn Fn(&str) -> bool| {
        ways.map(|(rest, place)| {
            let step = rest.and_then(<[_]>::split_first).filter(|(first, _)| is_next(first));
            (step.map(|(_, rest)| rest), place)
        })
    };
    match tree {
        Tree::List(items) => {
            items.iter().for_each(|item| collect(item, &below(&|step| step == "*"), values));
        }
        Tree::Object(members) => members.iter().for_each(|(key, value)| {
            let is_key = |step: &str| step != "*" && key == step;
            collect(value, &below(&is_key), values);
        }),
        _ => {}
    }
}
