//! What the kubelet's questions and the app's sockets tell of its incarnations, over HTTP.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::app::{App, response};
use crate::servers::free_port;
use crate::sidecar::{Sidecar, eventually};

const INCARNATIONS: &str = "health_proxy_incarnations_total";

/// Starts an app that answers with one status, on a free port or a given one.
fn app_at(address: &str, status: &'static str) -> App {
    let listener = eventually("the port is free", || TcpListener::bind(address).ok());
    App::on(listener, move |_, _, stream| {
        let _ = stream.write_all(response(status, "").as_bytes());
    })
}

/// Returns an address at which nobody listens yet.
fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[test]
fn a_question_after_200_begins_a_new_incarnation_only_with_a_different_socket() {
    let app = app_at("127.0.0.1:0", "200 OK");
    let (address, url) = (app.address.to_string(), app.url("/"));
    let sidecar = Sidecar::start(&[("STARTUP_WEB", &url), ("STARTUP_PERIOD_SECONDS", "0.05")]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    for _ in 0..20 {
        assert_eq!(sidecar.get("/startupz").status, 200, "other callers change nothing");
        assert_eq!(sidecar.kubelet("/startupz").status, 200, "the kubelet itself was restarted");
    }
    assert_eq!(sidecar.metric(INCARNATIONS), Some(1.0));
    let refusal = sidecar.wait_for_log("asks again whether the container has started\"");
    let cause = "\"cause\":\"its sockets and processes are the same as when it had started\"";
    assert!(refusal.contains(cause), "{refusal}");
    drop(app);
    assert_eq!(sidecar.kubelet("/startupz").status, 503, "a new container has not started yet");
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
    sidecar.wait_for_log(&format!("\"evidence\":\"{url}\""));
    let _next = app_at(&address, "200 OK");
    assert_eq!(sidecar.wait_for("/startupz", 200), "ok");
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    assert!(sidecar.metric("health_proxy_startup_duration_seconds").unwrap() > 0.0);
}

#[test]
fn a_question_that_no_witness_contradicts_is_believed() {
    let sidecar = Sidecar::start(&[("STARTUP_A", "exec:true"), ("STARTUP_B", "exec:true")]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz/nope").status, 404);
    assert_eq!(sidecar.kubelet("/startupz/a").status, 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200, "each path is told on its own");
    assert_eq!(sidecar.metric(INCARNATIONS), Some(1.0));
    assert_eq!(sidecar.kubelet("/startupz/a").status, 503);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
}

#[test]
fn a_sidecar_that_checks_another_one_is_not_the_kubelet() {
    let (sidecar, agent) =
        (Sidecar::start(&[("STARTUP_A", "exec:true")]), "User-Agent: kube-probe/1.36 health-proxy/0.2.0\r\n");
    sidecar.wait_for("/startupz", 200);
    for _ in 0..3 {
        assert_eq!(sidecar.request("GET", "/startupz", agent).status, 200);
    }
}

#[test]
fn with_a_key_only_who_knows_it_is_the_kubelet() {
    let sidecar = Sidecar::start(&[("STARTUP_A", "exec:true"), ("HEALTH_PROXY_STARTUP_KEY", "hunter2")]);
    let kubelet = |key: &str| {
        let headers = format!("User-Agent: kube-probe/1.36\r\nX-Health-Proxy-Key: {key}\r\n");
        sidecar.request("GET", "/startupz", &headers).status
    };
    sidecar.wait_for("/startupz", 200);
    for _ in 0..3 {
        assert_eq!((sidecar.kubelet("/startupz").status, kubelet("hunter3")), (200, 200));
    }
    assert_eq!((kubelet("hunter2"), kubelet("hunter2")), (200, 503));
}

#[test]
fn a_remembered_failure_does_not_kill_a_fresh_container() {
    let app = App::answering(|number, _| response(if number == 2 { "500 Error" } else { "200 OK" }, ""));
    let address = app.address.to_string();
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("LIVENESS_WEB_PERIOD_SECONDS", "0.3"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "1"),
        ("LIVENESS_WEB_UNHEALTHY_PERIOD_SECONDS", "3600"),
    ]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    sidecar.wait_for("/livez", 503);
    drop(app);
    let _next = app_at(&address, "200 OK");
    sidecar.kubelet("/startupz");
    assert_eq!(sidecar.kubelet("/livez").status, 200, "the failure was that of the last container");
}

#[test]
fn without_a_startup_probe_a_socket_that_is_gone_is_a_new_container() {
    let app = app_at("127.0.0.1:0", "200 OK");
    let address = app.address.to_string();
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("LIVENESS_WEB_PERIOD_SECONDS", "0.1"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "2"),
        ("LIVENESS_WEB_INITIAL_DELAY_SECONDS", "0.5"),
    ]);
    sidecar.wait_for_log("\"message\":\"listening\"");
    eventually("a success", || {
        let last = "health_proxy_check_last_success_timestamp_seconds{check=\"web\",probe=\"liveness\"}";
        sidecar.metric(last).filter(|at| *at > 0.0)
    });
    drop(app);
    sidecar.wait_for_log("a socket or process of the container is a different one");
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
    // It stays away: that is a failure of its own, until somebody listens again.
    sidecar.wait_for("/livez", 503);
    assert_eq!(sidecar.metric(INCARNATIONS), Some(2.0));
    let _next = app_at(&address, "200 OK");
    sidecar.wait_for("/livez", 200);
}

#[test]
fn a_pod_is_ready_half_a_second_after_its_app_listens_whatever_the_period() {
    let address = free_address();
    let url = format!("http://{address}/");
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &url),
        ("LIVENESS_WEB_INITIAL_DELAY_SECONDS", "3600"),
        ("READINESS_WEB", &url),
        ("READINESS_PERIOD_SECONDS", "3600"),
    ]);
    assert_eq!(sidecar.kubelet("/startupz").status, 503);
    assert_eq!(sidecar.get("/readyz").status, 503);
    let _app = app_at(&address, "200 OK");
    sidecar.wait_for("/readyz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
}

#[test]
fn a_caller_can_wait_for_the_startup() {
    let address = free_address();
    let sidecar = Sidecar::start(&[("STARTUP_WEB", &format!("tcp://{address}"))]);
    let asked = Instant::now();
    let answer = sidecar.kubelet("/startupz?wait=0.2");
    assert_eq!(answer.status, 503);
    assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sidecar.kubelet("/startupz?wait=20"));
        let _app = app_at(&address, "200 OK");
        let answer = waiting.join().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    });
}

/// The kubelet asks `/readyz` as soon as it is told of the startup, and again only a period later.
#[test]
#[expect(clippy::disallowed_methods, reason = "an app that takes its time")]
fn who_waited_for_the_startup_finds_the_pod_ready() {
    for startup in ["LIVENESS_WEB", "STARTUP_WEB"] {
        let address = free_address();
        let url = format!("http://{address}/");
        let sidecar = Sidecar::start(&[
            (startup, &url),
            ("READINESS_WEB", &url),
            ("READINESS_WEB_INITIAL_DELAY_SECONDS", "3600"),
            ("READINESS_EXEC", "exec:sleep 0.1"),
        ]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                assert_eq!(sidecar.kubelet("/startupz?wait=20").status, 200);
                let ready = sidecar.kubelet("/readyz");
                assert_eq!((ready.status, ready.body.as_str()), (200, "ok"), "{startup}");
            });
            let listener = eventually("the port is free", || TcpListener::bind(&address).ok());
            let _app = App::on(listener, |_, _, stream| {
                std::thread::sleep(Duration::from_millis(50));
                let _ = stream.write_all(response("200 OK", "").as_bytes());
            });
            waiting.join().unwrap();
        });
    }
}

#[test]
fn nobody_is_vouched_for_who_is_not_there() {
    let app = app_at("127.0.0.1:0", "200 OK");
    let address = app.address.to_string();
    let sidecar = Sidecar::start(&[("READINESS_WEB", &app.url("/")), ("READINESS_PERIOD_SECONDS", "3600")]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    sidecar.wait_for("/readyz", 200);
    drop(app);
    let body = sidecar.kubelet("/readyz").body;
    assert_eq!(body, "[-]web failed: the socket or process that passed last is gone\nreadyz check failed\n");
    assert_eq!(sidecar.get("/readyz/web").status, 503);
    let _next = app_at(&address, "200 OK");
    sidecar.wait_for("/readyz", 200);
}

#[test]
fn containers_are_asked_by_name() {
    let (front, back) = (app_at("127.0.0.1:0", "200 OK"), app_at("127.0.0.1:0", "200 OK"));
    let sidecar = Sidecar::start(&[
        ("LIVENESS_FRONT", &front.url("/")),
        ("LIVENESS_FRONT_CONTAINER", "front"),
        ("READINESS_FRONT", "exec:false"),
        ("READINESS_FRONT_CONTAINER", "front"),
        ("LIVENESS_BACK", &back.url("/")),
        ("LIVENESS_BACK_CONTAINER", "back"),
    ]);
    for container in ["front", "back"] {
        assert_eq!(sidecar.kubelet(&format!("/startupz?container={container}")).status, 200);
    }
    let verbose = sidecar.wait_for("/livez?verbose&container=back", 200);
    assert_eq!(verbose, "[+]back ok\nlivez check passed\n");
    assert_eq!(sidecar.get("/readyz?container=back").status, 200);
    assert_eq!(sidecar.wait_for("/readyz?container=front", 503).lines().last(), Some("readyz check failed"));
    let unknown = sidecar.get("/livez?container=nope");
    assert_eq!((unknown.status, unknown.body.contains("no check names it")), (404, true), "{}", unknown.body);
    drop(front);
    assert_eq!(sidecar.kubelet("/startupz?container=front").status, 503);
    assert_eq!(sidecar.kubelet("/startupz?container=back").status, 200);
    let number = |name: &str| sidecar.metric(&format!("{INCARNATIONS}{{app_container=\"{name}\"}}"));
    assert_eq!((number("front"), number("back")), (Some(2.0), Some(1.0)));
    let probe = "health_proxy_probe_healthy{app_container=\"front\",probe=\"startup\"}";
    assert_eq!(sidecar.metric(probe), Some(0.0));
    let status: serde_json::Value = serde_json::from_str(&sidecar.get("/status").body).unwrap();
    let names: Vec<_> = status["containers"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(names, ["back", "front"]);
    assert_eq!(status["checks"][0]["container"], "back");
}

#[test]
fn a_port_that_two_containers_share_is_evidence_for_both() {
    let app = app_at("127.0.0.1:0", "200 OK");
    let (address, url) = (app.address.to_string(), app.url("/"));
    let sidecar = Sidecar::start(&[
        ("LIVENESS_FRONT", &url),
        ("LIVENESS_FRONT_CONTAINER", "front"),
        ("LIVENESS_BACK", &url),
        ("LIVENESS_BACK_CONTAINER", "back"),
    ]);
    let paths = ["front", "back"].map(|name| format!("/startupz?container={name}"));
    for path in &paths {
        sidecar.wait_for(path, 200);
        assert_eq!(sidecar.kubelet(path).status, 200);
    }
    drop(app);
    for path in &paths {
        assert_eq!(sidecar.kubelet(path).status, 503, "{path}");
    }
    let _next = app_at(&address, "200 OK");
    for (path, name) in paths.iter().zip(["front", "back"]) {
        sidecar.wait_for(path, 200);
        assert_eq!(sidecar.kubelet(path).status, 200, "{path}");
        assert_eq!(sidecar.metric(&format!("{INCARNATIONS}{{app_container=\"{name}\"}}")), Some(2.0));
    }
}
