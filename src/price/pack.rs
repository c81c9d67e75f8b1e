//! A book on its way: as the quota service hands it to gateways, and as workers share it.
//!
//! It looks as the one that `build.rs` packs into the filter: a head that names all providers, and
//! the models of each deflated apart, so that a worker unpacks only those that it meets. Before it
//! is used all of it is read once: it is good as a whole, or refused as a whole.
//!
//! ```text
//! FNV-1a of all that follows (8) │ length of the head (4) │ head, JSON │ parts
//! ```

use std::rc::Rc;

use miniz_oxide::deflate::compress_to_vec;
use serde_json::Value;

use super::book::{Book, BookError, is_version};
use crate::shared::hash;

/// Packs the text of a book, which must be one that [`Book::parse`] takes.
///
/// # Errors
///
/// Refuses a text that is no book, and one that is larger than what gateways take.
pub fn pack(json: &[u8]) -> Result<Vec<u8>, BookError> {
    Book::parse(json)?;
    let mut head: Value = serde_json::from_slice(json).map_err(BookError::Syntax)?;
    let mut parts = Vec::new();
    let providers = head.get_mut("providers").and_then(Value::as_array_mut);
    for provider in providers.into_iter().flatten().filter_map(Value::as_object_mut) {
        let models = provider.remove("models").unwrap_or_default();
        let start = parts.len();
        parts.extend(compress_to_vec(models.to_string().as_bytes(), LEVEL));
        provider.insert("packed".to_owned(), Value::from(vec![start, parts.len()]));
    }
    let head = head.to_string();
    let length = u32::try_from(head.len()).map_err(|_| BookError::Size)?;
    let rest = [&length.to_le_bytes()[..], head.as_bytes(), &parts].concat();
    let packed = [&hash(&rest).to_le_bytes()[..], &rest].concat();
    Book::unpack(packed.as_slice().into())?;
    Ok(packed)
}

impl Book {
    /// Reads a packed book, all of it.
    ///
    /// # Errors
    ///
    /// Refuses what is not whole, what is larger than it may be, and what [`Book::parse`] refuses.
    pub fn unpack(packed: Rc<[u8]>) -> Result<Self, BookError> {
        if packed.len() > MAX_PACKED {
            return Err(BookError::Size);
        }
        let (sum, rest) = packed.split_first_chunk::<8>().ok_or(BookError::Damaged)?;
        if u64::from_le_bytes(*sum) != hash(rest) {
            return Err(BookError::Damaged);
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(BookError::Damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (head, parts) = rest.split_at_checked(length).ok_or(BookError::Damaged)?;
        let start = packed.len().saturating_sub(parts.len());
        let head = Self::parse(head)?;
        if !is_version(head.version()) {
            return Err(BookError::Version);
        }
        head.with_parts(Rc::clone(&packed), start)
    }
}

/// As small as it gets.
const LEVEL: u8 = 10;
/// Four times what the built-in book takes: each worker keeps so much of it.
pub(super) const MAX_PACKED: usize = 256 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_book_is_the_same_when_it_has_been_packed() {
        let text = include_bytes!("book.json");
        let packed = pack(text).unwrap();
        assert!(packed.len() < MAX_PACKED / 2, "{}", packed.len());
        let book = Book::unpack(packed.into()).unwrap();
        let names = Book::parse(text).unwrap().names().unwrap();
        assert_eq!(book.names().unwrap(), names);
        assert_eq!(Book::embedded().unwrap().names().unwrap(), names);
        assert!(book.find("openai", "gpt-5").is_some());
    }

    #[test]
    fn a_book_that_is_cut_or_changed_anywhere_is_refused() {
        let text = r#"{"format":1,"version":"2026-01-01","providers":[{"id":"p","aliases":[],
            "fallback":[],"models":[{"id":"m","match":{"equals":"m"},"prices":[]}]}]}"#;
        let packed = pack(text.as_bytes()).unwrap();
        assert!(Book::unpack(packed.as_slice().into()).is_ok());
        for at in 0..packed.len() {
            assert!(Book::unpack(packed[..at].into()).is_err(), "cut at {at}");
            let mut changed = packed.clone();
            changed[at] ^= 4;
            assert!(Book::unpack(changed.into()).is_err(), "changed at {at}");
        }
        for version in ["", "v1", "2026-01", "2026-01-01 a", "2026-01-01;x"] {
            assert!(pack(text.replace("2026-01-01", version).as_bytes()).is_err(), "{version}");
        }
    }
}
