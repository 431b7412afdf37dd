//! The options of a check as the user wrote them, and the errors that name them.
//!
//! A check's options are one flat struct that `envy` fills; whoever understands an option takes it, and what
//! is left over is an error. Nothing is interpreted here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// One thing that is wrong with the configuration: which variable, what was found, what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub struct Problem {
    variable: String,
    found: Option<String>,
    message: String,
}

impl Problem {
    /// A variable whose value may be shown.
    pub fn new(variable: impl Into<String>, found: &str, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), found: Some(format!("{found:?}")), message: message.into() }
    }

    /// A variable whose value may hold a secret.
    pub fn hidden(variable: impl Into<String>, message: impl Into<String>) -> Self {
        Self { variable: variable.into(), found: Some("(hidden)".into()), message: message.into() }
    }

    /// Something that is wrong with no single value.
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

/// An option: the end of its variable's name and its place in [`Options`].
#[derive(Clone, Copy, Debug)]
pub struct OptionName {
    /// What follows the check's variable and an underscore: `PERIOD_SECONDS`.
    pub suffix: &'static str,
    /// Whether an option without a check's name sets the default of the probe.
    pub has_probe_default: bool,
    /// Whether its value is never shown.
    pub is_secret: bool,
    slot: fn(&mut Options) -> &mut Option<String>,
}

macro_rules! options {
    ($($name:ident $field:ident $kind:ident,)*) => {
        /// What the user set for one check, before any of it is understood.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Options {
            $($field: Option<String>,)*
        }

        $(
            #[doc = concat!("The option `_", stringify!($name), "`.")]
            pub const $name: OptionName = OptionName {
                suffix: stringify!($name),
                has_probe_default: matches!(Kind::$kind, Kind::Common),
                is_secret: matches!(Kind::$kind, Kind::Secret),
                slot: |options| &mut options.$field,
            };
        )*

        /// Every option of contract section 2.
        pub const ALL: &[OptionName] = &[$($name,)*];
    };
}

/// What is special about an option.
enum Kind {
    /// May stand without a check's name.
    Common,
    /// Its value is never shown.
    Secret,
    /// Nothing.
    Plain,
}

options! {
    INITIAL_DELAY_SECONDS initial_delay_seconds Common,
    PERIOD_SECONDS period_seconds Common,
    UNHEALTHY_PERIOD_SECONDS unhealthy_period_seconds Common,
    TIMEOUT_SECONDS timeout_seconds Common,
    SUCCESS_THRESHOLD success_threshold Common,
    FAILURE_THRESHOLD failure_threshold Common,
    CONTAINER container Common,
    REQUIRED required Plain,
    METHOD method Plain,
    HTTP_HEADERS http_headers Secret,
    STATUS status Plain,
    BODY_MATCHES body_matches Plain,
    SEND send Secret,
    EXPECT expect Plain,
    TLS_CA_FILE tls_ca_file Plain,
    TLS_CERT_FILE tls_cert_file Plain,
    TLS_KEY_FILE tls_key_file Plain,
    TLS_SERVER_NAME tls_server_name Plain,
    IN_PROCESS in_process Plain,
    MAX_AGE_SECONDS max_age_seconds Plain,
}

/// The options of one check (or the defaults of one probe) while they are being understood.
#[derive(Debug)]
pub struct Given {
    /// The variable that the options' names begin with, without the last underscore.
    variable: String,
    options: Options,
    problems: Vec<Problem>,
}

impl Given {
    /// Collects the variables `(suffix, value)` that belong to `variable`.
    pub fn new<'a>(variable: &str, options: impl IntoIterator<Item = (OptionName, &'a str)>) -> Self {
        let prefix = format!("{variable}_");
        let named =
            options.into_iter().map(|(name, value)| (format!("{prefix}{}", name.suffix), value.to_owned()));
        let (options, problems) = match envy::prefixed(prefix.as_str()).from_iter(named) {
            Ok(options) => (options, Vec::new()),
            Err(error) => (Options::default(), vec![Problem::without_value(variable, error.to_string())]),
        };
        Self { variable: variable.to_owned(), options, problems }
    }

    /// Takes an option and reads its value; a wrong one is noted with what `parse` says is accepted.
    pub fn take<T>(&mut self, name: OptionName, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = (name.slot)(&mut self.options).take()?;
        parse(&value).map_err(|accepted| self.problems.push(self.problem(name, &value, accepted))).ok()
    }

    /// Notes that an option was understood but does not fit.
    pub fn reject(&mut self, name: OptionName, value: &str, message: impl Into<String>) {
        self.problems.push(self.problem(name, value, message.into()));
    }

    /// Notes that the variable without an option's name is wrong; `shown` is its value without secrets.
    pub fn reject_variable(&mut self, shown: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(self.variable.as_str(), shown, message));
    }

    /// Ends the reading. An option that nobody took cannot be used by `user`, where that is known.
    pub fn finish(mut self, user: Option<&str>) -> Vec<Problem> {
        let Some(user) = user else { return self.problems };
        for &name in ALL {
            if let Some(value) = (name.slot)(&mut self.options).take() {
                self.problems.push(self.problem(name, &value, format!("{user} has no such option")));
            }
        }
        self.problems
    }

    fn problem(&self, name: OptionName, value: &str, message: String) -> Problem {
        let variable = format!("{}_{}", self.variable, name.suffix);
        if name.is_secret {
            Problem::hidden(variable, message)
        } else {
            Problem::new(variable, value, message)
        }
    }
}

/// The longest time that can be configured: a year.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// Seconds with an optional fraction, of at least `least`.
pub fn seconds(least: f64) -> impl Fn(&str) -> Result<Duration, String> {
    move |value| {
        let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number = value.parse().ok().filter(|n| plain && (least..=LONGEST).contains(n));
        number
            .map(Duration::from_secs_f64)
            .ok_or_else(|| format!("accepted: seconds from {least} to {LONGEST}, such as 10 or 0.5"))
    }
}

/// A threshold: a whole number of at least 1.
pub fn threshold(value: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|&n| n >= 1 && value.bytes().all(|b| b.is_ascii_digit()));
    number.ok_or_else(|| "accepted: a whole number of at least 1".to_owned())
}

/// `true` or `false`.
pub fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "accepted: true or false".to_owned())
}

/// The name of a container: a DNS label, as Kubernetes has it (RFC 1123).
pub fn container(value: &str) -> Result<Arc<str>, String> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&value.len())
        && value.bytes().all(is_inner)
        && !value.starts_with('-')
        && !value.ends_with('-');
    is_label.then(|| value.into()).ok_or_else(|| {
        "accepted: a container's name: up to 63 small letters, digits and -, such as web".to_owned()
    })
}

/// A regular expression.
pub fn regex(value: &str) -> Result<regex_lite::Regex, String> {
    regex_lite::Regex::new(value).map_err(|error| format!("not a regular expression: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_bounds_and_no_unit() {
        for (right, expected) in [
            ("0.01", Duration::from_millis(10)),
            ("0.5", Duration::from_millis(500)),
            (".5", Duration::from_millis(500)),
            ("10", Duration::from_secs(10)),
            ("31536000", Duration::from_secs(365 * 24 * 3600)),
        ] {
            assert_eq!(seconds(0.01)(right), Ok(expected), "{right}");
        }
        for wrong in ["", "0.001", "-1", "10s", "1e3", "NaN", "inf", "31536000.1", ".", "+1"] {
            assert!(seconds(0.01)(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_are_whole_and_positive() {
        for (right, expected) in [("1", 1), ("3", 3), ("4294967295", u32::MAX)] {
            assert_eq!(threshold(right), Ok(expected), "{right}");
        }
        for wrong in ["", "0", "-1", "1.5", "+1", "4294967296"] {
            assert!(threshold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_container_is_named_by_a_dns_label() {
        for right in ["web", "a", "0", "log-shipper-2", &"a".repeat(63)] {
            assert_eq!(container(right).as_deref(), Ok(right));
        }
        for wrong in ["", "Web", "a.b", "-a", "a-", "a_b", "ä", &"a".repeat(64)] {
            assert!(container(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_nobody_takes_is_reported_and_secrets_are_hidden() {
        let mut given = Given::new("LIVENESS_WEB", [(SEND, "hunter2"), (METHOD, "PUT")]);
        assert_eq!(given.take(METHOD, |m| Ok(m.to_owned())), Some("PUT".to_owned()));
        let texts: Vec<_> = given.finish(Some("an exec target")).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["LIVENESS_WEB_SEND=(hidden): an exec target has no such option"]);
    }
}
