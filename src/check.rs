//! One configured check: plain data.

use std::sync::Arc;
use std::time::Duration;

use crate::grammar::Secrets;
pub use crate::grammar::Timing;
use crate::probe::Probe;
use crate::tracker::Tracker;

/// The configuration of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The probe that it feeds.
    pub probe: Probe,
    /// Its name, unique in its probe.
    pub name: String,
    /// The target as it may be shown.
    pub target: String,
    /// The main container that it is about; `None`: the pod.
    pub container: Option<Arc<str>>,
    /// Whether the app is asked, rather than says by itself how it is.
    pub is_asked: bool,
    /// Its timing.
    pub timing: Timing,
    /// Whether it can fail its probe.
    pub required: bool,
    /// The group of which one check has to pass; `None`: it has to pass itself.
    pub any_of: Option<Arc<str>>,
    /// The time that its failure stands at least, once it has passed in the same incarnation; only liveness has this.
    pub hold: Duration,
    /// The secrets that the checks of this sidecar send and refer to, which no reason may show.
    pub secrets: Arc<Secrets>,
}

impl Check {
    /// Returns the state before the first run.
    pub const fn tracker(&self) -> Tracker {
        Tracker::new(self.probe.initial_health(), self.timing.thresholds)
    }
}

#[cfg(test)]
pub mod tests {
    //! A check for those tests that care for little of it.

    use super::*;

    /// Returns a required check of the pod with all defaults, of a target that only its test knows.
    pub fn check(probe: Probe, name: &str) -> Check {
        Check {
            probe,
            name: name.to_owned(),
            target: "scripted".to_owned(),
            container: None,
            is_asked: true,
            timing: Timing::default(),
            required: true,
            any_of: None,
            hold: Duration::ZERO,
            secrets: Arc::default(),
        }
    }
}
