//! A pod on its node: what the runtime has, what the API says, and what the kubelet holds in its memory. Shared between
//! the sync loop, the probe workers and the scenario that looks on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::answers::Answer;
use crate::manifest::Manifest;
use crate::memory::Memory;
use crate::podman;
use crate::recipe::Sandbox;
use crate::report::Reported;

/// One pod on the node.
pub struct Shared {
    pub name: String,
    pub manifest: Manifest,
    pub sandbox: Sandbox,
    pub born: Instant,
    pub born_at: SystemTime,
    pub changed: Condvar,
    pub threads: Mutex<Vec<JoinHandle<()>>>,
    state: Mutex<State>,
}

pub struct State {
    pub kubelet: Memory,
    pub containers: BTreeMap<String, Status>,
    pub deleted: Option<Instant>,
    /// The last container has ended after the deletion.
    pub gone: bool,
    pub events: Vec<String>,
    pub answers: Vec<Answer>,
}

/// One container of the pod, over all its restarts.
#[derive(Clone, Default)]
pub struct Status {
    pub container: Option<podman::Container>,
    /// Since when it runs, as the runtime was last heard.
    pub running_since: Option<Instant>,
    pub attempts: u32,
    pub exit: Option<Exit>,
    /// How long after its next end it is started again.
    pub backoff: Option<Duration>,
    pub reported: Reported,
    pub earlier: Vec<podman::Container>,
}

#[derive(Clone, Copy)]
pub struct Exit {
    pub at: Instant,
    pub code: i32,
}

impl Status {
    pub fn id(&self) -> Option<String> {
        self.container.as_ref().map(|one| one.id.clone())
    }
}

impl Shared {
    pub fn new(name: &str, manifest: Manifest, sandbox: Sandbox) -> Self {
        let status = |name: String| (name, Status::default());
        let names = manifest.containers().map(|container| container.name.clone());
        let state = State {
            kubelet: Memory::default(),
            containers: names.map(status).collect(),
            deleted: None,
            gone: false,
            events: Vec::new(),
            answers: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            manifest,
            sandbox,
            born: Instant::now(),
            born_at: SystemTime::now(),
            changed: Condvar::new(),
            threads: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, and not after `until`.
    pub fn wait<'a>(&self, state: MutexGuard<'a, State>, until: Instant) -> MutexGuard<'a, State> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout(state, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn status(&self, container: &str) -> Status {
        self.lock().containers[container].clone()
    }

    /// Changes what is known of a container and tells everybody who waits.
    pub fn update(&self, container: &str, change: impl FnOnce(&mut Status)) {
        let mut state = self.lock();
        change(state.container(container));
        state.kubelet.unlisted = true;
        drop(state);
        self.changed.notify_all();
    }

    pub fn event(&self, text: &str) {
        let at = self.born.elapsed().as_secs_f32();
        self.lock().events.push(format!("{at:7.2} {text}"));
        self.changed.notify_all();
    }

    pub fn keep_thread(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// Returns a thread that is still to be waited for.
    pub fn next_thread(&self) -> Option<JoinHandle<()>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Returns where the kubelet probes: the pod's first address.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.sandbox.addresses[0], port)
    }
}

impl State {
    pub fn container(&mut self, name: &str) -> &mut Status {
        self.containers.get_mut(name).expect("a container of this pod")
    }
}
