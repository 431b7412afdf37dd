//! How a pod comes up: the sidecar first, the app after it, ready when the checks say so, whatever its addresses are.

use crate::manifest::Manifest;
use crate::network::Family;
use crate::pod::Pod;

const WAITS_FOR_THE_APP: [(&str, &str); 5] = [
    ("STARTUP_KUBIA", "http://:8080/"),
    ("STARTUP_KUBIA_PERIOD_SECONDS", "1"),
    ("STARTUP_KUBIA_FAILURE_THRESHOLD", "60"),
    ("LIVENESS_KUBIA", "http://:8080/"),
    ("READINESS_KUBIA", "http://:8080/"),
];

fn a_slow_app_starts(name: &str, family: Family) {
    let manifest =
        Manifest::example("kubia-err400").with_checks(&WAITS_FOR_THE_APP).with_app(&["--boot", "5"]);
    let pod = Pod::start_with(name, &manifest, family);
    pod.wait_for("the app runs", 20, |pod| pod.status("kubia").attempts == 1);
    assert!(!pod.ready(), "the app boots for five seconds");
    let (status, answer) = pod.ask("/readyz").expect("the sidecar answers");
    assert_eq!((status, answer.contains("[-]startup")), (503, true), "{answer}");
    assert_eq!(pod.ask("/livez").expect("an answer").0, 200);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    let events = pod.events();
    let started: Vec<_> = events
        .iter()
        .filter_map(|event| event.split_once("Started: container "))
        .map(|(_, rest)| rest)
        .collect();
    assert_eq!(started, ["health-proxy, attempt 0", "kubia, attempt 0"], "{}", pod.story());
}

#[test]
fn a_slow_app_starts_in_a_pod_with_ipv4() {
    a_slow_app_starts("start-four", Family::Four);
}

#[test]
fn a_slow_app_starts_in_a_pod_with_ipv6_alone() {
    a_slow_app_starts("start-six", Family::Six);
}

#[test]
fn a_slow_app_starts_in_a_pod_with_both() {
    a_slow_app_starts("start-dual", Family::Dual);
}

#[test]
fn a_plain_sidecar_starts_beside_the_app() {
    let pod = Pod::start("start-plain", &Manifest::example("plain-sidecar"));
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.stays("ready, without a restart", 5, |pod| {
        pod.ready() && pod.restarts("kubia") == 0 && pod.restarts("health-proxy") == 0
    });
}
