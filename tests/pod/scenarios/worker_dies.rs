//! The sidecar's worker dies or hangs: nobody who asks is told anything else than before.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::manifest::Manifest;
use crate::pod::Pod;
use crate::watch::Watch;

/// Returns an app whose readiness would take eight seconds to come back, if its clock began again.
fn healthy() -> Manifest {
    Manifest::example("kubia-err400")
        .with_checks(&[
            ("LIVENESS_KUBIA", "http://:8080/"),
            ("LIVENESS_KUBIA_PERIOD_SECONDS", "1"),
            ("READINESS_KUBIA", "http://:8080/"),
            ("READINESS_KUBIA_INITIAL_DELAY_SECONDS", "8"),
        ])
        .with_app(&[])
}

/// Kills the worker and waits for the next one.
fn replace_worker(pod: &Pod) {
    let before = pod.workers();
    pod.kill_worker();
    pod.wait_for("another worker", 10, |pod| {
        let now = pod.workers();
        !now.is_empty() && now != before
    });
}

/// Ends a watch in which only the requests may be missing that the deaths took with them.
fn all_but_the_taken(watch: Watch, deaths: usize) -> usize {
    let sights = watch.end();
    let taken = sights.iter().filter(|sight| sight.was_taken()).count();
    let others: Vec<_> =
        sights.iter().filter(|sight| sight.status() != Some(200) && !sight.was_taken()).take(3).collect();
    assert!(others.is_empty(), "of {}: {others:#?}", sights.len());
    assert!(taken <= deaths, "each death takes at most the one request that is being answered, not {taken}");
    sights.len()
}

/// Five deaths of the worker within a minute are meant to end the container, so the ten come in bursts.
#[test]
fn ten_deaths_of_the_worker_go_unnoticed() {
    let pod = Pod::start("worker-dies", &healthy());
    pod.wait_for("the pod is ready", 40, Pod::ready);
    let live = pod.watch("/livez", Duration::from_millis(20));
    // More often would be more than the tenth of a processor that the sidecar may use.
    let ready = pod.watch("/readyz", Duration::from_millis(10));
    for (burst, pause) in [(4, 61), (4, 61), (2, 5)] {
        for _ in 0..burst {
            replace_worker(&pod);
        }
        pod.stays("nothing is restarted", pause, |pod| {
            pod.restarts("kubia") == 0 && pod.restarts("health-proxy") == 0 && pod.ready()
        });
    }
    let (live, ready) = (all_but_the_taken(live, 10), all_but_the_taken(ready, 10));
    println!("ten deaths of the worker: {live} answers of /livez and {ready} of /readyz, all as before");
}

#[test]
fn a_red_liveness_outlives_the_worker() {
    let pod = Pod::start("worker-red", &healthy());
    pod.wait_for("the pod is ready", 40, Pod::ready);
    pod.container("kubia").signal(Signal::SIGUSR1);
    let red = |pod: &Pod| pod.ask("/livez").is_ok_and(|(status, _)| status == 503);
    pod.wait_for("/livez is red", 10, red);
    let live = pod.watch("/livez", Duration::from_millis(5));
    replace_worker(&pod);
    pod.wait_for("the sick app is restarted", 25, |pod| pod.restarts("kubia") == 1);
    let started = pod.event_at("Started: container kubia, attempt 1");
    let green: Vec<_> = live.end().into_iter().filter(|sight| sight.status() == Some(200)).collect();
    let early = green.iter().filter(|sight| sight.at < started).count();
    assert_eq!(early, 0, "green beside a sick app\n{}", pod.story());
    pod.wait_for("the pod is ready again", 40, |pod| pod.is_ready_again("kubia", 1));
    assert_eq!(pod.restarts("health-proxy"), 0);
}

/// A worker that is stopped looks like one that waits for a dead mount: it answers nobody, and does not end.
#[test]
fn a_worker_that_hangs_is_replaced_before_the_app_pays() {
    let pod = Pod::start("worker-hangs", &healthy());
    pod.wait_for("the pod is ready", 40, Pod::ready);
    let (before, stopped) = (pod.workers(), pod.age());
    pod.signal_worker(Signal::SIGSTOP);
    pod.wait_for("another worker", 12, |pod| {
        let now = pod.workers();
        !now.is_empty() && now != before
    });
    pod.wait_for("it answers", 3, |pod| pod.ask("/livez").is_ok_and(|(status, _)| status == 200));
    println!("a hung worker is replaced after {:.2} s", pod.age().saturating_sub(stopped).as_secs_f32());
    pod.stays("nothing is restarted", 25, |pod| {
        pod.restarts("kubia") == 0 && pod.restarts("health-proxy") == 0
    });
    assert!(pod.ready(), "{}", pod.story());
}
