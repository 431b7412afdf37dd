//! Values as JSON, which is YAML too.

use super::data::Data;
use super::write::quoted;

/// The layout of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without spaces.
    Compact,
    /// A space after each comma and colon.
    Spaced,
    /// Each entry on a line of its own.
    Lines {
        /// The indentation of the closing bracket.
        indent: usize,
        /// The further indentation of each level.
        unit: usize,
        /// By what: a space or a tab.
        blank: char,
    },
}

impl Style {
    pub(super) const fn colon(self) -> &'static str {
        match self {
            Self::Compact => ":",
            Self::Spaced | Self::Lines { .. } => ": ",
        }
    }

    const fn deeper(self) -> Self {
        match self {
            Self::Lines { indent, unit, blank } => Self::Lines { indent: indent + unit, unit, blank },
            other => other,
        }
    }

    /// Returns what stands before each entry of a collection in this style, and before its end.
    fn separators(self) -> (String, String) {
        match self {
            Self::Compact => (String::new(), String::new()),
            Self::Spaced => (" ".to_owned(), String::new()),
            Self::Lines { indent, unit, blank } => {
                let line = |width| format!("\n{}", String::from(blank).repeat(width));
                (line(indent + unit), line(indent))
            }
        }
    }
}

/// Writes a value.
pub(super) fn write(value: &Data, style: Style) -> String {
    let mut text = String::new();
    write_to(&mut text, value, style);
    text
}

/// Writes a name and a value.
pub(super) fn entry(name: &str, value: &Data, style: Style) -> String {
    format!("{}{}{}", quoted(name), style.colon(), write(value, style))
}

fn write_to(text: &mut String, value: &Data, style: Style) {
    match value {
        Data::Plain(plain) if is_nothing(plain) => text.push_str("null"),
        Data::Plain(plain) => text.push_str(plain),
        Data::Text(value) => text.push_str(&quoted(value)),
        Data::List(items) => {
            collection(text, ['[', ']'], items, style, |text, item| write_to(text, item, style.deeper()));
        }
        Data::Map(entries) => {
            collection(text, ['{', '}'], entries, style, |text, (name, value)| {
                text.push_str(&quoted(name));
                text.push_str(style.colon());
                write_to(text, value, style.deeper());
            });
        }
    }
}

/// Returns whether a scalar without quotes means nothing; JSON has one word for it.
fn is_nothing(plain: &str) -> bool {
    matches!(plain, "" | "~" | "Null" | "NULL")
}

fn collection<T>(
    text: &mut String,
    [open, close]: [char; 2],
    entries: &[T],
    style: Style,
    mut write: impl FnMut(&mut String, &T),
) {
    let (before, last) = style.separators();
    text.push(open);
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if index > 0 || matches!(style, Style::Lines { .. }) {
            text.push_str(&before);
        }
        write(text, entry);
    }
    if !entries.is_empty() {
        text.push_str(&last);
    }
    text.push(close);
}
