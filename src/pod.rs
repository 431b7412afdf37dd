//! All that the answers are made of: the containers of the pod and their checks with their published states.
//!
//! It reads, and passes on what the kubelet says. The tasks of the checks write, and `life` decides.

mod entry;
mod look;
mod look_out;
mod scope;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::container::Container;
use crate::grammar::RESERVED;
use crate::life::{Cause, Incarnation, Sign, StartupPath, Step};
use crate::lookout::Lookout;
use crate::memory::Place;
use crate::probe::Probe;
use crate::unix_time::{self, TimeOfDay};
use crate::verdict::{Facts, Finding, Standing, Verdict, Why};
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
    /// The required startup checks of the container and of the pod.
    startup: Vec<usize>,
    /// Those, or where there are none, the checks whose witnesses tell.
    telling: Vec<usize>,
}

impl Pod {
    /// Every check, by probe and name.
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
            startup: startup_of(place, &entries),
            telling: telling_of(place, &entries),
            container,
        };
        let containers = containers.into_iter().enumerate().map(member).collect();
        let drained = Mutex::new((drained.recall().flatten(), drained));
        Self { containers, entries, lookout, changes, drained, is_shutting_down: AtomicBool::new(false) }
    }

    /// Every container.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.containers.iter().map(|member| &member.container)
    }

    /// Returns the scope of the container called `name`, if checks name it.
    pub fn scope_of(&self, name: &str) -> Option<Scope> {
        self.containers().position(|container| container.name() == Some(name)).map(Scope::Container)
    }

    /// The task of the lookout watches by this.
    pub fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// Tells, from now on, of whatever may change an answer.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Turns `/readyz` red for good, as `preStop` wants it.
    pub fn drain(&self) {
        let mut drained = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, place) = &mut *drained;
        if since.is_none() {
            *since = Some(unix_time::now());
            place.keep(since);
            tracing::info!("draining");
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

    /// The checks in `scope` that answer for a probe; without startup checks, those whose witnesses tell of startup.
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

    /// Returns whether a probe passes.
    pub fn passes(&self, asked: Probe, scope: Scope) -> bool {
        let look = self.look(asked, scope);
        let is_good = |entry: &Entry| {
            !entry.check.required || look.facts(entry, |facts| facts.failure(asked).is_none())
        };
        self.entries_of(asked, scope).all(is_good) && self.built_in(asked, &look).next().is_none()
    }

    /// Returns the whole answer of a probe, without the checks named in `excluded`.
    pub fn verdict(&self, asked: Probe, scope: Scope, excluded: &[String]) -> Verdict {
        let look = self.look(asked, scope);
        let finding = |entry: &Entry| look.facts(entry, |facts| facts.finding(asked));
        let own = self.entries_of(asked, scope).map(|entry| (entry.check.name.clone(), finding(entry)));
        let built_in = self.built_in(asked, &look).map(|(name, why)| (name.to_owned(), Finding::Failed(why)));
        let mut findings: Vec<_> = own.chain(built_in).collect();
        findings.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, finding) in &mut findings {
            if excluded.contains(name) {
                *finding = Finding::Excluded;
            }
        }
        let is_known = |name: &str| self.entries_of(asked, scope).any(|entry| entry.check.name == name);
        let mut unknown: Vec<_> = excluded
            .iter()
            .filter(|name| !RESERVED.contains(&name.as_str()) && !is_known(name))
            .cloned()
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        Verdict { findings, unknown }
    }

    /// Returns what the path of one check says of it.
    pub fn finding(&self, asked: Probe, entry: &Entry) -> Finding {
        let look = self.look(asked, entry.scope());
        let exhausted = || self.exhausted(&look).filter(|_| asked == Probe::Liveness && entry.check.required);
        match look.facts(entry, |facts| facts.finding(asked)) {
            passing @ (Finding::Ok | Finding::Waits) => exhausted().map_or(passing, Finding::Failed),
            failing => failing,
        }
    }

    /// Reasons that belong to no check of the probe itself.
    fn built_in(&self, asked: Probe, look: &Look<'_>) -> impl Iterator<Item = (&'static str, Why)> {
        let is_asked_for_traffic = asked == Probe::Readiness;
        let drained = || self.drained.lock().unwrap_or_else(PoisonError::into_inner).0;
        let drain =
            is_asked_for_traffic.then(drained).flatten().map(|since| Why::Draining(TimeOfDay::at(since)));
        let shutdown = (is_asked_for_traffic && self.is_shutting_down()).then_some(Why::ShuttingDown);
        let startup = match asked {
            Probe::Liveness => self.exhausted(look),
            Probe::Readiness => self.startup_reason(look, |facts| facts.failure(Probe::Startup)),
            Probe::Startup => None,
        };
        [("drain", drain), ("shutdown", shutdown), ("startup", startup)]
            .into_iter()
            .filter_map(|(name, why)| Some((name, why?)))
    }

    fn exhausted(&self, look: &Look<'_>) -> Option<Why> {
        self.startup_reason(look, |facts| {
            facts.is_exhausted().then(|| facts.failure(Probe::Startup)).flatten()
        })
    }

    /// The required startup checks that fail in `why`, with their reasons.
    fn startup_reason(&self, look: &Look<'_>, why: impl Fn(Facts<'_>) -> Option<Why>) -> Option<Why> {
        let is_startup = |entry: &&Entry| entry.check.probe == Probe::Startup && entry.check.required;
        let startup = self.entries.iter().filter(|entry| look.scope.includes(entry)).filter(is_startup);
        let failing = startup.filter_map(|entry| Some((entry.check.name.clone(), look.facts(entry, &why)?)));
        let failing: Vec<_> = failing.collect();
        (!failing.is_empty()).then_some(Why::Startup(failing))
    }

    /// Returns when the startup of the container in place `container` passed in its present incarnation.
    pub fn started_at(&self, container: usize) -> Option<Instant> {
        let member = &self.containers[container];
        if member.startup.is_empty() {
            let began = member.container.incarnation().began;
            return if member.telling.is_empty() { Some(began) } else { member.container.seen() };
        }
        let passed = |place: &usize| {
            let entry = &self.entries[*place];
            let status = entry.status.borrow();
            (status.incarnation == entry.container.incarnation().id && status.tracker.is_healthy())
                .then_some(status.since)
        };
        member.startup.iter().map(passed).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Looks at all that answers about `asked` are made of, at one moment.
    pub fn look(&self, asked: Probe, scope: Scope) -> Look<'_> {
        let mut look = Look { pod: self, scope, now: Instant::now(), sights: Vec::new() };
        if self.wants_sights(asked, scope) {
            let listeners = Listeners::read();
            let asked_for = self.entries_of(asked, scope);
            look.sights = asked_for.map(|entry| (entry.place, entry.sight(&listeners))).collect();
            self.take_sights(asked, &look.sights);
        }
        look
    }

    /// Whether it has to be looked for witnesses: for what has not been seen yet, and for whom we vouch.
    fn wants_sights(&self, asked: Probe, scope: Scope) -> bool {
        match asked {
            Probe::Liveness => false,
            Probe::Readiness => self.entries_of(asked, scope).any(Entry::is_noted),
            Probe::Startup => self
                .scoped(scope)
                .any(|member| member.startup.is_empty() && member.container.seen().is_none()),
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
                        entry.lose(sight);
                        self.lookout.wake();
                    }
                }
            }
        }
    }

    /// Notes which containers without startup checks are there now.
    pub(crate) fn note_seen(&self, sights: &[(usize, Sight)]) {
        for member in self.containers.iter().filter(|member| member.startup.is_empty()) {
            let is_there =
                |place: &usize| sights.iter().any(|(at, sight)| at == place && sight.witness().is_some());
            if !member.telling.is_empty()
                && member.container.seen().is_none()
                && member.telling.iter().all(is_there)
            {
                member.container.note(Sign::Seen);
                self.changes.send_replace(());
            }
        }
    }

    /// The containers that a question in `scope` is about.
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
            let listeners = needs_sights.then(Listeners::read);
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

    /// Where nobody asks for the startup of a container, a witness tells that it is a different one.
    fn compare_noted(&self, member: &Member, listeners: &Listeners) {
        let own = self.entries.iter().filter(|entry| Arc::ptr_eq(&entry.container, &member.container));
        let mut changed =
            own.filter(|entry| entry.is_noted() && entry.is_contradicted(&entry.sight(listeners)));
        if let Some(entry) = changed.next() {
            entry.witness_changed();
        }
    }

    /// The kubelet was told by `path` that the containers in `scope` have started.
    pub fn kubelet_told(&self, scope: Scope, path: StartupPath) {
        let listeners = Listeners::read();
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
        let has_passed = |place: &usize| {
            let entry = &self.entries[*place];
            let status = entry.status.borrow();
            status.incarnation == entry.container.incarnation().id && status.tracker.is_healthy()
        };
        Standing {
            incarnation: member.container.incarnation().id,
            has_started: member.startup.iter().all(has_passed),
            is_seen: member.telling.is_empty() || member.container.seen().is_some(),
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

/// The required startup checks that hold back the container in place `container`: its own and those of the pod.
pub fn startup_of(container: usize, entries: &[Entry]) -> Vec<usize> {
    let scope = Scope::Container(container);
    let gates =
        |entry: &&Entry| scope.includes(entry) && entry.check.probe == Probe::Startup && entry.check.required;
    entries.iter().filter(gates).map(|entry| entry.place).collect()
}

/// The checks that tell of the startup of the container in place `container`: without startup checks, those of its
/// liveness checks that have a witness, or else of its readiness checks.
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
