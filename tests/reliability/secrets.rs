//! Canary secrets in every place where one can be put: none is ever printed, logged or served.

use std::process::Stdio;

use crate::Scale;
use crate::hostile;
use crate::sidecar::{Plan, eventually, signal};
use crate::table::Tally;
use nix::sys::signal::Signal;

/// Found nowhere else; the last is how basic authentication writes `canary-user:canary-password`.
const CANARIES: [&str; 4] =
    ["canary-password", "canary-header", "canary-sent", "Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk"];

fn plan(name: &str, port: u16, closed: u16) -> Plan {
    let mut plan = Plan::new(name)
        .set("HEALTH_PROXY_LOG", "trace")
        .set("LIVENESS_PERIOD_SECONDS", "0.1")
        .set("READINESS_PERIOD_SECONDS", "0.1");
    for (check, port) in [("LIVENESS_OPEN", port), ("READINESS_CLOSED", closed)] {
        plan = plan
            .set(check, format!("http://canary-user:canary-password@127.0.0.1:{port}/path"))
            .set(format!("{check}_HTTP_HEADERS"), "X-Token: canary-header\nCookie: a=canary-header")
            .set(format!("{check}_BODY_MATCHES"), "never");
    }
    plan.set("READINESS_TALK", format!("tcp://127.0.0.1:{port}"))
        .set("READINESS_TALK_SEND", r"GET / HTTP/1.1\r\nX: canary-sent\r\n\r\n")
        .set("READINESS_TALK_EXPECT", "never")
        .set("READINESS_UNREAD", "http://canary-user:canary-password@app.invalid:1/")
}

pub fn run(_: &Scale) -> Tally {
    // An app that echoes what it was sent: what it says is told, and that not.
    let port = hostile::start(&[hostile::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 57\r\n\r\nSaid: canary-header, canary-sent and \"canary-password\"?\r\n",
    )])[0];
    let closed = crate::sidecar::free_port();
    let sidecar = plan("secrets", port, closed).start();
    let mut tally = Tally::default();
    eventually("every check has failed", || {
        let body = sidecar.get("/readyz").body;
        (!body.contains("no result yet") && sidecar.get("/livez").status == 503).then_some(())
    });
    let mut look = |place: &str, text: &str| {
        tally.check(!text.is_empty(), || format!("{place} is empty"));
        for canary in CANARIES {
            tally.check(!text.contains(canary), || format!("{canary} is in {place}"));
        }
    };
    for path in ["/livez?verbose", "/readyz?verbose", "/startupz", "/status", "/metrics", "/", "/readyz/talk"]
    {
        look(path, &sidecar.get(path).body);
    }
    let worker = sidecar.worker();
    let line = std::fs::read(format!("/proc/{worker}/cmdline")).expect("a command line");
    look("the command line of the worker", &String::from_utf8_lossy(&line));
    signal(worker, Signal::SIGTERM);
    look("the log", &sidecar.log());
    let output = plan("secrets-check", port, closed).command_with("check").output().expect("it runs");
    look("check", &String::from_utf8_lossy(&output.stdout));
    // Wrong in every way, so that every value is rejected.
    let wrong = plan("secrets-wrong", port, closed)
        .set("LIVENESS_OPEN_HTTP_HEADERS", "canary-header")
        .set("LIVENESS_PASSWORD", "http://canary-user:canary-password@:x/")
        .set("LIVENESS_PASSWORT", "canary-user:canary-password@host")
        .set("LIVENESS_OPEN_SEND", "canary-sent")
        .set("LIVENESS_OPEN_HTTP_HEADER", "X-Token: canary-header")
        .set("READINESS_TALK_SENT", "canary-sent")
        .set("READINESS_TALK_SEND", r"canary-sent\q")
        .set("READINESS_NOBODY_HTTP_HEADERS", "X: canary-header")
        .set("HEALTH_PROXY_TOKEN", "canary-password");
    let output = wrong.command_with("check").stdin(Stdio::null()).output().expect("it runs");
    look("the errors", &String::from_utf8_lossy(&output.stderr));
    tally.check(output.status.code() == Some(2), || format!("it ended with {}", output.status));
    tally
}
