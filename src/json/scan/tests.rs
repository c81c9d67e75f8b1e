use super::*;

const MODEL: Pick = 0;
const USAGE: Pick = 1;
const TEXT: Pick = 2;

const PLACES: &[(&str, Pick, How)] = &[
    ("/model", MODEL, How::Take),
    ("/usage", USAGE, How::Take),
    ("/choices/*/delta/content", TEXT, How::Measure),
    ("/*/usage", USAGE, How::Take),
];

/// What a document yields: values as text, and the bytes of measured text in all.
fn scan<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(Pick, String)>, usize, bool) {
    let mut scanner = Scanner::new(Rc::new(Spec::of(PLACES)));
    let (mut values, mut text) = (Vec::new(), 0);
    for chunk in chunks {
        scanner.feed(chunk, &mut |found| match found {
            Found::Value(pick, raw) => {
                values.push((pick, String::from_utf8_lossy(raw).into_owned()));
            }
            Found::TooLong(pick) => values.push((pick, "too long".into())),
            Found::Text(_, bytes) => text += bytes,
        });
    }
    (values, text, scanner.is_broken())
}

fn values(text: &str) -> Vec<(Pick, String)> {
    scan([text.as_bytes()]).0
}

const DOCUMENT: &str = r#" {"id":"x","choices":[{"delta":{"content":"a \"usage\": {} \\"},"index":0}],
    "model" : "gpt","nested":{"usage":{"a":1}},"usage":{"prompt_tokens":5,"d":{"c":[1,{}]}},"last":null}"#;

#[test]
fn only_the_places_asked_for_are_reported() {
    let (values, text, broken) = scan([DOCUMENT.as_bytes()]);
    let usage = r#"{"prompt_tokens":5,"d":{"c":[1,{}]}}"#;
    assert_eq!(values, [(MODEL, "\"gpt\"".to_owned()), (USAGE, usage.to_owned())]);
    assert_eq!(text, r#""a \"usage\": {} \\""#.len());
    assert!(!broken);
}

#[test]
fn where_the_document_is_cut_does_not_matter() {
    let whole = scan([DOCUMENT.as_bytes()]);
    for cut in 0..=DOCUMENT.len() {
        let (head, tail) = DOCUMENT.as_bytes().split_at(cut);
        assert_eq!(scan([head, tail]), whole, "cut at {cut}");
    }
    assert_eq!(scan(DOCUMENT.as_bytes().chunks(1)), whole, "byte by byte");
}

#[test]
fn documents_may_follow_each_other_or_stand_in_an_array() {
    let one = (USAGE, "1".to_owned());
    assert_eq!(values("{\"usage\":1}\n{\"usage\":1}"), [one.clone(), one.clone()]);
    assert_eq!(values("[{\"usage\":1}\n,\r\n{\"usage\":1}\n]"), [one.clone(), one]);
}

#[test]
fn other_shapes_than_expected_yield_nothing() {
    for text in [
        "{}",
        "[]",
        "[DONE]",
        "[1,[2],\"usage\"]",
        r#"{"choices":null,"model":}"#,
        r#"{"choices":[[{"delta":{"content":"a"}}]]}"#,
        r#"{"choices":[{"delta":{"content":["a"]}}]}"#,
        "<html>\"usage\":1</html>",
        "\"usage\"",
    ] {
        assert_eq!(values(text), [], "{text}");
    }
}

#[test]
fn text_that_is_not_json_is_noticed() {
    for text in ["<html>", "{usage:1}", "{\"usage\" 1}", "{\"a\":1]", "hello"] {
        assert!(scan([text.as_bytes()]).2, "{text}");
    }
}

#[test]
fn a_value_beyond_the_bound_is_dropped_not_kept() {
    let long = format!(r#"{{"usage":"{}","model":"m"}}"#, "x".repeat(MAX_TAKEN));
    let expected = [(USAGE, "too long".to_owned()), (MODEL, "\"m\"".to_owned())];
    assert_eq!(values(&long), expected);
    assert_eq!(scan(long.as_bytes().chunks(7)).0, expected);
}

#[test]
fn a_long_key_matches_nothing_and_one_with_escapes_what_it_means() {
    let long = "k".repeat(MAX_KEY + 1);
    let text = format!(r#"{{"{long}":1,"us\"age":2,"usage":3,"\u0075s\u0061ge":4,"us\xage":5}}"#);
    for size in [1, 2, 300, text.len()] {
        let expected = ["3", "4"].map(|value| (USAGE, value.to_owned()));
        assert_eq!(scan(text.as_bytes().chunks(size)).0, expected);
    }
}

#[test]
fn a_restart_forgets_half_a_document() {
    let mut scanner = Scanner::new(Rc::new(Spec::of(PLACES)));
    scanner.feed(br#"{"usage":{"a"#, &mut |found| panic!("{found:?}"));
    assert!(!scanner.restart());
    let mut seen = 0;
    scanner.feed(br#"{"usage":{}}"#, &mut |found| {
        assert_eq!(found, Found::Value(USAGE, b"{}"));
        seen += 1;
    });
    assert!(scanner.restart());
    assert_eq!(seen, 1);
}
