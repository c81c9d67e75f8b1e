use super::*;
use crate::price::pack;
use crate::shared::fake::Store;

fn edition(version: &str) -> Edition {
    let book = format!(r#"{{"format":1,"version":"{version}","providers":[]}}"#);
    let packed = pack(book.as_bytes()).unwrap();
    Edition { version: version.into(), packed: letters(&packed) }
}

fn letters(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1)).collect();
    let letter = |six: &[u8]| {
        let number = (0..6).fold(0, |sum, at| sum << 1 | six.get(at).copied().unwrap_or(0));
        char::from(LETTERS[usize::from(number)])
    };
    bits.chunks(6).map(letter).collect()
}

#[test]
fn the_newest_book_ends_up_in_the_store_whoever_is_first() {
    let orders = [["2026-01-01", "2026-01-02"], ["2026-01-02", "2026-01-01"]];
    for order in orders {
        let (mut shared, mut reader) = (Store::default(), Shelf::default());
        for version in order {
            // Each worker has heard of its own alone.
            let taken = Shelf::default().receive(&mut shared, "quota", &edition(version), 0);
            assert!(taken.unwrap());
        }
        assert!(reader.look(&shared, "quota", 0).unwrap());
        assert_eq!(reader.newest().unwrap().version(), "2026-01-02", "{order:?}");
        assert!(!reader.look(&shared, "quota", 0).unwrap(), "nothing newer");
        assert!(!reader.look(&shared, "other", 0).unwrap(), "another service");
    }
}

#[test]
fn what_another_has_spoilt_is_refused_and_what_is_built_in_is_told() {
    let mut shared = Store::default();
    Shelf::default().receive(&mut shared, "quota", &edition("2026-01-01"), 0).unwrap();
    let key = book_key("quota");
    let (mut stored, version) = shared.load(&key).unwrap();
    stored.pop();
    shared.store(&key, &stored, Some(version)).unwrap();
    let mut shelf = Shelf::default();
    assert!(shelf.look(&shared, "quota", 0).is_err());
    assert!(!shelf.look(&shared, "quota", 1).unwrap(), "once");
    let knows = |version: &str, now_ms| shelf.knows(version, now_ms);
    let refused = Some("2026-01-01".to_owned());
    assert_eq!(knows("2025", 0), Knows { version: "2025".into(), refused });
    assert_eq!(knows("2025", RETRY_MS), Knows { version: "2025".into(), refused: None });
}
