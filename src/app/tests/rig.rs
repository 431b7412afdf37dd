//! Scripted targets with scripted witnesses, and a pod whose checks try them on a paused clock.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::assemble::assemble;
pub(super) use crate::check::tests::check;
use crate::check::{Check, Timing};
use crate::life::StartupPath;
use crate::memory::{Clock, Memory};
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::pod::{Pod, Scope};
use crate::probe::Probe;
use crate::snapshot;
use crate::targets::{Attempt, Stage};
use crate::tracker::Thresholds;
use crate::witness::{Listeners, Sight, Witness};

/// More runs than any script here has: a schedule that stands still fails its test rather than hangs it.
const TOO_MANY_RUNS: usize = 1000;

/// The result of one scripted run.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Pass,
    Fail,
    PassAfter(Duration),
    /// An exchange of so many turns, none of which takes the target long.
    PassInTurns(u32),
    Hang,
    /// The failure of a run while the witness is missing; it is no step of a script.
    Refuse,
}

/// A target whose every run is written down beforehand; the last step repeats.
#[derive(Clone)]
pub(super) struct Script {
    steps: Arc<[Step]>,
    runs: Arc<Mutex<Vec<Instant>>>,
    sight: Arc<Mutex<Sight>>,
}

impl Script {
    pub(super) fn new(steps: &[Step]) -> Self {
        Self { steps: steps.into(), runs: Arc::default(), sight: Arc::new(Mutex::new(Sight::Unwitnessed)) }
    }

    /// Returns a script whose witness is not there yet.
    pub(super) fn witnessed(steps: &[Step]) -> Self {
        let script = Self::new(steps);
        script.close();
        script
    }

    /// Shows a socket of this number that listens, from now on.
    pub(super) fn listen(&self, inode: u64) {
        *self.sight.lock().unwrap() = Sight::There(Witness::Sockets([inode].into()));
    }

    /// Shows no socket, from now on, and refuses every run.
    pub(super) fn close(&self) {
        *self.sight.lock().unwrap() = Sight::Missing;
    }

    /// Returns when runs began, in milliseconds since `zero`.
    pub(super) fn began(&self, zero: Instant) -> Vec<u128> {
        self.runs.lock().unwrap().iter().map(|at| at.duration_since(zero).as_millis()).collect()
    }

    fn next(&self) -> Step {
        let mut runs = self.runs.lock().unwrap();
        if *self.sight.lock().unwrap() == Sight::Missing {
            return Step::Refuse;
        }
        assert!(runs.len() < TOO_MANY_RUNS, "a burst of runs");
        runs.push(Instant::now());
        self.steps[(runs.len() - 1).min(self.steps.len() - 1)]
    }
}

impl Attempt for Script {
    async fn attempt(&self, _: &Stage<'_>) -> Outcome {
        match self.next() {
            Step::Pass => Outcome::Success,
            Step::Fail => Outcome::failure("scripted"),
            Step::Refuse => Outcome::failure("connection refused"),
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

    fn timed_out(&self, _: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(format!("timed out after {timeout:?}"))
    }

    fn sight(&self, _: &Listeners) -> Sight {
        self.sight.lock().unwrap().clone()
    }
}

/// A pod with running checks, and the time at which they began.
pub(super) struct Rig {
    pub(super) pod: Arc<Pod>,
    pub(super) zero: Instant,
    pub(super) tasks: JoinSet<Infallible>,
    checks: Vec<(Check, Script)>,
    memory: std::fs::File,
}

impl Rig {
    pub(super) fn start(checks: &[(Check, &Script)]) -> Self {
        let checks = checks.iter().map(|(check, script)| (check.clone(), (*script).clone()));
        Self::worker(checks.collect(), snapshot::memory().unwrap(), Instant::now())
    }

    /// Kills the worker and starts the next one, which goes on from what the last one knew.
    pub(super) async fn replaced(mut self) -> Self {
        self.tasks.shutdown().await;
        Self::worker(self.checks, self.memory, self.zero)
    }

    fn worker(checks: Vec<(Check, Script)>, memory: std::fs::File, zero: Instant) -> Self {
        let metrics = Metrics::new().unwrap();
        let clock = Clock { instant: zero, monotonic: Duration::from_secs(3600) };
        let known = Memory::open(memory.try_clone().unwrap(), clock, checks.iter().map(|(check, _)| check));
        let configured = checks.iter().cloned().map(|(check, script)| (Arc::new(check), script)).collect();
        let (pod, runners) = assemble(configured, &known, &metrics.schedule_delay);
        let pod = Arc::new(pod);
        let mut tasks = JoinSet::new();
        for runner in runners {
            tasks.spawn(runner.run());
        }
        tasks.spawn(Arc::clone(&pod).look_out());
        Self { pod, zero, tasks, checks, memory }
    }

    /// Waits until just after `millis` since the start.
    pub(super) async fn at(&self, millis: u64) {
        sleep_until(self.zero + Duration::from_millis(millis) + Duration::from_micros(500)).await;
    }

    pub(super) fn passes(&self) -> [bool; 3] {
        Probe::ALL.map(|probe| self.pod.passes(probe, Scope::Pod))
    }

    /// Returns what one probe of one container says.
    pub(super) fn of(&self, container: &str, probe: Probe) -> bool {
        self.pod.passes(probe, self.pod.scope_of(container).expect("a container"))
    }

    pub(super) fn reasons(&self, probe: Probe) -> String {
        self.pod.verdict(probe, Scope::Pod, &[]).reasons()
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.pod.incarnation(0).number
    }

    /// Asks a probe of the whole pod as the kubelet does, and returns whether it passes.
    pub(super) fn kubelet(&self, probe: Probe) -> bool {
        self.kubelet_of(Scope::Pod, probe)
    }

    pub(super) fn kubelet_of(&self, scope: Scope, probe: Probe) -> bool {
        let path = (probe == Probe::Startup).then_some(StartupPath::Whole);
        self.pod.kubelet_asks(scope, path);
        let passes = self.pod.passes(probe, scope);
        if let Some(path) = path.filter(|_| passes) {
            self.pod.kubelet_told(scope, path);
        }
        passes
    }
}

pub(super) fn timed(probe: Probe, timing: Timing) -> Check {
    Check { timing, ..check(probe, "a") }
}

pub(super) const fn thresholds(success: u32, failure: u32) -> Thresholds {
    Thresholds { success, failure }
}
