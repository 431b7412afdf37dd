//! The pods of a cluster and what their sidecars say.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use crate::lock::lock;
use crate::plugin::asked::port_of;
use crate::plugin::cluster::{self, Cluster};
use crate::plugin::pod::SIDECAR;
use crate::plugin::sidecar::LISTEN;
use crate::server::document::ProbePart;

/// The most sidecars that are asked at a time.
const AT_A_TIME: usize = 16;

/// A pod and what is known of it.
#[derive(Debug)]
pub(super) struct PodStatus {
    pub(super) namespace: String,
    pub(super) name: String,
    /// The kubelet's word on the pod.
    pub(super) has_ready_condition: bool,
    pub(super) sidecar: Sidecar,
}

/// The answer of a pod's sidecar.
#[derive(Debug)]
pub(super) enum Sidecar {
    /// The pod has none.
    None,
    /// The pod has ended, and is not expected to be ready.
    Ended,
    /// It cannot be asked, and why.
    Silent(String),
    /// Its answer: the part that is shown, and all of it.
    Says(Said, Value),
}

/// The part of the document of `/status` that is shown: so little that every version of the sidecar has it.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    pub(super) now: f64,
    pub(super) healthy: bool,
    pub(super) probes: Vec<ProbePart>,
}

/// A pod as the API server lists it.
#[derive(Debug)]
pub(super) struct Listed {
    namespace: String,
    name: String,
    has_ready_condition: bool,
    /// The port of its sidecar, or the answer that is known without asking it.
    sidecar: Result<u16, Sidecar>,
}

impl PodStatus {
    /// Returns whether nobody has to look at it.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sidecar {
            Sidecar::Ended => true,
            Sidecar::Says(said, _) => {
                self.has_ready_condition && said.probes.iter().all(|probe| probe.passes)
            }
            Sidecar::None | Sidecar::Silent(_) => self.has_ready_condition,
        }
    }

    /// Returns the key that sorts failing pods first, then those that cannot be told of, then by name.
    pub(super) fn order(&self) -> (bool, u8, String, String) {
        let grade = match &self.sidecar {
            Sidecar::Silent(_) => 0,
            Sidecar::Says(..) => 1,
            Sidecar::None => 2,
            Sidecar::Ended => 3,
        };
        (self.is_ready(), grade, self.namespace.clone(), self.name.clone())
    }
}

impl Listed {
    fn of(pod: &Value, default_port: u16) -> Self {
        let text = |way: &str| pod.pointer(way).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        let conditions = pod["status"]["conditions"].as_array();
        let has_ready_condition = conditions.is_some_and(|conditions| conditions.iter().any(is_ready));
        let sidecar = match (text("/status/phase").as_str(), sidecar_port(pod, default_port)) {
            ("Succeeded", _) => Err(Sidecar::Ended),
            (_, None) => Err(Sidecar::None),
            ("Running", Some(port)) => Ok(port),
            (phase, Some(_)) => Err(Sidecar::Silent(format!("{phase}{}", waits_for(pod)))),
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        Self { namespace, name, has_ready_condition, sidecar }
    }

    /// Asks the sidecar, where there is one to ask.
    fn ask(self, cluster: &Cluster) -> PodStatus {
        let Self { namespace, name, has_ready_condition, sidecar } = self;
        let asked = |port| -> Result<(Said, Value), String> {
            let answer = cluster.get(&cluster::document(&namespace, &name, port))?;
            let unread = |error: serde_json::Error| format!("its document cannot be read: {error}");
            let document: Value = serde_json::from_str(&answer).map_err(unread)?;
            Ok((Said::deserialize(&document).map_err(unread)?, document))
        };
        let sidecar = match sidecar.map(asked) {
            Ok(Ok((said, document))) => Sidecar::Says(said, document),
            Ok(Err(error)) => Sidecar::Silent(explained(&error)),
            Err(known) => known,
        };
        PodStatus { namespace, name, has_ready_condition, sidecar }
    }
}

/// Reads what the API server says: a list of pods, or one.
pub(super) fn listed(answer: &str, default_port: u16) -> Result<Vec<Listed>, String> {
    let answer: Value =
        serde_json::from_str(answer).map_err(|error| format!("the API server's answer: {error}"))?;
    let one = std::slice::from_ref(&answer);
    let pods = answer["items"].as_array().map_or(one, Vec::as_slice);
    Ok(pods.iter().map(|pod| Listed::of(pod, default_port)).collect())
}

/// Returns the port of a pod's sidecar, if it has one: where it listens, else what it declares.
fn sidecar_port(pod: &Value, default: u16) -> Option<u16> {
    let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array());
    let sidecar = lists.into_iter().flatten().flatten().find(|container| container["name"] == SIDECAR)?;
    let env = sidecar["env"].as_array();
    let listen = env.and_then(|env| env.iter().rfind(|variable| variable["name"] == LISTEN));
    let listens = listen.and_then(|variable| port_of(variable["value"].as_str()?));
    let ports = sidecar["ports"].as_array();
    let declared = ports.and_then(|ports| ports.iter().find_map(|port| port["containerPort"].as_u64()));
    let declared = declared.and_then(|port| u16::try_from(port).ok());
    Some(listens.or(declared).unwrap_or(default))
}

/// Returns what the containers of a pod that does not run wait for: `: ImagePullBackOff`.
fn waits_for(pod: &Value) -> String {
    let lists = ["initContainerStatuses", "containerStatuses"].map(|list| pod["status"][list].as_array());
    let mut reasons = lists
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|status| status.pointer("/state/waiting/reason").and_then(Value::as_str));
    let telling = reasons.find(|reason| *reason != "PodInitializing");
    telling.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// Asks every sidecar that can be asked, some at a time.
pub(super) fn ask_all(cluster: &Cluster, listed: Vec<Listed>) -> Vec<PodStatus> {
    let workers = AT_A_TIME.min(listed.len());
    let (waiting, asked) = (Mutex::new(listed), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                // In a function of its own, so that the lock is free again while the sidecar is asked.
                let next = || lock(&waiting).pop();
                while let Some(pod) = next() {
                    let pod = pod.ask(cluster);
                    lock(&asked).push(pod);
                }
            });
        }
    });
    asked.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what kubectl says, and what helps where that is known.
fn explained(error: &str) -> String {
    let help = if error.contains("pods/proxy") {
        "; it takes the right to get pods/proxy"
    } else if error.contains("Forbidden") {
        "; HEALTH_PROXY_STATUS=loopback tells only the pod itself"
    } else {
        ""
    };
    format!("cannot be asked: {error}{help}")
}
