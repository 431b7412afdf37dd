//! The wall clock for what leaves the process; inside it, time is monotonic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// One moment on both clocks, to turn the one into the other.
#[derive(Clone, Copy, Debug)]
pub struct UnixTime {
    monotonic: Instant,
    unix: Duration,
}

impl UnixTime {
    /// The present moment.
    pub fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), unix }
    }

    /// Since 1970.
    pub const fn unix(&self) -> Duration {
        self.unix
    }

    /// An instant as the time since 1970, by the wall clock of now.
    pub fn since_1970(&self, instant: Instant) -> Duration {
        let past = self.monotonic.saturating_duration_since(instant);
        let future = instant.saturating_duration_since(self.monotonic);
        (self.unix + future).saturating_sub(past)
    }

    /// The same in seconds.
    pub fn of(&self, instant: Instant) -> f64 {
        self.since_1970(instant).as_secs_f64()
    }
}
