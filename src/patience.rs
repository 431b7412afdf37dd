//! The longest time until the kubelet acts: pure arithmetic, natively and with the sidecar between.

use std::time::Duration;

use crate::grammar::Timing;

/// The kubelet's questions to `/livez` as shipped: 15 s from the first to the fourth, for two crashes of a sidecar.
pub const LIVEZ: Asking = Asking { period: Duration::from_secs(5), failures: 4 };

/// The kubelet's questions to `/readyz` as shipped.
pub const READYZ: Asking = Asking { period: Duration::from_secs(2), failures: 1 };

/// The pace of the kubelet's questions to the sidecar, whose answers come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Between two questions.
    pub period: Duration,
    /// The bad answers in a row that decide.
    pub failures: u32,
}

impl Asking {
    /// Returns how long it takes at the most until bad answers have decided.
    pub fn until_decided(self) -> Duration {
        self.period * self.failures
    }
}

/// Returns how long it takes at the most until failures have decided, after an app stopped answering: it stops
/// just after a run that passed, and every further one takes its whole timeout.
pub fn until_failed(timing: &Timing) -> Duration {
    let between = timing.unhealthy_period.unwrap_or(timing.period).max(timing.timeout);
    timing.period + between * (timing.thresholds.failure - 1) + timing.timeout
}

/// Returns the same where the kubelet asks the sidecar that runs the check.
pub fn until_relayed(check: &Timing, asking: Asking) -> Duration {
    until_failed(check) + asking.until_decided()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Thresholds;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn timing(delay: u64, period: u64, timeout: u64, success: u32, failure: u32) -> Timing {
        Timing {
            initial_delay: seconds(delay),
            period: seconds(period),
            timeout: seconds(timeout),
            thresholds: Thresholds { success, failure },
            unhealthy_period: None,
        }
    }

    #[test]
    fn the_kubelets_defaults_act_after_31_seconds_and_with_a_sidecar_after_51() {
        assert_eq!(until_failed(&Timing::default()), seconds(31));
        assert_eq!(until_relayed(&Timing::default(), LIVEZ), seconds(51));
        assert_eq!(until_relayed(&Timing::default(), READYZ), seconds(33));
    }

    #[test]
    fn a_run_that_takes_longer_than_the_period_holds_the_next_one_back() {
        assert_eq!(until_failed(&timing(0, 2, 5, 1, 3)), seconds(2 + 5 + 5 + 5));
        let mut quick = timing(0, 10, 1, 1, 3);
        quick.unhealthy_period = Some(seconds(2));
        assert_eq!(until_failed(&quick), seconds(10 + 2 + 2 + 1));
    }
}
