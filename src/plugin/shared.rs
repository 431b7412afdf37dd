//! Sees that nothing changed through an alias that was not meant to.

use super::inject::Done;
use super::input::{Fault, Input};
use super::pod::{Container, Pod};
use super::probe::field;
use super::yaml::Data;
use crate::probe::Probe;

/// Compares pods before and after, one by one, with what was to be done.
///
/// # Errors
/// Containers whose probes changed with those of another one.
pub fn check(
    input: &Input,
    before: &[Pod<'_, '_>],
    after: &[Pod<'_, '_>],
    done: &[Done],
) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for ((was, is), done) in before.iter().zip(after).zip(done) {
        for container in was.apps() {
            let now = is.apps().find(|now| now.name == container.name);
            let changed: Vec<_> = now.into_iter().flat_map(|now| changed(was, container, is, now)).collect();
            let unasked = changed.iter().filter(|probe| !done.has_moved(&container.name, **probe));
            let unasked: Vec<_> = unasked.map(|probe| field(*probe)).collect();
            if !unasked.is_empty() {
                let message = format!(
                    "{}: {} would get {} of another container, with which it shares them through an alias; write it out",
                    was.title(),
                    container.name,
                    unasked.join(" and ")
                );
                let line = was.tree.line(was.workload.spec);
                faults.push(input.fault(was.workload.document, line, message));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Returns the probes of a container that are not what they were.
fn changed<'c>(
    was: &'c Pod<'_, '_>,
    before: &'c Container,
    is: &'c Pod<'_, '_>,
    after: &'c Container,
) -> impl Iterator<Item = Probe> + 'c {
    let meaning = |pod: &Pod<'_, '_>, container: &Container, probe| {
        container.probe(probe).map(|placed| Data::of(pod.tree, placed.node))
    };
    let is_changed = move |probe: &Probe| meaning(was, before, *probe) != meaning(is, after, *probe);
    Probe::ALL.into_iter().filter(is_changed)
}
