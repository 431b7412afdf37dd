//! `HEALTH_PROXY_*`: what concerns the sidecar itself.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::filter::Targets;

use super::env::{Env, OWN_PREFIX};
use super::names::nearest;
use crate::options::{self, Problem};

/// The sidecar's own settings.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen, if that is configured.
    pub listen: Option<SocketAddr>,
    /// What is logged.
    pub log: Targets,
    /// How a line is written, if that is configured.
    pub log_format: Option<LogFormat>,
    /// How long to keep answering after SIGTERM.
    pub shutdown_delay: Duration,
    /// Whether reasons are told to callers.
    pub details: bool,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// As the user wrote them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: Option<String>,
    log: Option<String>,
    log_format: Option<String>,
    shutdown_delay_seconds: Option<String>,
    details: Option<String>,
}

/// The variables behind the fields of [`Written`].
const NAMES: [&str; 5] = [
    "HEALTH_PROXY_LISTEN",
    "HEALTH_PROXY_LOG",
    "HEALTH_PROXY_LOG_FORMAT",
    "HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS",
    "HEALTH_PROXY_DETAILS",
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
        let [listen, log, log_format, shutdown_delay, details] = NAMES;
        Self {
            listen: read(listen, written.listen, problems, address),
            log: read(log, written.log, problems, targets).unwrap_or_else(default_log),
            log_format: read(log_format, written.log_format, problems, format),
            shutdown_delay: read(
                shutdown_delay,
                written.shutdown_delay_seconds,
                problems,
                options::seconds(0.0),
            )
            .unwrap_or_default(),
            details: read(details, written.details, problems, options::boolean).unwrap_or(true),
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
    parse(&value).map_err(|accepted| problems.push(Problem::new(name, &value, accepted))).ok()
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

fn default_log() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

fn format(value: &str) -> Result<LogFormat, String> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("accepted: text or json".to_owned()),
    }
}
