//! A pod as a scenario sees it: applied, looked at, interfered with, deleted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kubelet;
use crate::manifest::Manifest;
use crate::network::{Family, connect, spawn_on_node};
use crate::podman::{self, Recipe};
use crate::recipe::Sandbox;
use crate::report::Release;
use crate::request::{self, Question};
use crate::state::{Shared, Status};
use crate::watch::Watch;

pub const SIDECAR: &str = "health-proxy";

pub struct Pod {
    pub shared: Arc<Shared>,
    sandbox: podman::Container,
}

impl Pod {
    /// Gives the pod to the kubelet.
    pub fn start(name: &str, manifest: &Manifest) -> Self {
        Self::start_with(name, manifest, Family::Dual)
    }

    pub fn start_with(name: &str, manifest: &Manifest, family: Family) -> Self {
        let sandbox = Recipe::new("docker.io/library/busybox:1.37.0-musl")
            .option("network", "none")
            .option("hostname", name)
            .arguments(&["sleep", "3600"])
            .run(&format!("{name}-sandbox"));
        let addresses = connect(sandbox.pid, family);
        let volumes = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let parts = Sandbox { id: sandbox.id.clone(), volumes, addresses };
        let shared = Arc::new(Shared::new(name, manifest.clone(), parts));
        kubelet::run(&shared);
        Self { shared, sandbox }
    }

    /// Returns whether all containers run, have started and are ready: the pod is among the endpoints of its Service.
    pub fn ready(&self) -> bool {
        let state = self.shared.lock();
        let mut probed = self.shared.manifest.probed();
        state.deleted.is_none() && probed.all(|one| state.containers[&one.name].reported.ready)
    }

    /// Restarts the kubelet: for `down` nobody is asked anything, and then it knows no more than the API and the runtime.
    pub fn restart_kubelet(&self, release: Release, down: Duration) {
        self.shared.event(&format!("the kubelet is restarted: {release:?}"));
        let mut state = self.shared.lock();
        state.kubelet = state.kubelet.lost(release, Instant::now() + down);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Returns how long the pod has been with the kubelet.
    pub fn age(&self) -> Duration {
        self.shared.born.elapsed()
    }

    pub fn status(&self, container: &str) -> Status {
        self.shared.status(container)
    }

    pub fn restarts(&self, container: &str) -> u32 {
        self.status(container).attempts.saturating_sub(1)
    }

    /// Returns the container as it runs now.
    pub fn container(&self, name: &str) -> podman::Container {
        let status = self.status(name);
        status.container.expect("the container has been created")
    }

    /// Runs a command as `kubectl exec` does.
    pub fn exec(&self, container: &str, command: &[&str]) {
        let words: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
        let output = self.container(container).exec(&words);
        assert!(output.status.success(), "{command:?}: {output:?}");
    }

    pub fn delete(&self) {
        let mut state = self.shared.lock();
        state.deleted = Some(Instant::now());
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Returns whether everything of a deleted pod has ended.
    pub fn gone(&self) -> bool {
        self.shared.lock().gone
    }

    /// Kills a container's first process, and so the container.
    pub fn kill(&self, container: &str) {
        self.container(container).signal(Signal::SIGKILL);
    }

    /// Kills the sidecar's worker and leaves its supervisor alone.
    pub fn kill_worker(&self) {
        self.signal_worker(Signal::SIGKILL);
    }

    pub fn signal_worker(&self, signal: Signal) {
        for worker in self.container(SIDECAR).children() {
            kill(Pid::from_raw(worker), signal).expect("the worker runs");
        }
    }

    /// Returns the processes that the supervisor has started, as the host counts.
    pub fn workers(&self) -> Vec<i32> {
        self.container(SIDECAR).children()
    }

    /// Asks a path again and again from the node, as anybody may.
    pub fn watch(&self, path: &str, pause: Duration) -> Watch {
        self.watch_as("visitor", path, pause)
    }

    /// Asks a path again and again under the name `agent`.
    pub fn watch_as(&self, agent: &'static str, path: &str, pause: Duration) -> Watch {
        Watch::start(self.shared.born, self.address(9809), agent, path, pause)
    }

    /// Asks the sidecar from the node, as anybody may.
    pub fn ask(&self, path: &str) -> Result<(u16, String), String> {
        self.ask_port(9809, path)
    }

    /// Asks one of the pod's ports from the node.
    pub fn ask_port(&self, port: u16, path: &str) -> Result<(u16, String), String> {
        let (address, path) = (self.shared.address(port), path.to_owned());
        let asked =
            spawn_on_node(move || request::ask(address, &Question::visitor(&path), Duration::from_secs(1)));
        asked.join().expect("a request does not panic")
    }

    /// Returns where one of the pod's ports is reached from the node.
    pub fn address(&self, port: u16) -> std::net::SocketAddr {
        self.shared.address(port)
    }

    /// Waits until something holds, and tells the pod's whole story when it does not come true in time.
    pub fn wait_for(&self, what: &str, limit: u64, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(limit);
        while !holds(self) {
            let in_time = Instant::now() < deadline;
            assert!(in_time, "{}: not within {limit} s: {what}\n{}", self.shared.name, self.story());
            self.await_change();
        }
    }

    /// Looks on for a while, and tells the pod's whole story as soon as something does not hold.
    pub fn stays(&self, what: &str, span: u64, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(span);
        while Instant::now() < end {
            assert!(holds(self), "{}: did not stay: {what}\n{}", self.shared.name, self.story());
            self.await_change();
        }
    }

    fn await_change(&self) {
        let state = self.shared.lock();
        drop(self.shared.wait(state, Instant::now() + Duration::from_millis(50)));
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.shared.lock().deleted.get_or_insert_with(Instant::now);
        self.shared.changed.notify_all();
        for container in self.shared.manifest.containers() {
            if let Some(running) = self.status(&container.name).container {
                running.signal(Signal::SIGKILL);
            }
        }
        // The loop that keeps the pod in sync is the first of them, and may have started others.
        while let Some(thread) = self.shared.next_thread() {
            let _ = thread.join();
        }
        for container in self.shared.manifest.containers() {
            let status = self.status(&container.name);
            for one in status.earlier.iter().chain(&status.container) {
                one.remove();
            }
        }
        self.sandbox.remove();
        let _ = std::fs::remove_dir_all(&self.shared.sandbox.volumes);
    }
}
