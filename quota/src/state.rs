//! What all parts of the running service share.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicI64, Ordering},
};

use crate::{
    acquaintance::Acquaintances,
    auth::Keys,
    clock::Clock,
    customers::{Book, Fault},
    metrics::Metrics,
    prices::Prices,
    recall::Shortages,
    store::Store,
};

/// The running service.
#[derive(Debug)]
pub struct State {
    /// What happened.
    pub store: Store,
    /// What time it is.
    pub clock: Clock,
    /// Who may ask.
    pub keys: Keys,
    /// How leases are lent.
    pub terms: Terms,
    /// What gateways know.
    pub acquaintances: Acquaintances,
    /// What gateways wait for.
    pub shortages: Shortages,
    /// What was counted.
    pub metrics: Metrics,
    books: RwLock<Books>,
    /// How many customers had appeared when all of them were last read.
    seen: AtomicI64,
    prices: RwLock<Prices>,
}

/// How leases are lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long calls may be admitted on a lease, from the grant on.
    pub admit_ms: u64,
    /// How much longer they may take to settle, before what is left goes to suspense.
    pub settle_ms: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self { admit_ms: 30_000, settle_ms: 600_000 }
    }
}

/// The service, as each request has it.
pub type Shared = Arc<State>;

/// The customers as they are, and what became of the file.
#[derive(Clone, Debug)]
pub struct Books {
    /// The last good one.
    pub book: Arc<Book>,
    /// Counts the good ones.
    pub generation: u64,
    /// What is wrong with the file as it stands now, if anything is.
    pub faults: Vec<Fault>,
}

impl State {
    /// A service of these customers.
    #[must_use]
    pub fn new(store: Store, clock: Clock, keys: Keys, book: Book) -> Self {
        let books = Books { book: Arc::new(book), generation: 1, faults: Vec::new() };
        Self {
            store,
            clock,
            keys,
            terms: Terms::default(),
            acquaintances: Acquaintances::default(),
            shortages: Shortages::default(),
            metrics: Metrics::default(),
            books: RwLock::new(books),
            seen: AtomicI64::new(NEVER),
            prices: RwLock::default(),
        }
    }

    /// The same, with leases lent in this way.
    #[must_use]
    pub fn with_terms(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// The customers as they are.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        self.books().book
    }

    /// The same, and what became of the file.
    #[must_use]
    pub fn books(&self) -> Books {
        self.books.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in customers who have appeared by themselves.
    pub fn meet(&self, names: impl IntoIterator<Item = String>) {
        let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
        let mut names = names.into_iter().filter(|name| books.book.find(name).is_none()).peekable();
        if names.peek().is_some() {
            let book = (*books.book).clone().with(names);
            books.book = Arc::new(book);
        }
    }

    /// Whether all customers who have appeared were read when there were so many.
    #[must_use]
    pub fn has_seen(&self, count: i64) -> bool {
        self.seen.load(Ordering::Relaxed) == count
    }

    /// Notes how many there were when all were read.
    pub fn note_seen(&self, count: i64) {
        self.seen.store(count, Ordering::Relaxed);
    }

    /// The price book as it is.
    #[must_use]
    pub fn prices(&self) -> Prices {
        self.prices.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is known of the price book.
    pub fn renew_prices(&self, change: impl FnOnce(&mut Prices)) {
        change(&mut self.prices.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes a newer file, or what is wrong with it.
    pub fn renew(&self, read: Result<Book, Vec<Fault>>) {
        let mut books = self.books.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(book) => {
                let met: Vec<_> = books.book.customers.met().cloned().collect();
                books.book = Arc::new(book.with(met));
                books.generation = books.generation.saturating_add(1);
                books.faults.clear();
                self.note_seen(NEVER);
            }
            Err(faults) => books.faults = faults,
        }
    }
}

/// No number of customers: they have not been read.
const NEVER: i64 = -1;
