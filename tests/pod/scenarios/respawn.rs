//! An app that looks after itself: it is respawned inside its container, again and again, and the container never ends.

use nix::sys::signal::Signal;

use crate::answers::sequence;
use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// Each server lives for a second, and the next one comes when the check has failed three times. Every one of them opens
/// a new socket, and none of them is a new container.
#[test]
fn an_app_that_respawns_itself_is_restarted_by_the_kubelet() {
    let mut manifest = Manifest::example("kubia-err400")
        .with_checks(&[("LIVENESS_KUBIA", "http://:8080/"), ("LIVENESS_KUBIA_PERIOD_SECONDS", "0.2")])
        .with_app(&["--respawn", "0.9"]);
    let probe = manifest.app().liveness_probe.as_mut().expect("the app is probed for liveness");
    probe.failure_threshold = Some(6);
    let pod = Pod::start("respawn", &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    let since = pod.age();
    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the kubelet restarts the container", 50, |pod| pod.restarts("kubia") == 1);
    let servers = pod.status("kubia").earlier[0].logs().matches("listens").count();
    assert!(servers >= 10, "it was respawned {servers} times before that");
    let mut sick = pod.answers_in("kubia", Kind::Liveness, 0);
    sick.retain(|one| one.asked > since);
    let first = sick.iter().position(|one| !one.outcome.passed).expect("it was sick");
    let stands = sick[first..].iter().all(|one| !one.outcome.passed);
    assert!(stands, "once red, always red: {}", sequence(&sick));

    pod.wait_for("the pod is ready again", 20, |pod| pod.is_ready_again("kubia", 1));
    pod.stays("the fresh one is left alone", 15, |pod| pod.ready() && pod.restarts("kubia") == 1);
    let fresh = pod.liveness_in("kubia", 1);
    assert!(!fresh.is_empty() && fresh.iter().all(|one| one.outcome.passed), "{}", pod.story());
}
