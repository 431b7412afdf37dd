//! The sidecar dies, in part or as a whole: the app does not pay for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::manifest::Manifest;
use crate::network::spawn_on_node;
use crate::pod::Pod;
use crate::request;

fn healthy() -> Manifest {
    Manifest::example("kubia-err400")
        .with_checks(&[("LIVENESS_KUBIA", "http://:8080/"), ("LIVENESS_KUBIA_PERIOD_SECONDS", "1")])
        .with_app(&[])
}

/// Five deaths of the worker within a minute are meant to end the container, so the ten come in bursts.
#[test]
fn ten_deaths_of_the_worker_go_unnoticed() {
    let pod = Pod::start("worker-dies", &healthy());
    pod.wait_for("the pod is ready", 30, Pod::ready);
    let (address, over) = (pod.address(9809), Arc::new(AtomicBool::new(false)));
    let stream = spawn_on_node({
        let over = Arc::clone(&over);
        move || ask_all_the_time(address, &over)
    });
    for (burst, pause) in [(4, 61), (4, 61), (2, 5)] {
        for _ in 0..burst {
            let before = pod.container("health-proxy").children();
            pod.kill_worker();
            pod.wait_for("another worker", 10, |pod| {
                let now = pod.container("health-proxy").children();
                !now.is_empty() && now != before
            });
        }
        pod.stays("nothing is restarted", pause, |pod| {
            pod.restarts("kubia") == 0 && pod.restarts("health-proxy") == 0
        });
    }
    over.store(true, Ordering::Relaxed);
    let (answered, failures) = stream.join().expect("the stream ends");
    let (lost, others): (Vec<_>, Vec<_>) = failures.into_iter().partition(|reason| was_taken(reason));
    println!("ten deaths of the worker: {answered} requests answered, {} lost with it", lost.len());
    assert_eq!(others, [""; 0], "of {answered} requests");
    assert!(lost.len() <= 10, "each death takes at most the one request that is being answered");
    assert!(pod.ready(), "{}", pod.story());
}

/// Whether a request failed because the worker died while it was answering it: no supervisor can help there.
fn was_taken(reason: &str) -> bool {
    reason.ends_with("unexpected end of file") || reason.contains("reset by peer")
}

/// Asks `/livez` fifty times a second, each time as the kubelet would.
fn ask_all_the_time(address: std::net::SocketAddr, over: &AtomicBool) -> (usize, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        match request::probe(address, "/livez", Duration::from_secs(1)) {
            Ok(()) => answered += 1,
            Err(reason) => failures.push(reason),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (answered, failures)
}

#[test]
fn two_deaths_of_the_whole_sidecar_restart_no_app() {
    let pod = Pod::start("sidecar-dies", &healthy());
    pod.wait_for("the pod is ready", 30, Pod::ready);
    for (death, patience) in [(1, 10), (2, 20)] {
        pod.kill("health-proxy");
        pod.wait_for("the kubelet starts it again", patience, |pod| pod.restarts("health-proxy") == death);
        pod.wait_for("the sidecar answers", 10, |pod| pod.ask("/-/healthy").is_ok());
    }
    pod.stays("the app runs on", 20, |pod| pod.restarts("kubia") == 0);
    assert!(pod.ready(), "{}", pod.story());
    let missed = |event: &&String| event.contains("kubia Liveness probe failed");
    let missed = pod.events().iter().filter(missed).count();
    println!("{missed} of the kubelet's liveness probes found nobody, 9 in a row would be a restart");
    assert!(missed > 0, "the kubelet has met a closed port:\n{}", pod.story());
}
