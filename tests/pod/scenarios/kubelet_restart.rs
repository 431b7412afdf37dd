//! The kubelet is restarted: what it has forgotten is no news of the pod.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::answers::sequence;
use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;
use crate::report::Release;

const DOWN: Duration = Duration::from_secs(3);

/// Returns an app whose readiness would take five seconds to come back, if its clock began again.
fn well() -> Manifest {
    Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA", "http://:8080/"),
            ("READINESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA_INITIAL_DELAY_SECONDS", "5"),
        ])
        .with_app(&[])
}

/// Restarts the kubelet of a well pod, and returns how often its successor has asked `/startupz`.
fn nothing_changes(name: &str, release: Release) -> usize {
    let pod = Pod::start(name, &well());
    pod.wait_for("the pod is ready", 40, Pod::ready);
    pod.stays("it works for more than ten seconds", 12, Pod::ready);
    let ready = pod.watch("/readyz", Duration::from_millis(20));
    let live = pod.watch("/livez", Duration::from_millis(20));
    let before = pod.answers("kubia", Kind::Startup).len();
    let restarted = pod.age();
    pod.restart_kubelet(release, DOWN);
    // What the old kubelet has asked meanwhile is none of the new one's.
    let asks_again =
        |pod: &Pod| pod.answers("kubia", Kind::Readiness).iter().any(|one| one.asked > restarted + DOWN);
    pod.wait_for("the new kubelet asks", 15, asks_again);
    pod.wait_for("the pod is ready for the new kubelet", 5, Pod::ready);
    pod.stays("nothing is restarted", 8, |pod| {
        pod.ready() && pod.restarts("kubia") == 0 && pod.restarts("health-proxy") == 0
    });
    ready.end_with_only(200);
    live.end_with_only(200);
    let since = |kind| {
        let mut answers = pod.answers("kubia", kind);
        answers.retain(|one| one.asked > restarted);
        sequence(&answers)
    };
    for kind in [Kind::Startup, Kind::Readiness, Kind::Liveness] {
        assert!(!since(kind).contains("503"), "{kind:?}: {}\n{}", since(kind), pod.story());
    }
    pod.answers("kubia", Kind::Startup).len() - before
}

#[test]
fn no_answer_changes_for_a_kubelet_that_carries_on() {
    assert_eq!(nothing_changes("kubelet-carries", Release::Carries), 0, "it asks nothing again");
}

#[test]
fn no_answer_changes_for_a_kubelet_that_asks_again() {
    assert_eq!(nothing_changes("kubelet-asks", Release::AsksAgain), 1, "it asks again, once");
}

/// 1.36 takes a container that has booted for ten seconds for one that has started, and asks for its liveness.
#[test]
fn a_booting_app_outlives_a_restart_of_the_kubelet() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("LIVENESS_KUBIA_FAILURE_THRESHOLD", "1"),
        ])
        .with_app(&["--boot", "22"])
        .with_hasty_kubelet(3);
    let pod = Pod::start("kubelet-boot", &manifest);
    pod.wait_for("the app boots", 35, |pod| {
        let since = pod.status("kubia").reported.running_since;
        since.is_some_and(|since| since.elapsed() > Duration::from_secs(11))
    });
    pod.restart_kubelet(Release::Carries, Duration::from_secs(1));
    pod.wait_for("the new kubelet asks for liveness", 10, |pod| {
        !pod.answers("kubia", Kind::Liveness).is_empty()
    });
    pod.wait_for("the pod is ready", 30, Pod::ready);
    let live = sequence(&pod.answers("kubia", Kind::Liveness));
    assert!(!live.contains("503"), "{live}\n{}", pod.story());
    pod.stays("it was never restarted", 5, |pod| pod.restarts("kubia") == 0);
    // Nobody will ask again whether it has started: its liveness counts all the same.
    pod.container("kubia").signal(Signal::SIGUSR1);
    pod.wait_for("the sick app is restarted", 15, |pod| pod.restarts("kubia") == 1);
}
