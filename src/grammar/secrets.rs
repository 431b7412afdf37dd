//! Values that no page, log or reason may show.

use std::cmp::Reverse;
use std::fmt;

/// A value that is shorter is no secret, and would be found in every text.
const MIN_SECRET_BYTES: usize = 3;

/// The same for a word of a longer value.
const MIN_WORD_BYTES: usize = 6;

/// The text in the place of a value that no variable's name can stand for.
const HIDDEN: &str = "(hidden)";

/// Values that must not be printed, and what is printed instead of each; the longest first, since one may be a part of
/// another.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Returns a text with something else in the places of the values, where there is one.
    pub fn hide(&self, text: &str) -> Option<String> {
        let found = self.0.iter().filter(|(value, _)| text.contains(value.as_str()));
        let mut hidden: Option<String> = None;
        for (value, instead) in found {
            hidden = Some(hidden.as_deref().unwrap_or(text).replace(value.as_str(), instead));
        }
        hidden
    }

    /// Adds the values of others.
    pub fn extend(&mut self, others: &Self) {
        for (value, instead) in &others.0 {
            self.add(value, instead.clone());
        }
        self.sort();
    }

    /// Adds what is sent in confidence: the whole, and each of its words, since an answer may repeat only the token of
    /// `Authorization: Bearer TOKEN`.
    pub fn confide(&mut self, value: &[u8]) {
        let value = String::from_utf8_lossy(value);
        let is_between = |c: char| c.is_whitespace() || c.is_control() || "\"'{}[]<>,;:&=?".contains(c);
        let words = value.split(is_between).chain([value.trim()]);
        for word in words.filter(|word| word.len() >= MIN_WORD_BYTES) {
            self.add(word, HIDDEN.to_owned());
        }
        self.sort();
    }

    /// Adds the value of a variable, in whose place its name may stand.
    pub(super) fn note(&mut self, name: &str, value: &str) {
        if value.len() >= MIN_SECRET_BYTES {
            self.add(value, format!("$({name})"));
            self.sort();
        }
    }

    fn add(&mut self, value: &str, instead: String) {
        if !self.0.iter().any(|(other, _)| other == value) {
            self.0.push((value.to_owned(), instead));
        }
    }

    fn sort(&mut self) {
        self.0.sort_by_key(|(value, _)| Reverse(value.len()));
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_in_confidence_is_hidden_whole_and_in_words() {
        let mut secrets = Secrets::default();
        secrets.confide(b"Bearer secret-token");
        secrets.confide(br#"{"user": "me", "pass": "secret"}"#);
        secrets.confide(b"PING\r\n");
        for (text, expected) in [
            ("got Bearer secret-token", Some("got (hidden)")),
            ("bad token secret-token!", Some("bad token (hidden)!")),
            ("{\"pass\":\"secret\"}", Some("{\"pass\":\"(hidden)\"}")),
            ("-ERR PING me", None),
        ] {
            assert_eq!(secrets.hide(text).as_deref(), expected, "{text}");
        }
    }
}
