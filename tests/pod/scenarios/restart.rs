//! What happens to a fresh container of the app after the one before it has failed: it gets what the kubelet would give
//! it, its whole initial delay included, and is not killed for what its predecessor did.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// Returns an app that needs five seconds, a check that gives it eight, and a kubelet that gives it three: a failure
/// that was remembered over the restart would be the end of the fresh container.
fn delicate() -> Manifest {
    Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "8"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
        ])
        .with_app(&["--boot", "5"])
        .with_hasty_kubelet(3)
}

fn is_restarted_once(pod: &Pod) {
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.stays("it works", 10, |pod| pod.restarts("kubia") == 0);
    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the sick app is restarted", 15, |pod| pod.restarts("kubia") == 1);
    pod.stays("the fresh one is left alone", 30, |pod| pod.restarts("kubia") == 1);
    assert!(pod.ready(), "{}", pod.story());
    assert_eq!(pod.restarts("health-proxy"), 0);
}

#[test]
fn a_failure_is_not_remembered_with_a_startup_probe() {
    is_restarted_once(&Pod::start("restart-startupz", &delicate()));
}

#[test]
fn a_failure_is_not_remembered_without_a_startup_probe() {
    let manifest = delicate().without_startup_probe();
    is_restarted_once(&Pod::start("restart-socket", &manifest));
}

#[test]
fn an_app_that_crashes_is_restarted_by_the_kubelet_alone() {
    let pod = Pod::start("restart-crash", &delicate());
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.kill("kubia");
    pod.wait_for("the kubelet starts it again", 10, |pod| pod.restarts("kubia") == 1);
    assert!(!pod.ready(), "it boots");
    pod.wait_for("the pod is ready again", 30, Pod::ready);
    pod.stays("the fresh one is left alone", 15, |pod| pod.restarts("kubia") == 1);
    assert_eq!(pod.restarts("health-proxy"), 0);
}

/// Crashes the app twice in a row and lets the second start take half a minute: the fresh container that comes after
/// the back-off never sees the red of the one before.
fn starts_slowly_after_its_back_off(name: &str, manifest: &Manifest) {
    let manifest = manifest
        .clone()
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "35"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA", "http://:8080/"),
            ("READINESS_KUBIA_PERIOD_SECONDS", "1"),
        ])
        .with_directory()
        .with_app(&["--boot", "/var/kubia/boot"]);
    let pod = Pod::start(name, &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.kill("kubia");
    pod.wait_for("it is started again at once", 10, |pod| pod.restarts("kubia") == 1);
    pod.wait_for("the pod is ready again", 30, Pod::ready);

    pod.exec("kubia", &["sh", "-c", "echo 30 > /var/kubia/boot"]);
    let crashed = pod.age();
    pod.kill("kubia");
    pod.wait_for("it is started after the back-off", 20, |pod| pod.restarts("kubia") == 2);
    assert!(pod.age() > crashed + Duration::from_secs(9), "{}", pod.story());
    pod.wait_for("the app listens", 40, |pod| pod.listens_since("kubia").is_some());
    let listens = pod.listens_since("kubia").expect("it listens");
    pod.wait_for("the pod is ready once more", 10, Pod::ready);
    pod.stays("the fresh one is left alone", 10, |pod| pod.ready() && pod.restarts("kubia") == 2);

    let live = pod.answers_in("kubia", Kind::Liveness, 2);
    assert!(!live.is_empty() && live.iter().all(|one| one.outcome.passed), "{}", pod.story());
    let mut ready = pod.answers("kubia", Kind::Readiness);
    ready.retain(|one| one.asked > crashed && one.answered < listens);
    assert!(ready.iter().all(|one| !one.outcome.passed), "nobody listened yet\n{}", pod.story());
    assert_eq!(pod.restarts("health-proxy"), 0);
}

#[test]
fn a_slow_start_after_a_back_off_is_left_alone_with_a_startup_probe() {
    starts_slowly_after_its_back_off("restart-slow-wired", &Manifest::example("kubia-err400"));
}

#[test]
fn a_slow_start_after_a_back_off_is_left_alone_without_a_startup_probe() {
    let manifest = Manifest::example("kubia-err400").without_startup_probe();
    starts_slowly_after_its_back_off("restart-slow-unwired", &manifest);
}
