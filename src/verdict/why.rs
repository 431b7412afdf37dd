//! Why a check fails its probe, in words for the person who must act.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::outcome::one_line;
use crate::status::Status;
use crate::unix_time::TimeOfDay;

/// The reason of a failure. It becomes text only where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The check has not finished a run in this incarnation.
    NoResult,
    /// The startup checks of its container have not all passed.
    WaitsForStartup,
    /// The last run failed.
    Failed(Arc<str>),
    /// It passes again, though not often enough yet.
    Successes {
        /// The successes in a row so far.
        count: u32,
        /// The successes in a row that are needed.
        threshold: u32,
    },
    /// It passes again, and a liveness failure stands for some time.
    Held {
        /// For how long it will.
        left: Duration,
        /// The reason of the last run.
        reason: Option<Arc<str>>,
    },
    /// A run should have finished and has not.
    Stale(Duration),
    /// Nobody listens on its port, or its process does not run, since the incarnation began.
    NotThere,
    /// The process or socket that was checked last is gone.
    Gone,
    /// A different one is there than was checked last.
    Different,
    /// Several checks fail; each with its name.
    Several(Vec<(String, Why)>),
    /// The pod is being drained.
    Draining(TimeOfDay),
    /// The sidecar ends.
    ShuttingDown,
}

impl Why {
    /// Returns the reason of a check that is not healthy.
    pub(super) fn of(status: &Status, is_current: bool) -> Self {
        if !is_current || status.last.is_none() {
            return Self::NoResult;
        }
        let threshold = status.tracker.streak_threshold();
        let count = status.tracker.streak().min(threshold);
        status
            .failure_text()
            .map_or(Self::Successes { count, threshold }, |text| Self::Failed(Arc::clone(text)))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResult => f.write_str("no result yet"),
            Self::WaitsForStartup => f.write_str("waits for startup"),
            Self::Failed(text) => f.write_str(&one_line(text)),
            Self::Successes { count, threshold } => write!(f, "{count} of {threshold} successes"),
            Self::Held { left, reason } => {
                let reason = reason.as_deref().map(one_line).unwrap_or_default();
                let seconds = left.as_secs_f64().ceil();
                write!(f, "{reason}; it passes again, and the failure stands for {seconds} s more")
            }
            Self::Stale(late) => {
                write!(f, "no result for {} s: the sidecar does not get to run its checks", late.as_secs())
            }
            Self::NotThere => f.write_str("nothing listens on its port yet, or its process does not run"),
            Self::Gone => f.write_str("the socket or process that passed last is gone"),
            Self::Different => {
                f.write_str("a different socket or process is there than passed last, and is being checked")
            }
            Self::Several(failing) => {
                for (place, (name, why)) in failing.iter().enumerate() {
                    write!(f, "{}{name}: {why}", if place == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Draining(since) => write!(f, "draining since {since}; it ends with the pod"),
            Self::ShuttingDown => f.write_str("shutting down"),
        }
    }
}
