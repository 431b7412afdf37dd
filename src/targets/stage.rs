//! The progress of a run and the app's words, for the person who must act on a failure.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::grammar::Secrets;
use crate::lock::lock;
use crate::outcome::beginning;

/// The part of an app's words that is kept, in bytes.
pub const MAX_SAID_BYTES: usize = 1024;

/// The part that is searched for secrets, in bytes: one that is cut off at the end is not known any more.
const MAX_SEARCHED_BYTES: usize = 16 * MAX_SAID_BYTES;

/// The part of it that a reason repeats, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Progress {
    /// Nothing has happened.
    Begun,
    /// The connection stands, or the command runs.
    Connected,
    /// The peer can be spoken to: where there is TLS, the handshake is over.
    Greeted,
    /// The head of an answer has come.
    Answered,
}

/// The knowledge about a run while it goes on.
#[derive(Debug)]
pub struct Stage<'s> {
    progress: AtomicU8,
    secrets: &'s Secrets,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    said: Option<Box<str>>,
    /// The secrets that only this run has sent.
    secrets: Secrets,
}

impl<'s> Stage<'s> {
    /// Begins a run; what the app says is told without `secrets`.
    pub fn new(secrets: &'s Secrets) -> Self {
        Self { progress: AtomicU8::new(Progress::Begun as u8), secrets, heard: Mutex::default() }
    }

    /// Notes that the run has come so far.
    pub fn reach(&self, progress: Progress) {
        self.progress.store(progress as u8, Ordering::Relaxed);
    }

    /// Returns whether the run has come so far.
    pub fn has_reached(&self, progress: Progress) -> bool {
        self.progress.load(Ordering::Relaxed) >= progress as u8
    }

    /// Returns why there was nobody to speak to when `timeout` had passed, if there was nobody.
    pub fn unconnected(&self, timeout: Duration) -> Option<String> {
        if !self.has_reached(Progress::Connected) {
            return Some(format!("timeout: no connection within {timeout:?}"));
        }
        let reason = || {
            format!(
                "timeout: connected, but the TLS handshake was not over within {timeout:?}; does it speak TLS?"
            )
        };
        (!self.has_reached(Progress::Greeted)).then(reason)
    }

    /// Notes that this run sends `value` in confidence.
    pub fn confide(&self, value: &[u8]) {
        self.heard().secrets.confide(value);
    }

    /// Notes what the app said so far, in the place of what was noted before, and returns its beginning as text and
    /// without secrets.
    pub fn hear(&self, words: &[u8]) -> String {
        let text = String::from_utf8_lossy(&words[..words.len().min(MAX_SEARCHED_BYTES)]).into_owned();
        let text = self.hide(&text).unwrap_or(text);
        self.heard().said = (!text.is_empty()).then(|| beginning(&text, MAX_SAID_BYTES).into());
        text
    }

    /// Returns a text without the secrets of the sidecar's checks and of this run, where it has one of them.
    pub fn hide(&self, text: &str) -> Option<String> {
        let hidden = self.secrets.hide(text);
        self.heard().secrets.hide(hidden.as_deref().unwrap_or(text)).or(hidden)
    }

    /// Returns what the app said.
    pub fn said(&self) -> Option<Box<str>> {
        self.heard().said.clone()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }
}

/// Returns the beginning of `text` in quotes and on one line.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars().take(MAX_QUOTED_CHARS) {
        if c.is_control() || c == char::REPLACEMENT_CHARACTER {
            quoted.extend(c.escape_default());
        } else {
            quoted.push(c);
        }
    }
    quoted.push_str(if text.chars().nth(MAX_QUOTED_CHARS).is_some() { "…\"" } else { "\"" });
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_kept_to_a_bound_and_without_secrets() {
        let mut secrets = Secrets::default();
        secrets.confide(b"hunter22");
        let stage = Stage::new(&secrets);
        assert_eq!(stage.said(), None);
        stage.confide(b"rotated-token");
        assert_eq!(
            quoted(&stage.hear(b"-ERR hunter22 \"rotated-token\"\r\n")),
            "\"-ERR (hidden) \"(hidden)\"\\r\\n\""
        );
        assert_eq!(stage.said().as_deref(), Some("-ERR (hidden) \"(hidden)\"\r\n"));
        let long = [b"x".repeat(MAX_SAID_BYTES - 3), b"hunter22".to_vec(), b"y".repeat(100_000)].concat();
        assert_eq!(quoted(&stage.hear(&long)), format!("\"{}…\"", "x".repeat(MAX_QUOTED_CHARS)));
        let said = stage.said().unwrap();
        assert!(said.ends_with("x(hi…"), "{said}");
        assert_eq!(quoted(&stage.hear(b"\xff\0")), "\"\\u{fffd}\\u{0}\"");
    }

    #[test]
    fn a_run_comes_further_step_by_step() {
        let secrets = Secrets::default();
        let stage = Stage::new(&secrets);
        assert!(!stage.has_reached(Progress::Connected));
        stage.reach(Progress::Greeted);
        assert!(stage.has_reached(Progress::Connected) && !stage.has_reached(Progress::Answered));
    }
}
