//! From environment variables to what the program uses: all of it, or every error at once.

mod env;
mod names;
mod settings;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use crate::check::{Check, Timing};
use crate::options::{self, Given, Problem};
use crate::probe::Probe;
use crate::targets::Target;
use crate::tracker::Thresholds;
use crate::verdict::BUILT_IN;

use env::Env;
use names::Names;
pub use settings::{LogFormat, Settings};

/// The least period and timeout, in seconds.
const LEAST_PERIOD: f64 = 0.01;
const LEAST_TIMEOUT: f64 = 0.001;

/// A configuration that can run.
#[derive(Debug)]
pub struct Config {
    /// Every check with its target.
    pub checks: Vec<(Arc<Check>, Target)>,
    /// What concerns the sidecar itself.
    pub settings: Settings,
}

/// A configuration that cannot: every error, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(Vec<Problem>);

impl Config {
    /// Reads the configuration from `variables`, such as [`std::env::vars_os`].
    ///
    /// # Errors
    /// Every problem, each naming its variable, what was found and what is accepted.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let (env, mut problems) = Env::read(variables);
        let settings = Settings::read(&env, &mut problems);
        let mut checks = Vec::new();
        for probe in Probe::ALL {
            checks.extend(read_probe(probe, &env, &mut problems));
        }
        if checks.is_empty() && problems.is_empty() {
            problems.push(Problem::without_value(
                "LIVENESS_NAME, READINESS_NAME, STARTUP_NAME",
                "no check is configured; such as LIVENESS_WEB=http://:8080/healthz",
            ));
        }
        problems.sort();
        if problems.is_empty() { Ok(Self { checks, settings }) } else { Err(ConfigError(problems)) }
    }
}

/// All checks of one probe.
fn read_probe(probe: Probe, env: &Env, problems: &mut Vec<Problem>) -> Vec<(Arc<Check>, Target)> {
    let names = Names::sort(probe, env);
    problems.extend(names.problems);
    let whole = probe.variable_prefix().trim_end_matches('_');
    let mut given = Given::new(whole, names.defaults);
    let defaults = read_timing(probe, Timing::default(), &mut given);
    let default_container = given.take(options::CONTAINER, options::container);
    problems.extend(given.finish(None));
    let mut seen = BTreeMap::new();
    let mut checks = Vec::new();
    for (variable, found) in names.checks {
        let mut given = Given::new(variable, found.options);
        let name = check_name(probe, variable, &mut seen);
        let timing = read_timing(probe, defaults, &mut given);
        let container =
            given.take(options::CONTAINER, options::container).or_else(|| default_container.clone());
        let required = given.take(options::REQUIRED, options::boolean).unwrap_or(true);
        match (name, Target::parse(found.target, &mut given)) {
            (Ok(name), Ok(target)) => {
                let check = Check { probe, name, target: target.shown(), container, timing, required };
                checks.push((Arc::new(check), target));
            }
            (name, target) => {
                for message in [name.err(), target.err()].into_iter().flatten() {
                    given.reject_variable(&without_credentials(found.target), message);
                }
            }
        }
        problems.extend(given.finish(Target::kind(found.target)));
    }
    checks
}

fn read_timing(probe: Probe, defaults: Timing, given: &mut Given) -> Timing {
    let success = given.take(options::SUCCESS_THRESHOLD, |value| match (options::threshold(value)?, probe) {
        (1, _) | (_, Probe::Readiness) => options::threshold(value),
        _ => Err(format!("must be 1 for {probe}, as in the kubelet")),
    });
    let failure = given.take(options::FAILURE_THRESHOLD, options::threshold);
    let mut seconds = |name, least| given.take(name, options::seconds(least));
    Timing {
        initial_delay: seconds(options::INITIAL_DELAY_SECONDS, 0.0).unwrap_or(defaults.initial_delay),
        period: seconds(options::PERIOD_SECONDS, LEAST_PERIOD).unwrap_or(defaults.period),
        unhealthy_period: seconds(options::UNHEALTHY_PERIOD_SECONDS, LEAST_PERIOD)
            .or(defaults.unhealthy_period),
        timeout: seconds(options::TIMEOUT_SECONDS, LEAST_TIMEOUT).unwrap_or(defaults.timeout),
        thresholds: Thresholds {
            success: success.unwrap_or(defaults.thresholds.success),
            failure: failure.unwrap_or(defaults.thresholds.failure),
        },
    }
}

/// The check's name from its variable: the rest in lower case, `_` as `-`.
fn check_name<'a>(
    probe: Probe,
    variable: &'a str,
    seen: &mut BTreeMap<String, &'a str>,
) -> Result<String, String> {
    let name = variable[probe.variable_prefix().len()..].to_ascii_lowercase().replace('_', "-");
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(format!("a check's name holds letters, digits and _, such as {variable}WEB"));
    }
    if BUILT_IN.contains(&name.as_str()) {
        return Err(format!("the name {name} is taken: /readyz uses it for a reason of its own"));
    }
    match seen.insert(name.clone(), variable) {
        None => Ok(name),
        Some(other) => {
            Err(format!("{other} has the same name, {name}; a probe's checks need different ones"))
        }
    }
}

/// A target that could not be read, as it may be printed: what stands before an `@` may be a password.
fn without_credentials(value: &str) -> String {
    let is_url = !["exec:", "file:", "unix:"].iter().any(|form| value.starts_with(form));
    match value.rfind('@') {
        Some(at) if is_url => {
            let scheme_end = value[..at].find("://").map_or(0, |start| start + 3);
            format!("{}***{}", &value[..scheme_end], &value[at..])
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
