//! `kubia-err400` and `kubia-readiness`, as in any tutorial.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::app::App;
use crate::sidecar::{Sidecar, eventually};

/// Returns a directory of the test's own.
pub fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn kubia_err400_fails_exactly_at_the_third_error_and_recovers_with_the_first_success() {
    let kubia = App::kubia();
    let sidecar = Sidecar::start(&[
        ("LIVENESS_KUBIA", &kubia.url("/")),
        ("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "0.15"),
        ("LIVENESS_KUBIA_PERIOD_SECONDS", "0.1"),
        ("HEALTH_PROXY_LIVENESS_HOLD_SECONDS", "0"),
    ]);
    assert_eq!(sidecar.get("/livez").body, "ok");
    let failing = sidecar.wait_for("/livez", 503);
    assert_eq!(failing, "[-]kubia failed: HTTP probe failed with statuscode: 400\nlivez check failed\n");
    assert_eq!(sidecar.wait_for("/livez", 200), "ok");
    let failed = sidecar.wait_for_log("Liveness probe failed: HTTP probe failed with statuscode: 400");
    assert!(failed.contains("\"check\":\"kubia\"") && failed.contains("\"target\":\"http://127.0.0.1:"));
    sidecar.wait_for_log("Liveness probe succeeded");
    let status: serde_json::Value = serde_json::from_str(&sidecar.get("/status").body).unwrap();
    let runs = status["checks"][0]["runs"]["results"].as_str().unwrap();
    assert!(
        runs.starts_with("ssssssffff"),
        "nine runs came before the verdict, three of them failures: {runs}"
    );
    assert!(kubia.requests().len() >= 11);
}

/// The red of one burst outlasts it, so that a kubelet that needs 15 s to be sure sees nothing else.
#[test]
fn kubia_err400_stays_red_for_the_hold_although_it_passes_again() {
    let kubia = App::kubia();
    let sidecar =
        Sidecar::start(&[("LIVENESS_KUBIA", &kubia.url("/")), ("LIVENESS_KUBIA_PERIOD_SECONDS", "0.05")]);
    sidecar.wait_for("/livez", 503);
    sidecar.wait_for_log("Liveness probe succeeded");
    let held = sidecar.get("/livez");
    let reason = "[-]kubia failed: HTTP probe failed with statuscode: 400; it passes again, and the failure stands for ";
    assert!(held.status == 503 && held.body.starts_with(reason), "{}", held.body);
}

/// The tutorial's own numbers: ten seconds between runs, and the first after fifteen.
#[test]
fn kubia_err400_with_the_kubelets_defaults_waits_for_its_initial_delay() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let sidecar =
        Sidecar::start(&[("LIVENESS_KUBIA", &target), ("LIVENESS_KUBIA_INITIAL_DELAY_SECONDS", "15")]);
    let status: serde_json::Value = serde_json::from_str(&sidecar.get("/status").body).unwrap();
    let (check, began) = (&status["checks"][0], status["incarnation"]["began"].as_f64().unwrap());
    let delay = check["next_run"].as_f64().unwrap() - began;
    assert!((delay - 15.0).abs() < 0.001, "{delay}");
    let timing = r#"{"failure_threshold":3,"initial_delay_seconds":15.0,"period_seconds":10.0,"success_threshold":1,"timeout_seconds":1.0,"unhealthy_period_seconds":10.0}"#;
    assert_eq!(check["timing"].to_string(), timing);
    assert_eq!(sidecar.get("/livez").status, 200);
}

#[test]
#[ignore = "needs root and busybox-static"]
fn kubia_readiness_follows_a_file_within_a_period() {
    let directory = directory("kubia-readiness");
    // busybox, as in the tutorial's image: its ls says what the tutorial shows.
    symlink("/bin/busybox", directory.join("ls")).unwrap();
    let file = directory.join("ready");
    let (target, path) = (format!("exec:ls {}", file.display()), directory.to_str().unwrap());
    let sidecar = Sidecar::start(&[
        ("PATH", path),
        ("READINESS_READY", &target),
        ("READINESS_READY_PERIOD_SECONDS", "0.2"),
        ("READINESS_READY_FAILURE_THRESHOLD", "1"),
    ]);
    let missing = format!("ls: {}: No such file or directory (exit status 1)", file.display());
    let logged = sidecar.wait_for_log(&format!("Readiness probe failed: {missing}"));
    assert!(
        logged.contains("\"probe\":\"readiness\"") && logged.contains("\"duration_seconds\":"),
        "{logged}"
    );
    let answer = sidecar.get("/readyz");
    assert_eq!(
        (answer.status, answer.body),
        (503, format!("[-]ready failed: {missing}\nreadyz check failed\n"))
    );
    fs::write(&file, "").unwrap();
    assert_eq!(sidecar.wait_for("/readyz", 200), "ok");
    assert_eq!(sidecar.get("/readyz?verbose").body, "[+]ready ok\nreadyz check passed\n");
    fs::remove_file(&file).unwrap();
    sidecar.wait_for("/readyz", 503);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_target_may_come_later_and_go_again() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let sidecar = Sidecar::start(&[
        ("READINESS_DB", &format!("tcp://{address}")),
        ("READINESS_PERIOD_SECONDS", "0.05"),
        ("READINESS_FAILURE_THRESHOLD", "2"),
    ]);
    eventually("a refused connection is the reason", || {
        let expected = format!("[-]db failed: connection refused by {address}\n");
        sidecar.get("/readyz").body.starts_with(&expected).then_some(())
    });
    for _ in 0..2 {
        let listener = std::net::TcpListener::bind(address).unwrap();
        sidecar.wait_for("/readyz", 200);
        drop(listener);
        sidecar.wait_for("/readyz", 503);
    }
    let transitions = "health_proxy_check_transitions_total{check=\"db\",probe=\"readiness\",to=\"healthy\"}";
    assert_eq!(sidecar.metric(transitions), Some(2.0));
}
