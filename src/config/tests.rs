//! The grammar of the variables.

mod errors;

use std::ffi::OsString;
use std::time::Duration;

use tracing::Level;

use errors::assert_error;

use super::{Config, LogFormat};
use crate::targets::Attempt;

fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::read(variables).map_err(|error| error.to_string())
}

const WEB: (&str, &str) = ("LIVENESS_WEB", "http://:8080/healthz");

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
