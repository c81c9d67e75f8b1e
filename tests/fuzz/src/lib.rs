//! What the fuzz targets share: how an input is cut, JSON as it stands in the text, and what a plain
//! reading of whole documents says of usage.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use tollgate::provider::{Answer, Api, Evidence, Places};

/// An input: one byte of choices, two that say how the rest is cut, and the rest.
pub struct Input<'a> {
    pub choice: u8,
    pub first: usize,
    pub size: usize,
    pub body: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[choice, first, size], body) = bytes.split_first_chunk()?;
        Some(Self { choice, first: first.into(), size: usize::from(size) + 1, body })
    }

    /// `bytes` in the pieces that the input asks for.
    pub fn pieces<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let (head, tail) = bytes.split_at(self.first.min(bytes.len()));
        [head].into_iter().chain(tail.chunks(self.size))
    }
}

/// What an answer says, the same whole and in pieces.
pub fn read(input: &Input<'_>, api: Api, body: &[u8]) -> Evidence {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let places = Places::default();
        let mut answer = Answer::new(&places, api, "");
        pieces.for_each(|piece| answer.feed(piece));
        answer.finish(api.owner(), true)
    };
    let whole = read(&mut [body].into_iter());
    assert_eq!(read(&mut input.pieces(body)), whole);
    assert_eq!(read(&mut body.chunks(1)), whole);
    whole
}

/// The tokens of prompt and answer, where the answer tells them.
pub fn totals(said: &Evidence) -> Option<(u64, u64)> {
    let usage = &said.reported.as_ref()?.usage;
    Some((usage.input_tokens(), usage.output_tokens()))
}

/// The lines of `body` that are JSON objects of which every reader thinks the same.
pub fn documents(body: &[u8]) -> Vec<(&[u8], Tree)> {
    let lines = body.split(|byte| matches!(byte, b'\n' | b'\r'));
    let trees = lines.filter_map(|line| Some((line, Tree::parse(line)?)));
    trees.filter(|(_, tree)| matches!(tree, Tree::Object(_)) && tree.is_plain()).collect()
}

/// What usage objects say in which documents: `None` where that is not so plain, and else the
/// two counts of the last one, if there is any.
pub fn counts<'a>(
    usages: impl Iterator<Item = &'a Tree>,
    [input, output]: [&str; 2],
) -> Option<Option<(u64, u64)>> {
    let Some(last) = usages.filter(|usage| **usage != Tree::Null).last() else { return Some(None) };
    let Tree::Object(members) = last else { return None };
    let number = |key: &str| match last.at(&[key]) {
        Some(Tree::Number(number)) => number.as_u64().filter(|&count| count < MANY),
        _ => None,
    };
    (members.len() == 2).then_some(())?;
    Some(Some((number(input)?, number(output)?)))
}

/// More than this no call has: what says so is not plain.
const MANY: u64 = 1_000_000_000;

/// JSON with all members of its objects in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Whether no object has two members of one name.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::List(items) => items.iter().all(Self::is_plain),
            Self::Object(members) => {
                let mut names = BTreeSet::new();
                members.iter().all(|(key, value)| names.insert(key) && value.is_plain())
            }
            _ => true,
        }
    }

    /// What stands under these keys, where the tree is plain.
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = keys.split_first() else { return Some(self) };
        let Self::Object(members) = self else { return None };
        members.iter().find(|(key, _)| key == first)?.1.at(rest)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(number).map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
