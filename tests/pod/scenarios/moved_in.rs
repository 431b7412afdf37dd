//! Moving in: a pod that `inject` has changed lives as it did with its native probes, while its apps start, are well,
//! fail and hang. Many pods are alive at once, so this is run when nothing else is: `tests/pod/run`.

use std::path::PathBuf;
use std::sync::Mutex;

use k8s_openapi::api::core::v1::Container;

use crate::foreign::{Life, Mood, lives, passes, set_mood, write_certificate};
use crate::pod::{Pod, SIDECAR};
use crate::prober::probes;

/// The number of pods that live at a time.
const PODS_AT_ONCE: usize = 20;

/// The moods of apps that are not well.
const UNWELL: [Mood; 2] = [Mood::Failing, Mood::Hanging];

#[test]
fn every_manifest_lives_as_it_did() {
    let lives = lives();
    assert!(lives.len() >= 2 * 25, "{}", lives.len());
    let queue = Mutex::new(lives.into_iter());
    let next = || queue.lock().expect("nobody panics with it").next();
    std::thread::scope(|scope| {
        for _ in 0..PODS_AT_ONCE {
            scope.spawn(|| {
                while let Some(life) = next() {
                    live(&life);
                }
            });
        }
    });
}

/// Lives one life of a pod. What has to hold is worked out from the native probes only, and is the same for both forms
/// of a pod.
fn live(life: &Life) {
    let state = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&life.name).join("state");
    set_mood(&state, Mood::Starting);
    write_certificate(&state);
    let pod = Pod::start(&life.name, &life.manifest);
    pod.wait_for("the first app runs", 120, |pod| {
        life.apps.iter().any(|app| pod.status(&app.name).attempts > 0)
    });
    // With a liveness probe alone an app is ready before it listens: here the two differ on purpose.
    let waits = |app: &&Container| app.startup_probe.is_some() || app.readiness_probe.is_some();
    let is_ready = |pod: &Pod, app: &Container| pod.status(&app.name).reported.ready;
    pod.stays("no app is ready before it listens", 3, |pod| {
        life.apps.iter().filter(waits).all(|app| !is_ready(pod, app))
    });

    set_mood(&state, Mood::Well);
    pod.wait_for("the pod is ready", 120, Pod::ready);
    pod.wait_for("everything that is asked is well", 60, |pod| all_is_well(pod, life));
    assert!(life.apps.iter().all(|app| pod.restarts(&app.name) == 0), "{}", pod.story());
    for mood in UNWELL {
        let before: Vec<_> = life.apps.iter().map(|app| pod.restarts(&app.name)).collect();
        set_mood(&state, mood);
        pod.wait_for(&format!("what {mood:?} leads to"), 120, |pod| {
            life.apps.iter().zip(&before).all(|(app, before)| match led_to(app, mood) {
                Fate::Restarted => pod.restarts(&app.name) > *before,
                Fate::Unready => !is_ready(pod, app),
                Fate::Unharmed => is_ready(pod, app),
            })
        });
        set_mood(&state, Mood::Well);
        pod.wait_for("the pod is ready again", 120, Pod::ready);
    }
    for app in &life.apps {
        let is_restarted = UNWELL.iter().any(|mood| led_to(app, *mood) == Fate::Restarted);
        assert_eq!(pod.restarts(&app.name) > 0, is_restarted, "{}: {}", app.name, pod.story());
    }
    if life.manifest.containers().any(|one| one.name == SIDECAR) {
        assert_eq!(pod.restarts(SIDECAR), 0, "{}", pod.story());
    }
}

/// Returns whether every probe of the apps has passed, and every check of the sidecar, if there is one.
fn all_is_well(pod: &Pod, life: &Life) -> bool {
    let mut asked = life.manifest.containers().filter(|one| life.apps.iter().any(|app| app.name == one.name));
    let passed = |app: &Container, kind| pod.answers(&app.name, kind).iter().any(|one| one.outcome.passed);
    let all_passed = asked.all(|app| probes(app).all(|(kind, _)| passed(app, kind)));
    let Some(sidecar) = life.manifest.containers().find(|one| one.name == SIDECAR) else {
        return all_passed;
    };
    // Knative lets only one container declare a port.
    let port = sidecar.ports.iter().flatten().next().map_or(9809, |port| port.container_port);
    let metrics = pod.ask_port(port.try_into().expect("a port"), "/metrics").expect("it answers").1;
    let mut runs = metrics.lines().filter(|line| {
        line.starts_with("health_proxy_check_runs_total{") && line.contains("result=\"success\"")
    });
    all_passed && runs.all(|line| !line.ends_with(" 0"))
}

/// The fate of an app that is not well.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Restarted,
    Unready,
    Unharmed,
}

fn led_to(app: &Container, mood: Mood) -> Fate {
    let fails = |probe: &Option<_>| probe.as_ref().is_some_and(|probe| !passes(app, probe, mood));
    if fails(&app.liveness_probe) {
        Fate::Restarted
    } else if fails(&app.readiness_probe) {
        Fate::Unready
    } else {
        Fate::Unharmed
    }
}
