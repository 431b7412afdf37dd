//! How fast incarnations may follow one another where callers ask for them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// How often callers may begin an incarnation: anybody in the cluster can pretend to be the kubelet, and each
/// one makes all checks run. No container is restarted more often than once a second for long.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    /// When the present ones are paid off, in milliseconds after `began`.
    paid_off: AtomicU64,
}

impl Pace {
    const INTERVAL: u64 = 1000;
    const AT_ONCE: u64 = 10;

    /// Begins with all that is allowed at once.
    pub fn full() -> Self {
        Self { began: Instant::now(), paid_off: AtomicU64::new(0) }
    }

    /// Whether one more may begin now; if so, it counts.
    pub fn allows_another(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let paid_off = self.paid_off.load(Ordering::Relaxed).max(now);
        let is_allowed = paid_off - now < Self::INTERVAL * Self::AT_ONCE;
        if is_allowed {
            self.paid_off.store(paid_off + Self::INTERVAL, Ordering::Relaxed);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_at_once_and_then_one_a_second() {
        let pace = Pace::full();
        let allowed = || (0..100).filter(|_| pace.allows_another()).count();
        assert_eq!(allowed(), 10);
        for (seconds, expected) in [(1, 1), (3, 3), (3600, 10)] {
            advance(Duration::from_secs(seconds)).await;
            assert_eq!(allowed(), expected);
        }
    }
}
