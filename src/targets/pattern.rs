//! Options that are regular expressions. One that takes its time delays its own check and nothing else.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use regex_lite::{Regex, RegexBuilder};

use crate::blocking::Place;

/// The product of an expression's size and a text's length, in bytes each, up to which a match takes less than half a
/// millisecond whatever they are (0.7 ns each at the worst, measured), and is worth no thread.
const MAX_INLINE_WORK: usize = 512 * 1024;

/// The largest compiled expression, in bytes; the library's own limit.
const MAX_SIZE: usize = 10 * 1024 * 1024;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Arc<Regex>,
    /// As it was written.
    written: Box<str>,
    /// The memory of the compiled expression in bytes, to a factor of two.
    size: usize,
    alphabet: Alphabet,
}

/// The text that an expression looks at.
#[derive(Clone, Copy, Debug)]
enum Alphabet {
    /// Characters of UTF-8.
    Characters,
    /// Bytes. The library knows characters only, so a byte is the character of the same number.
    Bytes,
}

impl Pattern {
    /// Compiles an expression over text.
    ///
    /// # Errors
    /// It is none.
    pub fn read(value: &str) -> Result<Self, String> {
        Self::compile(value, value, Alphabet::Characters)
    }

    /// Compiles an expression over bytes: `\xHH` is that byte, and a character all bytes of its UTF-8.
    ///
    /// # Errors
    /// It is none, or has a class of more than bytes.
    pub fn read_bytes(value: &str) -> Result<Self, String> {
        Self::compile(value, &over_bytes(value)?, Alphabet::Bytes)
    }

    fn compile(written: &str, expression: &str, alphabet: Alphabet) -> Result<Self, String> {
        let (mut size, written) = (256, written.into());
        loop {
            match RegexBuilder::new(expression).size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex: Arc::new(regex), written, size, alphabet }),
                Err(error) if size >= MAX_SIZE => return Err(format!("not a regular expression: {error}")),
                Err(_) => size *= 2,
            }
        }
    }

    /// Returns whether some part of `text` matches.
    ///
    /// # Errors
    /// Why that cannot be found out.
    pub async fn is_match(&self, text: &Bytes, place: &Place) -> Result<bool, String> {
        let alphabet = self.alphabet;
        if self.size.saturating_mul(text.len()) <= MAX_INLINE_WORK {
            return Ok(self.regex.is_match(&alphabet.spelled(text)));
        }
        let (regex, text) = (Arc::clone(&self.regex), text.clone());
        let silence = format!("matching {self} did not end");
        place.run(silence, move || regex.is_match(&alphabet.spelled(&text))).await
    }
}

impl fmt::Display for Pattern {
    /// Writes the expression between slashes, as it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.written)
    }
}

impl Alphabet {
    /// Bytes as the library takes them.
    fn spelled(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Characters => String::from_utf8_lossy(bytes),
            Self::Bytes if bytes.is_ascii() => String::from_utf8_lossy(bytes),
            Self::Bytes => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        }
    }
}

/// Returns an expression over bytes as one over the characters of the same numbers.
fn over_bytes(value: &str) -> Result<String, String> {
    let (mut expression, mut is_in_class, mut is_escaped) = (String::new(), false, false);
    for c in value.chars() {
        if c.is_ascii() {
            is_in_class = match c {
                '[' if !is_escaped => true,
                ']' if !is_escaped => false,
                _ => is_in_class,
            };
            expression.push(c);
        } else if is_in_class {
            return Err(format!("{c} has several bytes; accepted between [ and ]: ASCII and \\xHH"));
        } else {
            let mut utf8 = [0; 4];
            let bytes = c.encode_utf8(&mut utf8).bytes().map(char::from);
            expression.push_str("(?:");
            expression.extend(bytes);
            expression.push(')');
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    Ok(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_match_is_made_at_once_and_a_long_one_beside() {
        let (pattern, place) = (Pattern::read("^(a|b)+$").unwrap(), Place::default());
        let turn = place.turn().await;
        assert_eq!(pattern.is_match(&"abba".into(), &place).await, Ok(true));
        assert_eq!(pattern.is_match(&"abc".into(), &place).await, Ok(false));
        let long = Bytes::from(vec![b'a'; MAX_INLINE_WORK / pattern.size + 1]);
        let mut run = Box::pin(pattern.is_match(&long, &place));
        let is_waiting =
            std::future::poll_fn(|context| std::task::Poll::Ready(run.as_mut().poll(context).is_pending()));
        assert!(is_waiting.await, "it needs the place");
        drop(turn);
        assert_eq!(run.await, Ok(true));
    }

    #[test]
    fn the_size_is_known_and_what_is_wrong_is_told() {
        assert!(Pattern::read("^ok$").unwrap().size < 1024);
        assert!(Pattern::read("(?:.{1,500}){1,4}z").unwrap().size > 100_000);
        for wrong in ["(", "(?:.{1,1000}){1,1000}"] {
            assert!(Pattern::read(wrong).unwrap_err().starts_with("not a regular expression: "), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_expression_over_bytes_sees_each_of_them() {
        let place = Place::default();
        let cases: [(&str, &'static [u8], bool); 9] = [
            (r"^\x84", b"\x84\x00", true),
            (r"^\x84", "\u{84}".as_bytes(), false),
            (r"^[\x80-\x8f]{2}$", b"\x80\x8f", true),
            (r"^.{4}\xff", b"\x00\x00\x00\x13\xff", true),
            ("\u{e9}+!", "caf\u{e9}\u{e9}!".as_bytes(), true),
            ("^\u{e9}$", b"\xe9", false),
            (r"\[\xe9\]", b"[\xe9]", true),
            ("ready", b"\xffready", true),
            (r"\\\xc3", b"\\\xc3", true),
        ];
        for (expression, bytes, expected) in cases {
            let pattern = Pattern::read_bytes(expression).unwrap();
            assert_eq!(
                pattern.is_match(&Bytes::from_static(bytes), &place).await,
                Ok(expected),
                "{expression} in {bytes:?}"
            );
        }
        assert!(Pattern::read_bytes("[a\u{e9}]").unwrap_err().contains("several bytes"));
    }
}
