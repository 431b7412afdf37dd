//! Whether a probe passes, and why it does not: pure functions over what is known of its checks.
//!
//! The endpoints, the metrics and the page use them alike. No I/O, and no clock of its own.

mod why;

use std::time::Duration;

use tokio::time::Instant;

use crate::check::Check;
use crate::probe::Probe;
use crate::status::Status;
use crate::tracker::Health;
use crate::witness::Sight;

pub use why::Why;

/// The state of the container that a check is about.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The id of its present incarnation.
    pub incarnation: u64,
    /// Whether its startup checks have passed in it; so it is where there are none.
    pub has_started: bool,
    /// Whether its witnesses have been seen in it; so it is where there are none.
    pub is_seen: bool,
    /// Whether the kubelet asks for its startup, so that a start is the startupProbe's to judge.
    pub is_wired: bool,
}

/// The facts about one check when a question is asked.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its configuration.
    pub check: &'a Check,
    /// The results of its runs.
    pub status: &'a Status,
    /// The state of its container.
    pub container: Standing,
    /// The result of a look for its witness now, where somebody looked.
    pub sight: Option<&'a Sight>,
    /// The present time.
    pub now: Instant,
}

impl Facts<'_> {
    /// Returns whether the state is about the present incarnation. A status of an earlier one counts as the initial
    /// one, so that a new incarnation holds at once, before any task has noticed it.
    pub const fn is_current(&self) -> bool {
        self.status.incarnation == self.container.incarnation
    }

    /// Returns the state after thresholds.
    pub const fn health(&self) -> Health {
        if self.is_current() { self.status.tracker.health() } else { self.check.probe.initial_health() }
    }

    /// Returns how many runs of this incarnation failed in a row.
    pub const fn consecutive_failures(&self) -> u32 {
        let counts = self.is_current() && !self.status.tracker.is_passing();
        if counts { self.status.tracker.streak() } else { 0 }
    }

    /// Returns how long the check has been stale.
    pub fn stale_for(&self) -> Option<Duration> {
        self.status.stale_for(self.check, self.now).filter(|_| self.is_current())
    }

    /// Returns whether the check is held back until its container has started.
    pub fn waits_for_startup(&self) -> bool {
        self.check.probe != Probe::Startup && !self.container.has_started
    }

    /// Returns whether the startupProbe has not been told yet that the container has started.
    pub const fn is_start_awaited(&self) -> bool {
        self.container.is_wired && !self.container.is_seen
    }

    /// Returns whether a startup check has used up its failures, so that the container is to be restarted.
    pub fn is_exhausted(&self) -> bool {
        self.check.probe == Probe::Startup
            && self.check.required
            && self.is_current()
            && self.status.tracker.is_decided()
            && !self.status.tracker.is_healthy()
    }

    /// Returns why the check fails the probe that is asked, or `None` where it passes.
    pub fn failure(&self, asked: Probe) -> Option<Why> {
        match (asked, self.check.probe) {
            (Probe::Startup, Probe::Startup) => self.unhealthy(),
            // Without startup checks, others tell by their witnesses.
            (Probe::Startup, _) => {
                let has_passed = self.is_current() && self.status.first_success.is_some();
                let is_there =
                    self.container.is_seen || has_passed || matches!(self.sight, Some(Sight::There(_)));
                (!is_there).then_some(Why::NotThere)
            }
            (Probe::Liveness, _) => self.liveness_failure(),
            (Probe::Readiness, _) => self.readiness_failure(),
        }
    }

    fn liveness_failure(&self) -> Option<Why> {
        if self.waits_for_startup() || self.is_start_awaited() || !self.is_current() {
            return None;
        }
        self.unhealthy().or_else(|| self.held())
    }

    fn readiness_failure(&self) -> Option<Why> {
        if self.waits_for_startup() {
            return Some(Why::WaitsForStartup);
        }
        if let Some(late) = self.stale_for() {
            return Some(Why::Stale(late));
        }
        self.unhealthy().or_else(|| self.unvouched())
    }

    fn unhealthy(&self) -> Option<Why> {
        (self.health() == Health::Unhealthy).then(|| Why::of(self.status, self.is_current()))
    }

    /// Returns the failure of liveness that still stands: it does for some time, since the kubelet needs some to be
    /// sure.
    fn held(&self) -> Option<Why> {
        let failed = self.status.failed_after_success?;
        let left = (failed + self.check.hold).checked_duration_since(self.now)?;
        let reason = self.status.last_failure.as_ref().and_then(|run| run.outcome.text());
        (!left.is_zero()).then(|| Why::Held { left, reason: reason.cloned() })
    }

    /// Returns how the witness that was noted is gone or different: nobody is vouched for who is not there.
    fn unvouched(&self) -> Option<Why> {
        match self.sight? {
            sight if !sight.contradicts(self.status.noted.as_ref()) => None,
            Sight::There(_) => Some(Why::Different),
            Sight::Missing | Sight::Unwitnessed => Some(Why::Gone),
        }
    }

    /// Returns what an answer says of this check.
    pub fn finding(&self, asked: Probe) -> Finding {
        match self.failure(asked) {
            None if asked == Probe::Liveness && self.waits_for_startup() => Finding::Waits,
            None => Finding::Ok,
            Some(why) if self.check.required => Finding::Failed(why),
            Some(why) => Finding::NotRequired(why),
        }
    }
}

/// An answer's line about one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It passes.
    Ok,
    /// It is a group, and passes by these of its checks.
    AnyOf {
        /// Their names.
        passing: Vec<String>,
        /// The number of its checks.
        count: usize,
    },
    /// It passes, since it waits for startup.
    Waits,
    /// The caller did not want to know.
    Excluded,
    /// It fails, and is configured not to matter.
    NotRequired(Why),
    /// It fails, and so does the probe.
    Failed(Why),
}

/// Returns what an answer says of a group, of whose checks one has to pass.
pub fn of_group(members: Vec<(String, Finding)>) -> Finding {
    let count = members.len();
    let (mut passing, mut failing, mut is_required) = (Vec::new(), Vec::new(), false);
    for (name, finding) in members {
        match finding {
            Finding::Failed(why) => {
                is_required = true;
                failing.push((name, why));
            }
            Finding::NotRequired(why) => failing.push((name, why)),
            // They wait for the same startup.
            Finding::Waits => return Finding::Waits,
            Finding::Ok | Finding::AnyOf { .. } | Finding::Excluded => passing.push(name),
        }
    }
    match (passing.is_empty(), is_required) {
        (false, _) => Finding::AnyOf { passing, count },
        (true, true) => Finding::Failed(Why::Several(failing)),
        (true, false) => Finding::NotRequired(Why::Several(failing)),
    }
}

/// An answer as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// A finding for each check, by name in alphabetical order.
    pub findings: Vec<(String, Finding)>,
    /// Names that were to be excluded and do not exist.
    pub unknown: Vec<String>,
}

impl Verdict {
    /// Returns whether the probe passes.
    pub fn passes(&self) -> bool {
        !self.findings.iter().any(|(_, finding)| matches!(finding, Finding::Failed(_)))
    }

    /// Returns the reasons of those that fail: `web: connection refused; db: no result yet`.
    pub fn reasons(&self) -> String {
        let failed = self.findings.iter().filter_map(|(name, finding)| match finding {
            Finding::Failed(why) => Some(format!("{name}: {why}")),
            _ => None,
        });
        failed.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests;
