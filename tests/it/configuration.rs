//! A wrong configuration never starts.

use crate::sidecar::{Sidecar, command};

/// Returns exit status and standard error.
fn refused(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(&[], variables).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_error_comes_at_once_one_a_line_with_status_2() {
    let (code, errors) = refused(&[
        ("LIVENESS_WEB", "http://:8080/"),
        ("LIVENESS_WEB_PERIOD", "5"),
        ("LIVENESS_WEB_TIMEOUT_SECONDS", "0"),
        ("READINESS_DB", "tcp//:5432"),
        ("HEALTH_PROXY_LISTEN", "9809"),
    ]);
    let expected = [
        "HEALTH_PROXY_LISTEN=\"9809\": accepted: ADDRESS:PORT, such as [::]:9809 or 0.0.0.0:9809",
        "LIVENESS_WEB_PERIOD=\"5\": neither an option of LIVENESS_WEB nor a target",
        "LIVENESS_WEB_TIMEOUT_SECONDS=\"0\": accepted: seconds from 0.01 to 31536000, such as 10 or 0.5",
        "READINESS_DB=\"tcp//:5432\": not a target; accepted: ",
    ];
    assert_eq!((code, errors.lines().count()), (Some(2), 4), "{errors}");
    for (line, expected) in errors.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(errors.contains("did you mean LIVENESS_WEB_PERIOD_SECONDS?"));
}

#[test]
fn nothing_configured_is_refused_too() {
    let (code, errors) = refused(&[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("no check is configured; such as LIVENESS_WEB=http://:8080/healthz"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, errors) = refused(&[("LIVENESS_A", "tcp://:1"), ("HEALTH_PROXY_LISTEN", &address)]);
    assert_eq!(code, Some(1));
    assert!(errors.contains(&format!("HEALTH_PROXY_LISTEN={address}: cannot listen: ")), "{errors}");
}

#[test]
fn what_a_reference_brings_is_used_and_not_shown() {
    let variables = [
        ("READINESS_A", "exec:sh -c 'echo no entry for $(WORD); exit 1'"),
        ("READINESS_B", "exec:test '$(WORD)' = 'open sesame'"),
        ("WORD", "open sesame"),
    ];
    let output = command(&["check"], &variables).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}{errors}");
    assert!(text.contains("no entry for $(WORD)"), "{text}");
    assert!(!text.contains("for open sesame"), "{text}");
    assert_eq!(text.matches("success").count(), 1, "{text}");
}

#[test]
fn the_log_says_what_each_check_means_for_its_container() {
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", "tcp://:1"),
        ("READINESS_WEB", "tcp://:1"),
        ("LIVENESS_EXTRA", "tcp://:1"),
        ("LIVENESS_EXTRA_REQUIRED", "false"),
    ]);
    let line = |text: &str| sidecar.wait_for_log(text);
    let liveness = line("check: the container is restarted at most 51 s after it stops answering");
    assert!(
        liveness.contains("\"probe\":\"liveness\"") && liveness.contains("\"check\":\"web\""),
        "{liveness}"
    );
    line("check: the pod is out of traffic at most 33 s after it stops answering");
    assert!(line("\"check\":\"extra\"").contains("\"message\":\"check\""));
}
