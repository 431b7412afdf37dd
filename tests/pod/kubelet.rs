//! A stand-in for the kubelet, as far as a pod with a sidecar meets it: the order of the start, restarts with their
//! back-off, what a failed probe leads to, hooks, and the end of a pod. Native sidecars are its only init containers.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::manifest::Manifest;
use crate::network::spawn_on_node;
use crate::podman;
use crate::prober::{Kind, Tick, Verdict, Worker};
use crate::recipe::recipe;
use crate::request;
use crate::state::{Exit, Shared, Status};

/// How often the kubelet looks for containers that have ended.
const RELIST: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

impl Manifest {
    pub fn sidecars(&self) -> impl DoubleEndedIterator<Item = &Container> {
        self.pod.init_containers.iter().flatten()
    }

    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.sidecars().chain(&self.pod.containers)
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.termination_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(seconds.try_into().expect("grace is not negative"))
    }
}

/// Starts the pod's threads: a probe worker for each probe, and the loop that keeps the containers as they should be.
pub fn run(pod: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let mut threads = Vec::new();
    for container in pod.manifest.containers() {
        for (kind, probe) in [
            (Kind::Startup, &container.startup_probe),
            (Kind::Liveness, &container.liveness_probe),
            (Kind::Readiness, &container.readiness_probe),
        ] {
            if let Some(probe) = probe.clone() {
                let (pod, container) = (Arc::clone(pod), container.clone());
                threads.push(spawn_on_node(move || {
                    keep_probing(&pod, &container, kind, &probe);
                }));
            }
        }
    }
    let pod = Arc::clone(pod);
    threads.push(std::thread::spawn(move || keep_in_sync(&pod)));
    threads
}

fn keep_in_sync(pod: &Shared) {
    while pod.lock().deleted.is_none() {
        relist(pod);
        sync(pod);
        let until = Instant::now() + RELIST;
        let mut state = pod.lock();
        while !state.wake && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            state = pod.changed.wait_timeout(state, left).expect("a lock").0;
        }
        state.wake = false;
    }
    terminate(pod);
    pod.lock().gone = true;
    pod.changed.notify_all();
}

/// Notices the containers that have ended by themselves.
fn relist(pod: &Shared) {
    for container in pod.manifest.containers() {
        let status = pod.status(&container.name);
        let ended = status.container.filter(|one| !one.runs());
        if let (Some(ended), Some(_)) = (ended, status.running_since) {
            record_exit(pod, &container.name, &ended);
        }
    }
}

/// Brings the pod one step towards what its manifest says.
fn sync(pod: &Shared) {
    let has_an_app = |one: &Container| pod.status(&one.name).attempts > 0;
    let initialised = pod.manifest.pod.containers.iter().any(has_an_app);
    for sidecar in pod.manifest.sidecars() {
        assert_eq!(sidecar.restart_policy.as_deref(), Some("Always"));
        sync_container(pod, sidecar);
        if !initialised && !pod.status(&sidecar.name).started(sidecar) {
            return;
        }
    }
    for container in &pod.manifest.pod.containers {
        sync_container(pod, container);
    }
}

fn sync_container(pod: &Shared, container: &Container) {
    let name = &container.name;
    let status = pod.status(name);
    if status.running_since.is_some() {
        let failed = [Kind::Liveness, Kind::Startup]
            .into_iter()
            .find(|kind| status.verdict(*kind) == Verdict::Failure);
        let Some(kind) = failed else { return };
        pod.event(&format!("Killing: container {name} failed {kind:?} probe, will be restarted"));
        stop(pod, container, Instant::now() + pod.manifest.grace());
    }
    // As in the kubelet, the back-off looks at the end before this one: a first kill is followed by a start at once.
    if waits(&status) {
        pod.event(&format!("BackOff: restarting failed container {name}"));
    } else {
        start(pod, container, status.exit.map(|_| next_backoff(&status)));
    }
}

/// Whether the container's last end is too recent for another start.
fn waits(status: &Status) -> bool {
    let (Some(exit), Some(backoff)) = (status.exit, status.backoff) else {
        return false;
    };
    exit.at.elapsed() < backoff
}

fn next_backoff(status: &Status) -> Duration {
    let doubled = status.backoff.map(|backoff| backoff * 2);
    doubled.map_or(FIRST_BACKOFF, |backoff| backoff.min(LONGEST_BACKOFF))
}

fn start(pod: &Shared, container: &Container, backoff: Option<Duration>) {
    let name = &container.name;
    let attempt = pod.status(name).attempts;
    let recipe = recipe(&pod.manifest, container, &pod.sandbox);
    let started = recipe.run(&format!("{}-{name}-{attempt}", pod.name));
    pod.event(&format!("Started: container {name}, attempt {attempt}"));
    pod.update(name, |status| {
        status.earlier.extend(status.container.replace(started));
        status.running_since = Some(Instant::now());
        status.attempts += 1;
        status.backoff = backoff;
        status.verdicts = [None; 3];
    });
}

/// Ends a container: its hook, SIGTERM, and SIGKILL when its time is over.
fn stop(pod: &Shared, container: &Container, until: Instant) {
    run_hook(pod, container);
    end(pod, container, until);
}

fn end(pod: &Shared, container: &Container, until: Instant) {
    let status = pod.status(&container.name);
    let (Some(running), Some(_)) = (status.container, status.running_since) else {
        return;
    };
    running.signal("TERM");
    while running.runs() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    if running.runs() {
        running.signal("KILL");
    }
    record_exit(pod, &container.name, &running);
}

fn run_hook(pod: &Shared, container: &Container) {
    let hook = container.lifecycle.as_ref();
    let hook = hook.and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let command = hook.and_then(|hook| hook.exec.as_ref()?.command.as_ref());
    let running = pod.status(&container.name);
    if let (Some(command), Some(running), Some(_)) = (command, running.container, running.running_since) {
        let output = running.exec(command);
        let result = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        pod.event(&format!("PreStop: {} {} {result}", container.name, output.status));
    }
}

fn record_exit(pod: &Shared, name: &str, ended: &podman::Container) {
    let exit = ended.exit();
    pod.event(&format!("Ended: container {name}, status {}", exit.code));
    pod.update(name, |status| {
        status.running_since = None;
        status.exit = Some(Exit {
            at: Instant::now().checked_sub(exit.ago).unwrap_or_else(Instant::now),
            code: exit.code,
        });
    });
}

/// Ends the pod: every hook at once, the apps, and after the last of them the sidecars, the last one first.
fn terminate(pod: &Shared) {
    let until = pod.lock().deleted.unwrap_or_else(Instant::now) + pod.manifest.grace();
    std::thread::scope(|scope| {
        let hooks: Vec<_> =
            pod.manifest.sidecars().map(|sidecar| scope.spawn(|| run_hook(pod, sidecar))).collect();
        let apps: Vec<_> = pod
            .manifest
            .pod
            .containers
            .iter()
            .map(|app| scope.spawn(move || stop(pod, app, until)))
            .collect();
        for thread in hooks.into_iter().chain(apps) {
            thread.join().expect("hooks and signals are given");
        }
        for sidecar in pod.manifest.sidecars().rev() {
            end(pod, sidecar, until);
        }
    });
}

/// One probe worker: the first probe at once, then one per tick; of the ticks that a probe overruns one is kept.
fn keep_probing(pod: &Shared, container: &Container, kind: Kind, probe: &Probe) {
    let mut worker = Worker::new(kind, probe);
    let period = seconds(probe.period_seconds, 10);
    let mut next = Instant::now();
    loop {
        let seen = pod.seen(container);
        match worker.tick(&seen) {
            Tick::Wait => {}
            Tick::End => return,
            Tick::Publish(verdict) => pod.publish(&container.name, seen.id.as_ref(), kind, verdict),
            Tick::Probe => {
                let result = attempt(pod, container, probe);
                if let Err(reason) = &result {
                    pod.event(&format!("Unhealthy: {} {kind:?} probe failed: {reason}", container.name));
                }
                if let Some(verdict) = worker.count(result.is_ok()) {
                    pod.publish(&container.name, seen.id.as_ref(), kind, verdict);
                }
            }
        }
        next += period;
        while next + period <= Instant::now() {
            next += period;
        }
        if !wait_for_tick(pod, &container.name, kind, next) {
            return;
        }
    }
}

/// Waits for the next tick, or for the call to ask readiness at once; `false` when the pod has ended.
fn wait_for_tick(pod: &Shared, container: &str, kind: Kind, next: Instant) -> bool {
    let mut state = pod.lock();
    loop {
        if state.gone {
            return false;
        }
        let status = state.containers.get_mut(container);
        let status = status.expect("a container of this pod");
        if kind == Kind::Readiness && std::mem::take(&mut status.readiness_wanted) {
            return true;
        }
        let left = next.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        state = pod.changed.wait_timeout(state, left).expect("a lock").0;
    }
}

fn attempt(pod: &Shared, container: &Container, probe: &Probe) -> Result<(), String> {
    let timeout = seconds(probe.timeout_seconds, 1);
    if let Some(request) = &probe.http_get {
        let IntOrString::Int(port) = request.port else {
            return Err("a port name, which the stand-in does not resolve".to_owned());
        };
        let address = pod.address(port.try_into().expect("a port"));
        return request::probe(address, request.path.as_deref().unwrap_or("/"), timeout);
    }
    let command = probe.exec.as_ref().and_then(|exec| exec.command.as_ref());
    let status = pod.status(&container.name);
    let running = status.container.expect("a container that is probed runs");
    let output = running.exec(command.expect("an HTTP or an exec probe"));
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn seconds(configured: Option<i32>, default: u64) -> Duration {
    configured.map_or(Duration::from_secs(default), |seconds| {
        Duration::from_secs(seconds.try_into().expect("seconds are not negative"))
    })
}
