//! Dangerous or odd things about a pod's probes: the judgement of `explain`.

mod relay;
mod wiring;

use std::fmt;

use super::asked::{self, Checks};
use super::pod::{Container, Pod};
use super::sidecar::Source;

/// Something worth saying.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The line that it is about, from 1.
    pub line: usize,
    /// Whether it can restart a healthy app, keep traffic from it, or hide that it fails.
    pub is_danger: bool,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = if self.is_danger { "danger" } else { "note" };
        write!(f, "{grade}, line {}: {}", self.line, self.text)
    }
}

/// A pod's sidecar and what is known of it.
#[derive(Debug)]
pub struct Relay<'p> {
    /// Its container.
    pub sidecar: &'p Container,
    /// The port on which it listens.
    pub port: u16,
    /// Its checks.
    pub checks: Checks,
}

impl<'p> Relay<'p> {
    /// Returns the sidecar of a pod, if it has one.
    pub fn of(pod: &'p Pod<'_, '_>, source: &Source) -> Option<Self> {
        let sidecar = pod.sidecar().filter(|sidecar| super::plan::is_ours(pod, sidecar))?;
        let port = asked::port(pod.tree, sidecar, source.port());
        Some(Self { sidecar, port, checks: Checks::of(pod, sidecar) })
    }
}

/// Returns what is to be said of a pod, by line.
pub fn findings(pod: &Pod<'_, '_>, relay: Option<&Relay<'_>>) -> Vec<Finding> {
    let mut found = wiring::findings(pod, relay);
    if let Some(relay) = relay {
        found.extend(relay::findings(pod, relay));
    }
    found.sort();
    found.dedup();
    found
}

fn danger(line: usize, text: impl Into<String>) -> Finding {
    Finding { line, is_danger: true, text: text.into() }
}

fn note(line: usize, text: impl Into<String>) -> Finding {
    Finding { line, is_danger: false, text: text.into() }
}
