//! The newer book that a quota service has handed out, as the workers of a process share it.
//!
//! The newest version counts, and versions are compared as texts: they begin with a date. So it does
//! not matter which of several replicas answers, nor which worker hears first. One worker puts the
//! book into the shared store; the others find it there before they would be sent it. A book that
//! cannot be used is named to the service, so that it is not sent again and again.

use std::rc::Rc;

use super::book::{Book, BookError};
use super::pack::MAX_PACKED;
use crate::packed;
use crate::shared::{NAMESPACE, Shared, update};
use crate::sync::{Edition, Knows};

/// What one worker has of the books of one quota service.
#[derive(Debug, Default)]
pub struct Shelf {
    book: Option<Rc<Book>>,
    refused: Option<(String, u64)>,
}

impl Shelf {
    /// The newest book that is not built in, if there is one.
    #[must_use]
    pub const fn newest(&self) -> Option<&Rc<Book>> {
        self.book.as_ref()
    }

    /// What is told to the service of `cluster`: the version that holds here beside the built-in
    /// one, and the one that cannot be used.
    #[must_use]
    pub fn knows(&self, built_in: &str, now_ms: u64) -> Knows {
        let refused = self.refused.as_ref().filter(|&&(_, until_ms)| now_ms < until_ms);
        Knows {
            version: self.version().max(built_in).to_owned(),
            refused: refused.map(|(version, _)| version.clone()),
        }
    }

    /// Looks whether another worker has put a newer book into the store, and takes it.
    ///
    /// # Errors
    ///
    /// Returns why what is there cannot be used.
    pub fn look(
        &mut self,
        shared: &impl Shared,
        cluster: &str,
        now_ms: u64,
    ) -> Result<bool, BookError> {
        let Some((version, _)) = shared.load(&version_key(cluster)) else { return Ok(false) };
        let version = core::str::from_utf8(&version).unwrap_or_default();
        if version <= self.version() || self.has_refused(version, now_ms) {
            return Ok(false);
        }
        let stored = shared.load(&book_key(cluster)).map(|(stored, _)| stored).unwrap_or_default();
        let packed = stored.split_at_checked(version_of(&stored).len().saturating_add(1));
        self.take(version, packed.map_or(&[][..], |(_, packed)| packed), now_ms)
    }

    /// Takes what the service has sent, and puts it into the store.
    ///
    /// # Errors
    ///
    /// Returns why it cannot be used; then nothing has changed.
    pub fn receive(
        &mut self,
        shared: &mut impl Shared,
        cluster: &str,
        edition: &Edition,
        now_ms: u64,
    ) -> Result<bool, BookError> {
        let version = edition.version.as_str();
        if version <= self.version() || self.has_refused(version, now_ms) {
            return Ok(false);
        }
        let fits = edition.packed.len() / 4 <= MAX_PACKED / 3;
        let packed = fits.then(|| packed::base64(&edition.packed)).flatten().unwrap_or_default();
        let taken = self.take(version, &packed, now_ms)?;
        // Who comes second leaves what is newer, and finds it at the next look. Where races are lost
        // without end, the others are sent the book as this worker was.
        let version = version.as_bytes();
        let stored = [version, &[END], &packed].concat();
        for (key, value) in
            [(book_key(cluster), stored.as_slice()), (version_key(cluster), version)]
        {
            let is_newer = |old: Option<&[u8]>| old.is_none_or(|old| version_of(old) < version);
            let put = |old: Option<&[u8]>| (is_newer(old).then(|| value.to_vec()), ());
            if update(shared, &key, put).is_err() {
                break;
            }
        }
        Ok(taken)
    }

    fn take(&mut self, version: &str, packed: &[u8], now_ms: u64) -> Result<bool, BookError> {
        let read = Book::unpack(packed.into()).and_then(|book| match book.version() {
            // Between the two writes of another worker the store has a newer one than it says.
            own if own >= version => Ok(book),
            _ => Err(BookError::Damaged),
        });
        match read {
            Ok(book) => self.book = Some(Rc::new(book)),
            Err(error) => {
                self.refused = Some((version.to_owned(), now_ms.saturating_add(RETRY_MS)));
                return Err(error);
            }
        }
        Ok(true)
    }

    fn version(&self) -> &str {
        self.book.as_ref().map_or("", |book| book.version())
    }

    fn has_refused(&self, version: &str, now_ms: u64) -> bool {
        self.refused.as_ref().is_some_and(|(refused, until)| refused == version && now_ms < *until)
    }
}

/// Another version of the filter may not be able to read what this one has put there.
fn version_key(cluster: &str) -> String {
    format!("{NAMESPACE}prices/{}/{cluster}", env!("CARGO_PKG_VERSION"))
}

fn book_key(cluster: &str) -> String {
    format!("{NAMESPACE}book/{}/{cluster}", env!("CARGO_PKG_VERSION"))
}

/// The version that stands before a book in the store.
fn version_of(stored: &[u8]) -> &[u8] {
    stored.split(|&byte| byte == END).next().unwrap_or_default()
}

/// Ends it.
const END: u8 = 0;
/// For how long a book that could not be used is not asked for again: it may have been damaged on
/// its way, or the service may have another one of this version by then.
const RETRY_MS: u64 = 600_000;

#[cfg(test)]
mod tests;
