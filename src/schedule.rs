//! The time of a check's next run: the kubelet's ticker (`time.Ticker`) as a pure calculation.

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

    /// Returns when the next run is due; a time that has passed means at once.
    pub const fn due(self) -> Instant {
        self.due
    }

    /// Goes on with the grid of an earlier worker: the next tick that has not passed.
    #[must_use]
    pub fn resumed(self, now: Instant, period: Duration) -> Self {
        let missed = ticks(self.due, now, period);
        let due = self.due + period * missed;
        Self { due: if due < now { due + period } else { due } }
    }

    /// Moves on after a run that began and ended at the given times.
    ///
    /// One tick that fell into the run is kept, so that the next run begins at once; further ones, and those
    /// that a late beginning missed, are dropped, as a ticker with room for one tick does. The grid itself
    /// does not move.
    #[must_use]
    pub fn after_run(self, began: Instant, ended: Instant, period: Duration) -> Self {
        let run = self.due + period * ticks(self.due, began, period);
        Self { due: run + period * ticks(run, ended, period).max(1) }
    }
}

/// Returns how many whole periods lie between `from` and `to`.
fn ticks(from: Instant, to: Instant, period: Duration) -> u32 {
    let elapsed = to.saturating_duration_since(from).as_nanos();
    u32::try_from(elapsed / period.as_nanos().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Schedule;

    /// Returns the due times for runs that begin and end at the given times, all in milliseconds.
    fn dues(period: u64, runs: &[(u64, u64)]) -> Vec<u128> {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let mut schedule = Schedule::starting(zero);
        let due = |&(began, ended): &(u64, u64)| {
            schedule = schedule.after_run(at(began), at(ended), Duration::from_millis(period));
            (schedule.due() - zero).as_millis()
        };
        runs.iter().map(due).collect()
    }

    #[test]
    fn keeps_the_grid_however_long_runs_take() {
        assert_eq!(dues(1000, &[(0, 1), (1001, 1999), (2000, 2500)]), [1000, 2000, 3000]);
    }

    #[test]
    fn keeps_one_tick_of_an_overrun_and_drops_the_rest() {
        assert_eq!(dues(1000, &[(0, 3300), (3300, 3301)]), [3000, 4000]);
    }

    #[test]
    fn after_a_stall_runs_once_and_returns_to_the_grid() {
        assert_eq!(dues(10, &[(30_004, 30_005), (30_010, 30_011)]), [30_010, 30_020]);
    }

    #[test]
    fn a_run_that_ends_on_a_tick_is_followed_by_that_tick() {
        assert_eq!(dues(1000, &[(0, 1000), (1000, 1500)]), [1000, 2000]);
    }

    #[test]
    fn a_new_worker_keeps_the_grid_of_the_one_before() {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        for (due, now, expected) in
            [(5000, 1000, 5000), (5000, 5000, 5000), (5000, 5001, 6000), (5000, 7999, 8000)]
        {
            let resumed = Schedule::starting(at(due)).resumed(at(now), Duration::from_secs(1));
            assert_eq!(resumed.due(), at(expected), "{due} at {now}");
        }
    }

    #[test]
    fn a_long_absence_does_not_overflow() {
        let zero = Instant::now();
        let late = zero + Duration::from_secs(400 * 24 * 3600);
        let next = Schedule::starting(zero).after_run(late, late, Duration::from_millis(10));
        assert!(next.due() > late && next.due() - late <= Duration::from_millis(10));
    }
}
