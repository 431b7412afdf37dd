//! One container's start and end as the kubelet does them: hooks, back-off, grace, and SIGKILL when it is over.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use nix::sys::signal::Signal;

use crate::podman;
use crate::recipe::recipe;
use crate::state::{Exit, Shared, Status};

const FIRST_BACKOFF: Duration = Duration::from_secs(10);
const MAX_BACKOFF: Duration = Duration::from_secs(300);
const MIN_GRACE: Duration = Duration::from_secs(2);

/// Returns when the container may be started, if its last end is too recent for another start.
pub fn backoff_ends(status: &Status) -> Option<Instant> {
    let (exit, backoff) = (status.exit?, status.backoff?);
    Some(exit.at + backoff).filter(|end| *end > Instant::now())
}

/// Returns how long it waits after its next end.
fn next_backoff(status: &Status) -> Option<Duration> {
    status.exit?;
    let doubled = status.backoff.map(|backoff| backoff * 2);
    Some(doubled.map_or(FIRST_BACKOFF, |backoff| backoff.min(MAX_BACKOFF)))
}

/// Starts a container and runs its `postStart` hook, which holds everything else back; one that fails ends the
/// container. `before` is what was known of it when this sync began: the back-off looks at the end before this one.
pub fn start(pod: &Shared, container: &Container, before: &Status) {
    let name = &container.name;
    let attempt = pod.status(name).attempts;
    let recipe = recipe(&pod.manifest, container, &pod.sandbox);
    let started = recipe.run(&format!("{}-{name}-{attempt}", pod.name));
    pod.event(&format!("Started: container {name}, attempt {attempt}"));
    pod.update(name, |status| {
        status.earlier.extend(status.container.replace(started));
        status.running_since = Some(Instant::now());
        status.attempts += 1;
        status.backoff = next_backoff(before);
    });
    let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
    if let Some(false) = hook.map(|hook| run_hook(pod, name, "PostStart", hook, None)) {
        pod.event(&format!("FailedPostStartHook: container {name}"));
        stop(pod, container, pod.manifest.grace());
    }
}

/// Ends a container: its hook, SIGTERM, and SIGKILL when its time is over.
pub fn stop(pod: &Shared, container: &Container, grace: Duration) {
    let until = Instant::now() + grace;
    run_pre_stop(pod, container, grace);
    end(pod, container, until);
}

/// Sends SIGTERM, and SIGKILL when the time is over. However long a hook has taken, two seconds are left.
pub fn end(pod: &Shared, container: &Container, until: Instant) {
    let status = pod.status(&container.name);
    let (Some(running), Some(_)) = (status.container, status.running_since) else {
        return;
    };
    let until = until.max(Instant::now() + MIN_GRACE);
    running.signal(Signal::SIGTERM);
    while running.runs() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    if running.runs() {
        pod.event(&format!("Killing: container {} has not ended in time", container.name));
        running.signal(Signal::SIGKILL);
    }
    record_exit(pod, &container.name, &running);
}

pub fn run_pre_stop(pod: &Shared, container: &Container, grace: Duration) {
    let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    if let (Some(hook), Some(_)) = (hook, pod.status(&container.name).running_since) {
        run_hook(pod, &container.name, "PreStop", hook, Some(grace));
    }
}

/// Runs a hook in the container, for so long only if there is a limit, and returns whether it succeeded.
fn run_hook(pod: &Shared, name: &str, kind: &str, hook: &LifecycleHandler, limit: Option<Duration>) -> bool {
    let command = hook.exec.as_ref().and_then(|exec| exec.command.as_ref()).expect("hooks are commands");
    let container = pod.status(name).container.expect("a container with a hook was started");
    let began = Instant::now();
    let output = match limit {
        Some(limit) => container.exec_within(command, limit),
        None => Some(container.exec(command)),
    };
    let (took, said) =
        (began.elapsed().as_secs_f32(), output.as_ref().map(|output| output.stderr.as_slice()));
    let said = String::from_utf8_lossy(said.unwrap_or(b"is not over")).trim().to_owned();
    let is_success = output.is_some_and(|output| output.status.success());
    pod.event(&format!("{kind}: {name} after {took:.2} s {is_success} {said}"));
    is_success
}

pub fn record_exit(pod: &Shared, name: &str, ended: &podman::Container) {
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
