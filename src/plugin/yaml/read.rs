//! From text to a [`Tree`], by the events of a parser that tells where each token stands.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, options};

use super::tree::{Document, Extent, Id, MapEntry, Node, Tree, Value};

/// The most that a node may hold with all aliases written out, and the greatest depth.
const MAX_NODES: u64 = 10_000_000;
const MAX_DEPTH: usize = 1_000;

/// The reason for which a text is no YAML that can be edited.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// The document, from 1.
    pub document: usize,
    /// The line, from 1.
    pub line: usize,
    message: String,
}

impl<'t> Tree<'t> {
    /// Reads a stream of documents.
    ///
    /// # Errors
    /// Text that is no YAML, and a name that stands twice in one map.
    pub fn read(text: &'t str) -> Result<Self, YamlError> {
        let mut reader =
            Reader { tree: Tree { text, nodes: Vec::new(), documents: Vec::new() }, ..Reader::default() };
        let options = options! { emit_anchor_events: true, emit_comments: false };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| {
                let message = format!("no YAML: {}", error.info());
                YamlError {
                    document: reader.tree.documents.len().max(1),
                    line: error.marker().line(),
                    message,
                }
            })?;
            reader.take(event, span)?;
        }
        Ok(reader.tree)
    }
}

/// The collections that are open while events come in.
#[derive(Default)]
struct Reader<'t> {
    tree: Tree<'t>,
    open: Vec<Open>,
    anchors: HashMap<usize, Id>,
    last: Option<Id>,
}

/// A collection whose end has not been read.
struct Open {
    id: Id,
    /// The name that waits for its value.
    key: Option<Id>,
    names: HashSet<String>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.tree.documents.push(Document { root: None, line: span.start.line() });
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == ScalarStyle::Plain;
                let is_absent = is_plain && start(&span) == end(&span);
                let text = if is_absent { String::new() } else { text.into_owned() };
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let id = self.add(Value::Scalar { text, is_plain }, &span, anchor);
                if is_block {
                    self.tree.nodes[id.0].span.end = self.end_of_block_scalar(id);
                }
                self.place(id)?;
            }
            Event::Alias(anchor) => {
                let line = span.start.line();
                let target = self.anchors.get(&anchor).copied();
                let target = target.ok_or_else(|| self.error(line, "an alias of nothing"))?;
                if self.open.iter().any(|open| open.id == target) {
                    return Err(self.error(line, "an alias of what it stands in"));
                }
                let extent = self.tree.nodes[target.0].extent;
                let id = self.add(Value::Alias(target), &span, 0);
                self.tree.nodes[id.0].extent = extent;
                self.place(id)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                let is_flow = style == StructureStyle::Flow;
                self.begin(Value::List { items: Vec::new(), is_flow }, &span, anchor)?;
            }
            Event::MappingStart(style, anchor, _) => {
                let is_flow = style == StructureStyle::Flow;
                self.begin(Value::Map { entries: Vec::new(), is_flow }, &span, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(&span)?,
            Event::Anchor(..) => {
                if let Some(id) = self.last {
                    let node = &mut self.tree.nodes[id.0];
                    node.span.start = node.span.start.min(start(&span));
                    node.span.end = node.span.end.max(end(&span));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, value: Value, span: &Span, anchor: usize) -> Id {
        let id = Id(self.tree.nodes.len());
        let begin = span.tag_span().map_or(start(span), |tag| start(&tag).min(start(span)));
        let line = span.start.line();
        let (extent, is_anchored) = (Extent { nodes: 1, depth: 1 }, anchor != 0);
        self.tree.nodes.push(Node { span: begin..end(span), line, is_anchored, extent, value });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        self.last = Some(id);
        id
    }

    fn begin(&mut self, value: Value, span: &Span, anchor: usize) -> Result<(), YamlError> {
        let id = self.add(value, span, anchor);
        self.place(id)?;
        self.open.push(Open { id, key: None, names: HashSet::new() });
        Ok(())
    }

    /// Ends a collection: in brackets with its bracket, else with its last child.
    fn finish(&mut self, span: &Span) -> Result<(), YamlError> {
        let Some(Open { id, .. }) = self.open.pop() else { return Ok(()) };
        let extent = self.tree.nodes[id.0].extent;
        if extent.nodes > MAX_NODES || extent.depth > MAX_DEPTH {
            return Err(self.error(self.tree.line(id), "aliases that stand for more than anybody can mean"));
        }
        self.grow(extent);
        let last = match &self.tree.nodes[id.0].value {
            Value::Map { entries, is_flow: false } => entries.last().map(|entry| entry.value),
            Value::List { items, is_flow: false } => items.last().copied(),
            _ => None,
        };
        let end = last.map_or(end(span), |last| self.tree.nodes[last.0].span.end);
        let node = &mut self.tree.nodes[id.0];
        node.span.end = node.span.end.max(end);
        Ok(())
    }

    /// Counts what stands in the collection that is open now.
    fn grow(&mut self, inner: Extent) {
        if let Some(open) = self.open.last() {
            let extent = &mut self.tree.nodes[open.id.0].extent;
            extent.nodes = extent.nodes.saturating_add(inner.nodes);
            extent.depth = extent.depth.max(inner.depth + 1);
        }
    }

    /// Puts a finished scalar, or a collection that begins, where it belongs.
    fn place(&mut self, id: Id) -> Result<(), YamlError> {
        if !matches!(self.tree.nodes[id.0].value, Value::Map { .. } | Value::List { .. }) {
            self.grow(self.tree.nodes[id.0].extent);
        }
        let Some(open) = self.open.last_mut() else {
            if let Some(document) = self.tree.documents.last_mut() {
                document.root = Some(id);
            }
            return Ok(());
        };
        let (parent, key) = (open.id, open.key.take());
        let Some(key) = key else {
            if let Value::List { items, .. } = &mut self.tree.nodes[parent.0].value {
                items.push(id);
                return Ok(());
            }
            open.key = Some(id);
            let line = self.tree.line(id);
            let Some(name) = self.tree.text_of(id).map(str::to_owned) else {
                return Err(self.error(line, "a name that is no text"));
            };
            let is_new = self.open.last_mut().is_none_or(|open| open.names.insert(name.clone()));
            let twice = || self.error(line, &format!("{name:?} stands twice in one map"));
            return if is_new { Ok(()) } else { Err(twice()) };
        };
        let node = &self.tree.nodes[id.0];
        if node.span.is_empty() && matches!(node.value, Value::Scalar { .. }) {
            // Nothing is written: what would be there begins after the colon.
            let after = after_colon(self.tree.text, self.tree.span(key).end);
            self.tree.nodes[id.0].span = after..after;
        }
        if let Value::Map { entries, .. } = &mut self.tree.nodes[parent.0].value {
            entries.push(MapEntry { key, value: id });
        }
        Ok(())
    }

    /// Returns where a block scalar ends: before the blank lines that follow, unless it keeps them (`|+`).
    fn end_of_block_scalar(&self, id: Id) -> usize {
        let span = self.tree.span(id);
        let (before, content) = (&self.tree.text[..span.start], &self.tree.text[span]);
        let header = before.trim_end().rsplit(['\n', ' ']).next().unwrap_or_default();
        let end = if header.starts_with(['|', '>']) && header.contains('+') {
            content.rfind('\n').map_or(content.len(), |line_end| {
                if content[..line_end].ends_with('\r') { line_end - 1 } else { line_end }
            })
        } else {
            content.trim_end().len()
        };
        if end == 0 { before.trim_end().len() } else { before.len() + end }
    }

    fn error(&self, line: usize, message: &str) -> YamlError {
        YamlError { document: self.tree.documents.len().max(1), line, message: message.to_owned() }
    }
}

/// Returns the place after the colon that follows a name.
pub(super) fn after_colon(text: &str, key_end: usize) -> usize {
    text[key_end..].find(':').map_or(key_end, |colon| key_end + colon + 1)
}

fn start(span: &Span) -> usize {
    span.start.byte_offset().unwrap_or_default()
}

fn end(span: &Span) -> usize {
    span.end.byte_offset().unwrap_or_default()
}
