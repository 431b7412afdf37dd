//! The last runs of a check, in one kilobyte that is taken with the first of them.

use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use crate::outcome::Kind;

/// The number of runs that are remembered.
pub const MAX_HISTORY_RUNS: usize = 60;

/// A run as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastRun {
    /// When it began, to a microsecond.
    pub began: Instant,
    /// How long it took, to a microsecond and up to an hour.
    pub duration: Duration,
    /// The kind of its outcome.
    pub kind: Kind,
}

/// The last [`MAX_HISTORY_RUNS`] runs; nothing before the first.
#[derive(Clone, Debug, Default)]
pub struct History(Option<Box<Ring>>);

/// The runs one after another, the next in the place of the oldest.
#[derive(Clone, Debug)]
struct Ring {
    /// When the first of all began.
    first: Instant,
    /// The number of all so far.
    count: usize,
    runs: [Packed; MAX_HISTORY_RUNS],
}

/// A run in sixteen bytes.
#[derive(Clone, Copy, Debug)]
struct Packed {
    /// When it began after the first of all, in microseconds.
    began: u64,
    /// How long it took, in microseconds.
    duration: u32,
    kind: Kind,
}

impl History {
    /// Remembers a run, and forgets the oldest where there is no more room.
    pub fn push(&mut self, run: &Run) {
        self.0.get_or_insert_with(|| Box::new(Ring::new(run.began))).push(run);
    }

    /// Returns the runs, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = PastRun> {
        self.0.iter().flat_map(|ring| ring.iter())
    }
}

impl Ring {
    const fn new(first: Instant) -> Self {
        Self {
            first,
            count: 0,
            runs: [Packed { began: 0, duration: 0, kind: Kind::Success }; MAX_HISTORY_RUNS],
        }
    }

    fn push(&mut self, run: &Run) {
        let began = micros(run.began.saturating_duration_since(self.first));
        let duration = u32::try_from(micros(run.duration)).unwrap_or(u32::MAX);
        self.runs[self.count % MAX_HISTORY_RUNS] = Packed { began, duration, kind: run.outcome.kind() };
        self.count += 1;
    }

    fn iter(&self) -> impl Iterator<Item = PastRun> {
        let oldest = self.count.saturating_sub(MAX_HISTORY_RUNS);
        (oldest..self.count).map(|place| {
            let Packed { began, duration, kind } = self.runs[place % MAX_HISTORY_RUNS];
            let began = self.first + Duration::from_micros(began);
            PastRun { began, duration: Duration::from_micros(duration.into()), kind }
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    #[test]
    fn the_last_sixty_stay_and_the_oldest_comes_first() {
        let first = Instant::now();
        let mut history = History::default();
        assert_eq!(history.iter().count(), 0);
        for number in 0..150 {
            let outcome = if number % 2 == 0 { Outcome::Success } else { Outcome::failure("no") };
            let began = first + Duration::from_secs(number);
            history.push(&Run { began, duration: Duration::from_millis(number), outcome, said: None });
            let remembered: Vec<_> = history.iter().collect();
            assert_eq!(remembered.len(), MAX_HISTORY_RUNS.min(usize::try_from(number).unwrap() + 1));
            let kind = if number % 2 == 0 { Kind::Success } else { Kind::Failure };
            let newest = PastRun { began, duration: Duration::from_millis(number), kind };
            assert_eq!(remembered.last(), Some(&newest));
            let oldest = first + Duration::from_secs(number.saturating_sub(59));
            assert_eq!(remembered[0].began, oldest);
        }
    }

    #[test]
    fn a_long_run_and_a_long_life_are_cut_and_not_wrong() {
        let first = Instant::now();
        let year = Duration::from_secs(365 * 24 * 3600);
        let mut history = History::default();
        for began in [first, first + year] {
            history.push(&Run { began, duration: year, outcome: Outcome::Success, said: None });
        }
        let remembered: Vec<_> = history.iter().map(|run| (run.began, run.duration.as_secs())).collect();
        assert_eq!(remembered, [(first, 4294), (first + year, 4294)]);
    }
}
