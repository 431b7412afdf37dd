//! What happens to a fresh container of the app after the one before it has failed: it gets what the kubelet would give
//! it, its whole initial delay included, and is not killed for what its predecessor did.

use crate::manifest::Manifest;
use crate::pod::Pod;

/// An app that needs five seconds, a check that gives it eight, and a kubelet that gives it three: a failure that was
/// remembered over the restart would be the end of the fresh container.
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
    pod.container("kubia").signal("USR1");
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
