//! Request bodies: the same is said wherever they are cut, and of plain JSON what serde_json says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::provider::Api;
use tollgate::request::{Body, Questions, Said};
use tollgate_fuzz::{Input, Tree};

const POINTERS: [&[&str]; 4] = [&["user"], &["metadata", "user_id"], &["model"], &["a", "b", "c"]];

fuzz_target!(|bytes: &[u8]| {
    let Some(input) = Input::read(bytes) else { return };
    let api = Api::ALL[usize::from(input.choice) % Api::ALL.len()];
    let form = read(api, FORM, &mut [input.body].into_iter());
    let cut = read(api, FORM, &mut input.pieces(input.body));
    assert_eq!(format!("{cut:?}"), format!("{form:?}"));
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| read(api, "", pieces);
    let whole = read(&mut [input.body].into_iter());
    for cut in [read(&mut input.pieces(input.body)), read(&mut input.body.chunks(1))] {
        assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
    }
    let Some(tree) = Tree::parse(input.body).filter(Tree::is_plain) else { return };
    if matches!(api, Api::OpenAiChat | Api::OpenAiResponses | Api::AnthropicMessages) {
        let model = tree.at(&["model"]).and_then(text);
        assert_eq!(whole.model, model);
        assert_eq!(whole.stream, tree.at(&["stream"]).and_then(flag));
    }
    for (pointer, said) in POINTERS.iter().zip(&whole.values) {
        match tree.at(pointer) {
            Some(Tree::Text(text)) => assert_eq!(said.as_ref(), Some(text)),
            Some(Tree::Number(_) | Tree::Bool(_)) => assert!(said.is_some()),
            _ => assert_eq!(*said, None),
        }
    }
});

/// A form with a boundary that the fuzzer finds soon.
const FORM: &str = "multipart/form-data; boundary=b";

fn read(api: Api, content_type: &str, pieces: &mut dyn Iterator<Item = &[u8]>) -> Said {
    let pointers =
        POINTERS.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    let pointers: Vec<&[String]> = pointers.iter().map(Vec::as_slice).collect();
    let mut body = Body::new(&Questions::new(api, &pointers), content_type);
    pieces.for_each(|piece| body.feed(piece));
    body.end()
}

fn text(tree: &Tree) -> Option<String> {
    if let Tree::Text(text) = tree { Some(text.clone()) } else { None }
}

fn flag(tree: &Tree) -> Option<bool> {
    if let Tree::Bool(flag) = tree { Some(*flag) } else { None }
}
