//! All that the answers are made of: the checks with their published states, and the life of the pod.
//!
//! Readers only read it. Three things change it: a new incarnation, a drain and the shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::check::Check;
use crate::grammar::RESERVED;
use crate::incarnation::{Incarnation, Incarnations, Pace};
use crate::probe::Probe;
use crate::status::Status;
use crate::verdict::{self, Finding, Moment, Verdict};

/// One check as readers see it.
#[derive(Debug)]
pub struct Entry {
    /// What is configured.
    pub check: Arc<Check>,
    /// Its labels in metrics, without braces. They hold nothing that needs an escape.
    pub labels: Box<str>,
    /// What its task publishes.
    pub status: watch::Receiver<Status>,
    /// The incarnation in which the kubelet was told that this check has started; 0 for none.
    told_started: AtomicU64,
}

/// The state of the whole sidecar.
#[derive(Debug)]
pub struct Board {
    entries: Vec<Entry>,
    incarnations: Incarnations,
    pace: Pace,
    told_started: AtomicU64,
    is_draining: AtomicBool,
    is_shutting_down: AtomicBool,
}

impl Board {
    /// A board for `entries`. `is_successor` says that an earlier worker may have told the kubelet already
    /// that the app has started, which is all that is lost with a worker.
    pub fn new(
        entries: impl IntoIterator<Item = (Arc<Check>, watch::Receiver<Status>)>,
        incarnations: Incarnations,
        is_successor: bool,
    ) -> Self {
        let told = if is_successor { incarnations.current().number } else { 0 };
        let mut entries: Vec<Entry> = entries
            .into_iter()
            .map(|(check, status)| Entry {
                labels: format!("check=\"{}\",probe=\"{}\"", check.name, check.probe).into(),
                check,
                status,
                told_started: told.into(),
            })
            .collect();
        entries.sort_by(|a, b| (a.check.probe, &a.check.name).cmp(&(b.check.probe, &b.check.name)));
        Self {
            entries,
            incarnations,
            pace: Pace::full(),
            told_started: told.into(),
            is_draining: AtomicBool::new(false),
            is_shutting_down: AtomicBool::new(false),
        }
    }

    /// Every check, by probe and name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The present incarnation.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnations.current()
    }

    /// The present moment.
    pub fn moment(&self) -> Moment {
        Moment { incarnation: self.incarnation().number, now: Instant::now() }
    }

    /// Turns `/readyz` red for good, as `preStop` wants it.
    pub fn drain(&self) {
        if !self.is_draining.swap(true, Ordering::Relaxed) {
            tracing::info!("draining");
        }
    }

    /// Turns `/readyz` red because the sidecar itself ends.
    pub fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
    }

    /// The checks that answer for a probe; without startup checks, the liveness checks tell of startup.
    pub fn entries_of(&self, asked: Probe) -> impl Iterator<Item = &Entry> {
        let has_startup = self.entries.iter().any(|entry| entry.check.probe == Probe::Startup);
        let fed_by = if asked == Probe::Startup && !has_startup { Probe::Liveness } else { asked };
        self.entries.iter().filter(move |entry| entry.check.probe == fed_by)
    }

    /// One check of a probe.
    pub fn entry(&self, asked: Probe, name: &str) -> Option<&Entry> {
        self.entries_of(asked).find(|entry| entry.check.name == name)
    }

    /// Whether a probe passes.
    pub fn passes(&self, asked: Probe) -> bool {
        let moment = self.moment();
        let is_good = |entry: &Entry| !entry.check.required || entry.failure(asked, moment).is_none();
        self.entries_of(asked).all(is_good) && self.built_in(asked, moment).next().is_none()
    }

    /// The whole answer of a probe, without the checks named in `excluded`.
    pub fn verdict(&self, asked: Probe, excluded: &[String]) -> Verdict {
        let moment = self.moment();
        let own =
            self.entries_of(asked).map(|entry| (entry.check.name.clone(), entry.finding(asked, moment)));
        let built_in =
            self.built_in(asked, moment).map(|(name, reason)| (name.to_owned(), Finding::Failed(reason)));
        let mut findings: Vec<_> = own.chain(built_in).collect();
        findings.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, finding) in &mut findings {
            if excluded.contains(name) {
                *finding = Finding::Excluded;
            }
        }
        let is_known = |name: &String| RESERVED.contains(&name.as_str()) || self.entry(asked, name).is_some();
        let unknown = excluded.iter().filter(|name| !is_known(name)).cloned().collect();
        Verdict { findings, unknown }
    }

    /// Reasons that belong to no check of the probe itself.
    fn built_in(&self, asked: Probe, moment: Moment) -> impl Iterator<Item = (&'static str, String)> {
        let is_asked_for_traffic = asked == Probe::Readiness;
        let flag = |name, reason: &str, is_set: &AtomicBool| {
            (is_asked_for_traffic && is_set.load(Ordering::Relaxed)).then(|| (name, reason.to_owned()))
        };
        let startup = match asked {
            Probe::Liveness => self.startup_reason(|entry| entry.is_exhausted(moment), moment),
            Probe::Readiness => {
                self.startup_reason(|entry| entry.failure(Probe::Startup, moment).is_some(), moment)
            }
            Probe::Startup => None,
        };
        [
            flag("drain", "draining", &self.is_draining),
            flag("shutdown", "shutting down", &self.is_shutting_down),
            startup.map(|reason| ("startup", reason)),
        ]
        .into_iter()
        .flatten()
    }

    /// The startup checks that `concerns`, with their reasons.
    fn startup_reason(&self, concerns: impl Fn(&Entry) -> bool, moment: Moment) -> Option<String> {
        let startup = self.entries.iter().filter(|entry| entry.check.probe == Probe::Startup);
        let reasons: Vec<_> = startup
            .filter(|entry| entry.check.required && concerns(entry))
            .filter_map(|entry| Some((&entry.check.name, entry.failure(Probe::Startup, moment)?)))
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// When startup passed in this incarnation: the last of the checks that tell of it.
    pub fn started_at(&self) -> Option<Instant> {
        let incarnation = self.incarnation();
        let times: Option<Vec<Instant>> = self
            .entries_of(Probe::Startup)
            .filter(|entry| entry.check.required)
            .map(|entry| {
                let status = entry.status.borrow();
                let is_current = status.incarnation == incarnation.number;
                match entry.check.probe {
                    Probe::Startup => (is_current && status.tracker.is_healthy()).then_some(status.since),
                    _ => status.first_success.filter(|_| is_current),
                }
            })
            .collect();
        Some(times?.into_iter().max().unwrap_or(incarnation.began))
    }

    /// The kubelet asks whether the app has started, by `/startupz` or, with a name, by `/startupz/NAME`.
    ///
    /// It asks until it has been told so, and again only after it has restarted the main container
    /// (`pkg/kubelet/prober/worker.go`): so another question begins a new incarnation.
    pub fn kubelet_asks_startup(&self, name: Option<&str>) {
        let told = self.told_started(name).map(|told| told.load(Ordering::Relaxed));
        if told == Some(self.incarnation().number) && self.pace.allows_another() {
            self.incarnations.begin("the kubelet asks again whether the app has started");
        }
    }

    /// The kubelet has been told that the app has started.
    pub fn kubelet_told_started(&self, name: Option<&str>) {
        if let Some(told) = self.told_started(name) {
            told.store(self.incarnation().number, Ordering::Relaxed);
        }
    }

    fn told_started(&self, name: Option<&str>) -> Option<&AtomicU64> {
        match name {
            None => Some(&self.told_started),
            Some(name) => self.entry(Probe::Startup, name).map(|entry| &entry.told_started),
        }
    }

    /// The checks that should have finished a run and have not, with their reasons.
    pub fn stale(&self) -> Vec<(String, String)> {
        let moment = self.moment();
        let stale = |entry: &Entry| {
            let late = entry.stale_for(moment)?;
            let name = format!("{}/{}", entry.check.probe, entry.check.name);
            Some((name, verdict::stale(late)))
        };
        self.entries.iter().filter_map(stale).collect()
    }
}

impl Entry {
    /// Why the check fails the probe that is asked, or `None` where it passes.
    pub fn failure(&self, asked: Probe, moment: Moment) -> Option<String> {
        verdict::failure(asked, &self.check, &self.status.borrow(), moment)
    }

    /// What an answer says of this check.
    pub fn finding(&self, asked: Probe, moment: Moment) -> Finding {
        match self.failure(asked, moment) {
            None => Finding::Ok,
            Some(reason) if self.check.required => Finding::Failed(reason),
            Some(reason) => Finding::NotRequired(reason),
        }
    }

    /// How long the check has been stale.
    pub fn stale_for(&self, moment: Moment) -> Option<std::time::Duration> {
        let status = self.status.borrow();
        status.stale_for(&self.check, moment.now).filter(|_| status.incarnation == moment.incarnation)
    }

    /// The state after thresholds, the initial one in an incarnation that the check has not noticed yet.
    pub fn is_healthy(&self, moment: Moment) -> bool {
        let status = self.status.borrow();
        let is_current = status.incarnation == moment.incarnation;
        if is_current { status.tracker.is_healthy() } else { self.check.tracker().is_healthy() }
    }

    /// How many runs of this incarnation failed in a row.
    pub fn consecutive_failures(&self, moment: Moment) -> u32 {
        let status = self.status.borrow();
        let counts = status.incarnation == moment.incarnation && !status.tracker.is_passing();
        if counts { status.tracker.streak() } else { 0 }
    }

    fn is_exhausted(&self, moment: Moment) -> bool {
        verdict::is_exhausted(&self.check, &self.status.borrow(), moment)
    }
}
