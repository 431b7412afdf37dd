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
        let mut secrets = Secrets::default();
        let mut target = |spec| target(spec, env.variables(), &mut secrets, &mut problems);
        let targets: Vec<_> = reading.specs.iter().filter_map(|spec| Some((spec, target(spec)?))).collect();
        for broken in &reading.broken {
            // What its options are like is still to be said.
            let _ = target(broken);
        }
        let secrets = Arc::new(secrets);
        let check = |spec| Arc::new(check(spec, settings.liveness_hold, &secrets));
        let checks: Vec<_> = targets.into_iter().map(|(spec, target)| (check(spec), target)).collect();
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

/// Makes of what the user wrote the check that runs. No check may tell what another one sends, since an app may show
/// the headers of whoever asked before: `secrets` are those of all checks.
fn check(spec: &Spec, hold: Option<Duration>, secrets: &Arc<Secrets>) -> Check {
    Check {
        probe: spec.probe,
        name: spec.name(),
        target: spec.target.redacted(),
        container: spec.container.clone(),
        is_asked: spec.target.is_asked(),
        timing: spec.timing,
        required: spec.required,
        any_of: spec.any_of.clone(),
        hold: hold.filter(|_| spec.probe == Probe::Liveness).unwrap_or_default(),
        secrets: Arc::clone(secrets),
    }
}

/// Makes the target, and says what must not be printed of what it refers to.
fn target(
    spec: &Spec,
    variables: &Variables,
    secrets: &mut Secrets,
    problems: &mut Vec<Problem>,
) -> Option<Target> {
    let mut reader = spec.option_reader(variables);
    let target = Target::new(&spec.target, &mut reader);
    secrets.extend(spec.target.secrets());
    secrets.extend(&reader.secrets());
    reader.reject_variable(&spec.target.to_string(), target.as_ref().err().cloned());
    problems.extend(reader.finish(Some(spec.target.form.title)));
    target.ok()
}

#[cfg(test)]
mod tests;
