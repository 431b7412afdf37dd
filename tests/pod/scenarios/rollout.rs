//! A rolling update: readiness decides how fast it goes, and stops it when the new version does not work.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::manifest::Manifest;
use crate::network::spawn_on_node;
use crate::pod::Pod;
use crate::request;

fn version(path: &str) -> Manifest {
    let target = format!("http://:8080{path}");
    Manifest::example("kubia-err400")
        .with_checks(&[("READINESS_KUBIA", &target), ("READINESS_KUBIA_PERIOD_SECONDS", "1")])
        .with_app(&["--drain", "4"])
}

/// The endpoints of a Service, as the node's proxy knows them; `None` when everything is over.
type Endpoints = Arc<Mutex<Option<Vec<SocketAddr>>>>;

/// Sends a request to every endpoint in turn until there is none, and returns what was answered and what went wrong.
fn keep_visiting(endpoints: &Endpoints) -> (usize, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    for turn in 0.. {
        let known = endpoints.lock().expect("a lock").clone();
        let Some(known) = known else { break };
        match known.get(turn % known.len().max(1)) {
            Some(address) => match request::visit(*address, "/", Duration::from_secs(1)) {
                Ok(()) => answered += 1,
                Err(reason) => failures.push(reason),
            },
            None => failures.push("the Service has no endpoint".to_owned()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (answered, failures)
}

#[test]
fn a_rolling_update_loses_no_request() {
    let mut pods: VecDeque<_> =
        (0..2).map(|number| Pod::start(&format!("rollout-old-{number}"), &version("/"))).collect();
    for pod in &pods {
        pod.wait_for("the old version is ready", 30, Pod::ready);
    }
    let addresses = |pods: &VecDeque<Pod>| {
        let ready = pods.iter().filter(|pod| pod.ready());
        Some(ready.map(|pod| pod.address(8080)).collect())
    };
    let endpoints: Endpoints = Arc::new(Mutex::new(addresses(&pods)));
    let visitor = spawn_on_node({
        let endpoints = Arc::clone(&endpoints);
        move || keep_visiting(&endpoints)
    });
    for number in 0..2 {
        let new = Pod::start(&format!("rollout-new-{number}"), &version("/"));
        new.wait_for("the new version is ready", 30, Pod::ready);
        println!("rolling update: a new pod is ready after {:.2} s", new.age().as_secs_f32());
        pods.push_back(new);
        *endpoints.lock().expect("a lock") = addresses(&pods);
        let old = pods.pop_front().expect("an old pod");
        old.delete();
        // The proxies of a cluster hear of the deletion later than the pod does: the app has to drain.
        old.wait_for("the readiness of the old one is gone", 8, |pod| {
            pod.ask("/readyz").is_ok_and(|(status, _)| status == 503)
        });
        *endpoints.lock().expect("a lock") = addresses(&pods);
        old.wait_for("the old one has ended", 20, Pod::gone);
    }
    *endpoints.lock().expect("a lock") = None;
    let (answered, failures) = visitor.join().expect("the visitor ends");
    println!("{answered} requests answered during the rolling update");
    let first: Vec<_> = failures.iter().take(3).collect();
    assert!(failures.is_empty(), "{} of {answered} requests failed: {first:?}", failures.len());
}

#[test]
fn an_update_that_does_not_work_stops_at_its_first_pod() {
    let old = Pod::start("stuck-old", &version("/"));
    old.wait_for("the old version is ready", 30, Pod::ready);
    // The new version asks a port on which nobody listens: it lives, and is not ready.
    let broken = version("/").with_checks(&[("READINESS_KUBIA", "http://:8099/")]);
    let new = Pod::start("stuck-new", &broken);
    new.wait_for("the new app runs", 20, |pod| pod.status("kubia").attempts == 1);
    new.stays("never ready, never restarted, while the old one serves", 25, |new| {
        !new.ready() && new.restarts("kubia") == 0 && old.ready()
    });
    let (_, answer) = new.ask("/readyz").expect("the sidecar answers");
    assert!(answer.contains("[-]kubia failed: "), "{answer}");
}
