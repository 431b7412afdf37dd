//! A pod as a manifest describes it: what the ways in and `explain` look at.

use super::input::{Fault, Input};
use super::probe;
use super::workload::Workload;
use super::yaml::{Data, Id, MapEntry, Tree};
use crate::native::{Native, Port};
use crate::probe::Probe;

/// The name of the sidecar's container.
pub const SIDECAR: &str = "health-proxy";

/// A pod and its containers.
#[derive(Debug)]
pub struct Pod<'a, 't> {
    /// The text that it stands in.
    pub tree: &'a Tree<'t>,
    /// The workload that it stands in.
    pub workload: Workload,
    /// The init containers, native sidecars among them.
    pub inits: Vec<Container>,
    /// The containers.
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Debug)]
pub struct Container {
    /// The map that describes it.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its image; empty where none is written.
    pub image: String,
    /// The ports that it declares.
    pub ports: Vec<DeclaredPort>,
    /// Its probes, in the kubelet's order: startup, liveness, readiness.
    pub probes: Vec<PlacedProbe>,
    /// Whether it is an init container that runs as long as the pod.
    pub is_native_sidecar: bool,
}

/// A port of a container's `ports`.
#[derive(Debug, PartialEq, Eq)]
pub struct DeclaredPort {
    /// Its name; empty where it has none.
    pub name: String,
    /// From 1 to 65535.
    pub number: u16,
    /// Whether it is one of TCP.
    pub is_tcp: bool,
    /// The line, from 1.
    pub line: usize,
}

/// A probe and where it stands.
#[derive(Debug)]
pub struct PlacedProbe {
    /// Which one it is.
    pub probe: Probe,
    /// Its question.
    pub native: Native,
    /// Its `terminationGracePeriodSeconds`.
    pub grace: Option<Data>,
    /// Its map.
    pub node: Id,
    /// Whether it stands in the container itself, and is not merged into it.
    pub is_own: bool,
    /// The line, from 1.
    pub line: usize,
}

/// The order in which the kubelet asks.
const PROBES: [Probe; 3] = [Probe::Startup, Probe::Liveness, Probe::Readiness];

impl<'a, 't> Pod<'a, 't> {
    /// Reads a pod.
    ///
    /// # Errors
    /// Every thing that the API server would refuse about what is looked at, and templates that were not rendered.
    fn read(input: &Input, tree: &'a Tree<'t>, workload: Workload) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader { tree, wrong: Vec::new() };
        let (inits, containers) = (
            reader.containers(workload.spec, "initContainers"),
            reader.containers(workload.spec, "containers"),
        );
        reader.names_differ(inits.iter().chain(&containers));
        let wrong = reader.wrong;
        if wrong.is_empty() {
            return Ok(Self { tree, workload, inits, containers });
        }
        let title = format!("{} {}", workload.kind, workload.name);
        let fault = |(line, message): (usize, String)| {
            input.fault(workload.document, line, format!("{}: {message}", title.trim_end()))
        };
        Err(wrong.into_iter().map(fault).collect())
    }

    /// Reads the pods of all documents.
    ///
    /// # Errors
    /// The faults of all of them.
    pub fn all(input: &Input, tree: &'a Tree<'t>) -> Result<Vec<Self>, Vec<Fault>> {
        let (mut pods, mut faults) = (Vec::new(), Vec::new());
        for workload in Workload::all(tree) {
            match Self::read(input, tree, workload) {
                Ok(pod) => pods.push(pod),
                Err(wrong) => faults.extend(wrong),
            }
        }
        if faults.is_empty() { Ok(pods) } else { Err(faults) }
    }

    /// Returns what the pod is called in reports.
    pub fn title(&self) -> String {
        format!("{} {}", self.workload.kind, self.workload.name)
    }

    /// Returns the sidecar, where the pod has one.
    pub fn sidecar(&self) -> Option<&Container> {
        self.everyone().find(|container| container.name == SIDECAR)
    }

    /// Returns the containers but the sidecar.
    pub fn apps(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.name != SIDECAR)
    }

    /// Returns the containers that run side by side: native sidecars and containers.
    pub fn running(&self) -> impl Iterator<Item = &Container> {
        self.inits.iter().filter(|init| init.is_native_sidecar).chain(&self.containers)
    }

    /// Returns all containers.
    pub fn everyone(&self) -> impl Iterator<Item = &Container> {
        self.inits.iter().chain(&self.containers)
    }

    /// Returns whether the pod lives in the network of its node.
    pub fn has_host_network(&self) -> bool {
        self.is_true("hostNetwork")
    }

    /// Returns whether the containers see each other's processes.
    pub fn shares_processes(&self) -> bool {
        self.is_true("shareProcessNamespace")
    }

    /// Returns whether the pod is for Windows, for which there is no image.
    pub fn is_windows(&self) -> bool {
        let text = |way: &[&str]| self.tree.at(self.workload.spec, way).and_then(|id| self.tree.text_of(id));
        text(&["os", "name"]) == Some("windows")
            || text(&["nodeSelector", "kubernetes.io/os"]) == Some("windows")
    }

    /// Returns the map of the pod's annotations.
    pub fn annotations(&self) -> Option<Id> {
        self.tree.at(self.workload.holder, &["metadata", "annotations"])
    }

    /// Returns the value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.tree.text_of(self.tree.get(self.annotations()?, name)?)
    }

    fn is_true(&self, field: &str) -> bool {
        let id = self.tree.at(self.workload.spec, &[field]);
        id.and_then(|id| self.tree.text_of(id)) == Some("true")
    }
}

impl Container {
    /// Returns the number of a port as the kubelet finds it: by its name, or a number that is written as a text.
    pub fn port(&self, name: &str) -> Option<u16> {
        let declared = self.ports.iter().find(|port| port.name == name).map(|port| port.number);
        declared.or_else(|| name.parse().ok())
    }

    /// Returns the number of a probe's port.
    pub fn number(&self, port: &Port) -> Option<u16> {
        match port {
            Port::Number(number) => Some(*number),
            Port::Name(name) => self.port(name),
        }
    }

    /// Returns a probe.
    pub fn probe(&self, probe: Probe) -> Option<&PlacedProbe> {
        self.probes.iter().find(|placed| placed.probe == probe)
    }
}

struct Reader<'a, 't> {
    tree: &'a Tree<'t>,
    wrong: Vec<probe::Wrong>,
}

impl Reader<'_, '_> {
    fn containers(&mut self, spec: Id, field: &str) -> Vec<Container> {
        let list = self.tree.at(spec, &[field]);
        let items = list.map_or(&[][..], |list| self.tree.items(list));
        items.iter().map(|id| self.container(self.tree.resolve(*id))).collect()
    }

    /// Notes containers that are called alike: nobody could tell which one is meant.
    fn names_differ<'c>(&mut self, containers: impl Iterator<Item = &'c Container>) {
        let mut seen = Vec::new();
        for container in containers {
            if seen.contains(&&container.name) {
                let message = format!("two containers are called {:?}", container.name);
                self.wrong.push((self.tree.line(container.id), message));
            }
            seen.push(&container.name);
        }
    }

    fn container(&mut self, id: Id) -> Container {
        let name = self.text(id, "name");
        let is_native_sidecar = self.text(id, "restartPolicy") == "Always";
        let ports = self.tree.at(id, &["ports"]);
        let ports = ports.map_or(&[][..], |ports| self.tree.items(ports));
        let ports = ports.iter().filter_map(|port| self.port(*port)).collect();
        let probes = PROBES.iter().filter_map(|probe| self.probe(id, &name, *probe)).collect();
        Container { id, image: self.text(id, "image"), name, ports, probes, is_native_sidecar }
    }

    fn port(&mut self, id: Id) -> Option<DeclaredPort> {
        let number = self.tree.at(id, &["containerPort"])?;
        let number = self.tree.integer(number).and_then(|number| u16::try_from(number).ok())?;
        let is_tcp = matches!(self.text(id, "protocol").as_str(), "" | "TCP");
        Some(DeclaredPort { name: self.text(id, "name"), number, is_tcp, line: self.tree.line(id) })
    }

    fn probe(&mut self, container: Id, name: &str, probe: Probe) -> Option<PlacedProbe> {
        let node = self.tree.at(container, &[probe::field(probe)])?;
        let native = probe::read(self.tree, probe, node);
        let named = |(line, message): probe::Wrong| (line, format!("container {name}: {message}"));
        let native = native.map_err(|wrong| self.wrong.push(named(wrong))).ok()?;
        let grace = self.tree.at(node, &["terminationGracePeriodSeconds"]).map(|id| Data::of(self.tree, id));
        let own: Option<MapEntry> = self.tree.entry(container, probe::field(probe));
        let line = own.map_or(node, |entry| entry.key);
        Some(PlacedProbe { probe, native, grace, node, is_own: own.is_some(), line: self.tree.line(line) })
    }

    /// Returns the text of a field; empty where there is none.
    fn text(&mut self, id: Id, field: &str) -> String {
        let Some(id) = self.tree.at(id, &[field]) else { return String::new() };
        let text = self.tree.text_of(id).unwrap_or_default().to_owned();
        if text.contains("{{") {
            self.wrong.push((self.tree.line(id), format!("{field} is a template that was not rendered")));
        }
        text
    }
}
