//! Which values a scanner looks for.

/// The caller's own name for one of the values it asked for.
pub type Pick = u8;

/// What to do with a value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Hand it over as it stands in the text.
    Take,
    /// If it is a string or a container, report how long it is, piece by piece.
    Measure,
}

/// The places of the values that a scanner looks for.
#[derive(Debug, Default)]
pub struct Spec {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    path: Vec<Step>,
    pick: Pick,
    how: How,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(Box<[u8]>),
    Item,
}

/// A set of patterns of one spec, one bit each.
pub(super) type Alive = u32;

impl Spec {
    /// A spec that looks for nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { patterns: Vec::new() }
    }

    /// Looks for the value at `path` too, such as `/choices/*/delta/content`: a `*` stands for
    /// every element of an array, each other name for a key. Where one place lies within another,
    /// a container at the outer one is looked into, and not handed over.
    ///
    /// # Errors
    ///
    /// Returns [`Full`] where the spec has 32 places already or the path is deeper than 8.
    pub fn add(&mut self, path: &str, pick: Pick, how: How) -> Result<(), Full> {
        let steps = path.split('/').skip(1).map(|name| match name {
            "*" => Step::Item,
            key => Step::Key(key.as_bytes().into()),
        });
        self.push(steps.collect(), pick, how)
    }

    /// Looks for the value under these keys too, taken literally.
    ///
    /// # Errors
    ///
    /// Returns [`Full`] where the spec has 32 places already or the path is deeper than 8.
    pub fn add_keys(&mut self, keys: &[String], pick: Pick) -> Result<(), Full> {
        let steps = keys.iter().map(|key| Step::Key(key.as_bytes().into()));
        self.push(steps.collect(), pick, How::Take)
    }

    /// The spec of a fixed list of places.
    ///
    /// Places beyond what a spec can hold are left out: the lists are constants of this crate,
    /// and a test of each asks that nothing was.
    #[must_use]
    pub fn of(places: &[(&str, Pick, How)]) -> Self {
        let mut spec = Self::new();
        for &(path, pick, how) in places {
            let fits = spec.add(path, pick, how);
            debug_assert!(fits.is_ok(), "{path}");
        }
        spec
    }

    fn push(&mut self, path: Vec<Step>, pick: Pick, how: How) -> Result<(), Full> {
        if path.is_empty() || path.len() > MAX_DEPTH || self.patterns.len() >= MAX_PATTERNS {
            return Err(Full);
        }
        self.patterns.push(Pattern { path, pick, how });
        Ok(())
    }

    /// The patterns that can be met in a document at all.
    pub(super) fn all(&self) -> Alive {
        self.select(Alive::MAX, |_| true)
    }

    /// Of `alive`, those that go on with this key at `depth`.
    pub(super) fn under_key(&self, alive: Alive, depth: usize, key: &[u8]) -> Alive {
        self.select(alive, |p| matches!(p.path.get(depth), Some(Step::Key(k)) if **k == *key))
    }

    /// Of `alive`, those that go on with an array element at `depth`.
    pub(super) fn under_item(&self, alive: Alive, depth: usize) -> Alive {
        self.select(alive, |p| p.path.get(depth) == Some(&Step::Item))
    }

    /// Of `alive`, those that end at a value `depth` deep.
    pub(super) fn ending(&self, alive: Alive, depth: usize) -> Alive {
        self.select(alive, |p| p.path.len() == depth)
    }

    /// What `ending` patterns want with their value, in the order they were added.
    pub(super) fn wishes(&self, ending: Alive) -> impl Iterator<Item = (Pick, How)> + '_ {
        let wanted = self.patterns.iter().zip(bits()).filter(move |(_, bit)| ending & bit != 0);
        wanted.map(|(pattern, _)| (pattern.pick, pattern.how))
    }

    fn select(&self, alive: Alive, mut keeps: impl FnMut(&Pattern) -> bool) -> Alive {
        let mut left = alive;
        let mut kept = 0;
        for (pattern, bit) in self.patterns.iter().zip(bits()) {
            if left == 0 {
                break;
            }
            if left & bit != 0 && keeps(pattern) {
                kept |= bit;
            }
            left &= !bit;
        }
        kept
    }
}

fn bits() -> impl Iterator<Item = Alive> {
    (0..Alive::BITS).map(|n| 1 << n)
}

/// A spec has no room for another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// One bit of [`Alive`] each.
const MAX_PATTERNS: usize = 32;
/// The deepest place any provider has usage or text in is 7.
pub(super) const MAX_DEPTH: usize = 8;
