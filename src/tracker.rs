//! The pure state machine of a check: thresholds and a streak give healthy or unhealthy.
//!
//! It counts as the kubelet's worker does (`pkg/kubelet/prober/worker.go`, `doProbe`). No I/O, no clock.

/// The state of a check after its thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
}

impl Health {
    /// Returns the label value in metrics and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The equal results in a row that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Consecutive successes that make a check healthy; at least 1.
    pub success: u32,
    /// Consecutive failures that make a check unhealthy; at least 1.
    pub failure: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { success: 1, failure: 3 }
    }
}

impl Thresholds {
    const fn of(self, passed: bool) -> u32 {
        if passed { self.success } else { self.failure }
    }
}

/// The effect of one more result on the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: below the threshold, or already decided so.
    None,
    /// The first verdict agrees with the initial state.
    Confirmed,
    /// The state is now the other one.
    Flipped,
}

/// The state of one check in one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracker {
    thresholds: Thresholds,
    health: Health,
    decided: bool,
    passing: bool,
    streak: u32,
}

impl Tracker {
    /// Returns the tracker of a check that has not run yet.
    pub const fn new(initial: Health, thresholds: Thresholds) -> Self {
        Self { thresholds, health: initial, decided: false, passing: false, streak: 0 }
    }

    /// Returns the tracker of a check that goes on where an earlier worker was.
    pub const fn resume(
        thresholds: Thresholds,
        health: Health,
        decided: bool,
        passing: bool,
        streak: u32,
    ) -> Self {
        Self { thresholds, health, decided, passing, streak }
    }

    /// Counts one result.
    pub fn record(&mut self, passed: bool) -> Change {
        self.streak = if self.passing == passed { self.streak.saturating_add(1) } else { 1 };
        self.passing = passed;
        if self.streak < self.thresholds.of(passed) {
            return Change::None;
        }
        let health = if passed { Health::Healthy } else { Health::Unhealthy };
        let change = match (self.health == health, self.decided) {
            (false, _) => Change::Flipped,
            (true, false) => Change::Confirmed,
            (true, true) => Change::None,
        };
        self.health = health;
        self.decided = true;
        change
    }

    /// Returns the state after thresholds.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// Returns whether the state is healthy.
    pub const fn is_healthy(&self) -> bool {
        matches!(self.health, Health::Healthy)
    }

    /// Returns whether a threshold has been reached, rather than the initial state still standing.
    pub const fn is_decided(&self) -> bool {
        self.decided
    }

    /// Returns how many equal results came last, 0 before the first.
    pub const fn streak(&self) -> u32 {
        self.streak
    }

    /// Returns whether the last result was a success; `false` before the first.
    pub const fn is_passing(&self) -> bool {
        self.passing
    }

    /// Returns the threshold that the present streak works towards.
    pub const fn streak_threshold(&self) -> u32 {
        self.thresholds.of(self.passing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Health, Thresholds, Tracker};

    const NATIVE: Thresholds = Thresholds { success: 1, failure: 3 };

    /// Feeds `S` and `F` and returns the state after each: `H` or `U`.
    fn states(initial: Health, thresholds: Thresholds, results: &str) -> String {
        let mut tracker = Tracker::new(initial, thresholds);
        let state = |passed| {
            tracker.record(passed);
            if tracker.is_healthy() { 'H' } else { 'U' }
        };
        results.chars().map(|result| result == 'S').map(state).collect()
    }

    /// The cases of the kubelet's `TestFailureThreshold`, `TestSuccessThreshold` and
    /// `TestInitialDelay` (`pkg/kubelet/prober/worker_test.go`).
    #[test]
    fn counts_as_the_kubelets_worker() {
        use Health::{Healthy, Unhealthy};
        let successes = |success| Thresholds { success, failure: 1 };
        let cases = [
            ("failure_threshold", Healthy, NATIVE, "SSSFFF", "HHHHHU"),
            ("failure_threshold_again", Healthy, NATIVE, "SFFSFFF", "HHHHHHU"),
            ("one_success_flips_back", Healthy, NATIVE, "FFFFS", "HHUUH"),
            ("success_threshold", Unhealthy, successes(3), "SSSS", "UUHH"),
            ("success_threshold_is_consecutive", Unhealthy, successes(3), "SSFSSS", "UUUUUH"),
            ("failure_threshold_one", Healthy, successes(1), "FSF", "UHU"),
            ("initial_liveness", Healthy, NATIVE, "", ""),
            ("initial_readiness_stays_below_threshold", Unhealthy, NATIVE, "FF", "UU"),
        ];
        for (name, initial, thresholds, results, expected) in cases {
            assert_eq!(states(initial, thresholds, results), expected, "{name}");
        }
    }

    #[test]
    fn first_verdict_is_confirmed_once_and_later_ones_flip() {
        let mut tracker = Tracker::new(Health::Unhealthy, NATIVE);
        let changes: Vec<_> = "FFFFSFFFS".chars().map(|c| tracker.record(c == 'S')).collect();
        assert_eq!(
            changes.iter().map(|change| format!("{change:?}")).collect::<Vec<_>>().join(" "),
            "None None Confirmed None Flipped None None Flipped Flipped"
        );
    }

    #[test]
    fn streak_counts_towards_the_threshold_of_its_kind() {
        let mut tracker = Tracker::new(Health::Healthy, NATIVE);
        assert_eq!((tracker.streak(), tracker.is_decided()), (0, false));
        tracker.record(false);
        tracker.record(false);
        assert_eq!((tracker.streak(), tracker.streak_threshold()), (2, 3));
        tracker.record(true);
        assert_eq!((tracker.streak(), tracker.streak_threshold()), (1, 1));
        assert!(tracker.is_passing() && tracker.is_decided());
    }

    /// Models `kubelet.md` section 1, word for word: the state is what the longest tail of equal results that reached
    /// its threshold last said; before that it is the initial one.
    fn model(initial: Health, thresholds: Thresholds, results: &[bool]) -> Health {
        let mut published = initial;
        for end in 1..=results.len() {
            let result = results[end - 1];
            let run = results[..end].iter().rev().take_while(|&&other| other == result).count();
            let (threshold, verdict) = if result {
                (thresholds.success, Health::Healthy)
            } else {
                (thresholds.failure, Health::Unhealthy)
            };
            if run >= threshold as usize {
                published = verdict;
            }
        }
        published
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_model(
            initially_healthy: bool,
            success in 1u32..6,
            failure in 1u32..6,
            results in proptest::collection::vec(any::<bool>(), 0..60),
        ) {
            let initial = if initially_healthy { Health::Healthy } else { Health::Unhealthy };
            let thresholds = Thresholds { success, failure };
            let mut tracker = Tracker::new(initial, thresholds);
            for end in 0..=results.len() {
                prop_assert_eq!(tracker.health(), model(initial, thresholds, &results[..end]));
                if let Some(&result) = results.get(end) {
                    tracker.record(result);
                }
            }
        }
    }
}
