//! How soon a pod is ready: beside a native pod in the same harness, by what the kubelet asked and when, since a whole
//! second is its only unit.

use std::time::Duration;

use serde_json::{Value, json};

use crate::answers::{Answer, sequence};
use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::prober::Kind;

/// The checks that a user writes first: everything else is a default, a period of ten seconds among them.
const DEFAULTS: [(&str, &str); 2] =
    [("LIVENESS_KUBIA", "http://:8080/"), ("READINESS_KUBIA", "http://:8080/")];

fn with_sidecar() -> Manifest {
    Manifest::example("kubia-err400").with_checks(&DEFAULTS)
}

/// Returns the app with native probes of the same meaning.
fn native(more: &[(&str, Value)]) -> Manifest {
    let get = json!({"path": "/", "port": 8080});
    let mut probes = json!({"livenessProbe": {"httpGet": get}, "readinessProbe": {"httpGet": get}});
    for (name, period) in more {
        probes[*name] = json!({"httpGet": get, "periodSeconds": period, "failureThreshold": 300});
    }
    Manifest::example("kubia-err400").native(&probes)
}

/// The times of a pod's start, counted from the start of the app's container, or from when the app listened.
struct Start {
    ready_after_container: Duration,
    /// When the kubelet was told that the app has started.
    told_after_listening: Duration,
    questions: usize,
}

fn start(name: &str, what: &'static str, manifest: &Manifest) -> Start {
    let pod = Pod::start(name, manifest);
    pod.wait_for("the pod is ready", 60, Pod::ready);
    let container = pod.event_at("Started: container kubia");
    let listens = pod.listens_since("kubia").expect("an app that is ready listens");
    let passes = |answers: &[Answer]| answers.iter().find(|one| one.outcome.passed).map(|one| one.answered);
    let (startup, readiness) = (pod.answers("kubia", Kind::Startup), pod.answers("kubia", Kind::Readiness));
    let ready = passes(&readiness).expect("it is ready");
    let told = passes(&startup).unwrap_or(ready);
    println!(
        "pod start, {what}: container {:.2} s after the pod, it listens {:.2} s later, told {:.3} s and ready {:.3} s \
         after that; startup {}; readiness {}",
        container.as_secs_f32(),
        listens.saturating_sub(container).as_secs_f32(),
        told.saturating_sub(listens).as_secs_f32(),
        ready.saturating_sub(listens).as_secs_f32(),
        sequence(&startup),
        sequence(&readiness)
    );
    let is_native = manifest.pod.init_containers.is_none();
    assert!(is_native || readiness[0].outcome.passed, "ready at the first question\n{}", pod.story());
    Start {
        ready_after_container: ready.saturating_sub(container),
        told_after_listening: told.saturating_sub(listens),
        questions: startup.len(),
    }
}

/// Starts pods one after another, so that none takes the processor from another.
fn starts(boot: &'static str, pods: [(&'static str, &'static str, Manifest); 3]) -> [Start; 3] {
    pods.map(|(name, what, manifest)| start(name, what, &manifest.with_app(&["--boot", boot])))
}

#[test]
fn a_pod_is_ready_at_the_first_question() {
    let [_, native, ours] = starts(
        "0",
        [
            ("pod-start-0-native", "native, defaults", native(&[])),
            ("pod-start-0-startup", "native, startupProbe of 1 s", native(&[("startupProbe", json!(1))])),
            ("pod-start-0-sidecar", "sidecar, defaults", with_sidecar()),
        ],
    );
    assert_eq!((ours.questions, native.questions), (1, 1), "at the first question, as natively");
    // One more look of the kubelet's at what runs, since the sidecar was started before.
    assert!(ours.ready_after_container < native.ready_after_container + Duration::from_secs(1));
}

/// `?wait=` is answered when the app listens and not at the next whole second.
#[test]
fn a_pod_that_boots_is_ready_with_its_app() {
    let [_, native, ours] = starts(
        "3.3",
        [
            ("pod-start-3-native", "native, boots for 3.3 s", native(&[])),
            (
                "pod-start-3-startup",
                "native with a startupProbe, boots",
                native(&[("startupProbe", json!(1))]),
            ),
            ("pod-start-3-sidecar", "sidecar, boots for 3.3 s", with_sidecar()),
        ],
    );
    assert!(native.questions >= 3, "natively one a second");
    assert_eq!(ours.questions, 1, "one question waits for the app");
    let told = ours.told_after_listening;
    assert!(told < Duration::from_secs(1), "told {told:?} after the app listened");
}

/// Nobody asks for liveness while a start is the startupProbe's to judge, and when it is asked it is green again.
#[test]
fn an_app_that_boots_for_longer_than_its_liveness_allows_is_left_alone() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[("LIVENESS_KUBIA", "http://:8080/")])
        .with_app(&["--boot", "40"]);
    let pod = Pod::start("pod-start-40", &manifest);
    pod.wait_for("the sidecar answers", 20, |pod| pod.ask("/livez").is_ok());
    let live = pod.watch("/livez", Duration::from_millis(20));
    let ready = pod.watch("/readyz", Duration::from_millis(20));
    pod.wait_for("the pod is ready", 70, Pod::ready);
    pod.stays("left alone", 12, |pod| pod.ready() && pod.restarts("kubia") == 0);
    let listens = pod.listens_since("kubia").expect("it listens");
    for watch in [live, ready] {
        let sights = watch.end();
        let good = sights.iter().find(|sight| sight.at >= listens && sight.status() == Some(200));
        let after = good.expect("a 200").at.saturating_sub(listens);
        assert!(after < Duration::from_millis(500), "{after:?}\n{}", pod.story());
    }
    let answers = pod.answers("kubia", Kind::Liveness);
    assert!(answers.iter().all(|one| one.outcome.passed), "{}", pod.story());
}
