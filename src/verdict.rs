//! What the states of the checks mean for a probe: pure functions, no I/O, no clock of their own.

use std::time::Duration;

use tokio::time::Instant;

use crate::check::Check;
use crate::outcome::one_line;
use crate::probe::Probe;
use crate::status::Status;
use crate::tracker::Health;

/// When and for which life of the app a question is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The present incarnation.
    pub incarnation: u64,
    /// The present time.
    pub now: Instant,
}

/// Why `check` fails the probe that is asked, or `None` where it passes.
///
/// A status of an earlier incarnation counts as the initial one, so that a new incarnation holds at once,
/// before any task has noticed it.
pub fn failure(asked: Probe, check: &Check, status: &Status, moment: Moment) -> Option<String> {
    let is_current = status.incarnation == moment.incarnation;
    if asked == Probe::Startup && check.probe == Probe::Liveness {
        let has_passed = is_current && status.first_success.is_some();
        return (!has_passed).then(|| reason(status, is_current));
    }
    if !is_current {
        let is_healthy = check.probe.initial_health() == Health::Healthy;
        return (!is_healthy).then(|| reason(status, is_current));
    }
    if asked == Probe::Readiness
        && let Some(late) = status.stale_for(check, moment.now)
    {
        return Some(stale(late));
    }
    (!status.tracker.is_healthy()).then(|| reason(status, is_current))
}

/// Whether a startup check has used up its failures, so that the app is to be restarted.
pub fn is_exhausted(check: &Check, status: &Status, moment: Moment) -> bool {
    check.probe == Probe::Startup
        && status.incarnation == moment.incarnation
        && status.tracker.is_decided()
        && !status.tracker.is_healthy()
}

/// The reason of a check that should have finished a run and has not.
pub fn stale(late: Duration) -> String {
    format!("stale for {}s", late.as_secs())
}

fn reason(status: &Status, is_current: bool) -> String {
    if !is_current || status.last.is_none() {
        return "no result yet".to_owned();
    }
    match status.failure_text() {
        Some(text) => one_line(text),
        None => format!(
            "{} of {} successes",
            status.tracker.streak().min(status.tracker.streak_threshold()),
            status.tracker.streak_threshold()
        ),
    }
}

/// What an answer says of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It passes.
    Ok,
    /// The caller did not want to know.
    Excluded,
    /// It fails, and is configured not to matter.
    NotRequired(String),
    /// It fails, and so does the probe.
    Failed(String),
}

/// What an answer says as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A finding for each check, by name in alphabetical order.
    pub findings: Vec<(String, Finding)>,
    /// Names that were to be excluded and do not exist.
    pub unknown: Vec<String>,
}

impl Verdict {
    /// Whether the probe passes.
    pub fn passes(&self) -> bool {
        !self.findings.iter().any(|(_, finding)| matches!(finding, Finding::Failed(_)))
    }

    /// The reasons of those that fail: `web: connection refused; db: no result yet`.
    pub fn reasons(&self) -> String {
        let failed = self.findings.iter().filter_map(|(name, finding)| match finding {
            Finding::Failed(reason) => Some(format!("{name}: {reason}")),
            _ => None,
        });
        failed.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests;
