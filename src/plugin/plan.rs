//! The plan of `inject` for a pod: which probes become checks, which stay, and which pods are left alone.

use std::time::Duration;

use super::asked;
use super::boot;
use super::env;
use super::names::check_name;
use super::pod::{Container, PlacedProbe, Pod, SIDECAR};
use super::probe::field;
use crate::grammar::{Spec, options, variable, write};
use crate::native::{Handler, Untranslatable};
use crate::probe::Probe;

/// The wishes of the user.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The sidecar's image.
    pub image: Option<String>,
    /// The sidecar's port.
    pub port: Option<u16>,
    /// The containers whose probes move; none: all.
    pub containers: Vec<String>,
    /// Whether commands run inside the container's process too.
    pub exec_in_process: bool,
    /// Variables of the sidecar, as they are to stand in its `env`.
    pub set: Vec<(String, String)>,
}

/// The plan for a pod.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The sidecar's port.
    pub port: u16,
    /// The changes, by container.
    pub wired: Vec<Wired<'p>>,
    /// The capabilities that the sidecar needs for commands in other containers.
    pub capabilities: Vec<&'static str>,
    /// Why no probe moves, where the pod has a sidecar whose variables may still change.
    pub idle: Option<String>,
}

/// The changes in a container.
#[derive(Debug)]
pub struct Wired<'p> {
    /// Which.
    pub container: &'p Container,
    /// Its name in questions to the sidecar, where the pod has several.
    pub asked_as: Option<&'p str>,
    /// The probes that become checks.
    pub moved: Vec<(&'p PlacedProbe, Spec)>,
    /// The probes that stay, and why.
    pub stays: Vec<(Probe, String)>,
    /// The time that an added startup probe lets the app boot.
    pub added_boot: Option<Duration>,
}

/// An obstacle to a sidecar.
#[derive(Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The pod is left as it is, with a reason.
    LeftAlone(String),
    /// The manifest is wrong: the line and a text.
    Wrong(usize, String),
}

/// The capabilities for a command in the container of another user.
const FOR_ANYBODY: [&str; 5] = ["SYS_PTRACE", "SYS_CHROOT", "SETUID", "SETGID", "KILL"];

/// The capabilities for a command where both are root.
const FOR_ROOT: [&str; 1] = ["SYS_CHROOT"];

/// The reason for which a liveness stays with its startup probe: the sidecar would let it fail while the app boots.
const NEEDS_STARTUP: &str = "startupProbe stays native, and only it knows when the app has started";

impl Wired<'_> {
    /// Returns whether a probe stays native.
    fn keeps(&self, probe: Probe) -> bool {
        self.stays.iter().any(|(stays, _)| *stays == probe)
    }
}

impl<'p> Plan<'p> {
    /// Makes a plan for a pod; `default_port` is the port as shipped.
    ///
    /// # Errors
    /// The obstacle.
    pub fn of(pod: &'p Pod<'_, '_>, options: &'p Options, default_port: u16) -> Result<Self, Obstacle> {
        let port = obstacles(pod, options, default_port)?;
        let planner = Planner { pod, options, port };
        let names = |container: &&Container| {
            options.containers.is_empty() || options.containers.contains(&container.name)
        };
        let wired: Vec<_> = pod.apps().filter(names).map(|container| planner.container(container)).collect();
        let idle = wired.iter().all(|wired| wired.moved.is_empty()).then(|| nothing_to_do(&wired, pod));
        if let Some(why) = idle.clone().filter(|_| pod.sidecar().is_none()) {
            return Err(Obstacle::LeftAlone(why));
        }
        let in_process = wired.iter().filter(|wired| wired.moved.iter().any(is_in_process));
        let mut capabilities = Vec::new();
        for wired in in_process {
            let needed = if planner.is_root(wired.container) { &FOR_ROOT[..] } else { &FOR_ANYBODY[..] };
            capabilities.extend(
                needed.iter().filter(|name| !capabilities.contains(*name)).copied().collect::<Vec<_>>(),
            );
        }
        Ok(Self { port, wired, capabilities, idle })
    }

    /// Returns the variables of all checks, as the sidecar has to see them.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.wired.iter().flat_map(|wired| &wired.moved).flat_map(|(_, spec)| write(spec)).collect()
    }
}

fn is_in_process((placed, _): &(&PlacedProbe, Spec)) -> bool {
    matches!(placed.native.handler, Handler::Exec(_))
}

fn nothing_to_do(wired: &[Wired<'_>], pod: &Pod<'_, '_>) -> String {
    let stays = wired.iter().flat_map(|wired| {
        wired
            .stays
            .iter()
            .map(|(probe, why)| format!("{} of {} stays native: {why}", field(*probe), wired.container.name))
    });
    let stays: Vec<_> = stays.collect();
    match (stays.is_empty(), pod.sidecar()) {
        (false, _) => stays.join("; "),
        (true, Some(_)) => "it has its sidecar already".to_owned(),
        (true, None) => "no probe to carry over".to_owned(),
    }
}

/// Returns the sidecar's port, where the pod can have one.
fn obstacles(pod: &Pod<'_, '_>, options: &Options, default_port: u16) -> Result<u16, Obstacle> {
    let alone = |why: &str| Err(Obstacle::LeftAlone(why.to_owned()));
    if pod.is_windows() {
        return alone("a pod of Windows, for which there is no image");
    }
    let port = match pod.sidecar() {
        Some(sidecar) if !is_ours(pod, sidecar) => {
            let message = format!(
                "{}: a container called {SIDECAR} that is another program's ({})",
                pod.title(),
                sidecar.image
            );
            return Err(Obstacle::Wrong(pod.tree.line(sidecar.id), message));
        }
        Some(sidecar) if pod.tree.at(sidecar.id, &["envFrom"]).is_some() => {
            return alone("its sidecar takes its checks from envFrom, which is not in the manifest");
        }
        Some(sidecar) => asked::port(pod.tree, sidecar, default_port),
        None if pod.has_host_network() && options.port.is_none() => {
            return alone("hostNetwork: all pods of a node share its ports; give it a free one with --port");
        }
        None => options.port.unwrap_or(default_port),
    };
    let is_taken = |container: &&Container| {
        let declares = container.ports.iter().any(|declared| declared.is_tcp && declared.number == port);
        declares || container.probes.iter().any(|placed| is_foreign(container, placed, port))
    };
    match pod.everyone().filter(|container| container.name != SIDECAR).find(is_taken) {
        Some(container) => {
            alone(&format!("port {port} is the one of {}; take another with --port", container.name))
        }
        None => Ok(port),
    }
}

/// Returns whether a probe goes to the sidecar's port, and asks nothing that a sidecar answers.
fn is_foreign(container: &Container, placed: &PlacedProbe, port: u16) -> bool {
    let number = match &placed.native.handler {
        Handler::Http { port, .. } | Handler::Tcp { port, .. } => container.number(port),
        Handler::Grpc { port, .. } => Some(*port),
        Handler::Exec(_) => None,
    };
    number == Some(port) && asked::asked(container, &placed.native, port).is_none()
}

/// Returns whether a container that is called like the sidecar is one.
pub fn is_ours(pod: &Pod<'_, '_>, sidecar: &Container) -> bool {
    let program = sidecar.image.rsplit('/').next().unwrap_or_default();
    pod.annotation(super::original::ANNOTATION).is_some() || program.starts_with(SIDECAR)
}

struct Planner<'p, 't> {
    pod: &'p Pod<'p, 't>,
    options: &'p Options,
    port: u16,
}

impl<'p> Planner<'p, '_> {
    fn container(&self, container: &'p Container) -> Wired<'p> {
        let all: Vec<_> = self.pod.apps().map(|container| container.name.as_str()).collect();
        let name = check_name(&container.name, &all);
        let asked_as = (all.len() > 1).then_some(container.name.as_str());
        let mut wired = Wired { container, asked_as, moved: Vec::new(), stays: Vec::new(), added_boot: None };
        for placed in &container.probes {
            if asked::asked(container, &placed.native, self.port).is_some() {
                continue;
            }
            match self.check(container, placed, &name) {
                Ok(_) if placed.probe == Probe::Liveness && wired.keeps(Probe::Startup) => {
                    wired.stays.push((Probe::Liveness, NEEDS_STARTUP.to_owned()));
                }
                Ok(mut spec) => {
                    spec.container = asked_as.map(Into::into);
                    wired.moved.push((placed, spec));
                }
                Err(why) => wired.stays.push((placed.probe, why)),
            }
        }
        if !wired.moved.is_empty() && container.probe(Probe::Startup).is_none() {
            wired.added_boot = Some(native_boot(&wired.moved));
        }
        wired
    }

    fn check(&self, container: &Container, placed: &PlacedProbe, name: &str) -> Result<Spec, String> {
        let check = placed.native.check(placed.probe, name, |port| container.port(port));
        match check {
            Err(Untranslatable::Exec) if self.options.exec_in_process => {
                let process = self.process(container, placed.probe, name)?;
                let expanded = |word: &str| env::expanded(self.pod.tree, container, word);
                let check = placed.native.check_in_process(placed.probe, name, &process, expanded);
                check.map_err(|error| error.to_string())
            }
            Err(Untranslatable::Exec) => Err(format!("{}; --exec-in-process moves it", Untranslatable::Exec)),
            check => check.map_err(|error| error.to_string()),
        }
    }

    /// Returns the name of the container's process: what the user set, or the program that the manifest starts.
    fn process(&self, container: &Container, probe: Probe, name: &str) -> Result<String, String> {
        let variable = options::IN_PROCESS.variable(&variable(probe, name));
        if let Some((_, process)) = self.options.set.iter().find(|(name, _)| *name == variable) {
            return Ok(process.clone());
        }
        let tree = self.pod.tree;
        let command = tree.at(container.id, &["command"]).map_or(&[][..], |command| tree.items(command));
        let program =
            command.first().and_then(|word| tree.text_of(*word)).and_then(|word| word.rsplit('/').next());
        let program = program.filter(|program| !program.is_empty());
        program.map(str::to_owned).ok_or_else(|| {
            format!("the manifest does not say what process the container has; --set {variable}=NAME does")
        })
    }

    /// Returns whether a container's processes are root's.
    fn is_root(&self, container: &Container) -> bool {
        let tree = self.pod.tree;
        let user = |map| tree.at(map, &["securityContext", "runAsUser"]).and_then(|id| tree.integer(id));
        user(container.id).or_else(|| user(self.pod.workload.spec)) == Some(0)
    }
}

/// Returns how long an app may boot that had no startup probe: until liveness killed it, or for ever where liveness is
/// not asked through the sidecar. A liveness that stays native may pass from the first moment, and tells nothing.
fn native_boot(moved: &[(&PlacedProbe, Spec)]) -> Duration {
    let liveness = moved.iter().find(|(placed, _)| placed.probe == Probe::Liveness);
    liveness.map_or(Duration::MAX, |(placed, _)| boot::allowed(&placed.native.timing))
}
