//! Options that are regular expressions. One that takes its time delays its own check and nothing else.

use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};

use crate::blocking::Place;

/// Up to this product of an expression's size and a text's length, in bytes each, a match takes less than half a
/// millisecond whatever they are (0.7 ns each at the worst, measured), and is worth no thread.
const SHORT: usize = 512 * 1024;

/// The largest compiled expression, in bytes; the library's own limit.
const MAX_SIZE: usize = 10 * 1024 * 1024;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Arc<Regex>,
    /// What it takes compiled, in bytes, to a factor of two.
    size: usize,
}

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    /// It is none.
    pub fn read(value: &str) -> Result<Self, String> {
        let mut size = 256;
        loop {
            match RegexBuilder::new(value).size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex: Arc::new(regex), size }),
                Err(error) if size >= MAX_SIZE => return Err(format!("not a regular expression: {error}")),
                Err(_) => size *= 2,
            }
        }
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether some part of `text` matches.
    ///
    /// # Errors
    /// Why that cannot be found out.
    pub async fn is_match(&self, text: &[u8], place: &Place) -> Result<bool, String> {
        if self.size.saturating_mul(text.len()) <= SHORT {
            return Ok(self.regex.is_match(&String::from_utf8_lossy(text)));
        }
        let (regex, text) = (Arc::clone(&self.regex), text.to_vec());
        let silence = format!("matching {:?} did not end", self.as_str());
        place.run(silence, move || regex.is_match(&String::from_utf8_lossy(&text))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_short_match_is_made_at_once_and_a_long_one_beside() {
        let (pattern, place) = (Pattern::read("^(a|b)+$").unwrap(), Place::default());
        let turn = place.turn().await;
        assert_eq!(pattern.is_match(b"abba", &place).await, Ok(true));
        assert_eq!(pattern.is_match(b"abc", &place).await, Ok(false));
        let long = vec![b'a'; SHORT / pattern.size + 1];
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
}
