//! `check`, `get`, `--help`, `--version`, and what is none of them.

use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::app::{App, response};
use crate::sidecar::{Sidecar, command, eventually};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(arguments, variables).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn check_runs_every_check_once_and_prints_a_table() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let url = app.url("/");
    let passing = [("LIVENESS_WEB", url.as_str()), ("READINESS_RUN", "exec:true")];
    let (code, table, _) = run(&["check"], &passing);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PROBE", "CHECK", "RESULT", "SECONDS", "TARGET", "REASON"]);
    assert_eq!(rows[1][..3], ["liveness", "web", "success"]);
    assert_eq!(rows[2][..3], ["readiness", "run", "success"]);
    assert_eq!((code, rows.len(), app.requests().len()), (Some(0), 3, 1));
    let failing = [passing[0], ("READINESS_RUN", "exec:sh -c 'echo broken; exit 1'")];
    let (code, table, _) = run(&["check"], &failing);
    assert_eq!(code, Some(1));
    assert!(table.lines().nth(2).unwrap().ends_with("broken (exit status 1)"), "{table}");
    let optional = [failing[0], failing[1], ("READINESS_RUN_REQUIRED", "false")];
    assert_eq!(run(&["check"], &optional).0, Some(0));
    assert_eq!(run(&["check"], &[]).0, Some(2));
}

/// Only a running sidecar has the socket of such a check.
#[test]
fn check_does_not_hold_against_an_app_that_it_is_not_asked() {
    let variables = [("READINESS_APP", "notify:/nowhere/notify"), ("READINESS_RUN", "exec:true")];
    let (code, table, _) = run(&["check"], &variables);
    let row = table.lines().nth(1).unwrap();
    assert!(row.starts_with("readiness  app "), "{table}");
    assert!(row.ends_with("not asked: the app says by itself how it is"), "{table}");
    assert_eq!((code, table.lines().count()), (Some(0), 3));
    let failing = [variables[0], ("READINESS_RUN", "exec:false")];
    assert_eq!(run(&["check"], &failing).0, Some(1));
}

#[test]
fn get_prints_the_answer_and_fails_unless_it_is_200() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = Sidecar::start(&[("LIVENESS_WEB", &app.url("/")), ("READINESS_DB", "tcp://127.0.0.1:1")]);
    let address = sidecar.address.to_string();
    let get = |arguments: &[&str]| run(arguments, &[("HEALTH_PROXY_LISTEN", &address)]);
    assert_eq!(get(&["get", "livez"]), (Some(0), "ok\n".into(), String::new()));
    let verbose = "[+]web ok\nlivez check passed\n";
    assert_eq!(get(&["get", "livez", "--verbose"]), (Some(0), verbose.into(), String::new()));
    let (code, answer, _) = get(&["get", "readyz"]);
    assert_eq!((code, answer.lines().last()), (Some(1), Some("readyz check failed")));
    assert_eq!(get(&["get", "healthy"]), (Some(0), "ok\n".into(), String::new()));
    assert!(get(&["get", "metrics"]).1.contains("\nhealth_proxy_build_info{version=\""));
    let (code, _, error) = get(&["get", "nonsense"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("accepted: livez, readyz, startupz, status, metrics, healthy"), "{error}");
}

#[test]
fn get_status_tells_why_a_pod_is_not_ready() {
    let failing = "exec:sh -c 'printf \"\\033[2Jbroken\"; exit 1'";
    let sidecar = Sidecar::start(&[("READINESS_RUN", failing), ("READINESS_FAILURE_THRESHOLD", "1")]);
    sidecar.wait_for_log("Readiness probe failed");
    let address = sidecar.address.to_string();
    let get = |arguments: &[&str]| run(arguments, &[("HEALTH_PROXY_LISTEN", &address)]);
    let (code, table, errors) = get(&["get", "status"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(table.contains("\n  run: \\u{1b}[2Jbroken (exit status 1)\n    | \\u{1b}[2Jbroken\n"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour in a pipe: {table}");
    let (code, json, _) = get(&["get", "status", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &document["checks"][0]["state"]), (Some(0), &"unhealthy".into()));
    assert_eq!(get(&["get", "--json", "status"]).0, Some(0));
    assert_eq!(get(&["get", "livez", "--json"]).0, Some(2));
}

#[test]
fn get_and_drain_say_where_nobody_answers_and_what_to_look_at() {
    for arguments in
        [&["get", "livez"][..], &["get", "status"], &["get", "livez", "--wait", "0.05"], &["drain"]]
    {
        let (code, answer, error) = run(arguments, &[("HEALTH_PROXY_LISTEN", "127.0.0.1:1")]);
        let expected = "health-proxy: the sidecar does not answer on 127.0.0.1:1: connection refused; see whether it \
            runs, what its log says, and whether HEALTH_PROXY_LISTEN is the same there as here\n";
        assert_eq!((code, answer.as_str(), error.as_str()), (Some(1), "", expected), "{arguments:?}");
    }
}

#[test]
fn get_waits_for_a_sidecar_that_is_only_starting() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    let mut waiting = command(&["get", "healthy", "--wait=20"], &[("HEALTH_PROXY_LISTEN", &address)]);
    let waiting = waiting.stdout(Stdio::piped()).spawn().unwrap();
    // The first question gets no answer, and the next ones are refused.
    drop(port.accept().unwrap());
    drop(port);
    let _sidecar = Sidecar::start(&[("HEALTH_PROXY_LISTEN", &address), ("LIVENESS_A", "tcp://:1")]);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
}

#[test]
fn get_waits_until_the_answer_is_200_and_prints_the_last_one() {
    let is_well = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_well);
    let app = App::answering(move |_, _| {
        let status = if answers.load(Ordering::SeqCst) { "200 OK" } else { "500 Sick" };
        response(status, "")
    });
    let url = app.url("/");
    let sidecar = Sidecar::start(&[("READINESS_WEB", &url), ("READINESS_PERIOD_SECONDS", "0.05")]);
    let address = sidecar.address.to_string();
    let listen = [("HEALTH_PROXY_LISTEN", address.as_str())];
    sidecar.wait_for("/readyz", 503);
    let began = Instant::now();
    let (code, answer, error) = run(&["get", "--wait", "0.3", "readyz"], &listen);
    assert_eq!((code, answer.lines().last(), error.as_str()), (Some(1), Some("readyz check failed"), ""));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let waiting =
        command(&["get", "readyz", "--wait", "20"], &listen).stdout(Stdio::piped()).spawn().unwrap();
    let asked = || sidecar.metric("health_proxy_http_requests_total{code=\"503\",path=\"/readyz\"}");
    let before = asked();
    eventually("it asks again", || (asked() > before).then_some(()));
    is_well.store(true, Ordering::SeqCst);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
}

#[test]
fn every_command_answers_to_help_and_says_what_it_lacks() {
    for command in ["check", "get", "drain", "demo"] {
        let (code, help, errors) = run(&[command, "--help"], &[]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{command}");
        assert!(help.starts_with(&format!("Usage: health-proxy {command}")), "{help}");
    }
    let lacks =
        "health-proxy: get lacks what to ask for: livez, readyz, startupz, status, metrics or healthy\n";
    assert_eq!(run(&["get"], &[]), (Some(2), String::new(), lacks.into()));
    let lacks = "health-proxy: get: --wait lacks its SECONDS\n";
    assert_eq!(run(&["get", "livez", "--wait"], &[]), (Some(2), String::new(), lacks.into()));
}

#[test]
fn help_version_and_unknown_commands() {
    let (code, help, _) = run(&["--help"], &[]);
    assert!(code == Some(0) && help.contains("health-proxy drain"));
    let version = format!("health-proxy {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"], &[]), (Some(0), version, String::new()));
    let (code, _, error) = run(&["dance"], &[]);
    assert_eq!(
        (code, error.as_str()),
        (Some(2), "health-proxy: unknown command \"dance\"; see health-proxy --help\n")
    );
}
