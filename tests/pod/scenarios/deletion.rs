//! The end of a pod: traffic stops at once, the app drains in peace, the sidecar goes last.

use std::time::Duration;

use crate::manifest::Manifest;
use crate::pod::Pod;

/// Holds the pod to this: the hook has run, and from then on there is no traffic.
fn is_drained_at_once(pod: &Pod) {
    let has_run = |event: &String| event.contains("PreStop: health-proxy");
    pod.wait_for("the hook of the sidecar has run", 10, |pod| pod.events().iter().any(has_run));
    let (status, answer) = pod.ask("/readyz").expect("the sidecar answers");
    assert_eq!(status, 503, "{answer}\n{}", pod.story());
}

fn drains_in_peace(name: &str, manifest: &Manifest) -> Vec<String> {
    let pod = Pod::start(name, &manifest.clone().with_app(&["--drain", "14"]));
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.delete();
    is_drained_at_once(&pod);
    let (_, answer) = pod.ask("/readyz").expect("the sidecar answers");
    let because = answer.contains("[-]drain failed") || answer.contains("[-]shutdown failed");
    assert!(because, "{answer}");
    let answers = |port, path| pod.ask_port(port, path).is_ok_and(|(status, _)| status == 200);
    pod.stays("/livez stands while the app drains", 3, |_| answers(9809, "/livez") && answers(8080, "/"));
    pod.wait_for("the pod has ended", 28, Pod::gone);
    let code = |name: &str| pod.status(name).exit.map(|exit| exit.code);
    assert_eq!(code("kubia"), Some(0), "{}", pod.story());
    assert_eq!(code("health-proxy"), Some(0), "{}", pod.story());
    let events = pod.events();
    assert!(!events.iter().any(|event| event.contains("Killing")));
    events
}

#[test]
fn a_native_sidecar_outlives_the_app() {
    let manifest = Manifest::example("kubia-err400").with_checks(&[("LIVENESS_KUBIA", "http://:8080/")]);
    let events = drains_in_peace("deletion-native", &manifest);
    let at = |what: &str| events.iter().position(|event| event.contains(what));
    let (app, sidecar) = (at("Ended: container kubia"), at("Ended: container health-proxy"));
    assert!(app.is_some() && app < sidecar, "{events:#?}");
}

#[test]
fn a_plain_sidecar_answers_while_the_app_drains() {
    drains_in_peace("deletion-plain", &Manifest::example("plain-sidecar"));
}

/// The next worker knows that it drains, and the kubelet goes on asking `/readyz` until the end.
#[test]
fn a_death_of_the_worker_ends_no_drain() {
    let manifest = Manifest::example("kubia-err400")
        .with_checks(&[("LIVENESS_KUBIA", "http://:8080/"), ("READINESS_KUBIA", "http://:8080/")])
        .with_app(&["--drain", "16"]);
    let pod = Pod::start("deletion-worker", &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.delete();
    is_drained_at_once(&pod);
    let ready = pod.watch("/readyz", Duration::from_millis(2));
    let live = pod.watch("/livez", Duration::from_millis(2));
    for _ in 0..2 {
        let before = pod.workers();
        pod.kill_worker();
        pod.wait_for("another worker", 5, |pod| {
            let now = pod.workers();
            !now.is_empty() && now != before
        });
    }
    pod.stays("the app drains", 3, |pod| pod.ask_port(8080, "/").is_ok_and(|(status, _)| status == 200));
    let seen = [(ready.end(), 503), (live.end(), 200)];
    pod.wait_for("the pod has ended", 28, Pod::gone);
    for (sights, expected) in seen {
        let others = sights.iter().filter(|sight| sight.status() != Some(expected) && !sight.was_taken());
        let others: Vec<_> = others.take(3).collect();
        assert!(others.is_empty(), "not {expected}: {others:#?}\n{}", pod.story());
    }
}
