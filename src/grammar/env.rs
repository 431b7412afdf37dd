//! The environment as text, without what Kubernetes injects for Services.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::options::Problem;
use super::references::{self, Variables};
use super::target::TargetSpec;
use crate::probe::Probe;

/// The beginning of the sidecar's own settings.
pub const OWN_PREFIX: &str = "HEALTH_PROXY_";

/// The variables that concern us, and what they may refer to.
#[derive(Debug)]
pub struct Env {
    ours: BTreeMap<String, String>,
    all: Variables,
}

impl Env {
    /// Keeps what begins with one of our prefixes and is no link to a Service.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let (mut texts, mut all) = (BTreeMap::new(), BTreeMap::new());
        let mut near = Vec::new();
        for (name, value) in variables {
            if !is_ours(&name.to_string_lossy()) {
                near.extend(nearly_ours(&name, &value));
                all.extend(name.into_string().ok().zip(value.into_string().ok()));
                continue;
            }
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(texts.insert(name, value)),
                (name, _) => {
                    let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                    problems.push(Problem::hidden(name, "not valid UTF-8"));
                }
            }
        }
        if !near.is_empty() {
            let links = ServiceLinks::find(&all);
            near.retain(|(name, _): &(String, _)| !links.contain(name, &all[name]));
        }
        problems.extend(near.into_iter().map(|(_, problem)| problem));
        for (name, value) in &texts {
            problems.extend(nameless_check(name, value));
        }
        texts.retain(|name, _| !is_nameless(name));
        let links = ServiceLinks::find(&texts);
        texts.retain(|name, value| !links.contain(name, value));
        if texts.values().any(|value| references::is_in(value)) {
            all.extend(texts.clone());
        } else {
            all.clear();
        }
        (Self { ours: texts, all: Variables::new(all) }, problems)
    }

    /// Returns what may be referred to.
    pub const fn variables(&self) -> &Variables {
        &self.all
    }

    /// Returns the variables that begin with `prefix`, whole names first.
    pub fn with_prefix(&self, prefix: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.ours
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn is_ours(name: &str) -> bool {
    let is_check = Probe::ALL.iter().any(|probe| name.starts_with(probe.variable_prefix()));
    is_check || name.starts_with(OWN_PREFIX) || is_nameless(name)
}

/// Returns whether a variable is a probe's name and nothing else.
fn is_nameless(name: &str) -> bool {
    Probe::ALL.iter().any(|probe| probe.variable() == name)
}

/// Returns the problem of `READYNESS_DB=tcp://…`: a check that would silently not be there.
fn nearly_ours(name: &OsStr, value: &OsStr) -> Option<(String, Problem)> {
    let (name, value) = (name.to_str()?, value.to_str()?);
    TargetSpec::form_of(value)?;
    let (probe, rest) = name.split_once('_')?;
    let probe = probe.to_ascii_uppercase();
    let meant = Probe::ALL
        .map(Probe::variable)
        .into_iter()
        .find(|&known| strsim::osa_distance(known, &probe) <= 2)?;
    let message = format!(
        "no check, though its value is a target; did you mean {meant}_{}?",
        rest.to_ascii_uppercase()
    );
    Some((name.to_owned(), Problem::without_value(name, message)))
}

/// Returns the problem of `LIVENESS=http://…`: clearly meant for us, and short of a name.
fn nameless_check(name: &str, value: &str) -> Option<Problem> {
    let is_target = is_nameless(name) && TargetSpec::form_of(value).is_some();
    is_target.then(|| Problem::hidden(name, format!("a check needs a name, such as {name}_WEB")))
}

/// The Services whose variables the kubelet injected (`pkg/kubelet/envvars/envvars.go`).
struct ServiceLinks(BTreeMap<String, String>);

impl ServiceLinks {
    /// Finds the Services: `X` is known by the pair `X_SERVICE_HOST` and `X_SERVICE_PORT`.
    fn find(variables: &BTreeMap<String, String>) -> Self {
        let links = variables.iter().filter_map(|(name, host)| {
            let service = name.strip_suffix("_SERVICE_HOST")?;
            variables
                .contains_key(&format!("{service}_SERVICE_PORT"))
                .then(|| (service.to_owned(), host.clone()))
        });
        Self(links.collect())
    }

    fn contain(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(service, host)| {
            let rest = name.strip_prefix(service.as_str()).and_then(|rest| rest.strip_prefix('_'));
            rest.is_some_and(|rest| is_link(rest, value, host))
        })
    }
}

/// Returns whether `rest`, which follows the Service's name, and its value are the kubelet's.
fn is_link(rest: &str, value: &str, host: &str) -> bool {
    if rest == "SERVICE_HOST" || rest == "SERVICE_PORT" || rest.starts_with("SERVICE_PORT_") {
        return true;
    }
    if rest == "PORT" {
        return value.contains("://") && value.contains(host);
    }
    let mut parts = rest.split('_');
    let is_numbered = parts.next() == Some("PORT") && parts.next().is_some_and(|n| n.parse::<u16>().is_ok());
    let is_protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
    let is_detail = matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"));
    is_numbered && is_protocol && is_detail && parts.next().is_none()
}
