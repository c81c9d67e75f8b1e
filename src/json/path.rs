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

/// The places of the values that a scanner looks for: a tree of keys and elements.
#[derive(Debug)]
pub struct Spec {
    /// The first is the document itself.
    nodes: Vec<Node>,
}

/// A place that is looked for, or that leads to one.
#[derive(Debug, Default)]
struct Node {
    keys: Vec<(Box<[u8]>, Place)>,
    item: Option<Place>,
    wishes: Vec<(Pick, How)>,
}

/// A node of a spec.
pub(super) type Place = u16;

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Item,
}

impl Default for Spec {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Spec {
    /// Looks for the value at `path` too, such as `/choices/*/delta/content`: a `*` stands for
    /// every element of an array, each other name for a key. Where one place lies within another,
    /// a container at the outer one is looked into, and not handed over.
    ///
    /// # Errors
    ///
    /// Returns [`Full`] where the path is deeper than 8, or there are too many.
    pub fn add(&mut self, path: &str, pick: Pick, how: How) -> Result<(), Full> {
        let steps = path.split('/').skip(1).map(|name| match name {
            "*" => Step::Item,
            key => Step::Key(key),
        });
        self.grow(steps, pick, how)
    }

    /// Looks for the value under these keys too, taken literally.
    ///
    /// # Errors
    ///
    /// Returns [`Full`] where there are more than 8 keys, or too many paths.
    pub fn add_keys(&mut self, keys: &[String], pick: Pick) -> Result<(), Full> {
        self.grow(keys.iter().map(|key| Step::Key(key)), pick, How::Take)
    }

    /// The spec of a fixed list of places.
    ///
    /// Places beyond what a spec can hold are left out: the lists are constants of this crate,
    /// and a test of each asks that nothing was.
    #[must_use]
    pub fn of(places: &[(&str, Pick, How)]) -> Self {
        let mut spec = Self::default();
        for &(path, pick, how) in places {
            let fits = spec.add(path, pick, how);
            debug_assert!(fits.is_ok(), "{path}");
        }
        spec
    }

    fn grow<'a>(
        &mut self,
        steps: impl Iterator<Item = Step<'a>> + Clone,
        pick: Pick,
        how: How,
    ) -> Result<(), Full> {
        let depth = steps.clone().count();
        if depth == 0 || depth > MAX_DEPTH || self.nodes.len().saturating_add(depth) > MAX_NODES {
            return Err(Full);
        }
        let mut at = ROOT;
        for step in steps {
            at = self.follow(at, step).ok_or(Full)?;
        }
        self.node_mut(at).ok_or(Full)?.wishes.push((pick, how));
        Ok(())
    }

    /// The node behind a step, which is made if there is none.
    fn follow(&mut self, from: Place, step: Step<'_>) -> Option<Place> {
        let known = match step {
            Step::Key(key) => self.under_key(from, key.as_bytes()),
            Step::Item => self.under_item(from),
        };
        if known.is_some() {
            return known;
        }
        let new = Place::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node::default());
        let node = self.node_mut(from)?;
        match step {
            Step::Key(key) => node.keys.push((key.as_bytes().into(), new)),
            Step::Item => node.item = Some(new),
        }
        Some(new)
    }

    /// The place under this key of an object at `place`.
    pub(super) fn under_key(&self, place: Place, key: &[u8]) -> Option<Place> {
        let keys = &self.node(place)?.keys;
        keys.iter().find(|(own, _)| **own == *key).map(|&(_, under)| under)
    }

    /// The place under a key as it is written. With escapes in it, it means the same to whoever
    /// reads the document next.
    pub(super) fn under_written(&self, place: Place, key: &[u8]) -> Option<Place> {
        if !key.contains(&b'\\') {
            return self.under_key(place, key);
        }
        let key: String = serde_json::from_slice(&[b"\"", key, b"\""].concat()).ok()?;
        self.under_key(place, key.as_bytes())
    }

    /// What is wanted with the value under this key of the document.
    #[must_use]
    pub fn wishes_under(&self, key: &str) -> &[(Pick, How)] {
        self.under_key(ROOT, key.as_bytes()).map_or(&[], |place| self.wishes(place))
    }

    /// The place of each element of an array at `place`.
    pub(super) fn under_item(&self, place: Place) -> Option<Place> {
        self.node(place)?.item
    }

    /// Whether places lie within a container at `place` that is opened with this byte.
    pub(super) fn leads_on(&self, place: Place, first: u8) -> bool {
        self.node(place).is_some_and(|node| match first {
            b'{' => !node.keys.is_empty(),
            b'[' => node.item.is_some(),
            _ => false,
        })
    }

    /// What is wanted with the value at `place`.
    pub(super) fn wishes(&self, place: Place) -> &[(Pick, How)] {
        self.node(place).map_or(&[], |node| &node.wishes)
    }

    fn node(&self, place: Place) -> Option<&Node> {
        self.nodes.get(usize::from(place))
    }

    fn node_mut(&mut self, place: Place) -> Option<&mut Node> {
        self.nodes.get_mut(usize::from(place))
    }
}

/// A spec has no room for another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The document itself.
pub(super) const ROOT: Place = 0;
/// The deepest place any provider has usage or text in is 7.
pub(super) const MAX_DEPTH: usize = 8;
/// Enough for any dialect and as many pointers as a configuration may have.
const MAX_NODES: usize = 512;
