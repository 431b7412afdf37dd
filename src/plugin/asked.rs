//! The question of a probe to the sidecar, and the checks that answer: the way from a probe to the variables.

use super::env;
use super::pod::{Container, PlacedProbe, Pod};
use super::sidecar::LISTEN;
use super::yaml::Tree;
use crate::grammar::{self, Spec};
use crate::native::{Handler, Native};
use crate::probe::Probe;

/// A question to the sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path that is asked for; `None` for its own health.
    pub about: Option<Probe>,
    /// The container that is asked about; `None`: the whole pod.
    pub container: Option<String>,
    /// The longest time that the answer may be waited for, in seconds.
    pub wait: u64,
}

/// The checks of a pod's sidecar.
#[derive(Debug)]
pub enum Checks {
    /// Their variables stand in the manifest.
    Known(Vec<Spec>),
    /// Some come from elsewhere.
    Elsewhere,
    /// The variables are wrong: every error.
    Wrong(String),
}

/// The path of the sidecar's own health.
const HEALTHY: &str = "/-/healthy";

/// Returns the port of a pod's sidecar: where it listens, else what it declares.
pub fn port(tree: &Tree<'_>, sidecar: &Container, default: u16) -> u16 {
    let listens = env::written(tree, sidecar, LISTEN).and_then(port_of);
    let named = sidecar.ports.iter().find(|port| port.name == sidecar.name);
    let declared = named.or(sidecar.ports.first()).map(|port| port.number);
    listens.or(declared).unwrap_or(default)
}

/// Returns the port of an address such as `[::]:9809`; `None` where it refers to a variable.
pub fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok().filter(|port| *port != 0)
}

/// Returns what a probe of `container` asks the sidecar on `port`, if it asks it.
pub fn asked(container: &Container, native: &Native, port: u16) -> Option<Asked> {
    let Handler::Http { port: to, path, .. } = &native.handler else { return None };
    if container.number(to) != Some(port) {
        return None;
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_of =
        |probe: &Probe| path.strip_prefix('/').and_then(|path| path.split('/').next()) == Some(probe.path());
    let about = Probe::ALL.into_iter().find(is_of);
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let wait = value("wait").and_then(|wait| wait.parse().ok()).unwrap_or(0);
    (about.is_some() || path == HEALTHY).then(|| Asked { about, container: value("container"), wait })
}

impl Checks {
    /// Reads the checks of a pod's sidecar.
    pub fn of(pod: &Pod<'_, '_>, sidecar: &Container) -> Self {
        if !env::is_all_literal(pod.tree, sidecar) {
            return Self::Elsewhere;
        }
        match grammar::read(env::os(&env::literals(pod.tree, sidecar))) {
            Ok(specs) => Self::Known(specs),
            Err(errors) => Self::Wrong(errors.to_string()),
        }
    }

    /// Returns the checks that answer a question, where they are known.
    pub fn answering(&self, asked: &Asked) -> Option<Vec<&Spec>> {
        let Self::Known(specs) = self else { return None };
        let is_about = |spec: &&Spec| {
            let is_asked = asked.about == Some(spec.probe);
            let of_container = match (&asked.container, &spec.container) {
                (Some(asked), Some(container)) => **asked == **container,
                _ => true,
            };
            is_asked && of_container
        };
        Some(specs.iter().filter(is_about).collect())
    }
}

/// Returns the questions that a container's probes ask the sidecar on `port`.
pub fn questions(container: &Container, port: u16) -> impl Iterator<Item = (&PlacedProbe, Asked)> {
    container.probes.iter().filter_map(move |placed| Some((placed, asked(container, &placed.native, port)?)))
}
