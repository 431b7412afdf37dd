//! `http://` against servers that behave, redirect and misbehave.

use std::io::Write;
use std::net::TcpListener;

use crate::app::{App, close, response};
use crate::sidecar::{Sidecar, eventually};

/// Starts a sidecar with one readiness check `web` that runs often and flips at once.
fn watching(url: &str, options: &[(&str, &str)]) -> Sidecar {
    let mut variables = vec![
        ("READINESS_WEB", url),
        ("READINESS_WEB_PERIOD_SECONDS", "0.1"),
        ("READINESS_WEB_FAILURE_THRESHOLD", "1"),
        ("READINESS_WEB_TIMEOUT_SECONDS", "5"),
    ];
    variables.extend(options);
    Sidecar::start(&variables)
}

/// Returns the reason of the first verdict, or `ok`.
fn verdict(url: &str, options: &[(&str, &str)]) -> String {
    let sidecar = watching(url, options);
    eventually("a verdict", || {
        let answer = sidecar.get("/readyz/web").body;
        (answer != "no result yet\n").then(|| answer.trim_end().to_owned())
    })
}

/// Returns the verdict on a server that always answers `answer`.
fn judged(answer: impl Into<String>, options: &[(&str, &str)]) -> String {
    let answer = answer.into();
    let app = App::answering(move |_, _| answer.clone());
    verdict(&app.url("/"), options)
}

#[test]
fn the_request_is_the_kubelets() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = watching(&app.url("/a?b=c"), &[]);
    sidecar.wait_for("/readyz", 200);
    let expected = format!(
        "GET /a?b=c HTTP/1.1\r\nHost: {}\r\nUser-Agent: kube-probe/1.36 health-proxy/{}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        app.address,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(app.requests()[0], expected);
}

#[test]
fn headers_method_and_credentials_are_as_configured() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let url = app.url("/").replace("http://", "http://user:pass@");
    let headers = "Host: example.com\nX-A: 1\nX-A: 2\nUser-Agent:\nAccept: text/plain";
    let options = [("READINESS_WEB_HTTP_HEADERS", headers), ("READINESS_WEB_METHOD", "HEAD")];
    let sidecar = watching(&url, &options);
    sidecar.wait_for("/readyz", 200);
    let expected = "HEAD / HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nX-A: 2\r\nAccept: text/plain\r\n\
                    Authorization: Basic dXNlcjpwYXNz\r\nConnection: close\r\n\r\n";
    assert_eq!(app.requests()[0], expected);
}

#[test]
fn statuses_from_200_to_399_pass_unless_configured() {
    assert_eq!(judged(response("204 No Content", ""), &[]), "ok");
    assert_eq!(judged(response("304 Not Modified", ""), &[]), "ok");
    assert_eq!(judged(response("400 Bad Request", ""), &[]), "HTTP probe failed with statuscode: 400");
    assert_eq!(judged(response("500 Error", "secret"), &[]), "HTTP probe failed with statuscode: 500");
    let switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    assert_eq!(judged(switching, &[]), "HTTP probe failed with statuscode: 101");
    let only_204 = [("READINESS_WEB_STATUS", "204,500-599")];
    assert_eq!(judged(response("200 OK", ""), &only_204), "HTTP probe failed with statuscode: 200");
    assert_eq!(judged(response("503 Error", ""), &only_204), "ok");
}

#[test]
fn the_body_has_to_match_where_that_is_asked() {
    let wants = [("READINESS_WEB_BODY_MATCHES", "\"status\": *\"UP\"")];
    assert_eq!(judged(response("200 OK", "{\"status\": \"UP\"}"), &wants), "ok");
    let wrong = judged(response("200 OK", "{\"status\": \"DOWN\"}"), &wants);
    assert_eq!(wrong, r#"the body does not match /"status": *"UP"/: it begins "{"status": "DOWN"}""#);
}

fn location(status: &str, location: &str) -> String {
    format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbye")
}

#[test]
fn redirects_on_the_same_host_are_followed_over_ports() {
    let goal = App::answering(|_, head| {
        if head.starts_with("GET /goal ") { response("200 OK", "") } else { response("404 Not Found", "") }
    });
    // Another name of loopback is no other host, and a POST becomes a GET.
    let url = format!("http://localhost:{}/goal", goal.address.port());
    let first = App::answering(move |_, _| location("302 Found", &url));
    assert_eq!(verdict(&first.url("/"), &[("READINESS_WEB_METHOD", "POST")]), "ok");
    assert!(goal.requests()[0].starts_with("GET /goal "));
}

#[test]
fn redirects_to_other_hosts_or_nowhere_are_judged_as_they_are() {
    let sidecar_answers = |answer: String, log: &str| {
        let app = App::answering(move |_, _| answer.clone());
        let sidecar = watching(&app.url("/"), &[("HEALTH_PROXY_LOG", "debug")]);
        sidecar.wait_for("/readyz", 200);
        sidecar.wait_for_log(log);
    };
    let warning = "Probe terminated redirects, Response body: bye";
    sidecar_answers(location("302 Found", "http://example.com/"), warning);
    sidecar_answers("HTTP/1.1 302 Found\r\nContent-Length: 3\r\n\r\nbye".to_owned(), warning);
    sidecar_answers(location("300 Multiple Choices", "/x"), warning);
}

#[test]
fn a_redirect_to_somebody_who_says_nothing_is_told_as_that() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", silent.local_addr().unwrap().port());
    let moved = App::answering(move |_, _| {
        format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
    });
    let reason = verdict(&moved.url("/"), &[("READINESS_WEB_TIMEOUT_SECONDS", "0.3")]);
    assert_eq!(reason, "timeout: connected, but no headers within 300ms");
}

#[test]
fn the_tenth_redirect_fails_as_in_go() {
    let hops = |most: usize| {
        App::answering(move |number, _| {
            if number <= most { location("307 Temporary Redirect", "/next") } else { response("200 OK", "") }
        })
    };
    assert_eq!(verdict(&hops(9).url("/"), &[]), "ok");
    assert_eq!(verdict(&hops(10).url("/"), &[]), "stopped after 10 redirects");
}

#[test]
fn a_redirect_that_is_wanted_is_judged_and_not_followed() {
    let moved = location("302 Found", "/elsewhere");
    assert_eq!(judged(&*moved, &[("READINESS_WEB_STATUS", "302")]), "ok");
    assert_eq!(judged(&*moved, &[("READINESS_WEB_STATUS", "200,302")]), "ok");
    // In a range it is one of many, and followed: in a circle here.
    assert_eq!(judged(&*moved, &[("READINESS_WEB_STATUS", "200-399")]), "stopped after 10 redirects");
    let only_200 = [("READINESS_WEB_STATUS", "200")];
    assert_eq!(judged(&*moved, &only_200), "stopped after 10 redirects");
    let away = location("302 Found", "http://example.com/");
    assert_eq!(judged(&*away, &only_200), "HTTP probe failed with statuscode: 302");
}

#[test]
fn many_headers_and_loud_schemes_are_understood_as_in_go() {
    let goal = App::answering(|_, _| {
        let headers = "X-Header: value\r\n".repeat(150);
        format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
    });
    let url = goal.url("/").replace("http://", "HTTP://");
    let first = App::answering(move |_, _| location("302 Found", &url));
    assert_eq!(verdict(&first.url("/"), &[]), "ok");
    assert!(!goal.requests().is_empty());
}

#[test]
fn a_host_header_survives_redirects_on_the_same_host() {
    let app = App::answering(|_, head| {
        if head.starts_with("GET /b ") {
            response("200 OK", "")
        } else {
            location("301 Moved Permanently", "/b")
        }
    });
    let sidecar = watching(&app.url("/a"), &[("READINESS_WEB_HTTP_HEADERS", "Host: example.com")]);
    sidecar.wait_for("/readyz", 200);
    assert!(app.requests()[1].starts_with("GET /b HTTP/1.1\r\nHost: example.com\r\n"));
}

#[test]
fn peers_that_lie_or_speak_something_else_fail_with_a_reason() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort";
    assert_eq!(judged(broken, &[]), "the connection was closed before the end of the body");
    assert_eq!(judged("SSH-2.0-OpenSSH_9.2\r\n", &[]), "the answer is not HTTP/1: invalid HTTP version");
    assert_eq!(judged("", &[]), "the connection was closed before the end of the answer's head");
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(judged(chunks, &[]), "a chunk of the body has an invalid size");
}

#[test]
fn a_silent_peer_is_a_timeout_and_disturbs_nobody() {
    let silent = App::start(|_, _, stream| close(stream));
    let held = App::start(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        let _ = std::io::Read::read(stream, &mut [0]);
    });
    let good = App::answering(|_, _| response("200 OK", ""));
    let sidecar = Sidecar::start(&[
        ("READINESS_GOOD", &good.url("/")),
        ("READINESS_HELD", &held.url("/")),
        ("READINESS_SILENT", &silent.url("/")),
        ("READINESS_PERIOD_SECONDS", "0.1"),
        ("READINESS_TIMEOUT_SECONDS", "0.3"),
        ("READINESS_FAILURE_THRESHOLD", "1"),
    ]);
    eventually("both have failed", || {
        let body = sidecar.get("/readyz").body;
        body.contains("[-]held failed: timeout: headers, but the body was not complete within 300ms\n")
            .then_some(())
    });
    sidecar.wait_for("/readyz/good", 200);
    let timeouts = "health_proxy_check_runs_total{check=\"held\",probe=\"readiness\",result=\"timeout\"}";
    assert!(sidecar.metric(timeouts).unwrap() >= 1.0);
}

#[test]
fn localhost_is_tried_on_both_addresses() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let app = App::on(listener, |_, _, stream| {
        let _ = stream.write_all(response("200 OK", "").as_bytes());
    });
    assert_eq!(verdict(&format!("http://:{}/", app.address.port()), &[]), "ok");
}

#[test]
fn no_proxy_from_the_environment_is_used() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let proxy = [("HTTP_PROXY", "http://127.0.0.1:1"), ("http_proxy", "http://127.0.0.1:1")];
    assert_eq!(verdict(&app.url("/"), &proxy), "ok");
}
