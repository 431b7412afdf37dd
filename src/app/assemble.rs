//! Puts the parts of the worker together: containers, their checks, and the task of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::check::Check;
use crate::container::Container;
use crate::gate::Gate;
use crate::lookout::{Lookout, Nudge};
use crate::memory::{Memory, RememberedCheck};
use crate::pod::{Entry, Pod, Visible};
use crate::probe::Probe;
use crate::runner::Runner;
use crate::status::Status;
use crate::targets::Attempt;
use crate::witness::{Listeners, Sight};

/// The pod's place in memory; the containers follow.
const POD: usize = 0;
const FIRST_CONTAINER: usize = 1;

/// A check whose task has not begun.
struct Idle<A> {
    check: Arc<Check>,
    target: Arc<A>,
    status: watch::Sender<Status>,
    nudge: Arc<Nudge>,
}

/// Returns the pod of all checks, and a task for each of them that has not begun.
pub(super) fn assemble<A: Attempt + 'static>(
    mut configured: Vec<(Arc<Check>, A)>,
    memory: &Memory,
    schedule_delay: &prometheus::Histogram,
) -> (Pod, Vec<Runner<A>>) {
    configured.sort_by(|(a, _), (b, _)| (a.probe, &a.name).cmp(&(b.probe, &b.name)));
    let listeners = Listeners::now();
    if !listeners.is_readable() {
        tracing::warn!(
            "the kernel does not tell which sockets listen: that a container is a different one is only known by the kubelet's questions"
        );
    }
    let sights: Vec<_> = configured.iter().map(|(_, target)| target.sight(&listeners)).collect();
    let containers = containers(&configured, &sights, memory);
    let (lookout, changes) = (Arc::new(Lookout::default()), watch::Sender::new(()));
    let first_check = FIRST_CONTAINER + containers.len();
    let (mut entries, mut idle) = (Vec::new(), Vec::new());
    for (place, ((check, target), sight)) in configured.into_iter().zip(&sights).enumerate() {
        let container = container_of(&check, &containers);
        let remembered = memory.place(first_check + place).recall();
        let status = watch::Sender::new(status(&check, &container.1, remembered));
        let (target, nudge) = (Arc::new(target), Arc::<Nudge>::default());
        let visible: Arc<dyn Visible> = target.clone();
        let readers = status.subscribe();
        let (known, nudged) = (Arc::clone(&check), Arc::clone(&nudge));
        entries.push(Entry::new(place, known, readers, container, visible, nudged, sight));
        idle.push(Idle { check, target, status, nudge });
    }
    let places: Vec<_> =
        entries.iter().map(|entry| (entry.container_place(), Arc::clone(&entry.container))).collect();
    let pod = Pod::new(containers, entries, lookout, changes, memory.place(POD));
    let runner = |(place, idle): (usize, Idle<A>)| Runner {
        gate: if idle.check.probe == Probe::Startup {
            Arc::new(Gate::default())
        } else {
            pod.gate(places[place].0)
        },
        container: Arc::clone(&places[place].1),
        place: memory.place(first_check + place),
        lookout: Arc::clone(pod.lookout()),
        changes: pod.announcer(),
        schedule_delay: schedule_delay.clone(),
        check: idle.check,
        target: idle.target,
        status: idle.status,
        nudge: idle.nudge,
    };
    let runners = idle.into_iter().enumerate().map(runner).collect();
    (pod, runners)
}

/// Returns the containers that checks name, in the order of the alphabet, and before them the pod for those that name
/// none.
fn containers<A: Attempt>(
    configured: &[(Arc<Check>, A)],
    sights: &[Sight],
    memory: &Memory,
) -> Vec<Arc<Container>> {
    let names: BTreeSet<_> = configured.iter().map(|(check, _)| check.container.clone()).collect();
    let container = |(place, name): (usize, Option<Arc<str>>)| {
        let own = configured.iter().zip(sights).filter(|((check, _), _)| check.container == name);
        let sights: Vec<_> = own.map(|(_, sight)| sight).collect();
        Arc::new(Container::new(name, memory.place(FIRST_CONTAINER + place), &sights))
    };
    names.into_iter().enumerate().map(container).collect()
}

fn container_of(check: &Check, containers: &[Arc<Container>]) -> (usize, Arc<Container>) {
    let is_its = |container: &Arc<Container>| container.name() == check.container.as_deref();
    let place = containers.iter().position(is_its).unwrap_or_default();
    (place, Arc::clone(&containers[place]))
}

/// Returns the state in which an earlier worker left a check in the present incarnation, or else the initial one.
fn status(check: &Check, container: &Container, remembered: Option<RememberedCheck>) -> Status {
    let incarnation = container.incarnation();
    let mut status = Status::new(check, incarnation);
    if let Some(remembered) = remembered.filter(|known| known.incarnation() == incarnation.id) {
        remembered.restore(check, &mut status, Instant::now());
    }
    status
}
