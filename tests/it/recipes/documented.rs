//! Servers that are in no registry from which the tests install: what they answer is what they document.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{eventually, recipe, start, tells_of};
use crate::app::{App, response};
use crate::servers::python_server;

#[test]
#[ignore = "needs pymongo"]
fn mongodb() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mongodb_hello.py");
    let (server, port) = python_server(&[script]);
    let sidecar = start(&recipe("MongoDB", [(27017, port)]));
    eventually("a run failed while it recovers", || {
        let failed = "health_proxy_check_runs_total{check=\"mongo\",probe=\"readiness\",result=\"failure\"}";
        (sidecar.metric(failed) == Some(1.0)).then_some(())
    });
    tells_of(&sidecar, server);
}

/// Returns an app that answers `well`, and then `ill`, to `path`; and the switch.
fn answering(path: &'static str, well: &'static str, ill: &'static str) -> (App, Arc<AtomicBool>) {
    let is_ill = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_ill);
    let app = App::answering(move |_, head| match head.split(' ').nth(1) {
        Some(asked) if asked == path => {
            response("200 OK", if switch.load(Ordering::SeqCst) { ill } else { well })
        }
        _ => response("404 Not Found", ""),
    });
    (app, is_ill)
}

#[test]
fn elasticsearch() {
    let (app, is_ill) = answering(
        "/_cluster/health?local=true",
        r#"{"cluster_name":"docs","status":"yellow","timed_out":false,"number_of_nodes":1,"unassigned_shards":1}"#,
        r#"{"cluster_name":"docs","status":"red","timed_out":false,"number_of_nodes":1,"unassigned_shards":9}"#,
    );
    let sidecar = start(&recipe("Elasticsearch", [(9200, app.address.port())]));
    sidecar.wait_for("/readyz", 200);
    is_ill.store(true, Ordering::SeqCst);
    let why =
        eventually("it is red", || Some(sidecar.get("/readyz").body).filter(|body| body.contains("/status")));
    assert!(why.contains("red"), "{why}");
}

#[test]
fn spring_boot() {
    let path = "/actuator/health/readiness";
    let (management, is_ill) = answering(path, r#"{"status":"UP"}"#, r#"{"status":"OUT_OF_SERVICE"}"#);
    let main = App::answering(|_, _| response("200 OK", ""));
    let ports = [(8081, management.address.port()), (8080, main.address.port())];
    let sidecar = start(&recipe("Spring Boot", ports));
    sidecar.wait_for("/readyz", 200);
    is_ill.store(true, Ordering::SeqCst);
    eventually("it is out of service", || {
        sidecar.get("/readyz").body.contains("OUT_OF_SERVICE").then_some(())
    });
    is_ill.store(false, Ordering::SeqCst);
    sidecar.wait_for("/readyz", 200);
    drop(main);
    sidecar.wait_for("/readyz", 503);
}
