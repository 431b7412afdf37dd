//! The pace at which incarnations may follow one another where callers ask for them.

use std::time::Duration;

use tokio::time::Instant;

/// The pace at which mere questions may begin incarnations: anybody in the cluster can pretend to be the kubelet, and
/// each incarnation makes all checks run. No container is restarted more often than once a second for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// When the present ones are paid off.
    paid_off: Instant,
}

impl Pace {
    const INTERVAL: Duration = Duration::from_secs(1);
    const MAX_AT_ONCE: u32 = 10;

    /// Begins with all that is allowed at once.
    pub const fn full(now: Instant) -> Self {
        Self { paid_off: now }
    }

    /// Returns whether one more may begin now; if so, it counts.
    pub fn allows(&mut self, now: Instant) -> bool {
        let paid_off = self.paid_off.max(now);
        let is_allowed = paid_off - now < Self::INTERVAL * Self::MAX_AT_ONCE;
        if is_allowed {
            self.paid_off = paid_off + Self::INTERVAL;
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_a_second() {
        let mut now = Instant::now();
        let mut pace = Pace::full(now);
        let mut allowed = |now| (0..100).filter(|_| pace.allows(now)).count();
        assert_eq!(allowed(now), 10);
        for (seconds, expected) in [(1, 1), (3, 3), (3600, 10)] {
            now += Duration::from_secs(seconds);
            assert_eq!(allowed(now), expected);
        }
    }
}
