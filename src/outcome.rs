//! The result of one run of a check.

use std::borrow::Cow;
use std::sync::Arc;

/// The outcome of a run, its reason inside. A failed check is not an `Err`: that is kept for our own faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target passed.
    Success,
    /// The target passed in a way that the kubelet warns of (event reason `ProbeWarning`).
    Warning(Arc<str>),
    /// The target failed, or could not be asked.
    Failure(Arc<str>),
    /// No result within the timeout.
    Timeout(Arc<str>),
}

impl Outcome {
    /// Returns a failure with its reason.
    pub fn failure(reason: impl Into<Arc<str>>) -> Self {
        Self::Failure(reason.into())
    }

    /// Returns the outcome of a run without a result within the timeout, with what there was instead.
    pub fn timeout(reason: impl Into<Arc<str>>) -> Self {
        Self::Timeout(reason.into())
    }

    /// Returns whether it counts as a success.
    pub const fn passed(&self) -> bool {
        matches!(self, Self::Success | Self::Warning(_))
    }

    /// Returns its kind, as metrics count it.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Success | Self::Warning(_) => Kind::Success,
            Self::Failure(_) => Kind::Failure,
            Self::Timeout(_) => Kind::Timeout,
        }
    }

    /// Returns the outcome with its reason or warning as `change` makes it, if it makes anything of it.
    #[must_use]
    pub fn with_text(self, change: impl FnOnce(&str) -> Option<String>) -> Self {
        let Some(text) = self.text().and_then(|text| change(text)) else { return self };
        match self {
            Self::Success => Self::Success,
            Self::Warning(_) => Self::Warning(text.into()),
            Self::Failure(_) => Self::Failure(text.into()),
            Self::Timeout(_) => Self::Timeout(text.into()),
        }
    }

    /// Returns the reason or warning, as the target gave it: possibly many lines, possibly hostile.
    pub fn text(&self) -> Option<&Arc<str>> {
        match self {
            Self::Success => None,
            Self::Warning(text) | Self::Failure(text) | Self::Timeout(text) => Some(text),
        }
    }
}

/// An outcome without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The target passed.
    Success,
    /// The target failed.
    Failure,
    /// No result within the timeout.
    Timeout,
}

impl Kind {
    /// Every kind, in the order of [`Kind::index`].
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Timeout];

    /// Returns the label value `result` of `health_proxy_check_runs_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
        }
    }

    /// Returns its place in an array of counters.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The longest reason on one line, in characters: what fits a kubelet event.
const MAX_LINE_CHARS: usize = 1024;

/// Returns a reason as one line for answers and logs: line breaks become spaces, control characters are escaped.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MAX_LINE_CHARS));
    for (count, c) in text.trim().chars().enumerate() {
        match c {
            _ if count >= MAX_LINE_CHARS => {
                line.push('…');
                break;
            }
            '\n' | '\r' | '\t' => line.push(' '),
            c => push_escaped(&mut line, c),
        }
    }
    line
}

/// Returns the beginning of a text, of at most `limit` bytes, with a sign where something was cut off.
pub fn beginning(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{CUT}", &text[..whole_characters(text, limit)]))
}

/// The mark of a text that was cut off.
pub const CUT: &str = "…";

/// Returns the length of the whole characters within the first `limit` bytes of a text.
pub fn whole_characters(text: &str, limit: usize) -> usize {
    (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default()
}

/// Returns an output as it may be shown: its lines and tabs stay, other control characters are escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c => push_escaped(&mut shown, c),
        }
    }
    shown
}

fn push_escaped(shown: &mut String, c: char) {
    if c.is_control() || is_bidi_control(c) {
        shown.extend(c.escape_default());
    } else {
        shown.push(c);
    }
}

/// Characters that reorder what a terminal or a page shows (UAX 9, section 2).
const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{beginning, one_line, printable};

    #[test]
    fn a_reason_can_neither_forge_a_line_nor_drive_a_terminal() {
        assert_eq!(one_line("no\n[+]web ok\r\n"), "no [+]web ok");
        assert_eq!(one_line("\u{1b}[31mred\u{0}"), "\\u{1b}[31mred\\u{0}");
        assert_eq!(one_line("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn an_output_keeps_its_lines_and_nothing_that_drives_a_terminal() {
        let shown = printable("one\r\n\ttwo\u{1b}[2J\u{9b}\u{7f}\u{202e}\r");
        assert_eq!(shown, "one\n\ttwo\\u{1b}[2J\\u{9b}\\u{7f}\\u{202e}\\r");
    }

    #[test]
    fn a_beginning_ends_between_two_characters() {
        assert_eq!(beginning("aä", 3), "aä");
        assert_eq!(beginning("aä", 2), "a…");
        assert_eq!(beginning("ä", 0), "…");
    }

    #[test]
    fn a_long_reason_is_cut() {
        let line = one_line(&"ä".repeat(5000));
        assert_eq!(line.chars().count(), 1025);
        assert!(line.ends_with('…'));
    }
}
