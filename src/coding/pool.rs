//! How many bodies with large windows a worker reads at once.

use std::rc::{Rc, Weak};

/// The places of one worker. Clones are of the same pool.
#[derive(Clone, Debug)]
pub struct Pool {
    places: Rc<()>,
    /// How many may be taken in all, by whoever has this clone.
    most: usize,
}

/// A place, given back when it is dropped.
pub(super) type Place = Weak<()>;

impl Pool {
    /// A place, if there is one left.
    pub(super) fn take(&self) -> Option<Place> {
        (Rc::weak_count(&self.places) < self.most).then(|| Rc::downgrade(&self.places))
    }

    /// The same places, of which requests take half: clients begin as many as they like, and the
    /// answers of others are to be read all the same.
    #[must_use]
    pub fn for_requests(&self) -> Self {
        Self { places: Rc::clone(&self.places), most: MOST / 2 }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { places: Rc::default(), most: MOST }
    }
}

/// A brotli window has up to 16 MiB, a zstd one 8 MiB, each as far as the body fills it: windows of
/// at most 128 MiB a worker. Metered answers are asked for in gzip, so few need a place at all.
pub(super) const MOST: usize = 8;
