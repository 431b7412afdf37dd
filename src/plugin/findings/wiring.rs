//! Ports and containers: probes that ask nobody or the wrong one, ports that two want, and sidecars that wait for the
//! app that waits for them.

use super::{Finding, Relay, danger, note};
use crate::native::{Handler, Native, Port};
use crate::plugin::asked;
use crate::plugin::pod::{Container, DeclaredPort, PlacedProbe, Pod};
use crate::plugin::probe::field;
use crate::probe::Probe;

/// An exec probe that runs more often than that is a cost worth knowing, in seconds.
const OFTEN: u64 = 5;

pub(super) fn findings(pod: &Pod<'_, '_>, relay: Option<&Relay<'_>>) -> Vec<Finding> {
    let mut found = ports_in_use_twice(pod);
    for container in pod.running() {
        for placed in &container.probes {
            let asks_sidecar =
                relay.is_some_and(|relay| asked::asked(container, &placed.native, relay.port).is_some());
            found.extend(unknown_port(container, placed));
            if !asks_sidecar {
                found.extend(port_of_another(pod, container, placed));
            }
            found.extend(costly(container, placed));
        }
    }
    found
}

fn ports_in_use_twice(pod: &Pod<'_, '_>) -> Vec<Finding> {
    let running: Vec<_> = pod.running().collect();
    let mut found = Vec::new();
    for (index, container) in running.iter().enumerate() {
        for other in &running[..index] {
            let is_taken = |port: &&DeclaredPort| other.ports.iter().any(|other| is_same(other, port));
            for port in container.ports.iter().filter(is_taken) {
                let text = format!(
                    "port {} is declared by {} and by {}: they share one network, and only one can listen",
                    port.number, other.name, container.name
                );
                found.push(danger(port.line, text));
            }
        }
    }
    found
}

fn is_same(one: &DeclaredPort, other: &DeclaredPort) -> bool {
    (one.number, one.is_tcp) == (other.number, other.is_tcp)
}

fn unknown_port(container: &Container, placed: &PlacedProbe) -> Option<Finding> {
    let Some(Port::Name(name)) = port_of(&placed.native) else { return None };
    let text = format!(
        "{} of {}: the container has no port called {name}, so that it always fails",
        field(placed.probe),
        container.name
    );
    container.port(name).is_none().then(|| danger(placed.line, text))
}

/// Finds a probe that goes to a port that only another container declares.
fn port_of_another(pod: &Pod<'_, '_>, container: &Container, placed: &PlacedProbe) -> Option<Finding> {
    let number = number(container, &placed.native)?;
    let declares =
        |container: &&Container| container.ports.iter().any(|port| port.is_tcp && port.number == number);
    if declares(&container) {
        return None;
    }
    let other = pod.running().find(declares)?;
    let (probe, name) = (field(placed.probe), &container.name);
    let is_main = pod.containers.iter().any(|main| main.id == other.id);
    if container.is_native_sidecar && is_main && placed.probe == Probe::Startup {
        let text = format!(
            "{probe} of {name} asks port {number} of {}, which is started only after it has passed: a deadlock",
            other.name
        );
        return Some(danger(placed.line, text));
    }
    let text = format!("{probe} of {name} asks port {number} of {}", other.name);
    Some(match placed.probe {
        Probe::Readiness => note(placed.line, format!("{text}: the pod is not ready while that one is not")),
        _ => danger(placed.line, format!("{text}: {name} is restarted when that one fails")),
    })
}

fn costly(container: &Container, placed: &PlacedProbe) -> Option<Finding> {
    let period = placed.native.timing.period.as_secs();
    let is_costly = matches!(placed.native.handler, Handler::Exec(_)) && period < OFTEN;
    is_costly.then(|| {
        let text = format!(
            "{} of {} starts a command every {period} s: about 45 ms of the node's CPU each",
            field(placed.probe),
            container.name
        );
        note(placed.line, text)
    })
}

fn port_of(native: &Native) -> Option<&Port> {
    match &native.handler {
        Handler::Http { port, .. } | Handler::Tcp { port, .. } => Some(port),
        Handler::Grpc { .. } | Handler::Exec(_) => None,
    }
}

fn number(container: &Container, native: &Native) -> Option<u16> {
    match &native.handler {
        Handler::Grpc { port, .. } => Some(*port),
        _ => container.number(port_of(native)?),
    }
}
