//! The options of a check as the user wrote them, and the errors that name them.
//!
//! One row for each option. Whoever understands an option takes it, and what is left over is an error. Nothing is
//! interpreted here.

use std::collections::BTreeMap;
use std::fmt;

use super::references::{Resolver, Variables};
use super::secrets::Secrets;
use super::target::{TargetSpec, is_nearly_a_target, without_credentials};
use crate::probe::Probe;

/// One thing that is wrong with the configuration: which variable, what was found, what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct Problem {
    variable: String,
    found: Option<String>,
    message: String,
}

impl Problem {
    /// Returns the problem of a variable whose value may be shown.
    pub fn new(variable: impl Into<String>, found: &str, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), found: Some(format!("{found:?}")), message: message.into() }
    }

    /// Returns the problem of a variable whose value may hold a secret.
    pub fn hidden(variable: impl Into<String>, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), found: Some("(hidden)".into()), message: message.into() }
    }

    /// Returns a problem of no single value.
    pub fn without_value(variable: impl Into<String>, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), found: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "{}={found}: {}", self.variable, self.message),
            None => write!(f, "{}: {}", self.variable, self.message),
        }
    }
}

/// An option by the end of its variable's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OptionName {
    /// The end of its variable, after the check's variable and an underscore: `PERIOD_SECONDS`.
    pub suffix: &'static str,
    /// Whether an option without a check's name sets the default of the probe.
    pub has_probe_default: bool,
    /// Whether its value is never shown.
    pub is_secret: bool,
}

impl OptionName {
    /// Returns the variable that sets this option for the check that `check` defines.
    pub fn variable(self, check: &str) -> String {
        format!("{check}_{}", self.suffix)
    }
}

macro_rules! options {
    ($($name:ident $kind:ident,)*) => {
        $(
            #[doc = concat!("The option `_", stringify!($name), "`.")]
            pub const $name: OptionName = OptionName {
                suffix: stringify!($name),
                has_probe_default: matches!(Nature::$kind, Nature::Common),
                is_secret: matches!(Nature::$kind, Nature::Secret),
            };
        )*

        /// Every option of contract section 2.
        pub const ALL: &[OptionName] = &[$($name,)*];
    };
}

/// A peculiarity of an option.
enum Nature {
    /// May stand without a check's name.
    Common,
    /// Its value is never shown.
    Secret,
    /// Nothing.
    Plain,
}

options! {
    INITIAL_DELAY_SECONDS Common,
    PERIOD_SECONDS Common,
    UNHEALTHY_PERIOD_SECONDS Common,
    TIMEOUT_SECONDS Common,
    SUCCESS_THRESHOLD Common,
    FAILURE_THRESHOLD Common,
    CONTAINER Common,
    REQUIRED Plain,
    ANY_OF Plain,
    METHOD Plain,
    HTTP_VERSION Plain,
    HTTP_HEADERS Secret,
    HTTP_HEADERS_FILE Plain,
    BODY Secret,
    BODY_FILE Plain,
    STATUS Plain,
    BODY_MATCHES Plain,
    BODY_MATCHES_NOT Plain,
    BODY_JSON Plain,
    SEND Secret,
    SEND_FILE Plain,
    EXPECT Plain,
    MAX_BACKLOG Plain,
    TLS_CA_FILE Plain,
    TLS_CERT_FILE Plain,
    TLS_KEY_FILE Plain,
    TLS_SERVER_NAME Plain,
    IN_PROCESS Plain,
    MAX_AGE_SECONDS Plain,
    ABSENT Plain,
}

/// The options of one check as text: names and values, in order of the names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<OptionName, String>);

impl Options {
    /// Sets an option, whatever it was.
    pub fn set(&mut self, name: OptionName, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// Returns the value of an option.
    pub fn get(&self, name: OptionName) -> Option<&str> {
        self.0.get(&name).map(String::as_str)
    }

    /// Returns every option that is set.
    pub fn iter(&self) -> impl Iterator<Item = (OptionName, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl fmt::Debug for Options {
    /// Shows only names: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(|name| name.suffix)).finish()
    }
}

impl<V: Into<String>> FromIterator<(OptionName, V)> for Options {
    fn from_iter<I: IntoIterator<Item = (OptionName, V)>>(options: I) -> Self {
        Self(options.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

/// Returns a reason with the whole variable in the place of each option that it names, such as `_TLS_SERVER_NAME`.
pub fn spelt_out(reason: &str, variable: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let named = |at: usize| {
        let rest = &reason[at..];
        let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
        let begins = reason[..at].ends_with([' ', '(']);
        let is_option = ALL.iter().any(|option| name.strip_prefix('_') == Some(option.suffix));
        (begins && is_option).then_some(at)
    };
    let places: Vec<_> = reason.match_indices('_').filter_map(|(at, _)| named(at)).collect();
    let mut spelt = (!places.is_empty()).then(|| reason.to_owned())?;
    for at in places.into_iter().rev() {
        spelt.insert_str(at, variable);
    }
    Some(spelt)
}

/// The options of one check (or the defaults of one probe) while they are being understood.
#[derive(Debug)]
pub struct OptionReader {
    /// The variable that the options' names begin with, without the last underscore.
    variable: String,
    options: Options,
    problems: Vec<Problem>,
    resolver: Resolver,
}

impl OptionReader {
    /// Begins to read the options that belong to `variable`, where they refer to no variable.
    pub fn new(variable: &str, options: Options) -> Self {
        Self::referring(variable, options, &Variables::default())
    }

    /// Begins to read the options that belong to `variable`; they may refer to `variables`.
    pub fn referring(variable: &str, options: Options, variables: &Variables) -> Self {
        Self { variable: variable.to_owned(), options, problems: Vec::new(), resolver: variables.resolver() }
    }

    /// Returns the probe that the options' check feeds, where the variable is a check's.
    pub fn probe(&self) -> Option<Probe> {
        Probe::ALL.into_iter().find(|probe| self.variable.starts_with(probe.variable_prefix()))
    }

    /// Takes an option and reads its value; a wrong one is noted with what `parse` says is accepted.
    pub fn take<T>(&mut self, name: OptionName, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.take_resolved(name, |resolver, value| parse(&resolver.resolve(value)?))
    }

    /// Takes an option as bytes: `read` reads the text between references, whose values are put in as they are.
    pub fn take_bytes(
        &mut self,
        name: OptionName,
        read: impl Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Option<Vec<u8>> {
        self.take_resolved(name, |resolver, value| resolver.resolve_bytes(value, read))
    }

    fn take_resolved<T>(
        &mut self,
        name: OptionName,
        read: impl FnOnce(&mut Resolver, &str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.options.0.remove(&name)?;
        let read = read(&mut self.resolver, &value);
        read.map_err(|accepted| self.reject(name, &value, self.resolver.hidden(accepted))).ok()
    }

    /// Notes that a value is sent in confidence: nothing that is shown repeats it.
    pub fn confide(&mut self, value: &[u8]) {
        self.resolver.confide(value);
    }

    /// Returns the values that references brought, and what was confided.
    pub fn secrets(&mut self) -> Secrets {
        std::mem::take(&mut self.resolver).into_secrets()
    }

    /// Notes that an option was understood but does not fit.
    pub fn reject(&mut self, name: OptionName, value: &str, message: impl Into<String>) {
        self.problems.push(self.problem(name, value, message.into()));
    }

    /// Notes that the variable without an option's name is wrong, where there is an `error`.
    pub fn reject_variable(&mut self, value: &str, error: Option<String>) {
        let is_shown = TargetSpec::form_of(value).is_some() || is_nearly_a_target(value);
        let problem = |error| {
            let variable = self.variable.as_str();
            if is_shown {
                Problem::new(variable, &without_credentials(value), error)
            } else {
                Problem::hidden(variable, error)
            }
        };
        self.problems.extend(error.map(problem));
    }

    /// Ends the reading of what all checks have: returns what was not taken, and what was wrong.
    pub fn split(self) -> (Options, Vec<Problem>) {
        (self.options, self.problems)
    }

    /// Ends the reading. An option that nobody took cannot be used by `user`, where that is known.
    pub fn finish(mut self, user: Option<&str>) -> Vec<Problem> {
        if let Some(user) = user {
            for (name, value) in std::mem::take(&mut self.options).iter() {
                self.reject(name, value, format!("{user} has no such option"));
            }
        }
        self.problems
    }

    fn problem(&self, name: OptionName, value: &str, message: String) -> Problem {
        let variable = name.variable(&self.variable);
        // What has several lines is a file's content in the place of its name.
        if name.is_secret || value.contains('\n') {
            Problem::hidden(variable, message)
        } else {
            Problem::new(variable, value, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_named_with_its_check() {
        let spelt = |reason| spelt_out(reason, "LIVENESS_WEB");
        let reason = "the server wants a client certificate (_TLS_CERT_FILE, _TLS_KEY_FILE)";
        let expected =
            "the server wants a client certificate (LIVENESS_WEB_TLS_CERT_FILE, LIVENESS_WEB_TLS_KEY_FILE)";
        assert_eq!(spelt(reason).as_deref(), Some(expected));
        for other in ["", "_", "x _NO_OPTION", "A_TLS_CA_FILE", "é _"] {
            assert_eq!(spelt(other), None, "{other}");
        }
    }

    #[test]
    fn what_nobody_takes_is_reported_and_secrets_are_hidden() {
        let options = [(SEND, "hunter2"), (METHOD, "PUT")].into_iter().collect();
        let mut reader = OptionReader::new("LIVENESS_WEB", options);
        assert_eq!(reader.take(METHOD, |m| Ok(m.to_owned())), Some("PUT".to_owned()));
        let texts: Vec<_> = reader.finish(Some("an exec target")).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["LIVENESS_WEB_SEND=(hidden): an exec target has no such option"]);
    }
}
