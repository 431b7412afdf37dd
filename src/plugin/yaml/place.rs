//! Places in a text: lines, columns, dashes, and the notation of their neighbours.

use super::flow::Style;
use super::read::after_colon;
use super::tree::{Id, MapEntry, Tree};
use super::write::Layout;

impl Tree<'_> {
    /// Returns how the neighbours of what stands at `start` in brackets are separated and written.
    pub(super) fn flow_style(&self, start: usize) -> (String, Style) {
        let text = self.text;
        let margin = &text[self.line_start(start)..start];
        let blank = if margin.starts_with('\t') { '\t' } else { ' ' };
        if margin.chars().all(|c| c == blank) && start > 0 {
            let width = |line: &str| line.len() - line.trim_start_matches(blank).len();
            let unit = text.lines().map(width).find(|width| *width > 0).unwrap_or(2);
            return (format!("\n{margin}"), Style::Lines { indent: margin.len(), unit, blank });
        }
        let has_spaces = !text[start..].contains(':')
            || text[after_colon(text, start)..].starts_with(' ')
            || text[..start].ends_with(' ');
        if has_spaces { (" ".to_owned(), Style::Spaced) } else { (String::new(), Style::Compact) }
    }

    /// Returns how far the lists in `near`, or anywhere, stand from their names.
    pub(super) fn layout(&self, near: Id) -> Layout {
        let in_map = |map: Id| self.entries(map).iter().find_map(|entry| self.dash_offset(*entry));
        let in_items = || self.items(near).iter().copied().find_map(in_map);
        let anywhere = || self.within(0..self.text.len()).find_map(in_map);
        Layout { dash: in_map(near).or_else(in_items).or_else(anywhere).unwrap_or(2) }
    }

    /// Returns how far the dashes of a list stand from its name, where it has some.
    fn dash_offset(&self, entry: MapEntry) -> Option<usize> {
        let item = self.items(entry.value).first().filter(|_| !self.is_flow(entry.value))?;
        let is_alias = self.alias_target(entry.value).is_some();
        let key = self.column(self.span(entry.key).start);
        (!is_alias).then(|| self.column(self.dash(*item)).saturating_sub(key))
    }

    /// Returns the place of the dash before an item.
    pub(super) fn dash(&self, item: Id) -> usize {
        let text = self.text;
        let mut at = self.span(item).start;
        loop {
            let line = self.line_start(at);
            let before = &text[line..at];
            let is_dash = |(index, _): &(usize, &str)| {
                let rest = &before[index + 1..];
                rest.is_empty() || rest.starts_with([' ', '\t', '\r'])
            };
            let is_comment = before.trim_start().starts_with('#');
            if let Some((index, _)) = before.rmatch_indices('-').find(is_dash).filter(|_| !is_comment) {
                return line + index;
            }
            if line == 0 {
                return self.span(item).start;
            }
            at = line - 1;
        }
    }

    pub(super) fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Returns the end of the line of `at`, before its line end.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.text[at..].split('\n').next().unwrap_or_default();
        at + rest.strip_suffix('\r').unwrap_or(rest).len()
    }

    /// Returns the end of the line before that of `at`, before its line end.
    pub(super) fn line_end_before(&self, at: usize) -> usize {
        let end = self.line_start(at).saturating_sub(1);
        if self.text[..end].ends_with('\r') { end - 1 } else { end }
    }
}

/// Returns a line without the blanks at its beginning, at most `indent` of them.
pub(super) fn dedented(line: &str, indent: usize) -> &str {
    let blank = line.len() - line.trim_start_matches(' ').len();
    &line[blank.min(indent)..]
}
