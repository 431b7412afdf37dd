//! Somebody in the cluster who says that he is the kubelet: what he asks changes nothing.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::request::KUBELET;

#[test]
fn somebody_who_asks_as_the_kubelet_changes_nothing() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA", "tcp://:8080"),
            ("READINESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA_INITIAL_DELAY_SECONDS", "5"),
        ])
        .with_app(&[]);
    let pod = Pod::start("impostor", &manifest);
    pod.wait_for("the pod is ready", 40, Pod::ready);
    let ready = pod.watch("/readyz", Duration::from_millis(50));
    let live = pod.watch("/livez", Duration::from_millis(50));
    let impostor = pod.watch_as(KUBELET, "/startupz", Duration::from_secs(1));
    pod.stays("ready all the time", 12, Pod::ready);
    ready.end_with_only(200);
    live.end_with_only(200);

    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the sick app is restarted all the same", 40, |pod| pod.restarts("kubia") == 1);
    pod.wait_for("the pod is ready again", 30, |pod| pod.is_ready_again("kubia", 1));
    pod.stays("and left alone", 10, |pod| pod.ready() && pod.restarts("kubia") == 1);
    let asked = impostor.end().len();
    assert!(asked > 20, "the impostor has asked {asked} times");
    assert_eq!(pod.restarts("health-proxy"), 0);
}
