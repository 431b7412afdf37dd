//! Values that no page, log or reason may show.

use std::fmt;

/// A value that is shorter is no secret, and would be found in every text.
const MIN_SECRET_BYTES: usize = 3;

/// The same for a word of a longer value.
const MIN_WORD_BYTES: usize = 6;

/// The number of words of one value that are looked for in what an app says: so many cost a run next to nothing.
const MAX_WORDS: usize = 256;

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
        self.add(others.0.iter().cloned());
    }

    /// Adds what is sent in confidence: the whole, and each of its first words, since an answer may repeat only the token
    /// of `Authorization: Bearer TOKEN`.
    pub fn confide(&mut self, value: &[u8]) {
        let value = String::from_utf8_lossy(value);
        let is_between = |c: char| c.is_whitespace() || c.is_control() || "\"'{}[]<>,;:&=?".contains(c);
        let is_long = |word: &&str| word.len() >= MIN_WORD_BYTES;
        let words = value.split(is_between).filter(is_long).take(MAX_WORDS);
        let words = words.chain(Some(value.trim()).filter(is_long));
        self.add(words.map(|word| (word.to_owned(), HIDDEN.to_owned())));
    }

    /// Adds the value of a variable, in whose place its name may stand.
    pub(super) fn note(&mut self, name: &str, value: &str) {
        if value.len() >= MIN_SECRET_BYTES {
            self.add([(value.to_owned(), format!("$({name})"))]);
        }
    }

    /// Adds values; of those that are there already nothing changes.
    fn add(&mut self, more: impl IntoIterator<Item = (String, String)>) {
        self.0.extend(more);
        self.0.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.0.dedup_by(|(later, _), (earlier, _)| later == earlier);
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
        let many: Vec<_> = (0..100_000).map(|number| format!("word-{number}")).collect();
        secrets.confide(many.join(" ").as_bytes());
        assert!(secrets.0.len() < 300, "of a long body the beginning and the whole are known");
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
