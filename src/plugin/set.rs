//! `--set`: variables that the user adds to the sidecars, each where it has a meaning.

use std::cell::Cell;

use crate::grammar::{TargetSpec, options};
use crate::probe::Probe;

/// Variables, and whether each was of use anywhere.
#[derive(Debug, Default)]
pub struct Set(Vec<Variable>);

#[derive(Debug)]
struct Variable {
    name: String,
    value: String,
    is_used: Cell<bool>,
}

impl Set {
    /// Takes names and values as they are to stand in `env`.
    pub fn new(variables: &[(String, String)]) -> Self {
        let variable = |(name, value): &(String, String)| Variable {
            name: name.clone(),
            value: value.clone(),
            is_used: Cell::new(false),
        };
        Self(variables.iter().map(variable).collect())
    }

    /// Returns the variables of a sidecar with those of the user; `there` are those that it has already.
    ///
    /// An option belongs where its check is; checks, defaults of a probe and settings belong everywhere.
    pub fn apply(&self, mut own: Vec<(String, String)>, there: &[(String, String)]) -> Vec<(String, String)> {
        for variable in &self.0 {
            let is_known = |check: &str| own.iter().chain(there).any(|(name, _)| name == check);
            let fits =
                is_for_all(variable) || check_of(&variable.name).any(is_known) || is_known(&variable.name);
            if !fits {
                continue;
            }
            variable.is_used.set(true);
            match own.iter_mut().find(|(name, _)| *name == variable.name) {
                Some((_, value)) => value.clone_from(&variable.value),
                None => own.push((variable.name.clone(), variable.value.clone())),
            }
        }
        own
    }

    /// Returns the names that were of use nowhere.
    pub fn unused(&self) -> Vec<&str> {
        self.0
            .iter()
            .filter(|variable| !variable.is_used.get())
            .map(|variable| variable.name.as_str())
            .collect()
    }
}

fn is_for_all(Variable { name, value, .. }: &Variable) -> bool {
    let is_default = |probe: &Probe| {
        let option = name.strip_prefix(probe.variable_prefix());
        options::ALL.iter().any(|known| known.has_probe_default && option == Some(known.suffix))
    };
    // A variable of another name is there for references to it.
    let is_foreign = !Probe::ALL.iter().any(|probe| name.starts_with(probe.variable_prefix()));
    is_foreign || TargetSpec::form_of(value).is_some() || Probe::ALL.iter().any(is_default)
}

/// Returns the checks whose option a variable may be.
fn check_of(name: &str) -> impl Iterator<Item = &str> {
    options::ALL.iter().filter_map(|option| name.strip_suffix(option.suffix)?.strip_suffix('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_variable_is_set_where_it_means_something() {
        let set = Set::new(&pairs(&[
            ("LIVENESS_WEB_PERIOD_SECONDS", "2"),
            ("LIVENESS_WEB_TIMEOUT_SECONDS", "3"),
            ("LIVENESS_OTHER_PERIOD_SECONDS", "2"),
            ("LIVENESS_PERIOD_SECONDS", "5"),
            ("READINESS_DB", "tcp://:5432"),
            ("HEALTH_PROXY_LOG", "debug"),
        ]));
        let own = pairs(&[("LIVENESS_WEB", "tcp://:1"), ("LIVENESS_WEB_TIMEOUT_SECONDS", "1")]);
        let expected = pairs(&[
            ("LIVENESS_WEB", "tcp://:1"),
            ("LIVENESS_WEB_TIMEOUT_SECONDS", "3"),
            ("LIVENESS_WEB_PERIOD_SECONDS", "2"),
            ("LIVENESS_PERIOD_SECONDS", "5"),
            ("READINESS_DB", "tcp://:5432"),
            ("HEALTH_PROXY_LOG", "debug"),
        ]);
        assert_eq!(set.apply(own, &[]), expected);
        assert_eq!(set.unused(), ["LIVENESS_OTHER_PERIOD_SECONDS"]);
        assert!(set.apply(Vec::new(), &pairs(&[("LIVENESS_OTHER", "tcp://:1")])).len() > 3);
        assert!(set.unused().is_empty());
    }
}
