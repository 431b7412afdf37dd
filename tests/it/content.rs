//! What is sent with a request, and what a body or a file has to hold.

use std::fs;

use health_proxy::outcome::Outcome;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::app::{App, response};
use crate::attempt::{Directory, failure, problems, run, target};
use crate::sidecar::{Sidecar, eventually};

/// Starts a server that answers every request with `body`.
fn saying(body: impl Into<String>) -> App {
    let body = body.into();
    App::answering(move |_, _| response("200 OK", &body))
}

/// Returns what comes of a run against `app`.
async fn judged(app: &App, options: &[(&str, &str)]) -> Result<(), String> {
    match run(&target(&app.url("/"), options)).await {
        Outcome::Success => Ok(()),
        other => Err(other.text().unwrap().to_string()),
    }
}

fn err(reason: &str) -> Result<(), String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn two_hundred_and_fifty_six_kibibytes_of_a_body_are_looked_at() {
    let line = "\netcd_server_has_leader 1\n";
    let metrics = saying("x".repeat(28_613) + line);
    assert_eq!(judged(&metrics, &[("BODY_MATCHES", "(?m)^etcd_server_has_leader 1$")]).await, Ok(()));
    let last = saying("x".repeat(256 * 1024 - line.len()) + line + "beyond");
    assert_eq!(judged(&last, &[("BODY_MATCHES", "has_leader 1\n$")]).await, Ok(()));
    let reason = judged(&last, &[("BODY_MATCHES", "beyond")]).await;
    assert_eq!(
        reason,
        err(&format!(
            "the first 262144 bytes of the body do not match /beyond/: it begins \"{}…\"",
            "x".repeat(80)
        ))
    );
    let json = [("BODY_JSON", "/a = 1")];
    assert_eq!(judged(&last, &json).await, err("the body is longer than 262144 bytes, too long for JSON"));
    // Without a look at it, what is longer is no failure.
    assert_eq!(judged(&last, &[]).await, Ok(()));
}

#[tokio::test]
async fn a_chunked_body_is_looked_at_as_far() {
    let chunks = "8\r\n01234567\r\n".repeat(20_000);
    let app = App::answering(move |_, _| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}5\r\nready\r\n0\r\n\r\n")
    });
    assert_eq!(judged(&app, &[("BODY_MATCHES", "67ready$")]).await, Ok(()));
}

#[tokio::test]
async fn what_a_body_must_not_hold() {
    let app = saying("status: DEGRADED");
    assert_eq!(judged(&app, &[("BODY_MATCHES_NOT", "ERROR|DOWN")]).await, Ok(()));
    let reason = judged(&app, &[("BODY_MATCHES_NOT", "DEGRADED")]).await;
    assert_eq!(reason, err("the body matches /DEGRADED/: it begins \"status: DEGRADED\""));
    let both = [("BODY_MATCHES", "^status"), ("BODY_MATCHES_NOT", "DOWN")];
    assert_eq!(judged(&app, &both).await, Ok(()));
}

#[tokio::test]
async fn conditions_on_a_json_body() {
    let app = saying(r#"{"status": "UP", "components": {"db": {"lag": 29}}}"#);
    let json = |conditions: &'static str| [("BODY_JSON", conditions)];
    assert_eq!(judged(&app, &json("/status = UP\n/components/db/lag < 30")).await, Ok(()));
    let reason = judged(&app, &json("/status = UP\n/components/db/lag < 10")).await;
    let lag = "the body: /components/db/lag < 10 does not hold, /components/db/lag is 29";
    assert_eq!(reason, err(lag));
    assert_eq!(judged(&app, &json("/x = 1")).await, err("the body: /x leads nowhere"));
    let deep = saying("[".repeat(10_000));
    let reason = judged(&deep, &json("/0 = 1")).await.unwrap_err();
    assert!(reason.starts_with("the body: it is not JSON: "), "{reason}");
    assert_eq!(
        problems("http://:1/", &json("status = UP")),
        [
            "LIVENESS_T_BODY_JSON=\"status = UP\": line 1: accepted: a JSON Pointer, one of = != < <= > >=, and a \
             value, such as /status = UP"
        ]
    );
}

#[tokio::test]
async fn a_body_is_sent_and_survives_the_redirects_that_keep_the_method() {
    let app = App::answering(|_, head| {
        let to = |status: &str, path: &str| {
            format!("HTTP/1.1 {status}\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        };
        match head.split(' ').nth(1) {
            Some("/307") => to("307 Temporary Redirect", "/goal"),
            Some("/303") => to("303 See Other", "/goal"),
            _ => response("200 OK", ""),
        }
    });
    let options = [("METHOD", "POST"), ("BODY", "{\"query\": \"{ up }\"}")];
    for path in ["/goal", "/307", "/303"] {
        assert_eq!(run(&target(&app.url(path), &options)).await, Outcome::Success);
    }
    let goals: Vec<_> = app.requests().into_iter().filter(|head| head.contains(" /goal ")).collect();
    let is_whole = |head: &&String| head.starts_with("POST ") && head.contains("\r\nContent-Length: 19\r\n");
    assert_eq!(goals.iter().filter(is_whole).count(), 2, "{goals:?}");
    assert!(goals[2].starts_with("GET ") && !goals[2].contains("Content-Length"), "{goals:?}");
}

#[tokio::test]
async fn a_rotated_token_is_used_at_once() {
    let app = App::answering(|_, head| {
        let is_known = head.contains("\r\nAuthorization: Bearer second\r\n");
        response(if is_known { "200 OK" } else { "401 Unauthorized" }, "")
    });
    let directory = Directory::new();
    let file = directory.write("headers", "Authorization: Bearer first\n");
    let check = target(&app.url("/"), &[("HTTP_HEADERS_FILE", &file)]);
    assert_eq!(failure(&check).await, "HTTP probe failed with statuscode: 401");
    directory.write("headers", "Authorization: Bearer second\n");
    assert_eq!(run(&check).await, Outcome::Success);
}

#[tokio::test]
async fn files_of_values_that_are_none() {
    let (app, directory) = (saying("ok"), Directory::new());
    let reason = async |name: &str| {
        let file = directory.at(name);
        let check = target(&app.url("/"), &[("HTTP_HEADERS_FILE", &file)]);
        failure(&check).await.replace(&file, "FILE")
    };
    assert_eq!(reason("none").await, "cannot read FILE: no such file or directory");
    mkfifo(directory.at("pipe").as_str(), Mode::S_IRWXU).unwrap();
    assert_eq!(reason("pipe").await, "cannot read FILE: not a file");
    directory.write("huge", vec![b'x'; 256 * 1024 + 1]);
    assert_eq!(reason("huge").await, "cannot read FILE: it is longer than 262144 bytes");
    directory.write("wrong", "A: b\nhunter2");
    assert_eq!(reason("wrong").await, "FILE: line 2: accepted: Name: value, one a line");
    directory.write("binary", b"A: \xff");
    assert_eq!(reason("binary").await, "FILE: it is not UTF-8");
    let empty = directory.write("empty", "");
    assert_eq!(judged(&app, &[("HTTP_HEADERS_FILE", &empty), ("BODY_FILE", &empty)]).await, Ok(()));
    let both = [("BODY", "hunter2"), ("BODY_FILE", "/x")];
    let reason = "LIVENESS_T_BODY_FILE=\"/x\": there is _BODY too; one of them is enough";
    assert_eq!(problems("http://:1/", &both), [reason]);
}

#[tokio::test]
async fn what_is_said_to_a_port_may_stand_in_a_file() {
    let app = App::start(|_, head, stream| {
        let answer = if head == "AUTH hunter2\r\n\r\n" { "+OK" } else { "-ERR" };
        let _ = std::io::Write::write_all(stream, answer.as_bytes());
    });
    let directory = Directory::new();
    let file = directory.write("send", r"AUTH hunter2\r\n\r\n");
    let options = [("SEND_FILE", file.as_str()), ("EXPECT", r"^\+OK")];
    assert_eq!(run(&target(&format!("tcp://{}", app.address), &options)).await, Outcome::Success);
    directory.write("send", "\\");
    let reason = failure(&target(&format!("tcp://{}", app.address), &options)).await;
    assert_eq!(reason, format!(r"{file}: accepted: text with the escapes \r \n \t \\ \xHH"));
}

#[tokio::test]
async fn what_a_file_has_to_hold() {
    let directory = Directory::new();
    let file = directory.write("status", "{\"ready\": true}");
    let value = format!("file:{file}");
    let reason = async |options: &[(&str, &str)]| match run(&target(&value, options)).await {
        Outcome::Failure(reason) => reason.replace(&file, "FILE"),
        other => format!("{other:?}"),
    };
    assert_eq!(reason(&[("BODY_JSON", "/ready = true")]).await, "Success");
    assert_eq!(
        reason(&[("BODY_MATCHES", "READY")]).await,
        "FILE: its content does not match /READY/: it begins \"{\"ready\": true}\""
    );
    assert_eq!(
        reason(&[("BODY_MATCHES_NOT", "ready")]).await,
        "FILE: its content matches /ready/: it begins \"{\"ready\": true}\""
    );
    directory.write("status", "x".repeat(100_000) + "end");
    assert_eq!(reason(&[("BODY_MATCHES", "xend$")]).await, "Success");
    fs::remove_file(&file).unwrap();
    mkfifo(file.as_str(), Mode::S_IRWXU).unwrap();
    assert_eq!(reason(&[("BODY_MATCHES", "x")]).await, "FILE: not a file");
    assert_eq!(reason(&[]).await, "Success");
}

#[tokio::test]
async fn a_file_that_has_to_be_absent() {
    let directory = Directory::new();
    let value = format!("file:{}", directory.at("maintenance"));
    let check = target(&value, &[("ABSENT", "true")]);
    assert_eq!(run(&check).await, Outcome::Success);
    directory.write("maintenance", "");
    let name = directory.at("maintenance");
    assert_eq!(failure(&check).await, format!("{name}: it exists, and should not"));
    let below = target(&format!("{value}/x"), &[("ABSENT", "true")]);
    assert_eq!(failure(&below).await, format!("{name}/x: not a directory"));
    assert_eq!(
        problems("file:/x", &[("ABSENT", "true"), ("MAX_AGE_SECONDS", "1")]),
        ["LIVENESS_T_ABSENT=\"true\": a file that is absent has neither an age nor content"]
    );
    assert_eq!(
        failure(&target("file:/no/such", &[("ABSENT", "false")])).await,
        "/no/such: no such file or directory"
    );
}

/// An app may show in a condition, a redirect or anywhere what it was sent: also what a run has read from a file.
#[test]
fn what_a_file_held_is_in_no_reason() {
    let app = App::answering(|_, head| {
        let echo = head.lines().find_map(|line| line.strip_prefix("X-Token: ")).unwrap_or_default();
        let user =
            head.lines().find_map(|line| line.strip_prefix("Authorization: Basic ")).unwrap_or_default();
        response("200 OK", &format!(r#"{{"said": "{echo} {user}"}}"#))
    });
    let directory = Directory::new();
    let file = directory.write("headers", "X-Token: token-of-a-file");
    let url = app.url("/").replace("://", "://user:passw0rd@");
    let sidecar = Sidecar::start(&[
        ("READINESS_A", &url),
        ("READINESS_A_HTTP_HEADERS_FILE", &file),
        ("READINESS_A_BODY_JSON", "/said = well"),
    ]);
    let body = eventually("a run", || {
        let body = sidecar.get("/readyz").body;
        body.contains("/said").then_some(body)
    });
    let credentials = ["token-of-a-file", "dXNlcjpwYXNzdzByZA=="];
    assert!(credentials.iter().all(|one| !body.contains(one)), "{body}");
    assert!(body.contains("(hidden)"), "{body}");
}
