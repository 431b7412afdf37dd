//! Each error's text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{WEB, read};
use crate::config::Config;

const TARGETS: &str = "http://…, https://…, http+unix://…, tcp://…, tls://…, unix:…, grpc://…, grpcs://…, grpc+unix://…, postgres://…, mysql://…, redis://…, listen://…, process:…, exec:…, file:…, notify:…";

/// Returns the errors of a configuration that has nothing right but one check.
fn errors(variables: &[(&str, &str)]) -> Vec<String> {
    read(variables).expect_err("a wrong configuration").lines().map(str::to_owned).collect()
}

#[track_caller]
pub(super) fn assert_error(variables: &[(&str, &str)], expected: &str) {
    assert_eq!(errors(variables), [expected]);
}

#[test]
fn wrong_values_are_named() {
    let option = |name: &'static str, value: &'static str| [WEB, (name, value)];
    assert_error(
        &option("LIVENESS_WEB_PERIOD_SECONDS", "5s"),
        "LIVENESS_WEB_PERIOD_SECONDS=\"5s\": accepted: seconds from 0.01 to 31536000, such as 10 or 0.5",
    );
    assert_error(
        &option("LIVENESS_WEB_TIMEOUT_SECONDS", "0.001"),
        "LIVENESS_WEB_TIMEOUT_SECONDS=\"0.001\": accepted: seconds from 0.01 to 31536000, such as 10 or 0.5",
    );
    assert_error(
        &option("LIVENESS_WEB_FAILURE_THRESHOLD", "0"),
        "LIVENESS_WEB_FAILURE_THRESHOLD=\"0\": accepted: a whole number of at least 1",
    );
    assert_error(
        &option("LIVENESS_WEB_SUCCESS_THRESHOLD", "2"),
        "LIVENESS_WEB_SUCCESS_THRESHOLD=\"2\": must be 1 for liveness, as in the kubelet",
    );
    assert_error(
        &option("LIVENESS_SUCCESS_THRESHOLD", "2"),
        "LIVENESS_SUCCESS_THRESHOLD=\"2\": must be 1 for liveness, as in the kubelet",
    );
    assert_error(
        &option("LIVENESS_WEB_REQUIRED", "yes"),
        "LIVENESS_WEB_REQUIRED=\"yes\": accepted: true or false",
    );
    assert_error(
        &option("LIVENESS_WEB_STATUS", "2xx"),
        "LIVENESS_WEB_STATUS=\"2xx\": accepted: status codes and ranges from 100 to 599, such as 200,300-399",
    );
    assert_error(
        &option("LIVENESS_WEB_METHOD", "get"),
        "LIVENESS_WEB_METHOD=\"get\": accepted: a request method in capitals, such as GET, HEAD or POST",
    );
    assert_error(
        &option("LIVENESS_WEB_HTTP_HEADERS", "Authorization Bearer secret"),
        "LIVENESS_WEB_HTTP_HEADERS=(hidden): line 1: accepted: Name: value, one a line",
    );
    assert!(errors(&option("LIVENESS_WEB_BODY_MATCHES", "("))[0].contains("not a regular expression"));
}

#[test]
fn wrong_targets_are_named_without_their_password() {
    assert_error(
        &[("LIVENESS_WEB", "htp://user:secret@host:80/")],
        &format!("LIVENESS_WEB=\"htp://***@host:80/\": not a target; accepted: {TARGETS}"),
    );
    assert_error(
        &[("LIVENESS_WEB", "http://user:secret@host/")],
        "LIVENESS_WEB=\"http://***@host/\": accepted: HOST:PORT or :PORT with a port from 1 to 65535, such as :8080",
    );
    assert_error(
        &[("LIVENESS_RUN", "exec:")],
        "LIVENESS_RUN=\"exec:\": no command; accepted: exec:COMMAND ARG… or exec:[\"COMMAND\",\"ARG\"]",
    );
    for no_url in ["exec:mail 'me@host", "file:me@host", "unix:me@host"] {
        let expected = format!("LIVENESS_WEB={no_url:?}: ");
        assert!(errors(&[("LIVENESS_WEB", no_url)])[0].starts_with(&expected), "{no_url} has no password");
    }
    let config = read(&[("LIVENESS_WEB", "http://user:secret@:80/")]).unwrap();
    assert_eq!(config.checks[0].0.target, "http://***@localhost:80/");
    assert!(!format!("{config:?}").contains("c2VjcmV0"), "the header stays hidden");
}

#[test]
fn misspelt_names_get_a_hint() {
    assert_error(
        &[WEB, ("LIVENESS_WEB_PERIOD", "5")],
        &format!(
            "LIVENESS_WEB_PERIOD=\"5\": neither an option of LIVENESS_WEB nor a target ({TARGETS}); \
             did you mean LIVENESS_WEB_PERIOD_SECONDS?"
        ),
    );
    assert_error(
        &[WEB, ("LIVENESS_PERIOD", "5")],
        &format!(
            "LIVENESS_PERIOD=\"5\": neither an option of LIVENESS nor a target ({TARGETS}); \
             did you mean LIVENESS_PERIOD_SECONDS?"
        ),
    );
    // What was meant holds a secret, or nobody knows what was meant.
    assert_error(
        &[WEB, ("LIVENESS_WEB_HTTP_HEADER", "Authorization: Bearer secret")],
        &format!(
            "LIVENESS_WEB_HTTP_HEADER=(hidden): neither an option of LIVENESS_WEB nor a target ({TARGETS}); \
             did you mean LIVENESS_WEB_HTTP_HEADERS?"
        ),
    );
    assert_error(
        &[WEB, ("LIVENESS_WEB_QUUX", "5")],
        &format!("LIVENESS_WEB_QUUX=(hidden): neither an option of LIVENESS_WEB nor a target ({TARGETS})"),
    );
    assert_error(
        &[WEB, ("LIVENESS_WBE_PERIOD_SECONDS", "5")],
        "LIVENESS_WBE_PERIOD_SECONDS: no check LIVENESS_WBE is defined; did you mean LIVENESS_WEB_PERIOD_SECONDS?",
    );
    assert_error(
        &[WEB, ("HEALTH_PROXY_LISTN", ":1")],
        "HEALTH_PROXY_LISTN: no such setting; did you mean HEALTH_PROXY_LISTEN?",
    );
    assert_error(
        &[WEB, ("HEALTH_PROXY_QUUX", "1")],
        "HEALTH_PROXY_QUUX: no such setting; accepted: HEALTH_PROXY_LISTEN, HEALTH_PROXY_LOG, \
         HEALTH_PROXY_LOG_FORMAT, HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS, HEALTH_PROXY_DETAILS, \
         HEALTH_PROXY_LIVENESS_HOLD_SECONDS, HEALTH_PROXY_STARTUP_KEY, HEALTH_PROXY_STATUS",
    );
    assert_error(
        &[WEB, ("HEALTH_PROXY_STARTUP_KEY", "a secret")],
        "HEALTH_PROXY_STARTUP_KEY=(hidden): accepted: letters, digits and signs of ASCII, no spaces",
    );
}

#[test]
fn options_in_the_wrong_place_are_refused() {
    assert_error(
        &[("LIVENESS_DB", "tcp://:5432"), ("LIVENESS_DB_METHOD", "GET")],
        "LIVENESS_DB_METHOD=\"GET\": a tcp target has no such option",
    );
    assert_error(
        &[("LIVENESS_A", "grpcs://:1"), ("LIVENESS_A_TLS_CERT_FILE", "/tls.crt")],
        "LIVENESS_A_TLS_CERT_FILE=\"/tls.crt\": needs _TLS_KEY_FILE as well",
    );
    assert_error(
        &[WEB, ("LIVENESS_METHOD", "GET")],
        "LIVENESS_METHOD=(hidden): this option needs a check's name before it; it has no default for a whole probe",
    );
    assert_error(
        &[("LIVENESS", "tcp://:1"), WEB],
        "LIVENESS=(hidden): a check needs a name, such as LIVENESS_WEB",
    );
}

#[test]
fn names_are_unique_and_not_ours() {
    assert_error(
        &[("READINESS_MAIN_DB", "tcp://:1"), ("READINESS_main_db", "tcp://:2")],
        "READINESS_main_db=\"tcp://:2\": READINESS_MAIN_DB has the same name, main-db; \
         a probe's checks need different ones",
    );
    assert_error(
        &[("READINESS_DRAIN", "tcp://:1")],
        "READINESS_DRAIN=\"tcp://:1\": the name drain is taken: /readyz uses it for a reason of its own",
    );
    assert!(errors(&[("READINESS_", "tcp://:1")])[0].contains("a check's name holds letters"));
    assert!(errors(&[("READINESS_A.B", "tcp://:1")])[0].contains("a check's name holds letters"));
}

#[test]
fn nothing_configured_is_an_error() {
    assert_error(
        &[("PATH", "/bin"), ("LIVENESS", "unrelated")],
        "LIVENESS_NAME, READINESS_NAME, STARTUP_NAME: no check is configured; \
         such as LIVENESS_WEB=http://:8080/healthz",
    );
}

#[test]
fn what_is_not_utf_8_is_an_error_only_where_it_is_ours() {
    let bad = || OsString::from_vec(vec![0xff]);
    let others = [(bad(), bad()), ("LIVENESS_WEB".into(), "tcp://:1".into())];
    assert!(Config::read(others).is_ok());
    let error = Config::read([("LIVENESS_WEB".into(), bad())]).unwrap_err().to_string();
    assert_eq!(error, "LIVENESS_WEB=(hidden): not valid UTF-8");
}

#[test]
fn ten_errors_come_at_once() {
    let errors = errors(&[
        WEB,
        ("LIVENESS_WEB_PERIOD_SECONDS", "0"),
        ("LIVENESS_WEB_TIMEOUT_SECONDS", "-1"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "x"),
        ("LIVENESS_WEB_SEND", "secret"),
        ("LIVENESS_WEB_PERIOD", "5"),
        ("READINESS_DB", "tcp://:0"),
        ("READINESS_GONE_STATUS", "200"),
        ("STARTUP_X", "nothing"),
        ("HEALTH_PROXY_DETAILS", "maybe"),
        ("HEALTH_PROXY_LOG", "loud=what"),
    ]);
    assert_eq!(errors.len(), 10, "{errors:#?}");
    assert!(!errors.concat().contains("secret"));
}

#[test]
fn a_reference_to_nothing_and_a_value_that_does_not_fit_are_errors() {
    assert_error(
        &[("LIVENESS_WEB", "http://$(HOST):80/")],
        "LIVENESS_WEB=\"http://$(HOST):80/\": there is no variable HOST for $(HOST); $$(HOST) stands for itself",
    );
    assert_error(
        &[WEB, ("LIVENESS_WEB_PERIOD_SECONDS", "$(OFTEN)"), ("OFTEN", "hunter2")],
        "LIVENESS_WEB_PERIOD_SECONDS=\"$(OFTEN)\": accepted: seconds from 0.01 to 31536000, such as 10 or 0.5",
    );
    for secret in [("LIVENESS_WEB_BODY_MATCHES", "$(SECRET)"), ("READINESS_A", "tcp://$(SECRET):1")] {
        let errors = errors(&[WEB, secret, ("SECRET", "(hunter2")]);
        assert!(errors.len() == 1 && !errors[0].contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn what_is_nearly_a_check_is_an_error_and_not_silence() {
    for (name, meant) in [
        ("READYNESS_DB", "READINESS_DB"),
        ("readiness_db", "READINESS_DB"),
        ("LIVENES_WEB", "LIVENESS_WEB"),
        ("STARTUPS_A", "STARTUP_A"),
    ] {
        assert_error(
            &[WEB, (name, "tcp://:5432")],
            &format!("{name}: no check, though its value is a target; did you mean {meant}?"),
        );
    }
    // What is no target, or stands for a Service, is somebody else's.
    let others = [
        ("READYNESS_DB", "yes"),
        ("DATABASE_URL", "postgres://:5432"),
        ("STARTER_PORT", "tcp://10.0.0.1:80"),
        ("STARTER_SERVICE_HOST", "10.0.0.1"),
        ("STARTER_SERVICE_PORT", "80"),
    ];
    assert!(read(&[&[WEB], &others[..]].concat()).is_ok());
}

#[test]
fn a_target_makes_a_check_unless_its_name_may_hold_any_text() {
    let config = read(&[WEB, ("LIVENESS_WEB_STATUS", "http://:8081/")]).unwrap();
    let names: Vec<_> = config.checks.iter().map(|(check, _)| check.name.as_str()).collect();
    assert_eq!(names, ["web", "web-status"]);
    assert_error(
        &[("LIVENESS_MAIL", "tcp://:25"), ("LIVENESS_MAIL_SEND", "tcp://:587")],
        "LIVENESS_MAIL_SEND=(hidden): either the option _SEND of LIVENESS_MAIL, or a check of its own, since its value \
         is a target; give the check another name, or the text another beginning",
    );
}

#[test]
fn errors_say_what_people_stumble_over() {
    for (value, expected) in [
        (
            "http://:http/",
            "a port's name, which only the kubelet can look up in the container that it probes",
        ),
        ("http+unix:///run/app.sock/x", "accepted: the socket's path with %2F for each /"),
        ("http://:8080/ ", "a space or a line break at the end"),
        ("exec:ls /x | wc", "| is for a shell, and no shell runs"),
    ] {
        let errors = errors(&[("LIVENESS_A", value)]);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{value}: {errors:?}");
    }
    let insecure = errors(&[("LIVENESS_A", "https://:1/"), ("LIVENESS_A_TLS_INSECURE", "true")]);
    assert!(insecure[0].contains("without _TLS_CA_FILE nothing is verified"), "{insecure:?}");
}

#[test]
fn no_error_prints_what_may_be_a_secret() {
    for variables in [
        &[WEB, ("LIVENESS_WEBHEADERS", "Authorization: Bearer hunter22")][..],
        &[WEB, ("READINESS_R_BODY", "{\"password\": \"hunter22\"}")],
        &[("LIVENESS_A", "http://user:hunter22")],
        &[("LIVENESS_A", "redis://user:hunter22/")],
        &[WEB, ("LIVENESS_WEB_TLS_KEY_FILE", "-----BEGIN PRIVATE KEY-----\nhunter22")],
        &[WEB, ("LIVENESS_WEB_HTTP_HEADERS", "hunter22")],
        &[WEB, ("LIVENESS_WEB_HTTP_HEADER", "X: hunter22")],
        &[WEB, ("HEALTH_PROXY_STARTUP_KEYS", "hunter22")],
    ] {
        let errors = errors(variables);
        assert!(!errors.is_empty() && errors.iter().all(|error| !error.contains("hunter22")), "{errors:?}");
    }
}
