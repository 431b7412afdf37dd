//! From environment variables to what the program uses: all of it, or every error at once.

mod settings;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use crate::check::Check;
use crate::grammar::{Env, GrammarError, Problem, Reading, Secrets, Spec, Variables};
use crate::probe::Probe;
use crate::targets::Target;

pub use settings::{LogFormat, Settings};

/// A configuration that can run.
#[derive(Debug)]
pub struct Config {
    /// Every check with its target.
    pub checks: Vec<(Arc<Check>, Target)>,
    /// The settings of the sidecar itself.
    pub settings: Settings,
}

/// A configuration that cannot: every error, one a line.
pub type ConfigError = GrammarError;

impl Config {
    /// Reads the configuration from `variables`, such as [`std::env::vars_os`].
    ///
    /// # Errors
    /// Every problem, each naming its variable, what was found and what is accepted.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let (env, mut problems) = Env::read(variables);
        let settings = Settings::read(&env, &mut problems);
        let reading = Reading::of(&env);
        problems.extend(reading.problems);
        let checks: Vec<_> = reading
            .specs
            .iter()
            .filter_map(|spec| check(spec, env.variables(), settings.liveness_hold, &mut problems))
            .collect();
        let checks = with_all_secrets(checks);
        for broken in &reading.broken {
            // What its options are like is still to be said.
            let _ = target(broken, env.variables(), &mut problems);
        }
        if checks.is_empty() && problems.is_empty() {
            problems.push(Problem::without_value(
                "LIVENESS_NAME, READINESS_NAME, STARTUP_NAME",
                "no check is configured; such as LIVENESS_WEB=http://:8080/healthz",
            ));
        }
        problems.sort();
        if problems.is_empty() { Ok(Self { checks, settings }) } else { Err(GrammarError(problems)) }
    }
}

/// Makes of a check's data what runs.
fn check(
    spec: &Spec,
    variables: &Variables,
    hold: Option<Duration>,
    problems: &mut Vec<Problem>,
) -> Option<(Check, Target)> {
    let (target, secrets) = target(spec, variables, problems)?;
    let (probe, name, shown) = (spec.probe, spec.name(), spec.target.redacted());
    let (container, timing, required) = (spec.container.clone(), spec.timing, spec.required);
    let (any_of, is_asked) = (spec.any_of.clone(), spec.target.is_asked());
    let hold = hold.filter(|_| probe == Probe::Liveness).unwrap_or_default();
    let secrets = Arc::new(secrets);
    let check =
        Check { probe, name, target: shown, container, is_asked, timing, required, any_of, hold, secrets };
    Some((check, target))
}

/// Lets no check tell what another one sends: an app may show the headers of whoever asked before.
fn with_all_secrets(checks: Vec<(Check, Target)>) -> Vec<(Arc<Check>, Target)> {
    let mut all = Secrets::default();
    for (check, _) in &checks {
        all.extend(&check.secrets);
    }
    let all = Arc::new(all);
    let sharing = |check| Arc::new(Check { secrets: Arc::clone(&all), ..check });
    checks.into_iter().map(|(check, target)| (sharing(check), target)).collect()
}

/// Makes the target, and says what must not be printed of what it refers to.
fn target(spec: &Spec, variables: &Variables, problems: &mut Vec<Problem>) -> Option<(Target, Secrets)> {
    let mut reader = spec.option_reader(variables);
    let target = Target::new(&spec.target, &mut reader);
    let mut secrets = spec.target.secrets().clone();
    secrets.extend(&reader.secrets());
    reader.reject_variable(&spec.target.to_string(), target.as_ref().err().cloned());
    problems.extend(reader.finish(Some(spec.target.form.title)));
    Some((target.ok()?, secrets))
}

#[cfg(test)]
mod tests;
