//! The kubelet asks `/readyz` of a restarted container before it asks `/startupz`, and believes a 200: nobody may be
//! vouched for who is not there.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::request::KUBELET;
use crate::watch::Watch;

/// Looks at every answer of `/readyz` between two moments of the pod's age. The kubelet's own questions alone would not
/// do: of a fresh container it asks its readiness first, unless its next look for the start comes just then.
fn nobody_is_vouched_for(pod: &Pod, asked: Watch, from: Duration, until: Duration) {
    let sights = asked.end();
    let between: Vec<_> = sights.iter().filter(|sight| sight.asked >= from && sight.at < until).collect();
    assert!(!between.is_empty(), "nobody was asked\n{}", pod.story());
    let passed: Vec<_> = between.iter().filter(|sight| sight.status() == Some(200)).collect();
    assert!(passed.is_empty(), "while nobody listened: {passed:?}\n{}", pod.story());
}

fn listens_again(pod: &Pod, attempt: u32) -> Duration {
    pod.wait_for("a fresh container", 40, |pod| pod.restarts("kubia") == attempt);
    pod.wait_for("the app listens", 20, |pod| pod.listens_since("kubia").is_some());
    let since = pod.listens_since("kubia").expect("it listens");
    pod.wait_for("the pod is ready again", 15, |pod| pod.is_ready_again("kubia", attempt));
    since
}

#[test]
fn a_container_that_boots_is_not_vouched_for() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_FAILURE_THRESHOLD", "1"),
            ("READINESS_KUBIA", "tcp://:8080"),
        ])
        .with_directory()
        .with_app(&["--boot", "/var/kubia/boot"]);
    let pod = Pod::start("vouching", &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.exec("kubia", &["sh", "-c", "echo 6 > /var/kubia/boot"]);

    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the sick app is restarted", 40, |pod| pod.restarts("kubia") == 1);
    let asked = pod.watch_as(KUBELET, "/readyz", Duration::from_millis(50));
    let started = pod.event_at("Started: container kubia, attempt 1");
    let listens = listens_again(&pod, 1);
    nobody_is_vouched_for(&pod, asked, started, listens);

    let asked = pod.watch_as(KUBELET, "/readyz", Duration::from_millis(50));
    let crashing = pod.container("kubia");
    pod.kill("kubia");
    pod.wait_for("the app is dead", 5, |_| !crashing.runs());
    let crashed = pod.age();
    let listens = listens_again(&pod, 2);
    nobody_is_vouched_for(&pod, asked, crashed, listens);
    assert_eq!(pod.restarts("health-proxy"), 0);
}
