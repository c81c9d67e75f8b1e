//! Requests that are made to ask for usage, or for another model: serde_json reads the same document
//! but for that, wherever the body is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::request::{Change, Editor};
use tollgate_fuzz::{Input, Tree};

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let (whole, asked) = edit(&mut [input.body].into_iter());
    assert!(asked || whole == input.body);
    let cuts = [edit(&mut input.pieces(input.body)), edit(&mut input.body.chunks(1))];
    let Some(tree) = Tree::parse(input.body).filter(Tree::is_plain) else { return };
    for (cut, asked) in cuts {
        // What stands across a border stays as it is.
        assert!(cut == whole || (!asked && cut == input.body));
    }
    let Tree::Object(members) = &tree else { return };
    let streams = tree.at(&["stream"]) == Some(&Tree::Bool(true));
    let options = tree.at(&["stream_options"]);
    let edited = Tree::parse(&whole).expect("a document stays one");
    if asked {
        assert_eq!(edited.at(&["stream_options", "include_usage"]), Some(&Tree::Bool(true)));
        let Tree::Object(after) = &edited else { panic!("an object stays one") };
        let others = |members: &[(String, Tree)]| -> Vec<(String, Tree)> {
            members.iter().filter(|(key, _)| key != "stream_options").cloned().collect()
        };
        assert_eq!(others(after), others(members));
        if let (Some(Tree::Object(before)), Some(Tree::Object(after))) =
            (options, edited.at(&["stream_options"]))
        {
            let kept = |(key, value): &(String, Tree)| {
                key == "include_usage" || after.iter().any(|(k, v)| k == key && v == value)
            };
            assert!(before.iter().all(kept));
        }
    } else if streams && matches!(options, None | Some(Tree::Null)) {
        panic!("a stream is asked for its usage");
    }
});

fn edit(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<u8>, bool) {
    let mut editor = Editor::new(Change { usage: true, ..Change::default() });
    let mut edited = Vec::new();
    for piece in pieces {
        edited.extend(editor.feed(piece).unwrap_or_else(|| piece.to_vec()));
    }
    (edited, editor.has_asked())
}
