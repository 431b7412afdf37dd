//! The language of the variables: what a user means by a check, as data, read from variables and written as them.
//!
//! Nothing here opens a file, compiles a regular expression or needs a runtime, so the worker and the plugin for
//! `kubectl` share it. Reading takes two steps. Here a [`Spec`] is made: what all kinds of target have in common
//! (probe, name, container, timing) is typed, and so is the target's own text, by the rows of [`target`]; options
//! that only some kinds know stay text. `targets` then makes something that runs of a [`TargetSpec`] and a [`OptionReader`].
//!
//! A new kind of target is a row in [`target`], a new option a row in [`options`]; nothing else spells their names.

pub(crate) mod command;
mod env;
pub(crate) mod local;
mod names;
pub mod options;
pub(crate) mod path;
pub(crate) mod references;
pub(crate) mod remote;
mod secrets;
pub mod target;
mod timing;
pub(crate) mod url;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use crate::probe::Probe;
use crate::tracker::Thresholds;

pub use env::{Env, OWN_PREFIX};
pub use names::nearest;
pub use options::{OptionReader, Options, Problem};
pub use references::Variables;
pub use secrets::Secrets;
pub use target::{Kind, TargetSpec};
pub use timing::Timing;

use names::Names;

/// The names that `/readyz` and `/livez` use for reasons of their own.
pub const RESERVED: [&str; 3] = ["drain", "shutdown", "startup"];

/// A check as the user means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The probe that it feeds.
    pub probe: Probe,
    /// The variable that defines it: `READINESS_MAIN_DB`.
    pub variable: String,
    /// Its target.
    pub target: TargetSpec,
    /// The main container that it is about; `None`: the pod.
    pub container: Option<Arc<str>>,
    /// Its timing.
    pub timing: Timing,
    /// Whether it can fail its probe.
    pub required: bool,
    /// The group of which one check has to pass.
    pub any_of: Option<Arc<str>>,
    /// The options that only its kind of target knows, as text.
    pub options: Options,
}

impl Spec {
    /// Returns a check with the contract's defaults, called `name` in small letters, digits and `-`.
    pub fn new(probe: Probe, name: &str, target: TargetSpec) -> Self {
        let variable = variable(probe, name);
        let thresholds = target.thresholds(Thresholds::default());
        let (timing, options) = (Timing { thresholds, ..Timing::default() }, Options::default());
        Self { probe, variable, target, container: None, timing, required: true, any_of: None, options }
    }

    /// Returns the check's name: the rest of the variable in lower case, `_` as `-`.
    pub fn name(&self) -> String {
        name_of(self.probe, &self.variable)
    }

    /// Returns the options that are the target's to read, which may refer to `variables`.
    pub fn option_reader(&self, variables: &Variables) -> OptionReader {
        OptionReader::referring(&self.variable, self.options.clone(), variables)
    }
}

/// Returns the variable that defines the check `name` of `probe`.
pub fn variable(probe: Probe, name: &str) -> String {
    format!("{}{}", probe.variable_prefix(), name.to_ascii_uppercase().replace('-', "_"))
}

fn name_of(probe: Probe, variable: &str) -> String {
    variable[probe.variable_prefix().len()..].to_ascii_lowercase().replace('_', "-")
}

/// The errors for which variables are no configuration, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct GrammarError(pub Vec<Problem>);

/// Reads the checks that `variables` define; what only a target can judge, such as its regular expressions, stays
/// unread.
///
/// # Errors
/// Every problem, each naming its variable, what was found and what is accepted.
pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Vec<Spec>, GrammarError> {
    let (env, mut problems) = Env::read(variables);
    let reading = Reading::of(&env);
    problems.extend(reading.problems);
    problems.sort();
    if problems.is_empty() { Ok(reading.specs) } else { Err(GrammarError(problems)) }
}

/// Writes a check as the variables that define it: names and values, the target first, without what is default.
pub fn write(spec: &Spec) -> Vec<(String, String)> {
    let mut options = spec.timing.written(spec.target.thresholds(Thresholds::default()));
    options.extend(spec.container.iter().map(|name| (options::CONTAINER, name.to_string())));
    options.extend((!spec.required).then(|| (options::REQUIRED, spec.required.to_string())));
    options.extend(spec.any_of.iter().map(|group| (options::ANY_OF, group.to_string())));
    options.extend(spec.options.iter().map(|(name, value)| (name, value.to_owned())));
    let option = |(name, value)| (options::OptionName::variable(name, &spec.variable), value);
    std::iter::once((spec.variable.clone(), spec.target.to_string()))
        .chain(options.into_iter().map(option))
        .collect()
}

/// The result of reading, right and wrong.
#[derive(Debug, Default)]
pub struct Reading {
    /// The checks, those of a probe together.
    pub specs: Vec<Spec>,
    /// Checks whose target is wrong, with one of the same form in its place: for the errors of their options.
    pub broken: Vec<Spec>,
    /// The problems that were found.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// Reads the checks of all probes.
    pub fn of(env: &Env) -> Self {
        let mut reading = Self::default();
        for probe in Probe::ALL {
            reading.read_probe(probe, env);
        }
        reading
    }

    fn read_probe(&mut self, probe: Probe, env: &Env) {
        let names = Names::sort(probe, env);
        self.problems.extend(names.problems);
        let mut reader = OptionReader::referring(probe.variable(), names.defaults, env.variables());
        let timing = Timing::read(probe, Timing::default(), &mut reader);
        let container = reader.take(options::CONTAINER, values::container);
        self.problems.extend(reader.finish(None));
        let mut seen = BTreeMap::new();
        for (variable, found) in names.checks {
            let name = check_name(probe, variable, &mut seen);
            let mut reader = OptionReader::referring(variable, found.options, env.variables());
            reader.reject_variable(found.target, name.err());
            let (target, error) = match TargetSpec::read_referring(found.target, env.variables()) {
                Ok(target) => (Some(target), None),
                Err(error) => (TargetSpec::stand_in(found.target), Some(error)),
            };
            let is_broken = error.is_some();
            reader.reject_variable(found.target, error);
            let thresholds =
                target.as_ref().map_or(timing.thresholds, |target| target.thresholds(timing.thresholds));
            let timing = Timing::read(probe, Timing { thresholds, ..timing }, &mut reader);
            let own = reader.take(options::CONTAINER, values::container);
            let required = reader.take(options::REQUIRED, values::boolean).unwrap_or(true);
            let any_of = reader.take(options::ANY_OF, values::group);
            let (options, problems) = reader.split();
            self.problems.extend(problems);
            let Some(target) = target else { continue };
            let (variable, container) = (variable.to_owned(), own.or_else(|| container.clone()));
            let spec = Spec { probe, variable, target, container, timing, required, any_of, options };
            if is_broken { &mut self.broken } else { &mut self.specs }.push(spec);
        }
    }
}

/// Accepts the name of a check that its variable gives it.
fn check_name<'a>(
    probe: Probe,
    variable: &'a str,
    seen: &mut BTreeMap<String, &'a str>,
) -> Result<(), String> {
    let name = name_of(probe, variable);
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(format!("a check's name holds letters, digits and _, such as {variable}WEB"));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(format!("the name {name} is taken: /readyz uses it for a reason of its own"));
    }
    match seen.insert(name.clone(), variable) {
        None => Ok(()),
        Some(other) => {
            Err(format!("{other} has the same name, {name}; a probe's checks need different ones"))
        }
    }
}

#[cfg(test)]
mod tests;
