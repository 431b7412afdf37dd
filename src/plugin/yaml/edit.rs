//! Changes to a text, each at its place; everything between them stays.

use std::ops::Range;

use super::data::Data;
use super::flow::{self, Style};
use super::place::dedented;
use super::read::after_colon;
use super::tree::{Id, Tree};
use super::write;

/// Changes to the text of one [`Tree`].
#[derive(Debug)]
pub struct Editor<'a, 't> {
    tree: &'a Tree<'t>,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edit {
    start: usize,
    end: usize,
    /// In the order in which they were asked for, where the place is the same.
    turn: usize,
    text: String,
}

impl<'a, 't> Editor<'a, 't> {
    /// Begins to edit.
    pub const fn new(tree: &'a Tree<'t>) -> Self {
        Self { tree, edits: Vec::new() }
    }

    /// Returns what is edited.
    pub const fn tree(&self) -> &'a Tree<'t> {
        self.tree
    }

    /// Returns the text with all changes made.
    ///
    /// # Errors
    /// The line where two changes contradict each other: it is shared through an alias.
    pub fn finish(mut self) -> Result<String, usize> {
        self.write_out_aliases();
        self.edits.sort();
        self.edits.dedup_by(|a, b| (a.start, a.end, &a.text) == (b.start, b.end, &b.text));
        let (text, mut edited, mut at) = (self.tree.text, String::new(), 0);
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        for edit in self.edits {
            if edit.start < at {
                return Err(text[..edit.start].matches('\n').count() + 1);
            }
            edited.push_str(&text[at..edit.start]);
            edited.push_str(&edit.text.replace('\n', eol));
            at = edit.end;
        }
        edited.push_str(&text[at..]);
        Ok(edited)
    }

    /// Puts an entry into a map, after the one called `after`, or at its end.
    pub fn insert_entry(&mut self, map: Id, after: Option<&str>, name: &str, value: &Data) {
        let entries = self.tree.entries(map);
        let after = after.and_then(|name| self.tree.entry(map, name)).or(entries.last().copied());
        let Some(after) = after else {
            return self.put(self.tree.span(map), format!("{{{}}}", flow::entry(name, value, Style::Spaced)));
        };
        let end = self.tree.span(after.value).end;
        if self.tree.is_flow(map) {
            let (separator, style) = self.tree.flow_style(self.tree.span(after.key).start);
            self.insert(end, format!(",{separator}{}", flow::entry(name, value, style)));
        } else {
            let indent = self.tree.column(self.tree.span(entries[0].key).start);
            let text = write::entry(name, value, indent, self.tree.layout(map));
            self.insert(self.tree.line_end(end), format!("\n{text}"));
        }
    }

    /// Puts an entry into a map before all others.
    pub fn insert_first_entry(&mut self, map: Id, name: &str, value: &Data) {
        let Some(first) = self.tree.entries(map).first() else {
            return self.insert_entry(map, None, name, value);
        };
        let start = self.tree.span(first.key).start;
        if self.tree.is_flow(map) {
            let (separator, style) = self.tree.flow_style(start);
            self.insert(start, format!("{},{separator}", flow::entry(name, value, style)));
        } else {
            let indent = self.tree.column(start);
            let text = write::entry(name, value, indent, self.tree.layout(map));
            self.insert(start, format!("{}\n{}", text.trim_start(), " ".repeat(indent)));
        }
    }

    /// Puts a value in the place of an entry that has none, or an empty one; a comment beside it stays.
    pub fn fill_entry(&mut self, map: Id, name: &str, value: &Data) {
        let Some(entry) = self.tree.entry(map, name) else { return };
        let (key, old) = (self.tree.span(entry.key), self.tree.span(entry.value));
        let place = after_colon(self.tree.text, key.end)..old.end;
        if self.tree.is_flow(map) {
            let (_, style) = self.tree.flow_style(key.start);
            return self.put(place, format!("{}{}", &style.colon()[1..], flow::write(value, style)));
        }
        let text = write::entry(name, value, self.tree.column(key.start), self.tree.layout(map));
        let line_end = self.tree.line_end(old.end);
        self.put(place, String::new());
        let body = text.trim_start().strip_prefix(name).and_then(|text| text.strip_prefix(':'));
        self.insert(line_end, body.unwrap_or_default().to_owned());
    }

    /// Replaces an entry, a comment on its last line included.
    pub fn replace_entry(&mut self, map: Id, name: &str, value: &Data) {
        let Some(place) = self.entry_place(map, name) else { return };
        let text = if self.tree.is_flow(map) {
            let (_, style) = self.tree.flow_style(place.start);
            format!("{}{}{}", self.key_source(map, name), style.colon(), flow::write(value, style))
        } else {
            write::entry(name, value, self.tree.column(place.start), self.tree.layout(map))
                .trim_start()
                .to_owned()
        };
        self.put(place, text);
    }

    /// Replaces an entry by one as [`Self::source_of_entry`] returned it.
    pub fn restore_entry(&mut self, map: Id, name: &str, source: &str, value: &Data) {
        let Some(place) = self.entry_place(map, name) else { return };
        if !self.tree.is_flow(map) {
            let indent = " ".repeat(self.tree.column(place.start));
            let indented =
                |line: &str| if line.is_empty() { String::new() } else { format!("{indent}{line}") };
            let lines: Vec<_> = source.split('\n').map(indented).collect();
            return self.put(place, lines.join("\n").trim_start().to_owned());
        }
        let (_, style) = self.tree.flow_style(place.start);
        let written =
            source.split_once(':').map(|(_, value)| value.trim()).filter(|_| !source.contains('\n'));
        // What was kept as data, since it stood on several lines, does so again.
        let written = written.filter(|text| {
            *text != flow::write(value, Style::Compact) && self.reads_the_same(map, text, value)
        });
        let value = written.map_or_else(|| flow::write(value, style), str::to_owned);
        let colon = if value.is_empty() { ":" } else { style.colon() };
        self.put(place, format!("{}{colon}{value}", self.key_source(map, name)));
    }

    /// Returns an entry as it was written, moved to the left margin; `None` where it does not stand for itself.
    pub fn source_of_entry(&self, map: Id, name: &str) -> Option<String> {
        let place = self.entry_place(map, name)?;
        let is_foreign = |id| self.tree.alias_target(id).is_some();
        if self.tree.within(place.clone()).any(is_foreign) {
            return None;
        }
        let text = self.tree.text[place.clone()].replace("\r\n", "\n");
        if self.tree.is_flow(map) {
            let value = self.tree.source(self.tree.entry(map, name)?.value);
            let space = if value.is_empty() { "" } else { " " };
            return (!value.contains('\n')).then(|| format!("{name}:{space}{value}"));
        }
        let indent = self.tree.column(place.start);
        let mut lines = text.split('\n');
        let first = lines.next();
        Some(first.into_iter().chain(lines.map(|line| dedented(line, indent))).collect::<Vec<_>>().join("\n"))
    }

    /// Returns an entry as it is to be kept: as it was written where that stands for itself, and what it means.
    pub fn kept(&self, map: Id, name: &str, value: Id) -> (String, Data) {
        let data = Data::of(self.tree, value);
        let source = self.source_of_entry(map, name);
        (source.unwrap_or_else(|| format!("{name}: {}", flow::write(&data, Style::Compact))), data)
    }

    /// Takes an entry out. Its map is not left empty: that is for whoever knows what stood there.
    pub fn remove_entry(&mut self, map: Id, name: &str) {
        let entries = self.tree.entries(map);
        let Some(index) = entries.iter().position(|entry| self.tree.text_of(entry.key) == Some(name)) else {
            return;
        };
        let starts: Vec<_> = entries.iter().map(|entry| self.tree.span(entry.key).start).collect();
        let ends: Vec<_> = entries.iter().map(|entry| self.tree.span(entry.value).end).collect();
        self.remove(index, &starts, &ends, self.tree.is_flow(map));
    }

    /// Puts an item into a list before all others.
    pub fn prepend_item(&mut self, list: Id, value: &Data) {
        let Some(first) = self.tree.items(list).first() else { return };
        let start = self.tree.span(*first).start;
        if self.tree.is_flow(list) {
            let (separator, style) = self.tree.flow_style(start);
            return self.insert(start, format!("{},{separator}", flow::write(value, style)));
        }
        let dash = self.tree.dash(*first);
        let indent = self.tree.column(dash);
        let text = write::item(value, indent, self.tree.layout(list));
        self.insert(dash, format!("{}\n{}", text.trim_start(), " ".repeat(indent)));
    }

    /// Puts an item into a list after all others.
    pub fn append_item(&mut self, list: Id, value: &Data) {
        let Some(neighbour) = self.tree.items(list).last() else { return };
        let span = self.tree.span(*neighbour);
        if self.tree.is_flow(list) {
            let (separator, style) = self.tree.flow_style(span.start);
            return self.insert(span.end, format!(",{separator}{}", flow::write(value, style)));
        }
        let text = write::item(value, self.tree.column(self.tree.dash(*neighbour)), self.tree.layout(list));
        self.insert(self.tree.line_end(span.end), format!("\n{text}"));
    }

    /// Takes an item out. Its list is not left empty: that is for whoever knows what stood there.
    pub fn remove_item(&mut self, list: Id, index: usize) {
        let (items, is_flow) = (self.tree.items(list), self.tree.is_flow(list));
        let start = |item: &Id| if is_flow { self.tree.span(*item).start } else { self.tree.dash(*item) };
        let starts: Vec<_> = items.iter().map(start).collect();
        let ends: Vec<_> = items.iter().map(|item| self.tree.span(*item).end).collect();
        self.remove(index, &starts, &ends, is_flow);
    }

    /// Replaces what stands after the colon of an entry by `source`, or by nothing where JSON has no such notation.
    pub fn set_source(&mut self, map: Id, name: &str, source: &str) {
        let Some(entry) = self.tree.entry(map, name) else { return };
        let source = if self.is_json(map) && !is_json(source) { "null" } else { source };
        let (colon, end) =
            (after_colon(self.tree.text, self.tree.span(entry.key).end), self.tree.span(entry.value).end);
        let space = if source.is_empty() { "" } else { " " };
        // A comment beside the name stays, where the value begins on a later line.
        let begin = if self.tree.is_flow(map) { colon } else { self.tree.line_end(colon).min(end) };
        let is_below = begin < self.tree.span(entry.value).start;
        if is_below {
            self.insert(colon, format!("{space}{source}"));
            self.put(begin..end, String::new());
        } else {
            self.put(colon..end, format!("{space}{source}"));
        }
    }

    /// Takes out one of several neighbours, with what separates it from them.
    fn remove(&mut self, index: usize, starts: &[usize], ends: &[usize], is_flow: bool) {
        let place = match (index, starts.get(index + 1)) {
            (0, Some(next)) => starts[0]..*next,
            (0, None) => starts[0]..ends[0],
            (_, _) if is_flow => ends[index - 1]..ends[index],
            _ => self.tree.line_end_before(starts[index])..self.tree.line_end(ends[index]),
        };
        self.put(place, String::new());
    }

    /// Returns the place from an entry's name to the end of its value, and of the line where nothing else stands on it.
    fn entry_place(&self, map: Id, name: &str) -> Option<Range<usize>> {
        let entry = self.tree.entry(map, name)?;
        let end = self.tree.span(entry.value).end;
        let end = if self.tree.is_flow(map) { end } else { self.tree.line_end(end) };
        Some(self.tree.span(entry.key).start..end)
    }

    /// Writes out the parts whose anchor goes, wherever they are still meant.
    fn write_out_aliases(&mut self) {
        let gone: Vec<_> = self.edits.iter().filter(|edit| edit.start < edit.end).cloned().collect();
        let is_gone = |at: usize| gone.iter().any(|edit| (edit.start..edit.end).contains(&at));
        let lost = |place: &Edit| {
            self.tree
                .within(place.start..place.end)
                .filter(|id| self.tree.is_anchored(*id))
                .collect::<Vec<_>>()
        };
        let lost: Vec<_> = gone.iter().flat_map(lost).collect();
        if lost.is_empty() {
            return;
        }
        for id in self.tree.within(0..self.tree.text.len()).collect::<Vec<_>>() {
            let (target, place) = (self.tree.alias_target(id), self.tree.span(id));
            if target.is_some_and(|target| lost.contains(&target)) && !is_gone(place.start) {
                self.put(place, flow::write(&Data::of(self.tree, id), Style::Spaced));
            }
        }
    }

    /// Returns whether what was written means `value` inside the brackets of `map` too: a comment would hide what follows,
    /// and JSON knows less than YAML.
    fn reads_the_same(&self, map: Id, written: &str, value: &Data) -> bool {
        if self.is_json(map) {
            return is_json(written);
        }
        let text = format!("{{value: {written}}}");
        let Ok(tree) = Tree::read(&text) else { return false };
        let root = tree.documents().first().and_then(|document| document.root);
        root.is_some_and(|root| Data::of(&tree, root) == Data::map([("value", value.clone())]))
    }

    /// Returns whether a map is written as JSON.
    fn is_json(&self, map: Id) -> bool {
        self.tree.is_flow(map) && is_json(self.tree.source(map))
    }

    fn key_source(&self, map: Id, name: &str) -> &'t str {
        self.tree.entry(map, name).map_or("", |entry| self.tree.source(entry.key))
    }

    fn insert(&mut self, at: usize, text: String) {
        self.put(at..at, text);
    }

    fn put(&mut self, place: Range<usize>, text: String) {
        self.edits.push(Edit { start: place.start, end: place.end, turn: self.edits.len(), text });
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
