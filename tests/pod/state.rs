//! What the kubelet knows of a pod: shared between its sync loop, its probe workers and the scenario that looks on.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Container;

use crate::manifest::Manifest;
use crate::podman;
use crate::prober::{Kind, Seen, Verdict};
use crate::recipe::Sandbox;

/// One pod on the node.
pub struct Shared {
    pub name: String,
    pub manifest: Manifest,
    pub sandbox: Sandbox,
    pub addresses: Vec<IpAddr>,
    pub born: Instant,
    pub changed: Condvar,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    pub containers: BTreeMap<String, Status>,
    pub deleted: Option<Instant>,
    /// The last container has ended after the deletion.
    pub gone: bool,
    /// Something has happened that the sync loop does not wait a second for.
    pub wake: bool,
    pub events: Vec<String>,
}

/// One container of the pod, over all its restarts.
#[derive(Clone, Default)]
pub struct Status {
    pub container: Option<podman::Container>,
    pub running_since: Option<Instant>,
    pub attempts: u32,
    pub exit: Option<Exit>,
    /// How long after its next end it is started again.
    pub backoff: Option<Duration>,
    /// What the workers have published: startup, liveness, readiness.
    pub verdicts: [Option<Verdict>; 3],
    /// The container has started, so its readiness is asked at once.
    pub readiness_wanted: bool,
    pub earlier: Vec<podman::Container>,
}

#[derive(Clone, Copy)]
pub struct Exit {
    pub at: Instant,
    pub code: i32,
}

impl Status {
    pub fn verdict(&self, kind: Kind) -> Verdict {
        self.verdicts[kind as usize].unwrap_or(kind.initial())
    }

    /// Whether it runs and has passed its startup probe.
    pub fn started(&self, container: &Container) -> bool {
        let passed = container.startup_probe.is_none() || self.verdict(Kind::Startup) == Verdict::Success;
        self.running_since.is_some() && passed
    }

    pub fn ready(&self, container: &Container) -> bool {
        let passes = container.readiness_probe.is_none() || self.verdict(Kind::Readiness) == Verdict::Success;
        self.started(container) && passes
    }
}

impl Shared {
    pub fn new(name: &str, manifest: Manifest, sandbox: Sandbox, addresses: Vec<IpAddr>) -> Self {
        let mut state = State::default();
        for container in manifest.containers() {
            let status = Status::default();
            state.containers.insert(container.name.clone(), status);
        }
        Self {
            name: name.to_owned(),
            manifest,
            sandbox,
            addresses,
            born: Instant::now(),
            changed: Condvar::new(),
            state: Mutex::new(state),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn status(&self, container: &str) -> Status {
        self.lock().containers[container].clone()
    }

    /// Changes what is known of a container and tells everybody who waits.
    pub fn update(&self, container: &str, change: impl FnOnce(&mut Status)) {
        let mut state = self.lock();
        let status = state.containers.get_mut(container);
        change(status.expect("a container of this pod"));
        drop(state);
        self.changed.notify_all();
    }

    pub fn event(&self, text: &str) {
        let at = self.born.elapsed().as_secs_f32();
        self.lock().events.push(format!("{at:7.2} {text}"));
        self.changed.notify_all();
    }

    /// What a probe worker sees of its container.
    pub fn seen(&self, container: &Container) -> Seen {
        let state = self.lock();
        let status = &state.containers[&container.name];
        Seen {
            id: status.container.as_ref().map(|one| one.id.clone()),
            running_for: status.running_since.map(|since| since.elapsed()),
            started: status.started(container),
            pod_is_deleted: state.deleted.is_some(),
        }
    }

    /// Takes a worker's verdict on a container, unless it has been replaced in the meantime.
    pub fn publish(&self, container: &str, id: Option<&String>, kind: Kind, verdict: Verdict) {
        let mut state = self.lock();
        let status = state.containers.get_mut(container);
        let status = status.expect("a container of this pod");
        if status.container.as_ref().map(|one| &one.id) == id {
            let before = status.verdicts[kind as usize].replace(verdict);
            let news = before != Some(verdict) && kind != Kind::Readiness;
            status.readiness_wanted |= news && kind == Kind::Startup;
            state.wake |= news;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Where the kubelet probes: the pod's first address.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.addresses[0], port)
    }
}
