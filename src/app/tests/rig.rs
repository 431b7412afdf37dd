//! Scripted targets, and a board whose checks try them on a paused clock.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::spawn_checks;
use crate::board::Board;
use crate::check::{Check, Timing};
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::targets::{Attempt, Stage};
use crate::tracker::Thresholds;

/// More runs than any script here has: a schedule that stands still fails its test rather than hangs it.
const TOO_MANY_RUNS: usize = 1000;

/// What one scripted run does.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Pass,
    Fail,
    PassAfter(Duration),
    /// An exchange of so many turns, none of which takes the target long.
    PassInTurns(u32),
    Hang,
}

/// A target whose every run is written down beforehand; the last step repeats.
#[derive(Clone)]
pub(super) struct Script {
    steps: Arc<[Step]>,
    runs: Arc<Mutex<Vec<Instant>>>,
}

impl Script {
    pub(super) fn new(steps: &[Step]) -> Self {
        Self { steps: steps.into(), runs: Arc::default() }
    }

    /// When runs began, in milliseconds since `zero`.
    pub(super) fn began(&self, zero: Instant) -> Vec<u128> {
        self.runs.lock().unwrap().iter().map(|at| at.duration_since(zero).as_millis()).collect()
    }

    fn next(&self) -> Step {
        let mut runs = self.runs.lock().unwrap();
        assert!(runs.len() < TOO_MANY_RUNS, "a burst of runs");
        runs.push(Instant::now());
        self.steps[(runs.len() - 1).min(self.steps.len() - 1)]
    }
}

impl Attempt for Script {
    async fn attempt(&self, _: &Stage) -> Outcome {
        match self.next() {
            Step::Pass => Outcome::Success,
            Step::Fail => Outcome::failure("scripted"),
            Step::PassAfter(time) => {
                sleep(time).await;
                Outcome::Success
            }
            Step::PassInTurns(turns) => {
                for _ in 0..turns {
                    sleep(Duration::from_millis(1)).await;
                }
                Outcome::Success
            }
            Step::Hang => pending().await,
        }
    }

    fn timed_out(&self, _: &Stage, timeout: Duration) -> String {
        format!("timed out after {timeout:?}")
    }
}

/// A board with running checks, and the time at which they began.
pub(super) struct Rig {
    pub(super) board: Board,
    pub(super) zero: Instant,
    pub(super) tasks: JoinSet<Infallible>,
}

impl Rig {
    pub(super) fn start(checks: &[(Check, &Script)]) -> Self {
        let metrics = Metrics::new().unwrap();
        let mut tasks = JoinSet::new();
        let checks = checks.iter().map(|(check, script)| (Arc::new(copy(check)), (*script).clone()));
        let board = spawn_checks(checks.collect(), &metrics, false, &mut tasks);
        Self { board, zero: Instant::now(), tasks }
    }

    /// Waits until just after `millis` since the start.
    pub(super) async fn at(&self, millis: u64) {
        sleep_until(self.zero + Duration::from_millis(millis) + Duration::from_micros(500)).await;
    }

    pub(super) fn passes(&self) -> [bool; 3] {
        Probe::ALL.map(|probe| self.board.passes(probe))
    }

    pub(super) fn reasons(&self, probe: Probe) -> String {
        self.board.verdict(probe, &[]).reasons()
    }
}

pub(super) fn copy(check: &Check) -> Check {
    Check {
        name: check.name.clone(),
        target: check.target.clone(),
        container: check.container.clone(),
        ..*check
    }
}

pub(super) fn check(probe: Probe, name: &str) -> Check {
    Check {
        probe,
        name: name.into(),
        target: "scripted".into(),
        timing: Timing::default(),
        container: None,
        required: true,
    }
}

pub(super) fn timed(probe: Probe, timing: Timing) -> Check {
    Check { timing, ..check(probe, "a") }
}

pub(super) const fn thresholds(success: u32, failure: u32) -> Thresholds {
    Thresholds { success, failure }
}
