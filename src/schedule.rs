//! When a check runs next: the kubelet's ticker (`time.Ticker`) as a pure calculation.

use std::time::Duration;

use tokio::time::Instant;

/// The grid of a check's due times, without drift, overlap or bursts.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    due: Instant,
}

impl Schedule {
    /// Begins a grid whose first run is due at `first`.
    pub const fn starting(first: Instant) -> Self {
        Self { due: first }
    }

    /// When the next run is due; a time that has passed means at once.
    pub const fn due(self) -> Instant {
        self.due
    }

    /// Moves on by one period after a run that ended at `now`.
    ///
    /// One tick that fell into the run is kept, so that the next run begins at once; further ones are
    /// dropped, as a ticker with room for one tick does. The grid itself does not move.
    #[must_use]
    pub fn after_run(self, now: Instant, period: Duration) -> Self {
        let elapsed = now.saturating_duration_since(self.due).as_nanos();
        let passed = u32::try_from(elapsed / period.as_nanos().max(1)).unwrap_or(u32::MAX);
        Self { due: self.due + period * passed.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Schedule;

    /// Due times in milliseconds for runs that end at the given times.
    fn dues(period: u64, ends: &[u64]) -> Vec<u128> {
        let zero = Instant::now();
        let mut schedule = Schedule::starting(zero);
        let due = |end: &u64| {
            schedule = schedule.after_run(zero + Duration::from_millis(*end), Duration::from_millis(period));
            (schedule.due() - zero).as_millis()
        };
        ends.iter().map(due).collect()
    }

    #[test]
    fn keeps_the_grid_however_long_runs_take() {
        assert_eq!(dues(1000, &[1, 1999, 2500]), [1000, 2000, 3000]);
    }

    #[test]
    fn keeps_one_tick_of_an_overrun_and_drops_the_rest() {
        assert_eq!(dues(1000, &[3300, 3301]), [3000, 4000]);
    }

    #[test]
    fn after_a_stall_runs_once_and_returns_to_the_grid() {
        assert_eq!(dues(10, &[30_004, 30_005, 30_011]), [30_000, 30_010, 30_020]);
    }

    #[test]
    fn a_run_that_ends_on_a_tick_is_followed_by_that_tick() {
        assert_eq!(dues(1000, &[1000, 1500]), [1000, 2000]);
    }

    #[test]
    fn a_long_absence_does_not_overflow() {
        let zero = Instant::now();
        let late = zero + Duration::from_secs(400 * 24 * 3600);
        let next = Schedule::starting(zero).after_run(late, Duration::from_millis(10));
        assert!(next.due() <= late && late - next.due() < Duration::from_millis(10));
    }
}
