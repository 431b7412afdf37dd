//! The kubelet's probe worker: one per container and probe, for as long as the pod lives. What it decides is here and
//! pure; who runs the probes is in `kubelet.rs`.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;

/// Which of a container's three probes a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Startup,
    Liveness,
    Readiness,
}

/// What a worker has published about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Unknown,
    Success,
    Failure,
}

impl Kind {
    /// What holds of a container before its first probe has counted.
    pub fn initial(self) -> Verdict {
        match self {
            Self::Startup => Verdict::Unknown,
            Self::Liveness => Verdict::Success,
            Self::Readiness => Verdict::Failure,
        }
    }
}

/// What a worker sees of its container at a tick.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub id: Option<String>,
    /// Since when it runs; `None` while it does not.
    pub running_for: Option<Duration>,
    pub started: bool,
    pub pod_is_deleted: bool,
}

/// What a tick comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Tick {
    Wait,
    Probe,
    Publish(Verdict),
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

    /// Decides whether this tick is one to probe at. The delay is looked at here alone, so it ends on a tick.
    pub fn tick(&mut self, seen: &Seen) -> Tick {
        let Some(id) = &seen.id else {
            return Tick::Wait;
        };
        if self.container.as_ref() != Some(id) {
            // A new container ends the rest, but the run of equal results goes on over it.
            self.container = Some(id.clone());
            self.on_hold = false;
        }
        if self.on_hold {
            return Tick::Wait;
        }
        let Some(running_for) = seen.running_for else {
            return Tick::Publish(Verdict::Failure);
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
        if verdict == Verdict::Failure && self.kind != Kind::Readiness {
            // The container will be restarted: nothing to ask until there is another one.
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
            pod_is_deleted: false,
        }
    }

    #[test]
    fn liveness_rests_after_its_failure_until_there_is_a_new_container() {
        let mut worker = worker(Kind::Liveness, 2, 0);
        assert_eq!(worker.tick(&running("a", 0, true)), Tick::Probe);
        assert_eq!(worker.count(false), None);
        assert_eq!(worker.count(false), Some(Verdict::Failure));
        assert_eq!(worker.tick(&running("a", 9, true)), Tick::Wait);
        assert_eq!(worker.tick(&running("b", 0, true)), Tick::Probe);
    }

    #[test]
    fn nothing_but_startup_is_probed_before_the_container_has_started() {
        let (mut startup, mut liveness) = (worker(Kind::Startup, 1, 0), worker(Kind::Liveness, 1, 0));
        assert_eq!(startup.tick(&running("a", 0, false)), Tick::Probe);
        assert_eq!(liveness.tick(&running("a", 0, false)), Tick::Wait);
        assert_eq!(startup.tick(&running("a", 0, true)), Tick::Wait);
        assert_eq!(liveness.tick(&running("a", 0, true)), Tick::Probe);
    }

    #[test]
    fn the_initial_delay_counts_from_the_start_of_the_container() {
        let mut worker = worker(Kind::Readiness, 1, 8);
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
        let verdict = Tick::Publish(Verdict::Failure);
        assert_eq!(worker(Kind::Readiness, 1, 0).tick(&seen), verdict);
    }
}
