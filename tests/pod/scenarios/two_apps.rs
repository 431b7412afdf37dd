//! Two apps in one pod: each has a life of its own, and what befalls one is no matter of the other.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::answers::sequence;
use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// Checks of two apps, each with its own name for its container.
const OWN_CHECKS: [(&str, &str); 10] = [
    ("LIVENESS_PERIOD_SECONDS", "1"),
    ("READINESS_PERIOD_SECONDS", "1"),
    ("LIVENESS_FRONT", "http://:8080/"),
    ("LIVENESS_FRONT_CONTAINER", "front"),
    ("READINESS_FRONT", "http://:8080/"),
    ("READINESS_FRONT_CONTAINER", "front"),
    ("LIVENESS_BACK", "http://:8081/"),
    ("LIVENESS_BACK_CONTAINER", "back"),
    ("READINESS_BACK", "http://:8081/"),
    ("READINESS_BACK_CONTAINER", "back"),
];

fn two_apps(checks: &[(&str, &str)], front: &[&str], back: &[&str]) -> Manifest {
    Manifest::example("kubia-err400").with_checks(checks).with_apps(&[("front", front), ("back", back)])
}

/// Asserts that every answer about one container since some moment was a good one.
fn was_well_since(pod: &Pod, container: &str, since: Duration) {
    for kind in [Kind::Startup, Kind::Liveness, Kind::Readiness] {
        let mut answers = pod.answers(container, kind);
        answers.retain(|one| one.asked >= since);
        let said = sequence(&answers);
        assert!(
            answers.iter().all(|one| one.outcome.passed),
            "{container} {kind:?}: {said}\n{}",
            pod.story()
        );
    }
}

/// The example as it is shipped.
#[test]
fn only_the_sick_one_of_two_apps_is_restarted() {
    let pod = Pod::start("two-apps", &Manifest::example("multi-container").with_checks(&OWN_CHECKS));
    pod.wait_for("the pod is ready", 40, Pod::ready);
    let since = pod.age();
    pod.container("back").signal(Signal::SIGUSR1);
    pod.wait_for("the sick one is restarted", 40, |pod| pod.restarts("back") == 1);
    pod.wait_for("the pod is ready again", 30, |pod| pod.is_ready_again("back", 1));
    pod.stays("nobody else is", 25, |pod| pod.restarts("back") == 1 && pod.restarts("front") == 0);
    assert!(pod.ready(), "{}", pod.story());
    was_well_since(&pod, "front", since);
}

#[test]
fn one_that_crashes_and_starts_slowly_is_no_matter_of_the_other() {
    let manifest = two_apps(&OWN_CHECKS, &[], &["--boot", "8", "8081"]);
    let pod = Pod::start("two-lives", &manifest);
    pod.wait_for("the front is ready before the back", 20, |pod| pod.status("front").reported.ready);
    assert!(!pod.status("back").reported.ready, "it boots");
    let since = pod.age();
    pod.wait_for("the pod is ready", 40, Pod::ready);
    for crash in 1..=2 {
        pod.kill("back");
        pod.wait_for("it is started again", 25, |pod| pod.restarts("back") == crash);
        pod.wait_for("the pod is ready again", 25, |pod| pod.is_ready_again("back", crash));
    }
    was_well_since(&pod, "front", since);
    let fresh = [1, 2].map(|attempt| pod.liveness_in("back", attempt));
    assert!(fresh.iter().flatten().all(|one| one.outcome.passed), "{}", pod.story());
    assert_eq!((pod.restarts("front"), pod.restarts("health-proxy")), (0, 0));
}

#[test]
fn an_exhausted_start_is_a_restart_of_its_own_container() {
    let mut checks = OWN_CHECKS.to_vec();
    checks.extend([
        ("STARTUP_FRONT", "http://:8099/"),
        ("STARTUP_FRONT_CONTAINER", "front"),
        ("STARTUP_FRONT_PERIOD_SECONDS", "1"),
        ("STARTUP_FRONT_FAILURE_THRESHOLD", "3"),
    ]);
    let mut manifest = two_apps(&checks, &[], &["8081"]);
    // Nobody asks the front's /startupz, so that only /livez can say that its start has failed.
    manifest.app().startup_probe = None;
    let pod = Pod::start("two-starts", &manifest);
    pod.wait_for("the back is ready without the front", 30, |pod| pod.status("back").reported.ready);
    let since = pod.age();
    pod.wait_for("the front is restarted", 40, |pod| pod.restarts("front") >= 1);
    was_well_since(&pod, "back", since);
    assert_eq!(pod.restarts("back"), 0);
    assert!(!pod.status("front").reported.ready, "{}", pod.story());
}
