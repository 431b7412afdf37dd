//! A stand-in for the kubelet of 1.36, as far as a pod with a sidecar meets it: the order of the start, restarts with
//! their back-off, what a failed probe leads to, and the end of a pod.
//!
//! As in the real one, the runtime is asked once a second what runs, a sync goes by the last such answer and waits for
//! one that is newer than the sync before it, and the probe workers go by what the last sync has reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Probe};

use crate::lifecycle::{backoff_ends, end, record_exit, run_pre_stop, start, stop};
use crate::manifest::Manifest;
use crate::prober::{Kind, Verdict};
use crate::probing::report_and_add_workers;
use crate::state::{Shared, State, Status};

/// The period at which the kubelet asks the runtime what runs.
const RELIST: Duration = Duration::from_secs(1);

impl Manifest {
    /// Returns the containers that are to run all the time: native sidecars and apps. Only they are probed.
    pub fn probed(&self) -> impl Iterator<Item = &Container> {
        self.containers().filter(|one| !self.is_init(one) || is_sidecar(one))
    }

    fn is_init(&self, container: &Container) -> bool {
        self.pod.init_containers.iter().flatten().any(|one| one.name == container.name)
    }

    pub fn grace(&self) -> Duration {
        seconds(self.pod.termination_grace_period_seconds.unwrap_or(30))
    }

    /// Returns how long a container has to end after a failed probe.
    fn grace_after(&self, probe: Option<&Probe>) -> Duration {
        probe.and_then(|probe| probe.termination_grace_period_seconds).map_or(self.grace(), seconds)
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn seconds(grace: i64) -> Duration {
    Duration::from_secs(grace.try_into().expect("grace is not negative"))
}

/// Starts the loop that keeps the containers as they should be.
pub fn run(pod: &Arc<Shared>) {
    let owner = Arc::clone(pod);
    pod.keep_thread(std::thread::spawn(move || keep_in_sync(&owner)));
}

fn keep_in_sync(pod: &Arc<Shared>) {
    let (mut next_list, mut listed_since_sync) = (Instant::now(), false);
    while wait_for_work(pod, next_list, listed_since_sync) {
        if Instant::now() >= next_list {
            relist(pod);
            listed_since_sync = true;
            while next_list <= Instant::now() {
                next_list += RELIST;
            }
        }
        if listed_since_sync && std::mem::take(&mut pod.lock().kubelet.wake) {
            sync(pod);
            listed_since_sync = false;
        }
    }
    terminate(pod);
    pod.lock().gone = true;
    pod.changed.notify_all();
}

/// Waits until the runtime has to be asked, or there is something to do that needs no new answer of it; `false` when
/// the pod is deleted. A kubelet that has not begun does nothing at all.
fn wait_for_work(pod: &Shared, next_list: Instant, listed_since_sync: bool) -> bool {
    let mut state = pod.lock();
    while state.deleted.is_none() {
        let until = state.kubelet.began.map_or(next_list, |began| began.max(next_list));
        let wakes = state.kubelet.wake && listed_since_sync;
        let has_begun = state.kubelet.began.is_none_or(|began| began <= Instant::now());
        if Instant::now() >= until || (wakes && has_begun) {
            return true;
        }
        state = pod.wait(state, until);
    }
    false
}

/// Notices the containers that have ended by themselves, and those that the last sync has started or ended.
fn relist(pod: &Shared) {
    for container in pod.manifest.containers() {
        let status = pod.status(&container.name);
        let ended = status.container.filter(|one| !one.runs());
        if let (Some(ended), Some(_)) = (ended, status.running_since) {
            record_exit(pod, &container.name, &ended);
        }
    }
    let kubelet = &mut pod.lock().kubelet;
    let backoff_is_over = kubelet.resync.take_if(|end| *end <= Instant::now()).is_some();
    kubelet.wake |= std::mem::take(&mut kubelet.unlisted) || backoff_is_over;
}

/// Reports, and brings the pod one step towards what its manifest says. The first sync of a kubelet reports before it
/// has workers.
fn sync(pod: &Arc<Shared>) {
    report_and_add_workers(pod);
    let known = pod.lock().containers.clone();
    let initialised = pod.manifest.pod.containers.iter().any(|app| known[&app.name].attempts > 0);
    for container in pod.manifest.pod.init_containers.iter().flatten() {
        let status = &known[&container.name];
        if is_sidecar(container) {
            keep_running(pod, container, status);
            if !initialised && !has_started(&pod.lock(), container, status) {
                return;
            }
        } else if !initialised && status.exit.is_none_or(|exit| exit.code != 0) {
            keep_running(pod, container, status);
            return;
        }
    }
    for container in &pod.manifest.pod.containers {
        keep_running(pod, container, &known[&container.name]);
    }
}

/// Returns whether a sidecar is so far that what comes after it may start.
fn has_started(state: &State, container: &Container, known: &Status) -> bool {
    let passed = state.kubelet.verdict(known, Kind::Startup) == Some(Verdict::Success);
    known.running_since.is_some() && (container.startup_probe.is_none() || passed)
}

/// Ends a container that has failed a probe, and starts one that does not run, unless it is in its back-off.
fn keep_running(pod: &Shared, container: &Container, known: &Status) {
    let name = &container.name;
    if known.running_since.is_some() {
        let Some((kind, probe)) = failed_probe(&pod.lock(), container, known) else { return };
        pod.event(&format!("Killing: container {name} failed {kind:?} probe, will be restarted"));
        stop(pod, container, pod.manifest.grace_after(probe));
    }
    // As in the kubelet, the back-off looks at the end before this one: a first kill is followed by a start at once.
    if let Some(end) = backoff_ends(known) {
        pod.event(&format!("BackOff: restarting failed container {name}"));
        let resync = &mut pod.lock().kubelet.resync;
        *resync = Some(resync.map_or(end, |earlier| earlier.min(end)));
    } else {
        start(pod, container, known);
    }
}

fn failed_probe<'a>(
    state: &State,
    container: &'a Container,
    known: &Status,
) -> Option<(Kind, Option<&'a Probe>)> {
    [(Kind::Liveness, container.liveness_probe.as_ref()), (Kind::Startup, container.startup_probe.as_ref())]
        .into_iter()
        .find(|(kind, _)| state.kubelet.verdict(known, *kind) == Some(Verdict::Failure))
}

/// Ends the pod: every hook at once, the apps, and after the last of them the sidecars, the last one first.
fn terminate(pod: &Shared) {
    let grace = pod.manifest.grace();
    let until = Instant::now() + grace;
    let inits: Vec<_> = pod.manifest.pod.init_containers.iter().flatten().collect();
    std::thread::scope(|scope| {
        let hooks: Vec<_> =
            inits.iter().map(|init| scope.spawn(move || run_pre_stop(pod, init, grace))).collect();
        let apps = pod.manifest.pod.containers.iter();
        let apps: Vec<_> = apps.map(|app| scope.spawn(move || stop(pod, app, grace))).collect();
        for thread in hooks.into_iter().chain(apps) {
            thread.join().expect("hooks and signals are given");
        }
        for init in inits.iter().rev() {
            end(pod, init, until);
        }
    });
}
