//! The wall clock for what leaves the process; inside it, time is monotonic.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Returns the present time since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// One moment on both clocks, to turn the one into the other.
#[derive(Clone, Copy, Debug)]
pub struct UnixTime {
    monotonic: Instant,
    unix: Duration,
}

impl UnixTime {
    /// Returns the present moment.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), unix: now() }
    }

    /// Returns an instant as the time since 1970, by the wall clock of now.
    pub fn since_1970(&self, instant: Instant) -> Duration {
        let past = self.monotonic.saturating_duration_since(instant);
        let future = instant.saturating_duration_since(self.monotonic);
        (self.unix + future).saturating_sub(past)
    }

    /// Returns an instant as the seconds since 1970.
    pub fn of(&self, instant: Instant) -> f64 {
        self.since_1970(instant).as_secs_f64()
    }
}

/// A time of the day in UTC, as people say it: `02:07:35 UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// Whole seconds since midnight.
    second: u64,
}

impl TimeOfDay {
    /// Returns the time of the day at `unix`, the time since 1970.
    pub const fn at(unix: Duration) -> Self {
        Self { second: unix.as_secs() % (24 * 3600) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{hour:02}:{minute:02}:{second:02} UTC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_in_utc() {
        for (unix, expected) in [(0, "00:00:00 UTC"), (7655, "02:07:35 UTC"), (1_700_006_399, "23:59:59 UTC")]
        {
            assert_eq!(TimeOfDay::at(Duration::from_secs(unix)).to_string(), expected);
        }
    }
}
