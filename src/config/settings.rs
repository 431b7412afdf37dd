//! `HEALTH_PROXY_*`: what concerns the sidecar itself.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::filter::Targets;

use crate::grammar::{Env, OWN_PREFIX, Problem, nearest, values};

/// The sidecar's own settings.
#[derive(Debug)]
pub struct Settings {
    /// The address to listen on, if that is configured.
    pub listen: Option<SocketAddr>,
    /// The levels of the log.
    pub log: Targets,
    /// The format of a line, if that is configured.
    pub log_format: Option<LogFormat>,
    /// The time after SIGTERM in which it keeps answering.
    pub shutdown_delay: Duration,
    /// Whether reasons are told to callers.
    pub details: bool,
    /// The time that a liveness failure stands at least; `None`: until the first success.
    pub liveness_hold: Option<Duration>,
    /// Whether only callers of this pod may see the page and the document behind it.
    pub is_status_private: bool,
    /// The key that the kubelet's question to `/startupz` has to carry, if that is configured; a secret.
    pub startup_key: Option<Box<str>>,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The settings as the user wrote them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: Option<String>,
    log: Option<String>,
    log_format: Option<String>,
    shutdown_delay_seconds: Option<String>,
    details: Option<String>,
    liveness_hold_seconds: Option<String>,
    startup_key: Option<String>,
    status: Option<String>,
}

/// The one setting whose value is never shown.
const STARTUP_KEY: &str = "HEALTH_PROXY_STARTUP_KEY";

/// The time that a liveness failure stands by default: the kubelet's side needs up to 20 s as shipped.
const LIVENESS_HOLD: Duration = Duration::from_secs(30);

/// The variables behind the fields of [`Written`].
const NAMES: [&str; 8] = [
    "HEALTH_PROXY_LISTEN",
    "HEALTH_PROXY_LOG",
    "HEALTH_PROXY_LOG_FORMAT",
    "HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS",
    "HEALTH_PROXY_DETAILS",
    "HEALTH_PROXY_LIVENESS_HOLD_SECONDS",
    STARTUP_KEY,
    "HEALTH_PROXY_STATUS",
];

impl Settings {
    /// Reads the settings; what is wrong is added to `problems` and its default taken.
    pub(super) fn read(env: &Env, problems: &mut Vec<Problem>) -> Self {
        let (known, unknown): (Vec<_>, Vec<_>) =
            env.with_prefix(OWN_PREFIX).partition(|(name, _)| NAMES.contains(name));
        problems.extend(unknown.into_iter().map(|(name, _)| unknown_setting(name)));
        let owned = known.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let written: Written = envy::prefixed(OWN_PREFIX).from_iter(owned).unwrap_or_else(|error| {
            problems.push(Problem::without_value("HEALTH_PROXY_*", error.to_string()));
            Written::default()
        });
        let [listen, log, log_format, shutdown_delay, details, liveness_hold, startup_key, status] = NAMES;
        Self {
            listen: read(listen, written.listen, problems, address),
            log: read(log, written.log, problems, targets).unwrap_or_else(default_log),
            log_format: read(log_format, written.log_format, problems, format),
            shutdown_delay: read(
                shutdown_delay,
                written.shutdown_delay_seconds,
                problems,
                values::seconds(0.0),
            )
            .unwrap_or_default(),
            details: read(details, written.details, problems, values::boolean).unwrap_or(true),
            liveness_hold: Some(
                read(liveness_hold, written.liveness_hold_seconds, problems, values::seconds(0.0))
                    .unwrap_or(LIVENESS_HOLD),
            )
            .filter(|hold| !hold.is_zero()),
            is_status_private: read(status, written.status, problems, is_private).unwrap_or(false),
            startup_key: read(startup_key, written.startup_key, problems, header_value),
        }
    }
}

fn read<T>(
    name: &str,
    value: Option<String>,
    problems: &mut Vec<Problem>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let value = value?;
    let problem = |accepted| match name {
        STARTUP_KEY => Problem::hidden(name, accepted),
        _ => Problem::new(name, &value, accepted),
    };
    parse(&value).map_err(|accepted| problems.push(problem(accepted))).ok()
}

fn unknown_setting(name: &str) -> Problem {
    let hint = nearest(name, OWN_PREFIX.len(), NAMES);
    let message = match hint {
        Some(hint) => format!("no such setting; did you mean {hint}?"),
        None => format!("no such setting; accepted: {}", NAMES.join(", ")),
    };
    Problem::without_value(name, message)
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| "accepted: ADDRESS:PORT, such as [::]:9809 or 0.0.0.0:9809".to_owned())
}

fn targets(value: &str) -> Result<Targets, String> {
    value
        .parse()
        .map_err(|_| "accepted: off, error, warn, info, debug or trace, or a list of target=level".to_owned())
}

/// Returns what can be sent in a header as it is (RFC 9110, section 5.5, without spaces and what is not ASCII).
fn header_value(value: &str) -> Result<Box<str>, String> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain
        .then(|| value.into())
        .ok_or_else(|| "accepted: letters, digits and signs of ASCII, no spaces".to_owned())
}

fn default_log() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

fn is_private(value: &str) -> Result<bool, String> {
    match value {
        "everyone" => Ok(false),
        "loopback" => Ok(true),
        _ => Err("accepted: everyone or loopback".to_owned()),
    }
}

fn format(value: &str) -> Result<LogFormat, String> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("accepted: text or json".to_owned()),
    }
}
