//! The kubelet asks `/readyz` of a restarted container before it asks `/startupz`, and believes a 200: nobody may be
//! vouched for who is not there.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// Looks at every answer of `/readyz` that the kubelet got between two moments of the pod's age.
fn nobody_is_vouched_for(pod: &Pod, from: Duration, until: Duration) {
    let answers = pod.answers("kubia", Kind::Readiness);
    let between = answers.iter().filter(|one| one.asked >= from && one.answered < until);
    let passed: Vec<_> = between.filter(|one| one.outcome.passed).collect();
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
    let started = pod.event_at("Started: container kubia, attempt 1");
    let listens = listens_again(&pod, 1);
    nobody_is_vouched_for(&pod, started, listens);
    let first = |kind| pod.answers_in("kubia", kind, 1).first().map(|one| one.asked);
    assert!(first(Kind::Readiness) < first(Kind::Startup), "as 1.36 does:\n{}", pod.story());

    let crashed = pod.age();
    pod.kill("kubia");
    let listens = listens_again(&pod, 2);
    nobody_is_vouched_for(&pod, crashed, listens);
    assert_eq!(pod.restarts("health-proxy"), 0);
}
