//! Values as block YAML, each line with its indentation.

use super::data::{Data, is_no_text};
use super::flow::{self, Style};

/// The indentation of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The distance of a list's dashes from the name above them.
    pub dash: usize,
}

/// The distance of a map from the name above it, and of an item's content from its dash.
const STEP: usize = 2;

/// Writes a name and its value, every line indented by `indent`, without a line end at the end.
pub(super) fn entry(name: &str, value: &Data, indent: usize, layout: Layout) -> String {
    let mut lines = String::new();
    write_entry(&mut lines, name, value, indent, layout);
    lines.truncate(lines.trim_end_matches('\n').len());
    lines
}

/// Writes an item with its dash, every line indented by `indent`, without a line end at the end.
pub(super) fn item(value: &Data, indent: usize, layout: Layout) -> String {
    let mut lines = String::new();
    write_item(&mut lines, value, indent, layout);
    lines.truncate(lines.trim_end_matches('\n').len());
    lines
}

fn write_entry(lines: &mut String, name: &str, value: &Data, indent: usize, layout: Layout) {
    lines.extend(std::iter::repeat_n(' ', indent));
    lines.push_str(&scalar(name));
    lines.push(':');
    match value {
        Data::Map(entries) if !entries.is_empty() => {
            lines.push('\n');
            for (name, value) in entries {
                write_entry(lines, name, value, indent + STEP, layout);
            }
        }
        Data::List(items) if !items.iter().all(is_scalar) => {
            lines.push('\n');
            for value in items {
                write_item(lines, value, indent + layout.dash, layout);
            }
        }
        _ => write_inline(lines, value, indent),
    }
}

fn write_item(lines: &mut String, value: &Data, indent: usize, layout: Layout) {
    lines.extend(std::iter::repeat_n(' ', indent));
    lines.push('-');
    match value {
        Data::Map(entries) if !entries.is_empty() => {
            let mut inner = String::new();
            for (name, value) in entries {
                write_entry(&mut inner, name, value, indent + STEP, layout);
            }
            lines.push(' ');
            lines.push_str(inner.trim_start_matches(' '));
        }
        _ => write_inline(lines, value, indent),
    }
}

/// Writes a value that fits behind a colon or a dash.
fn write_inline(lines: &mut String, value: &Data, indent: usize) {
    match value {
        Data::Text(text) if is_literal(text) => {
            lines.push_str(if text.ends_with('\n') { " |" } else { " |-" });
            for line in text.trim_end_matches('\n').split('\n') {
                lines.push('\n');
                if !line.is_empty() {
                    lines.extend(std::iter::repeat_n(' ', indent + STEP));
                    lines.push_str(line);
                }
            }
        }
        Data::Text(text) => lines.extend([" ", &scalar(text)]),
        Data::Plain(text) if text.is_empty() => {}
        Data::Plain(text) => lines.extend([" ", text]),
        Data::List(_) | Data::Map(_) => lines.extend([" ", &flow::write(value, Style::Spaced)]),
    }
    lines.push('\n');
}

fn is_scalar(value: &Data) -> bool {
    matches!(value, Data::Plain(_) | Data::Text(_))
}

/// Returns whether a text of several lines can be written as it is.
fn is_literal(text: &str) -> bool {
    let is_plain = |line: &str| line.chars().all(|c| c == '\t' || !needs_escape(c));
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body.split('\n').all(is_plain)
}

/// Returns a text in quotes where it would be read as something else without them.
pub(super) fn scalar(text: &str) -> String {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_-./:@=+?&%$(), ".contains(c);
    let begins = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_';
    let is_plain = text.starts_with(begins)
        && text.chars().all(is_inner)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !is_no_text(text);
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// Returns a text as JSON and YAML read it alike.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if needs_escape(c) => quoted.extend(["\\u", &format!("{:04x}", u32::from(c))]),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns what YAML does not print, or takes for a line's end.
const fn needs_escape(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}
