//! Values without a place in a text: what is put in.

use super::tree::{Id, Tree, Value};

/// A value; names keep their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A scalar that is written without quotes: a number, a truth, nothing.
    Plain(String),
    /// A text.
    Text(String),
    /// Items.
    List(Vec<Data>),
    /// Names and values.
    Map(Vec<(String, Data)>),
}

impl Data {
    /// Returns a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a number.
    pub fn number(number: impl Into<i64>) -> Self {
        Self::Plain(number.into().to_string())
    }

    /// Returns names with their values.
    pub fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Returns what a node means: aliases and merges resolved.
    pub fn of(tree: &Tree<'_>, id: Id) -> Self {
        match tree.value(id) {
            Value::Scalar { text, is_plain: true } if is_no_text(text) => Self::Plain(text.clone()),
            Value::Scalar { text, .. } => Self::Text(text.clone()),
            Value::List { items, .. } => Self::List(items.iter().map(|item| Self::of(tree, *item)).collect()),
            Value::Map { .. } => {
                let mut entries = Vec::new();
                collect(tree, id, &mut entries);
                Self::Map(entries)
            }
            Value::Alias(_) => Self::Plain("null".to_owned()),
        }
    }

    /// Returns the value as JSON.
    pub fn written(&self) -> String {
        super::flow::write(self, super::flow::Style::Spaced)
    }

    /// Returns a text in quotes, whatever it holds.
    pub fn quoted(text: &str) -> String {
        super::write::quoted(text)
    }

    /// Returns a text in quotes where it would be read as something else without them.
    pub fn scalar(text: &str) -> String {
        super::write::scalar(text)
    }

    /// Returns the value of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(other, _)| other == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Returns the value of that name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match self {
            Self::Map(entries) => entries.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Sets the value of that name, where it stands or at the end.
    pub fn set(&mut self, name: &str, value: Self) {
        match self.get_mut(name) {
            Some(place) => *place = value,
            None => {
                if let Self::Map(entries) = self {
                    entries.push((name.to_owned(), value));
                }
            }
        }
    }

    /// Takes out the value of that name.
    pub fn remove(&mut self, name: &str) {
        if let Self::Map(entries) = self {
            entries.retain(|(other, _)| other != name);
        }
    }
}

fn collect(tree: &Tree<'_>, map: Id, entries: &mut Vec<(String, Data)>) {
    let mut merged = Vec::new();
    for entry in tree.entries(map) {
        match tree.text_of(entry.key) {
            Some("<<") => match tree.value(entry.value) {
                Value::List { items, .. } => merged.extend(items),
                _ => merged.push(entry.value),
            },
            Some(name) if !entries.iter().any(|(other, _)| other == name) => {
                entries.push((name.to_owned(), Data::of(tree, entry.value)));
            }
            _ => {}
        }
    }
    for map in merged {
        collect(tree, map, entries);
    }
}

/// Returns whether a plain scalar is read as something that is no text: by YAML 1.2, or by Kubernetes, which reads 1.1.
pub(super) fn is_no_text(plain: &str) -> bool {
    const WORDS: [&str; 9] = ["", "~", "null", "true", "false", "yes", "no", "on", "off"];
    let lower = plain.to_ascii_lowercase();
    if WORDS.contains(&lower.as_str()) || ["y", "n"].contains(&lower.as_str()) {
        return true;
    }
    let digits = lower.trim_start_matches(['+', '-']);
    let looks_numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    // An address such as 127.0.0.1 and a version are texts.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit() || b"_.xo:+-".contains(&byte))
        && digits.matches('.').count() <= 1;
    (looks_numeric && is_number) || matches!(digits, ".inf" | ".nan")
}
