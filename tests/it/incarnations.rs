//! The kubelet's question whether the app has started, over HTTP.

use std::io::Write;
use std::net::TcpListener;

use crate::app::{App, response};
use crate::sidecar::{Sidecar, eventually};

fn sidecar(app: &App) -> Sidecar {
    Sidecar::start(&[
        ("STARTUP_WEB", &app.url("/")),
        ("LIVENESS_WEB", &app.url("/")),
        ("STARTUP_PERIOD_SECONDS", "0.05"),
        ("LIVENESS_PERIOD_SECONDS", "0.05"),
        ("LIVENESS_FAILURE_THRESHOLD", "1"),
    ])
}

const INCARNATIONS: &str = "health_proxy_incarnations_total";

#[test]
fn a_second_question_after_200_begins_a_new_incarnation_and_other_clients_change_nothing() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = sidecar(&app);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.get("/startupz").status, 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    assert_eq!(sidecar.get("/startupz").status, 200);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(1.0));
    assert_eq!(sidecar.kubelet("/startupz").status, 503, "a new container has not started yet");
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
    assert_eq!(sidecar.wait_for("/startupz", 200), "ok");
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    assert!(sidecar.metric("health_proxy_startup_duration_seconds").unwrap() > 0.0);
}

#[test]
fn a_sidecar_that_checks_another_one_is_not_the_kubelet() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let (sidecar, agent) = (sidecar(&app), "User-Agent: kube-probe/1.36 health-proxy/0.1.0\r\n");
    sidecar.wait_for("/startupz", 200);
    for _ in 0..3 {
        assert_eq!(sidecar.request("GET", "/startupz", agent).status, 200);
    }
}

#[test]
fn single_checks_are_asked_and_told_on_their_own() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = sidecar(&app);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz/nope").status, 404);
    assert_eq!(sidecar.kubelet("/startupz/web").status, 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(1.0));
    assert_eq!(sidecar.kubelet("/startupz/web").status, 503);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
}

#[test]
fn a_remembered_failure_does_not_kill_a_fresh_container() {
    let app = App::answering(|number, _| response(if number == 2 { "500 Error" } else { "200 OK" }, ""));
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("LIVENESS_WEB_PERIOD_SECONDS", "0.3"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "1"),
        ("LIVENESS_WEB_UNHEALTHY_PERIOD_SECONDS", "3600"),
    ]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    sidecar.wait_for("/livez", 503);
    sidecar.kubelet("/startupz");
    assert_eq!(sidecar.kubelet("/livez").status, 200, "the failure was that of the last container");
}

/// An app that fails, from its first request or from a later one, on a port of its own or a given one.
fn failing_app(address: &str) -> App {
    let listener = eventually("the port is free", || TcpListener::bind(address).ok());
    App::on(listener, |_, _, stream| {
        let _ = stream.write_all(response("500 Error", "").as_bytes());
    })
}

#[test]
fn without_a_startup_probe_a_new_listening_socket_is_a_new_container() {
    let app = failing_app("127.0.0.1:0");
    let address = app.address.to_string();
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("LIVENESS_WEB_PERIOD_SECONDS", "0.1"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "2"),
        ("LIVENESS_WEB_INITIAL_DELAY_SECONDS", "0.5"),
    ]);
    sidecar.wait_for("/livez", 503);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(1.0), "the same socket listens as when it began to fail");
    drop(app);
    sidecar.wait_for_log("the socket that listened on the port of a failing check is another one");
    assert_eq!(sidecar.get("/livez").status, 200, "nothing is known of the new container");
    // It stays away: that is a failure of its own, remembered until somebody listens again.
    sidecar.wait_for("/livez", 503);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
    let _next = failing_app(&address);
    eventually("the next container is seen", || (sidecar.metric(INCARNATIONS) == Some(3.0)).then_some(()));
}
