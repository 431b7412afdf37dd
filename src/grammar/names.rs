//! Tells which variable is a check, which is an option of one, and which is neither.

use std::collections::BTreeMap;

use super::env::Env;
use super::options::{self, OptionName, Options, Problem};
use super::target::{TargetSpec, accepted, without_credentials};
use crate::probe::Probe;

/// The variables of one probe, sorted out.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// Options without a check's name.
    pub(super) defaults: Options,
    /// The checks by their variables.
    pub(super) checks: BTreeMap<&'a str, Found<'a>>,
    /// Names that fit nowhere.
    pub(super) problems: Vec<Problem>,
}

/// A check as it was written.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) target: &'a str,
    pub(super) options: Options,
}

impl<'a> Names<'a> {
    /// Sorts out the variables of `probe`, shorter names first: an option's check is known before the option.
    pub(super) fn sort(probe: Probe, env: &'a Env) -> Self {
        let mut variables: Vec<_> = env.with_prefix(probe.variable_prefix()).collect();
        variables.sort_by_key(|(name, _)| name.len());
        let mut names = Self::default();
        for (name, value) in variables {
            names.place(probe, name, value);
        }
        names
    }

    fn place(&mut self, probe: Probe, name: &'a str, value: &'a str) {
        let whole = probe.variable();
        let splits = || options::ALL.iter().filter_map(|option| Some((base(name, option.suffix)?, *option)));
        // The longest option wins: X_UNHEALTHY_PERIOD_SECONDS is no X_UNHEALTHY with a PERIOD_SECONDS.
        let of_check = splits().filter(|(base, _)| self.checks.contains_key(base));
        let of_check = of_check.max_by_key(|(_, option)| option.suffix.len());
        let is_target = TargetSpec::form_of(value).is_some();
        if let Some((base, option)) = of_check.filter(|(_, option)| is_target && TEXTS.contains(option)) {
            self.problems.push(ambiguous(base, option, name));
        } else if is_target {
            self.checks.insert(name, Found { target: value, options: Options::default() });
        } else if let Some((base, option)) = of_check
            && let Some(check) = self.checks.get_mut(base)
        {
            check.options.set(option, value);
        } else if let Some((_, option)) = splits().find(|(base, _)| *base == whole) {
            self.place_default(option, name, value);
        } else if let Some((base, option)) = splits().max_by_key(|(_, option)| option.suffix.len()) {
            self.problems.push(self.option_of_nothing(whole, base, option, name));
        } else if let Some(problem) = self.misspelt(whole, name, value) {
            self.problems.push(problem);
        } else {
            // Its value is wrong, and the target's own error says how.
            self.checks.insert(name, Found { target: value, options: Options::default() });
        }
    }

    fn place_default(&mut self, option: OptionName, name: &str, value: &'a str) {
        if option.has_probe_default {
            self.defaults.set(option, value);
        } else {
            let message = "this option needs a check's name before it; it has no default for a whole probe";
            self.problems.push(Problem::hidden(name, message));
        }
    }

    fn option_of_nothing(&self, whole: &str, base: &str, option: OptionName, name: &str) -> Problem {
        let nearest = nearest(base, whole.len(), self.checks.keys().copied());
        let hint = nearest.map(|check| format!("; did you mean {check}_{}?", option.suffix));
        let message = format!("no check {base} is defined{}", hint.unwrap_or_default());
        Problem::without_value(name, message)
    }

    /// Returns the problem of a name that begins like a known check's option, or is close to an option for the whole
    /// probe.
    fn misspelt(&self, whole: &str, name: &str, value: &str) -> Option<Problem> {
        let check = self.checks.keys().filter(|check| base_of(name, check)).max_by_key(|check| check.len());
        let owner = check.copied().unwrap_or(whole);
        let fits = |option: &&OptionName| check.is_some() || option.has_probe_default;
        let fitting: Vec<_> = options::ALL.iter().filter(fits).collect();
        let names: Vec<_> = fitting.iter().map(|option| format!("{owner}_{}", option.suffix)).collect();
        let nearest = nearest(name, owner.len(), names.iter().map(String::as_str));
        if check.is_some() && ["INSECURE", "VERIFY"].iter().any(|word| name.contains(word)) {
            let message = "no such option, and none is needed: without _TLS_CA_FILE nothing is verified, as in the kubelet";
            return Some(Problem::without_value(name, message));
        }
        if check.is_none() && nearest.is_none() {
            return None;
        }
        // What was meant may be a secret, unless it is known to be something else.
        let meant = fitting.iter().zip(&names).find(|(_, name)| nearest == Some(name.as_str()));
        let may_be_shown = meant.is_some_and(|(option, _)| !option.is_secret);
        let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        let message = format!("neither an option of {owner} nor a target ({}){hint}", accepted());
        Some(if may_be_shown {
            Problem::new(name, &without_credentials(value), message)
        } else {
            Problem::hidden(name, message)
        })
    }
}

/// Options that may hold any text, that of a target too.
const TEXTS: [OptionName; 5] =
    [options::SEND, options::EXPECT, options::BODY, options::BODY_MATCHES, options::BODY_MATCHES_NOT];

fn ambiguous(base: &str, option: OptionName, name: &str) -> Problem {
    let message = format!(
        "either the option _{} of {base}, or a check of its own, since its value is a target; give the check another \
         name, or the text another beginning",
        option.suffix
    );
    Problem::hidden(name, message)
}

/// Returns `name` without `_suffix`.
fn base<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix)?.strip_suffix('_')
}

/// Returns whether `name` goes on after `check` and an underscore.
fn base_of(name: &str, check: &str) -> bool {
    name.strip_prefix(check).is_some_and(|rest| rest.starts_with('_'))
}

/// Returns the candidate most like `name`, if any is; the first `common` bytes, the same for all, do not count.
pub fn nearest<'c>(
    name: &str,
    common: usize,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// The likeness below which two words are not taken for each other.
    const LIKENESS: f64 = 0.8;
    let tail = |text: &str| text.get(common..).unwrap_or_default().to_ascii_uppercase();
    let wanted = tail(name);
    let scored = candidates.into_iter().map(|c| (strsim::jaro_winkler(&wanted, &tail(c)), c));
    scored.filter(|(score, _)| *score >= LIKENESS).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}
