//! The whole sidecar dies, supervisor included: the app does not pay for it.

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// The second crash waits for ten seconds before the sidecar is started again: the shipped numbers outlast that. Between
/// the two the kubelet is answered once; else the phase of its questions would decide.
#[test]
fn two_deaths_of_the_whole_sidecar_restart_no_app() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA", "http://:8080/"),
            ("READINESS_KUBIA_INITIAL_DELAY_SECONDS", "8"),
        ])
        .with_app(&[]);
    let pod = Pod::start("sidecar-dies", &manifest);
    pod.wait_for("the pod is ready", 40, Pod::ready);
    for (death, patience) in [(1, 10), (2, 20)] {
        let killed = pod.age();
        pod.kill("health-proxy");
        pod.wait_for("the kubelet starts it again", patience, |pod| pod.restarts("health-proxy") == death);
        pod.wait_for("the sidecar answers", 10, |pod| pod.ask("/-/healthy").is_ok());
        // It starts beside an app that listens, and that is no new start of the app.
        pod.wait_for("the pod is ready without another delay", 7, Pod::ready);
        pod.wait_for("the kubelet hears that the app lives", 7, |pod| {
            let answers = pod.answers("kubia", Kind::Liveness);
            answers.iter().any(|one| one.asked > killed && one.outcome.passed)
        });
    }
    pod.stays("the app runs on", 20, |pod| pod.restarts("kubia") == 0 && pod.ready());
    let answers = pod.answers("kubia", Kind::Liveness);
    let missed = answers.iter().filter(|one| one.outcome.status.is_none()).count();
    println!(
        "two deaths of the sidecar: {missed} liveness probes of the app found nobody, four in a row are a restart"
    );
    assert!(missed > 0, "the kubelet has met a closed port:\n{}", pod.story());
    assert!(answers.iter().all(|one| one.outcome.status != Some(503)), "{}", pod.story());
}

/// Supervisor and worker both: nobody inside can help, and the kubelet restarts the sidecar before it would the app.
#[test]
fn a_sidecar_that_hangs_as_a_whole_is_restarted_and_not_the_app() {
    let manifest =
        Manifest::example("kubia-err400").with_checks(&[("LIVENESS_KUBIA", "http://:8080/")]).with_app(&[]);
    let pod = Pod::start("sidecar-hangs", &manifest);
    pod.wait_for("the pod is ready", 40, Pod::ready);
    let stopped = pod.age();
    pod.container("health-proxy").signal(Signal::SIGSTOP);
    pod.signal_worker(Signal::SIGSTOP);
    pod.wait_for("the kubelet restarts the sidecar", 20, |pod| pod.restarts("health-proxy") == 1);
    pod.wait_for("it answers", 10, |pod| pod.ask("/livez").is_ok_and(|(status, _)| status == 200));
    println!("a hung sidecar answers again after {:.2} s", pod.age().saturating_sub(stopped).as_secs_f32());
    pod.stays("the app runs on", 20, |pod| pod.restarts("kubia") == 0);
    assert!(pod.ready(), "{}", pod.story());
}
