//! How many bodies with large windows a worker reads at once.

use std::rc::{Rc, Weak};

/// The places of one worker. Clones are of the same pool.
#[derive(Clone, Debug, Default)]
pub struct Pool(Rc<()>);

/// A place, given back when it is dropped.
pub(super) type Place = Weak<()>;

impl Pool {
    /// A place, if there is one left.
    pub(super) fn take(&self) -> Option<Place> {
        (Rc::weak_count(&self.0) < MOST).then(|| Rc::downgrade(&self.0))
    }
}

/// A brotli window has up to 16 MiB, a zstd one 8 MiB, each as far as the body fills it: windows of
/// at most 128 MiB a worker. Metered answers are asked for in gzip, so few need a place at all.
pub(super) const MOST: usize = 8;
