//! The clock of an app: it begins with its container, not with the sidecar, and it begins anew with each container.

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// Returns an app that boots for four seconds and has six; before it there is an init container for which the sidecar
/// waits.
fn behind_an_init_container() -> Manifest {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "6"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("LIVENESS_KUBIA_FAILURE_THRESHOLD", "1"),
            ("READINESS_KUBIA", "http://:8080/"),
        ])
        .with_app(&["--boot", "4"])
        .with_hasty_kubelet(3);
    let sidecar = manifest.pod.init_containers.iter().flatten().position(|one| one.name == "health-proxy");
    let sidecar = sidecar.expect("a native sidecar");
    manifest.with_init_container(sidecar + 1, "slow", 8).with_init_container(sidecar, "quick", 1)
}

fn gets_its_whole_delay(name: &str, manifest: &Manifest) {
    let pod = Pod::start(name, manifest);
    pod.wait_for("the pod is ready", 50, Pod::ready);
    pod.stays("left alone", 8, |pod| pod.restarts("kubia") == 0 && pod.ready());
    let answers = pod.answers("kubia", Kind::Liveness);
    assert!(answers.iter().all(|one| one.outcome.passed), "{}", pod.story());
    let order: Vec<_> =
        pod.events().iter().filter_map(|event| Some(event.split_once("Started: ")?.1.to_owned())).collect();
    let expected =
        ["quick", "health-proxy", "slow", "kubia"].map(|name| format!("container {name}, attempt 0"));
    assert_eq!(order, expected);
}

#[test]
fn an_init_container_does_not_eat_the_delay_of_an_app_with_a_startup_probe() {
    gets_its_whole_delay("clock-wired", &behind_an_init_container());
}

#[test]
fn an_init_container_does_not_eat_the_delay_of_an_app_without_a_startup_probe() {
    gets_its_whole_delay("clock-unwired", &behind_an_init_container().without_startup_probe());
}

/// What the check of a port by the pod's own address has seen belongs to one container, as with `localhost`.
#[test]
fn the_address_of_the_pod_is_a_witness() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "8"), ("LIVENESS_KUBIA_PERIOD_SECONDS", "1")])
        .with_pod_ip("LIVENESS_KUBIA", "http://$(POD_IP):8080/")
        .with_app(&["--boot", "5"])
        .with_hasty_kubelet(3)
        .without_startup_probe();
    let pod = Pod::start("clock-address", &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.stays("it works", 8, |pod| pod.restarts("kubia") == 0);
    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the sick app is restarted", 15, |pod| pod.restarts("kubia") == 1);
    pod.stays("the fresh one is left alone", 20, |pod| pod.restarts("kubia") == 1);
    assert!(pod.ready(), "{}", pod.story());
}
