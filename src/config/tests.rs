//! The grammar of the variables, and each error's text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use tracing::Level;

use super::{Config, LogFormat};
use crate::targets::Attempt;

fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::read(variables).map_err(|error| error.to_string())
}

/// The errors of a configuration that has nothing right but one check.
fn errors(variables: &[(&str, &str)]) -> Vec<String> {
    read(variables).expect_err("a wrong configuration").lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_error(variables: &[(&str, &str)], expected: &str) {
    assert_eq!(errors(variables), [expected]);
}

const WEB: (&str, &str) = ("LIVENESS_WEB", "http://:8080/healthz");
const TARGETS: &str = "http://…, https://…, http+unix://…, tcp://…, tls://…, unix:…, grpc://…, grpcs://…, grpc+unix://…, postgres://…, mysql://…, redis://…, listen://…, process:…, exec:…, file:…";

#[test]
fn a_check_is_one_variable() {
    let config = read(&[("READINESS_MAIN_DB", "tcp://:5432"), WEB]).unwrap();
    let shown: Vec<_> = config
        .checks
        .iter()
        .map(|(check, _)| format!("{} {} {}", check.probe, check.name, check.target))
        .collect();
    assert_eq!(
        shown,
        ["liveness web http://localhost:8080/healthz", "readiness main-db tcp://localhost:5432"]
    );
    let timing = config.checks[0].0.timing;
    assert_eq!(timing, crate::check::Timing::default());
}

#[test]
fn options_override_the_defaults_of_the_probe() {
    let config = read(&[
        WEB,
        ("LIVENESS_PERIOD_SECONDS", "5"),
        ("LIVENESS_UNHEALTHY_PERIOD_SECONDS", "0.5"),
        ("LIVENESS_FAILURE_THRESHOLD", "7"),
        ("LIVENESS_WEB_FAILURE_THRESHOLD", "2"),
        ("LIVENESS_WEB_REQUIRED", "false"),
    ])
    .unwrap();
    let check = &config.checks[0].0;
    assert_eq!(check.timing.period, Duration::from_secs(5));
    assert_eq!(check.timing.unhealthy_period, Some(Duration::from_millis(500)));
    assert_eq!(check.timing.thresholds.failure, 2);
    assert!(!check.required);
}

/// `kubelet.md` section 1: success must be 1 for liveness and startup.
#[test]
fn only_readiness_may_want_more_than_one_success() {
    for (probe, value, is_accepted) in [
        ("READINESS", "3", true),
        ("READINESS", "0", false),
        ("LIVENESS", "1", true),
        ("LIVENESS", "2", false),
        ("STARTUP", "1", true),
        ("STARTUP", "2", false),
    ] {
        for option in ["_SUCCESS_THRESHOLD", "_A_SUCCESS_THRESHOLD"] {
            let result = read(&[(&format!("{probe}_A"), "tcp://:1"), (&format!("{probe}{option}"), value)]);
            let found = result.ok().map(|config| config.checks[0].0.timing.thresholds.success.to_string());
            assert_eq!(found.as_deref(), is_accepted.then_some(value), "{probe}{option}={value}");
        }
    }
}

#[test]
fn a_check_may_be_named_like_an_option() {
    let config = read(&[
        ("READINESS_APP_STATUS", "http://:80/status"),
        ("READINESS_APP_STATUS_STATUS", "204"),
        ("READINESS_DB", "tcp://:1"),
        ("READINESS_DB_REPLICA", "tcp://:2"),
        ("READINESS_DB_REPLICA_UNHEALTHY_PERIOD_SECONDS", "1"),
    ])
    .unwrap();
    let names: Vec<_> = config.checks.iter().map(|(check, _)| check.name.as_str()).collect();
    assert_eq!(names, ["app-status", "db", "db-replica"]);
    assert_eq!(config.checks[2].0.timing.unhealthy_period, Some(Duration::from_secs(1)));
}

#[test]
fn settings() {
    let config = read(&[
        WEB,
        ("HEALTH_PROXY_LISTEN", "127.0.0.1:1"),
        ("HEALTH_PROXY_LOG", "warn,health_proxy=debug"),
        ("HEALTH_PROXY_LOG_FORMAT", "json"),
        ("HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS", "2.5"),
        ("HEALTH_PROXY_DETAILS", "false"),
        ("HEALTH_PROXY_LIVENESS_HOLD_SECONDS", "7.5"),
        ("HEALTH_PROXY_STARTUP_KEY", "hunter2"),
    ])
    .unwrap();
    assert_eq!(config.settings.liveness_hold, Some(Duration::from_millis(7500)));
    assert_eq!(config.settings.startup_key.as_deref(), Some("hunter2"));
    assert_eq!(config.settings.listen, Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(config.settings.log_format, Some(LogFormat::Json));
    assert_eq!(config.settings.shutdown_delay, Duration::from_millis(2500));
    assert!(!config.settings.details);
}

#[test]
fn without_settings_the_defaults_apply() {
    let settings = read(&[WEB]).unwrap().settings;
    assert_eq!((settings.listen, settings.log_format, settings.details), (None, None, true));
    assert_eq!(settings.shutdown_delay, Duration::ZERO);
    assert_eq!(settings.log, "info".parse().unwrap());
}

#[test]
fn a_log_has_a_level_for_each_target_and_a_format() {
    for (value, format) in [("text", LogFormat::Text), ("json", LogFormat::Json)] {
        let settings = read(&[WEB, ("HEALTH_PROXY_LOG_FORMAT", value)]).unwrap().settings;
        assert_eq!(settings.log_format, Some(format));
    }
    let log = read(&[WEB, ("HEALTH_PROXY_LOG", "warn,health_proxy=debug")]).unwrap().settings.log;
    let levels =
        [("health_proxy", Level::DEBUG, true), ("h2", Level::WARN, true), ("h2", Level::INFO, false)];
    for (target, level, is_logged) in levels {
        assert_eq!(log.would_enable(target, &level), is_logged, "{target} at {level}");
    }
}

#[test]
fn links_to_services_are_ignored_whatever_the_service_is_called() {
    for service in ["LIVENESS_WEB", "HEALTH_PROXY", "READINESS", "STARTUP_X", "LIVENESS"] {
        let link = |rest: &str, value: &str| (format!("{service}_{rest}"), value.to_owned());
        let mut variables = vec![
            link("SERVICE_HOST", "10.0.0.1"),
            link("SERVICE_PORT", "80"),
            link("SERVICE_PORT_HTTP", "80"),
            link("PORT", "tcp://10.0.0.1:80"),
            link("PORT_80_TCP", "tcp://10.0.0.1:80"),
            link("PORT_80_TCP_PROTO", "tcp"),
            link("PORT_80_TCP_PORT", "80"),
            link("PORT_80_TCP_ADDR", "10.0.0.1"),
        ];
        variables.push(("READINESS_REAL".to_owned(), "tcp://:1".to_owned()));
        let borrowed: Vec<_> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let config = read(&borrowed).unwrap();
        assert_eq!(config.checks.len(), 1, "{service}");
    }
}

#[test]
fn half_a_link_is_no_link() {
    let config = read(&[("LIVENESS_WEB_PORT", "tcp://10.0.0.1:80")]).unwrap();
    assert_eq!(config.checks[0].0.name, "web-port");
    let both = [("LIVENESS_WEB_SERVICE_HOST", "10.0.0.1"), ("LIVENESS_WEB_SERVICE_PORT", "80")];
    let own = read(&[both[0], both[1], ("LIVENESS_WEB_PORT", "tcp://:80")]).unwrap();
    assert_eq!(own.checks[0].0.target, "tcp://localhost:80");
}

/// The kubelet's variables have exactly these forms, and all others of a Service's name are the user's.
#[test]
fn what_only_resembles_a_link_is_a_check() {
    let pair = [("LIVENESS_WEB_SERVICE_HOST", "10.0.0.1"), ("LIVENESS_WEB_SERVICE_PORT", "80")];
    for rest in [
        "",
        "_SERVICE",
        "_SERVICE_PORTS",
        "_PORT_TCP",
        "_PORT_HTTP_TCP",
        "_PORT_65536_TCP",
        "_PORT_80",
        "_PORT_80_HTTP",
        "_PORT_80_TCP_NAME",
        "_PORT_80_TCP_ADDR_2",
        "_NODE_80_TCP",
        "2_PORT_80_TCP",
    ] {
        let name = format!("LIVENESS_WEB{rest}");
        let config = read(&[pair[0], pair[1], (&name, "tcp://:1")]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(config.checks.len(), 1, "{name}");
    }
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
fn the_status_is_for_everyone_unless_it_is_kept_to_the_pod() {
    let is_private = |variables: &[(&str, &str)]| read(variables).unwrap().settings.is_status_private;
    assert!(!is_private(&[WEB]));
    assert!(!is_private(&[WEB, ("HEALTH_PROXY_STATUS", "everyone")]));
    assert!(is_private(&[WEB, ("HEALTH_PROXY_STATUS", "loopback")]));
    assert_error(
        &[WEB, ("HEALTH_PROXY_STATUS", "nobody")],
        "HEALTH_PROXY_STATUS=\"nobody\": accepted: everyone or loopback",
    );
}

#[test]
fn a_liveness_failure_is_held_unless_that_is_switched_off() {
    let hold = |variables: &[(&str, &str)]| read(variables).unwrap().settings.liveness_hold;
    assert_eq!(hold(&[WEB]), Some(Duration::from_secs(30)));
    assert_eq!(hold(&[WEB, ("HEALTH_PROXY_LIVENESS_HOLD_SECONDS", "0")]), None);
}

#[test]
fn a_check_is_about_a_container_its_own_before_that_of_the_probe() {
    let web = ("LIVENESS_WEB", "tcp://:1");
    let container = |variables: &[(&str, &str)]| read(variables).unwrap().checks[0].0.container.clone();
    let (of_probe, own) = (("LIVENESS_CONTAINER", "front"), ("LIVENESS_WEB_CONTAINER", "back"));
    assert_eq!(container(&[web]), None);
    assert_eq!(container(&[web, of_probe]).as_deref(), Some("front"));
    assert_eq!(container(&[web, of_probe, own]).as_deref(), Some("back"));
    assert_error(
        &[web, ("LIVENESS_WEB_CONTAINER", "Front.end")],
        "LIVENESS_WEB_CONTAINER=\"Front.end\": accepted: a container's name: up to 63 small letters, digits and \
         -, such as web",
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
fn a_reference_is_put_in_and_never_shown() {
    let config = read(&[
        ("LIVENESS_WEB", "http://user:$(PASS)@$(POD_IP):$(PORT)/a?b=$$(c)"),
        ("LIVENESS_WEB_HTTP_HEADERS", "Authorization: Bearer $(TOKEN)"),
        ("READINESS_CACHE", "tcp://$(POD_IP):6379"),
        ("READINESS_CACHE_SEND", r"AUTH $(PASS)\r\n"),
        ("READINESS_CACHE_PERIOD_SECONDS", "$(PERIOD)"),
        ("STARTUP_RUN", "exec:ls '$(DIRECTORY)'"),
        ("PASS", r"p@ss/w\rd"),
        ("POD_IP", "fd00::1"),
        ("PORT", "8080"),
        ("TOKEN", "hunter2"),
        ("PERIOD", "2.5"),
        ("DIRECTORY", "a 'b"),
    ])
    .unwrap();
    let shown: Vec<_> = config.checks.iter().map(|(check, _)| check.target.as_str()).collect();
    assert_eq!(
        shown,
        ["http://***@$(POD_IP):$(PORT)/a?b=$$(c)", "tcp://$(POD_IP):6379", "exec:ls '$(DIRECTORY)'"]
    );
    assert_eq!(config.checks[1].0.timing.period, Duration::from_millis(2500));
    let address = config.checks[1].1.local_port().and_then(|place| place.address);
    assert_eq!(address, Some("fd00::1".parse().unwrap()));
    let hidden = |index: usize, text: &str| config.checks[index].0.secrets.hide(text);
    assert_eq!(
        hidden(2, "hunter2").as_deref(),
        Some("$(TOKEN)"),
        "whoever asks, an app may show it to another"
    );
    assert_eq!(hidden(0, "hunter2 at fd00::1").as_deref(), Some("$(TOKEN) at $(POD_IP)"));
    assert_eq!(hidden(1, r"-ERR p@ss/w\rd").as_deref(), Some("-ERR $(PASS)"));
    assert_eq!(hidden(2, "ls: cannot access a 'b").as_deref(), Some("ls: cannot access $(DIRECTORY)"));
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
