//! What a kubelet holds in its memory and loses when it is restarted: what its probe workers have found, and what is to
//! be done next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Container;

use crate::prober::{Kind, Seen, Verdict};
use crate::report::{Release, View};
use crate::state::{Shared, State, Status};

/// A container that is older than the kubelet by this much has survived its restart.
const GRACE_OF_A_RESTART: Duration = Duration::from_secs(10);

pub struct Memory {
    pub release: Release,
    /// Counts the kubelets of this pod, so that a worker of an old one ends.
    pub generation: u32,
    /// When it began; `None`: long before the pod.
    pub began: Option<Instant>,
    /// The workers that there are.
    pub workers: BTreeSet<(String, Kind)>,
    /// What they have published, by the container's id.
    results: BTreeMap<(String, Kind), Verdict>,
    /// Containers whose readiness is to be asked at once.
    pub asked: BTreeSet<String>,
    /// Something has happened that wants a sync.
    pub wake: bool,
    /// A container has been started or has ended since the runtime was asked what runs.
    pub unlisted: bool,
    /// When a container's back-off ends.
    pub resync: Option<Instant>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Release::Carries, 0, None)
    }
}

impl Memory {
    fn new(release: Release, generation: u32, began: Option<Instant>) -> Self {
        Self {
            release,
            generation,
            began,
            workers: BTreeSet::new(),
            results: BTreeMap::new(),
            asked: BTreeSet::new(),
            wake: true,
            unlisted: true,
            resync: None,
        }
    }

    /// Returns the memory of the kubelet after this one, which begins at `began`.
    pub fn lost(&self, release: Release, began: Instant) -> Self {
        Self::new(release, self.generation + 1, Some(began))
    }

    pub fn verdict(&self, status: &Status, kind: Kind) -> Option<Verdict> {
        self.results.get(&(status.id()?, kind)).copied()
    }

    fn is_younger_than(&self, running_since: Option<Instant>) -> bool {
        let (Some(began), Some(since)) = (self.began, running_since) else {
            return false;
        };
        since + GRACE_OF_A_RESTART < began
    }
}

impl State {
    /// Reports the status of every container, as at the beginning of each sync.
    pub fn report(&mut self, containers: &[Container]) {
        let pod_was_ready = containers.iter().all(|one| self.containers[&one.name].reported.ready);
        for container in containers {
            let status = &self.containers[&container.name];
            let workers = self.kubelet.workers.iter().filter(|(name, _)| *name == container.name);
            let view = View {
                release: self.kubelet.release,
                id: status.id(),
                running_since: status.running_since,
                before: &status.reported,
                pod_was_ready,
                is_older_than_the_kubelet: self.kubelet.is_younger_than(status.running_since),
                startup: self.kubelet.verdict(status, Kind::Startup),
                readiness: self.kubelet.verdict(status, Kind::Readiness),
                workers: workers.map(|(_, kind)| *kind).collect(),
                has_readiness_probe: container.readiness_probe.is_some(),
            };
            let (reported, ask_now) = view.report();
            self.container(&container.name).reported = reported;
            if ask_now {
                self.kubelet.asked.insert(container.name.clone());
            }
        }
    }

    fn publish(&mut self, container: &str, id: &String, kind: Kind, verdict: Verdict) {
        if self.kubelet.results.insert((id.clone(), kind), verdict) == Some(verdict) {
            return;
        }
        let reported = &mut self.container(container).reported;
        let is_this_one = reported.id.as_ref() == Some(id);
        match kind {
            Kind::Startup if is_this_one => reported.started = verdict == Verdict::Success,
            Kind::Readiness if is_this_one => reported.ready = verdict == Verdict::Success,
            _ => {}
        }
        self.kubelet.wake |= kind != Kind::Liveness || verdict == Verdict::Failure;
    }
}

impl Shared {
    /// Returns what a probe worker sees of its container; `None` when the kubelet that it belongs to is no more.
    pub fn seen(&self, generation: u32, container: &str) -> Option<Seen> {
        let state = self.lock();
        if state.gone || state.kubelet.generation != generation {
            return None;
        }
        let reported = &state.containers[container].reported;
        let older = state.kubelet.is_younger_than(reported.running_since);
        Some(Seen {
            id: reported.id.clone(),
            running_for: reported.running_since.map(|since| since.elapsed()),
            started: reported.started,
            survived: older && state.kubelet.release == Release::Carries,
            pod_is_deleted: state.deleted.is_some(),
        })
    }

    /// Takes a worker's verdict on the container that it has seen.
    pub fn publish(&self, generation: u32, container: &str, seen: &Seen, kind: Kind, verdict: Verdict) {
        let Some(id) = &seen.id else { return };
        let mut state = self.lock();
        if state.kubelet.generation == generation {
            state.publish(container, id, kind, verdict);
        }
        drop(state);
        self.changed.notify_all();
    }
}
