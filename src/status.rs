//! The published state of a check: one writer, its task; many readers, who only read.

mod history;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::check::Check;
use crate::life::Incarnation;
use crate::outcome::{Kind, Outcome};
use crate::tracker::{Change, Tracker};
use crate::unix_time;
use crate::witness::Witness;

#[cfg(test)]
pub use history::MAX_HISTORY_RUNS;
pub use history::{History, PastRun};

/// Upper bounds of the buckets of `health_proxy_check_duration_seconds`, in seconds.
pub const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A check is never stale sooner after its last result was due: a busy machine is no stuck sidecar.
const MIN_STALENESS: Duration = Duration::from_secs(1);

/// One attempt of a check.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub duration: Duration,
    /// Its outcome.
    pub outcome: Outcome,
    /// The beginning of what the app said, where it failed.
    pub said: Option<Arc<str>>,
}

/// The counters since the sidecar began, over all incarnations.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Runs, by [`Kind::index`].
    pub runs: [u64; Kind::ALL.len()],
    /// Changes of the state to healthy.
    pub to_healthy: u64,
    /// Changes of the state to unhealthy.
    pub to_unhealthy: u64,
    /// Runs by duration: at most the bound of [`BUCKETS`] and more than the one before.
    pub buckets: [u64; BUCKETS.len()],
    /// The sum of all durations.
    pub duration: Duration,
}

impl Counts {
    fn record(&mut self, run: &Run, change: Change, healthy: bool) {
        self.runs[run.outcome.kind().index()] += 1;
        self.duration += run.duration;
        let seconds = run.duration.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|&bound| seconds <= bound) {
            self.buckets[bucket] += 1;
        }
        if change == Change::Flipped {
            *(if healthy { &mut self.to_healthy } else { &mut self.to_unhealthy }) += 1;
        }
    }
}

/// The state of one check.
#[derive(Clone, Debug)]
pub struct Status {
    /// The incarnation that the state is about, by its id.
    pub incarnation: u64,
    /// Thresholds and streak.
    pub tracker: Tracker,
    /// Since when the state is as it is.
    pub since: Instant,
    /// The last run of this incarnation.
    pub last: Option<Run>,
    /// The first success of this incarnation.
    pub first_success: Option<Instant>,
    /// When the failure threshold was last reached after a success of this incarnation.
    pub failed_after_success: Option<Instant>,
    /// The witness that showed, while the check was well, that its container is the one it was.
    pub noted: Option<Witness>,
    /// When the next run is due, or was, where it has not ended yet; `None` while the check rests.
    pub due: Option<Instant>,
    /// The last failure, also of an earlier incarnation.
    pub last_failure: Option<Arc<Run>>,
    /// When a run last passed, also of an earlier incarnation, as the time since 1970: later changes of the wall clock
    /// do not change it.
    pub last_success: Option<Duration>,
    /// The last runs, also of earlier incarnations.
    pub history: History,
    /// Its counters.
    pub counts: Counts,
    /// When the first certificate of the chain ends that was presented last, in seconds since 1970; 0 before
    /// the first, `None` where the target has none.
    pub certificate_expiry: Option<i64>,
}

impl Status {
    /// Returns the state of a check that has never run.
    pub fn new(check: &Check, incarnation: Incarnation) -> Self {
        Self {
            incarnation: incarnation.id,
            tracker: check.tracker(),
            since: incarnation.began,
            last: None,
            first_success: None,
            failed_after_success: None,
            noted: None,
            due: None,
            last_failure: None,
            last_success: None,
            history: History::default(),
            counts: Counts::default(),
            certificate_expiry: None,
        }
    }

    /// Forgets the state, and keeps what is remembered and counted over incarnations.
    pub fn begin(&mut self, check: &Check, incarnation: Incarnation) {
        let fresh = Self::new(check, incarnation);
        *self = Self {
            last_failure: self.last_failure.take(),
            last_success: self.last_success,
            history: std::mem::take(&mut self.history),
            counts: std::mem::take(&mut self.counts),
            certificate_expiry: self.certificate_expiry,
            ..fresh
        };
    }

    /// Takes in a run that has just ended.
    pub fn record(&mut self, run: Run) -> Change {
        let now = run.began + run.duration;
        let passed = run.outcome.passed();
        let change = self.tracker.record(passed);
        if change == Change::Flipped {
            self.since = now;
            if !passed && self.first_success.is_some() {
                self.failed_after_success = Some(now);
            }
        }
        self.counts.record(&run, change, self.tracker.is_healthy());
        self.history.push(&run);
        if passed {
            self.first_success.get_or_insert(now);
            self.last_success = Some(unix_time::now());
        } else {
            self.last_failure = Some(Arc::new(run.clone()));
        }
        self.last = Some(run);
        change
    }

    /// Returns for how long a result has been due, where the check is stale: two periods and a timeout, and at least a
    /// second, have passed since its last result was due.
    pub fn stale_for(&self, check: &Check, now: Instant) -> Option<Duration> {
        (now > self.stale_at(check)?).then(|| self.due.map(|due| now.saturating_duration_since(due)))?
    }

    /// Returns after which moment the check is stale, unless it ends a run before.
    pub fn stale_at(&self, check: &Check) -> Option<Instant> {
        // The result before was due a period earlier.
        let patience = check.timing.longest_period() + check.timing.timeout;
        Some(self.due? + patience.max(MIN_STALENESS.saturating_sub(check.timing.period)))
    }

    /// Returns whether the unhealthy period applies: from the first failing run until the check is healthy again.
    pub fn is_degraded(&self) -> bool {
        // Before its first failure a check that begins unhealthy is only new.
        let is_unhealthy = self.last_failure.is_some() && !self.tracker.is_healthy();
        self.last.as_ref().is_some_and(|last| !last.outcome.passed() || is_unhealthy)
    }

    /// Returns why the last run failed, if it did.
    pub fn failure_text(&self) -> Option<&Arc<str>> {
        self.last.as_ref().filter(|run| !run.outcome.passed()).and_then(|run| run.outcome.text())
    }
}
