//! A parsed text: its documents, their nodes, and where each stands.

use std::ops::Range;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(super) usize);

/// A text and its nodes.
#[derive(Debug, Default)]
pub struct Tree<'t> {
    pub(super) text: &'t str,
    pub(super) nodes: Vec<Node>,
    pub(super) documents: Vec<Document>,
}

/// One document of a stream.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its root; `None` where the document is empty.
    pub root: Option<Id>,
    /// The line on which it begins, from 1.
    pub line: usize,
}

#[derive(Debug)]
pub(super) struct Node {
    /// From its anchor or tag to the end of its content.
    pub(super) span: Range<usize>,
    /// The line of its content, from 1.
    pub(super) line: usize,
    /// Whether something is anchored here.
    pub(super) is_anchored: bool,
    /// The size with all aliases written out.
    pub(super) extent: Extent,
    pub(super) value: Value,
}

/// The size of a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) nodes: u64,
    pub(super) depth: usize,
}

/// The content of a node.
#[derive(Debug)]
pub enum Value {
    /// A text; where it is plain, it may be read as a number, a truth or nothing.
    Scalar {
        /// The text without its notation.
        text: String,
        /// Whether it stands without quotes.
        is_plain: bool,
    },
    /// Names and values.
    Map {
        /// In the order of the text.
        entries: Vec<MapEntry>,
        /// Whether it stands in braces.
        is_flow: bool,
    },
    /// Items in their order.
    List {
        /// In the order of the text.
        items: Vec<Id>,
        /// Whether it stands in brackets.
        is_flow: bool,
    },
    /// An alias of a node that is anchored elsewhere.
    Alias(Id),
}

/// A name and a value.
#[derive(Clone, Copy, Debug)]
pub struct MapEntry {
    /// The name.
    pub key: Id,
    /// The value.
    pub value: Id,
}

impl<'t> Tree<'t> {
    /// Returns the documents in their order.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Returns the line on which a node begins, from 1.
    pub fn line(&self, id: Id) -> usize {
        self.nodes[id.0].line
    }

    /// Returns a node as it was written.
    pub fn source(&self, id: Id) -> &'t str {
        &self.text[self.span(id)]
    }

    pub(super) fn span(&self, id: Id) -> Range<usize> {
        self.nodes[id.0].span.clone()
    }

    /// Returns what a node is, an alias followed to what it means.
    pub fn resolve(&self, mut id: Id) -> Id {
        while let Value::Alias(target) = self.nodes[id.0].value {
            id = target;
        }
        id
    }

    /// Returns what a node holds, aliases followed.
    pub fn value(&self, id: Id) -> &Value {
        &self.nodes[self.resolve(id).0].value
    }

    /// Returns the names and values that stand in a map itself; nothing for what is none.
    pub fn entries(&self, id: Id) -> &[MapEntry] {
        match self.value(id) {
            Value::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// Returns the items of a list; nothing for what is none.
    pub fn items(&self, id: Id) -> &[Id] {
        match self.value(id) {
            Value::List { items, .. } => items,
            _ => &[],
        }
    }

    /// Returns the entry of that name that stands in a map itself.
    pub fn entry(&self, map: Id, name: &str) -> Option<MapEntry> {
        self.entries(map).iter().find(|entry| self.text_of(entry.key) == Some(name)).copied()
    }

    /// Returns the value of that name, merged ones (`<<`) included.
    pub fn get(&self, map: Id, name: &str) -> Option<Id> {
        if let Some(entry) = self.entry(map, name) {
            return Some(entry.value);
        }
        let merged = self.entry(map, "<<")?.value;
        match self.value(merged) {
            Value::List { items, .. } => items.iter().find_map(|item| self.get(*item, name)),
            _ => self.get(merged, name),
        }
    }

    /// Returns the value at the end of a way through maps, unless it is nothing.
    pub fn at(&self, map: Id, way: &[&str]) -> Option<Id> {
        let found = way.iter().try_fold(map, |map, name| self.get(map, name))?;
        (!self.is_null(found)).then_some(found)
    }

    /// Returns the text of a scalar.
    pub fn text_of(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns a scalar that means a whole number.
    pub fn integer(&self, id: Id) -> Option<i64> {
        match self.value(id) {
            Value::Scalar { text, is_plain: true } => text.parse().ok(),
            _ => None,
        }
    }

    /// Returns whether a node means nothing.
    pub fn is_null(&self, id: Id) -> bool {
        match self.value(id) {
            Value::Scalar { text, is_plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// Returns whether a map or a list has nothing in it.
    pub fn is_empty(&self, id: Id) -> bool {
        match self.value(id) {
            Value::Map { entries, .. } => entries.is_empty(),
            Value::List { items, .. } => items.is_empty(),
            Value::Scalar { .. } | Value::Alias(_) => false,
        }
    }

    pub(super) fn is_flow(&self, id: Id) -> bool {
        matches!(self.value(id), Value::Map { is_flow: true, .. } | Value::List { is_flow: true, .. })
    }

    /// Returns every node whose text begins in `range`, in the order of the text.
    pub(super) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Id> {
        let begin = self.nodes.partition_point(|node| node.span.start < range.start);
        let end = self.nodes.partition_point(|node| node.span.start < range.end);
        (begin..end).map(Id)
    }

    pub(super) fn alias_target(&self, id: Id) -> Option<Id> {
        match self.nodes[id.0].value {
            Value::Alias(target) => Some(target),
            _ => None,
        }
    }

    pub(super) fn is_anchored(&self, id: Id) -> bool {
        self.nodes[id.0].is_anchored
    }
}
