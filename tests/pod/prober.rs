//! The kubelet's probe worker: one per container and probe, for as long as the kubelet and the pod live. What it decides
//! is here and pure; who runs the probes is in `probing.rs`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

/// Which of a container's three probes a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Startup,
    Liveness,
    Readiness,
}

/// Returns the probes that a container has, in the order in which their workers are started.
pub fn probes(container: &Container) -> impl Iterator<Item = (Kind, &Probe)> {
    let probes = [
        (Kind::Startup, &container.startup_probe),
        (Kind::Readiness, &container.readiness_probe),
        (Kind::Liveness, &container.liveness_probe),
    ];
    probes.into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)))
}

/// A worker's published verdict on a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Unknown,
    Success,
    Failure,
}

impl Kind {
    /// Returns what holds of a container before its first probe has counted.
    pub fn initial(self) -> Verdict {
        match self {
            Self::Startup => Verdict::Unknown,
            Self::Liveness => Verdict::Success,
            Self::Readiness => Verdict::Failure,
        }
    }
}

/// A worker's view of its container at a tick: what the kubelet has reported, which may be a second old.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub id: Option<String>,
    /// Since when it runs; `None` while it does not.
    pub running_for: Option<Duration>,
    pub started: bool,
    /// It ran before this kubelet began, and this kubelet leaves such a container as it was.
    pub survived: bool,
    pub pod_is_deleted: bool,
}

/// The outcome of a tick.
#[derive(Debug, PartialEq, Eq)]
pub enum Tick {
    Wait,
    Probe,
    /// The container does not run: the verdict on it is a failure.
    Fail,
    /// The pod is being deleted: the verdict is a success, and the worker's last.
    End,
}

pub struct Worker {
    kind: Kind,
    delay: Duration,
    failure_threshold: i32,
    success_threshold: i32,
    container: Option<String>,
    on_hold: bool,
    last: Option<bool>,
    run: i32,
}

impl Worker {
    pub fn new(kind: Kind, probe: &Probe) -> Self {
        let delay = probe.initial_delay_seconds.unwrap_or(0);
        Self {
            kind,
            delay: Duration::from_secs(delay.try_into().expect("a delay is not negative")),
            failure_threshold: probe.failure_threshold.unwrap_or(3),
            success_threshold: probe.success_threshold.unwrap_or(1),
            container: None,
            on_hold: false,
            last: None,
            run: 0,
        }
    }

    /// Notices a container that is another one and returns the verdict that holds of it until a probe has counted. Of
    /// one that has survived the kubelet nothing is said. A new container ends the rest, but the run of equal results
    /// goes on over it.
    pub fn meet(&mut self, seen: &Seen) -> Option<Verdict> {
        if seen.id.is_none() || self.container == seen.id {
            return None;
        }
        self.container.clone_from(&seen.id);
        self.on_hold = false;
        (!seen.survived).then(|| self.kind.initial())
    }

    /// Decides whether this tick is one to probe at. The delay is looked at on ticks only, so it ends on one.
    pub fn tick(&self, seen: &Seen) -> Tick {
        if seen.id.is_none() || self.on_hold {
            return Tick::Wait;
        }
        let Some(running_for) = seen.running_for else {
            return Tick::Fail;
        };
        if seen.pod_is_deleted && self.kind != Kind::Readiness {
            return Tick::End;
        }
        let due = running_for.as_secs() >= self.delay.as_secs();
        if due && seen.started != (self.kind == Kind::Startup) { Tick::Probe } else { Tick::Wait }
    }

    /// Counts a result; the answer is what has to be published, if this one reached its threshold.
    pub fn count(&mut self, success: bool) -> Option<Verdict> {
        if self.last == Some(success) {
            self.run += 1;
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let (threshold, verdict) = if success {
            (self.success_threshold, Verdict::Success)
        } else {
            (self.failure_threshold, Verdict::Failure)
        };
        if self.run < threshold {
            return None;
        }
        if self.kind == Kind::Startup || (self.kind == Kind::Liveness && verdict == Verdict::Failure) {
            // Nothing to ask until there is another container.
            self.on_hold = true;
            self.run = 0;
        }
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(kind: Kind, failures: i32, delay: i32) -> Worker {
        let probe = Probe {
            failure_threshold: Some(failures),
            initial_delay_seconds: Some(delay),
            ..Probe::default()
        };
        Worker::new(kind, &probe)
    }

    fn running(id: &str, seconds: u64, started: bool) -> Seen {
        Seen {
            id: Some(id.to_owned()),
            running_for: Some(Duration::from_secs(seconds)),
            started,
            ..Seen::default()
        }
    }

    #[test]
    fn liveness_rests_after_its_failure_until_there_is_a_new_container() {
        let mut worker = worker(Kind::Liveness, 2, 0);
        assert_eq!(worker.meet(&running("a", 0, true)), Some(Verdict::Success));
        assert_eq!(worker.tick(&running("a", 0, true)), Tick::Probe);
        assert_eq!(worker.count(false), None);
        assert_eq!(worker.count(false), Some(Verdict::Failure));
        assert_eq!(worker.meet(&running("a", 9, true)), None);
        assert_eq!(worker.tick(&running("a", 9, true)), Tick::Wait);
        assert_eq!(worker.meet(&running("b", 0, true)), Some(Verdict::Success));
        assert_eq!(worker.tick(&running("b", 0, true)), Tick::Probe);
    }

    #[test]
    fn startup_rests_after_its_success_too() {
        let mut worker = worker(Kind::Startup, 3, 0);
        assert_eq!(worker.meet(&running("a", 0, false)), Some(Verdict::Unknown));
        assert_eq!(worker.count(true), Some(Verdict::Success));
        assert_eq!(worker.tick(&running("a", 1, false)), Tick::Wait);
    }

    #[test]
    fn nothing_but_startup_is_probed_before_the_container_has_started() {
        let (startup, liveness) = (worker(Kind::Startup, 1, 0), worker(Kind::Liveness, 1, 0));
        assert_eq!(startup.tick(&running("a", 0, false)), Tick::Probe);
        assert_eq!(liveness.tick(&running("a", 0, false)), Tick::Wait);
        assert_eq!(startup.tick(&running("a", 0, true)), Tick::Wait);
        assert_eq!(liveness.tick(&running("a", 0, true)), Tick::Probe);
    }

    #[test]
    fn the_initial_delay_counts_from_the_start_of_the_container() {
        let worker = worker(Kind::Readiness, 1, 8);
        assert_eq!(worker.tick(&running("a", 7, true)), Tick::Wait);
        assert_eq!(worker.tick(&running("a", 8, true)), Tick::Probe);
        assert_eq!(worker.tick(&running("b", 1, true)), Tick::Wait);
    }

    #[test]
    fn one_success_ends_a_run_of_failures() {
        let mut worker = worker(Kind::Readiness, 3, 0);
        let results = [true, false, false, true, false, false, false];
        let published: Vec<_> = results.map(|result| worker.count(result)).into();
        let success = Some(Verdict::Success);
        assert_eq!(published, [success, None, None, success, None, None, Some(Verdict::Failure)]);
    }

    #[test]
    fn of_a_deleted_pod_only_readiness_is_asked() {
        let mut seen = running("a", 9, true);
        seen.pod_is_deleted = true;
        assert_eq!(worker(Kind::Liveness, 1, 0).tick(&seen), Tick::End);
        assert_eq!(worker(Kind::Readiness, 1, 0).tick(&seen), Tick::Probe);
    }

    #[test]
    fn a_container_that_has_ended_is_a_failure() {
        let mut seen = running("a", 9, true);
        seen.running_for = None;
        assert_eq!(worker(Kind::Readiness, 1, 0).tick(&seen), Tick::Fail);
    }

    #[test]
    fn of_a_container_that_has_survived_the_kubelet_nothing_is_said() {
        let mut seen = running("a", 60, true);
        seen.survived = true;
        assert_eq!(worker(Kind::Readiness, 1, 0).meet(&seen), None);
        assert_eq!(worker(Kind::Startup, 1, 0).tick(&seen), Tick::Wait);
    }
}
