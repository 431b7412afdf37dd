//! All that the answers are made of: the containers of the pod and their checks with their published states.
//!
//! It reads, and passes on what the kubelet says. The tasks of the checks write, and `life` decides.

mod announce;
mod answers;
mod entry;
mod look;
mod look_out;
mod scope;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::container::Container;
use crate::gate::{Gate, Startup};
use crate::life::{Cause, Incarnation, Sign, StartupPath, Step};
use crate::lock::lock;
use crate::lookout::Lookout;
use crate::memory::Place;
use crate::probe::Probe;
use crate::unix_time;
use crate::verdict::{Standing, Why};
use crate::witness::{Listeners, Sight};

pub use entry::{Entry, Visible};
pub use look::Look;
pub use scope::Scope;

/// The state of the whole sidecar.
#[derive(Debug)]
pub struct Pod {
    containers: Vec<Member>,
    entries: Vec<Entry>,
    lookout: Arc<Lookout>,
    /// Tells of whatever may change an answer.
    changes: watch::Sender<()>,
    /// Since when the pod is drained, as the time since 1970.
    drained: Mutex<(Option<Duration>, Place<Option<Duration>>)>,
    is_shutting_down: AtomicBool,
}

/// A container, and which checks tell of its startup, by their places.
#[derive(Debug)]
struct Member {
    container: Arc<Container>,
    /// The startup checks of the container and of the pod.
    gate: Arc<Gate>,
    /// Those, or where there are none, the checks whose witnesses tell.
    telling: Vec<usize>,
}

impl Pod {
    /// Returns every check, by probe and name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Puts it together; each entry's place is that in `entries`.
    pub fn new(
        containers: Vec<Arc<Container>>,
        entries: Vec<Entry>,
        lookout: Arc<Lookout>,
        changes: watch::Sender<()>,
        drained: Place<Option<Duration>>,
    ) -> Self {
        let member = |(place, container)| Member {
            gate: Arc::new(gate_of(place, &entries)),
            telling: telling_of(place, &entries),
            container,
        };
        let containers = containers.into_iter().enumerate().map(member).collect();
        let drained = Mutex::new((drained.recall().flatten(), drained));
        Self { containers, entries, lookout, changes, drained, is_shutting_down: AtomicBool::new(false) }
    }

    /// Returns every container.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.containers.iter().map(|member| &member.container)
    }

    /// Returns the scope of the container called `name`, if checks name it.
    pub fn scope_of(&self, name: &str) -> Option<Scope> {
        self.containers().position(|container| container.name() == Some(name)).map(Scope::Container)
    }

    /// Returns what holds back the checks of the container in place `container`.
    pub fn gate(&self, container: usize) -> Arc<Gate> {
        Arc::clone(&self.containers[container].gate)
    }

    /// Returns where the task of a check tells of its changes.
    pub fn announcer(&self) -> watch::Sender<()> {
        self.changes.clone()
    }

    /// Returns the lookout by which its task watches.
    pub fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// Tells, from now on, of whatever may change an answer.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Turns `/readyz` red for good, as `preStop` wants it.
    pub fn drain(&self) {
        let mut drained = lock(&self.drained);
        let (since, place) = &mut *drained;
        if since.is_none() {
            *since = Some(unix_time::now());
            place.keep(since);
            tracing::info!("draining");
            self.changes.send_replace(());
        }
    }

    /// Turns `/readyz` red because the sidecar itself ends.
    pub fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
        self.changes.send_replace(());
    }

    /// Returns whether the sidecar ends.
    pub fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(Ordering::Relaxed)
    }

    /// Returns the checks in `scope` that answer for a probe; without startup checks, those whose witnesses tell of
    /// startup.
    pub fn entries_of(&self, asked: Probe, scope: Scope) -> impl Iterator<Item = &Entry> {
        let tells = move |entry: &Entry| {
            asked == Probe::Startup
                && self.containers.iter().any(|member| member.telling.contains(&entry.place))
        };
        let answers = move |entry: &&Entry| entry.check.probe == asked || tells(entry);
        self.entries.iter().filter(move |entry| scope.includes(entry)).filter(answers)
    }

    /// Returns one check of a probe.
    pub fn entry(&self, asked: Probe, name: &str) -> Option<&Entry> {
        self.entries_of(asked, Scope::Pod).find(|entry| entry.check.name == name)
    }

    /// Returns when the startup of the container in place `container` passed in its present incarnation.
    pub fn started_at(&self, container: usize) -> Option<Instant> {
        let member = &self.containers[container];
        if member.gate.is_absent() {
            let began = member.container.incarnation().began;
            return if member.telling.is_empty() { Some(began) } else { member.container.seen() };
        }
        member.gate.opened_at()
    }

    /// Returns what is known at this moment without a look.
    fn known(&self, scope: Scope) -> Look<'_> {
        Look { pod: self, scope, now: Instant::now(), sights: Vec::new() }
    }

    /// Looks at all that answers about `asked` are made of, at one moment.
    pub fn look(&self, asked: Probe, scope: Scope) -> Look<'_> {
        let mut look = self.known(scope);
        if self.wants_sights(asked, scope) {
            let listeners = Listeners::now();
            let asked_for = self.entries_of(asked, scope);
            look.sights = asked_for.map(|entry| (entry.place, entry.sight(&listeners))).collect();
            self.take_sights(asked, &look.sights);
        }
        look
    }

    /// Returns whether it has to be looked for witnesses: for what has not been seen yet, and for whom we vouch.
    fn wants_sights(&self, asked: Probe, scope: Scope) -> bool {
        match asked {
            Probe::Liveness => false,
            Probe::Readiness => self.entries_of(asked, scope).any(Entry::is_noted),
            Probe::Startup => {
                self.scoped(scope).any(|member| member.gate.is_absent() && member.container.seen().is_none())
            }
        }
    }

    /// Tells those who wait for it what was seen.
    fn take_sights(&self, asked: Probe, sights: &[(usize, Sight)]) {
        match asked {
            Probe::Liveness => {}
            Probe::Startup => self.note_seen(sights),
            Probe::Readiness => {
                for (place, sight) in sights {
                    let entry = &self.entries[*place];
                    if entry.is_contradicted(sight) {
                        if entry.lose(sight) {
                            self.changes.send_replace(());
                        }
                        self.lookout.wake();
                    }
                }
            }
        }
    }

    /// Notes which containers without startup checks are there now.
    pub(crate) fn note_seen(&self, sights: &[(usize, Sight)]) {
        for member in self.containers.iter().filter(|member| member.gate.is_absent()) {
            let is_seen =
                |place: &usize| sights.iter().any(|(at, sight)| at == place && sight.witness().is_some());
            let is_there = |place: &usize| is_seen(place) || self.entries[*place].has_passed();
            if !member.telling.is_empty()
                && member.container.seen().is_none()
                && member.telling.iter().all(is_there)
            {
                member.container.note(Sign::Seen);
                self.changes.send_replace(());
            }
        }
    }

    /// Returns the containers that a question in `scope` is about.
    fn scoped(&self, scope: Scope) -> impl Iterator<Item = &Member> {
        self.containers
            .iter()
            .enumerate()
            .filter(move |(place, _)| scope.concerns(*place))
            .map(|(_, member)| member)
    }

    /// Takes a question of the kubelet's: `path` is one of those that tell of startup, if it is one.
    pub fn kubelet_asks(&self, scope: Scope, path: Option<StartupPath>) {
        for member in self.scoped(scope) {
            let needs_sights = path.is_some() || member.container.is_pause();
            let listeners = needs_sights.then(Listeners::now);
            if path.is_some()
                && let Some(listeners) = &listeners
            {
                self.compare_noted(member, listeners);
            }
            let seen = listeners.map(|listeners| self.sights_of(member, &listeners)).unwrap_or_default();
            let step = member
                .container
                .take(Sign::Asked { path, seen: &seen }, |cause| self.evidence(member, cause));
            if matches!(step, Step::Begins(_)) {
                self.lookout.wake();
            }
        }
    }

    /// Compares the witnesses where nobody asks for the startup of a container: they tell that it is a different one.
    fn compare_noted(&self, member: &Member, listeners: &Listeners) {
        let own = self.entries.iter().filter(|entry| Arc::ptr_eq(&entry.container, &member.container));
        let mut changed =
            own.filter(|entry| entry.is_noted() && entry.is_contradicted(&entry.sight(listeners)));
        if let Some(entry) = changed.next() {
            entry.witness_changed();
        }
    }

    /// Notes that the kubelet was told by `path` that the containers in `scope` have started.
    pub fn kubelet_told(&self, scope: Scope, path: StartupPath) {
        let listeners = Listeners::now();
        for member in self.scoped(scope) {
            let seen = self.sights_of(member, &listeners);
            member.container.note(Sign::Told { path, seen: &seen });
        }
    }

    fn sights_of(&self, member: &Member, listeners: &Listeners) -> Vec<Sight> {
        member.telling.iter().map(|place| self.entries[*place].sight(listeners)).collect()
    }

    /// Returns the target whose witness is a different one.
    fn evidence(&self, member: &Member, cause: Cause) -> String {
        let place = if let Cause::AskedAgain(place) = cause { member.telling.get(place) } else { None };
        place.map(|place| self.entries[*place].check.target.clone()).unwrap_or_default()
    }

    /// Returns what is known of the container in place `container`.
    fn standing(&self, container: usize) -> Standing {
        let member = &self.containers[container];
        Standing {
            incarnation: member.container.incarnation().id,
            has_started: member.gate.is_open(),
            is_seen: !member.gate.is_absent()
                || member.telling.is_empty()
                || member.container.seen().is_some(),
            is_wired: member.container.is_wired(),
        }
    }

    /// Returns the checks that should have finished a run and have not, with their reasons.
    pub fn stale(&self) -> Vec<(String, Why)> {
        let look = self.look(Probe::Liveness, Scope::Pod);
        let stale = |entry: &Entry| {
            let late = look.facts(entry, |facts| facts.stale_for())?;
            Some((format!("{}/{}", entry.check.probe, entry.check.name), Why::Stale(late)))
        };
        self.entries.iter().filter_map(stale).collect()
    }

    /// Returns the present incarnation of the container in place `container`.
    pub fn incarnation(&self, container: usize) -> Incarnation {
        self.containers[container].container.incarnation()
    }
}

/// Returns the required startup checks that hold back the container in place `container`: its own and those of the pod.
fn startup_of(container: usize, entries: &[Entry]) -> Vec<usize> {
    let scope = Scope::Container(container);
    let gates =
        |entry: &&Entry| scope.includes(entry) && entry.check.probe == Probe::Startup && entry.check.required;
    entries.iter().filter(gates).map(|entry| entry.place).collect()
}

fn gate_of(container: usize, entries: &[Entry]) -> Gate {
    let startup = |place: usize| {
        let Entry { check, status, container, .. } = &entries[place];
        (check.any_of.clone(), Startup { status: status.clone(), container: Arc::clone(container) })
    };
    Gate::new(startup_of(container, entries).into_iter().map(startup))
}

/// Returns the checks that tell of the startup of the container in place `container`: without startup checks, those of
/// its liveness checks that have a witness, or else of its readiness checks.
fn telling_of(container: usize, entries: &[Entry]) -> Vec<usize> {
    let witnesses = |probe| {
        let tells = move |entry: &&Entry| {
            entry.container_place == container
                && entry.check.probe == probe
                && entry.check.required
                && entry.is_witnessed
        };
        entries.iter().filter(tells).map(|entry| entry.place).collect()
    };
    let candidates =
        [startup_of(container, entries), witnesses(Probe::Liveness), witnesses(Probe::Readiness)];
    candidates.into_iter().find(|places| !places.is_empty()).unwrap_or_default()
}
