//! A main container that checks are about: its life, and who learns of a new incarnation.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use crate::life::{Cause, Incarnation, Life, Refusal, Remembered, Sign, Step};
use crate::lock::lock;
use crate::memory::Place;
use crate::witness::Sight;

/// The shortest time between two lines of the log about refusals: anybody in the cluster can ask for one.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// One main container, or the pod as a whole for the checks that name none.
#[derive(Debug)]
pub struct Container {
    name: Option<Arc<str>>,
    is_witnessed: bool,
    life: Mutex<(Life, Place<Remembered>)>,
    incarnation: watch::Sender<Incarnation>,
    refusal_logged: Mutex<Option<Instant>>,
}

impl Container {
    /// Goes on with what an earlier worker knew of it, or else begins its first incarnation. `sights` are those of its
    /// checks now.
    pub fn new(name: Option<Arc<str>>, mut place: Place<Remembered>, sights: &[&Sight]) -> Self {
        let now = Instant::now();
        let life = place.recall().map(|remembered| Life::resume(remembered, now));
        let is_there = sights.iter().any(|sight| matches!(sight, Sight::There(_)));
        let is_witnessed = sights.iter().any(|sight| **sight != Sight::Unwitnessed);
        let mut life = life.unwrap_or_else(|| Life::first(now, is_there));
        let incarnation = watch::Sender::new(life.incarnation());
        if let Some(news) = life.take_news() {
            place.keep(&news);
        }
        Self {
            name,
            is_witnessed,
            life: Mutex::new((life, place)),
            incarnation,
            refusal_logged: Mutex::default(),
        }
    }

    /// Returns the name by which `_CONTAINER` knows it; `None`: the pod as a whole.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether a check that passes and has this `sight` shows that the container is there: a database does not
    /// where an app could be seen.
    pub fn is_shown_by(&self, sight: &Sight) -> bool {
        *sight != Sight::Unwitnessed || !self.is_witnessed
    }

    /// Returns the present incarnation.
    pub fn incarnation(&self) -> Incarnation {
        *self.incarnation.borrow()
    }

    /// Tells of every further incarnation.
    pub fn subscribe(&self) -> watch::Receiver<Incarnation> {
        self.incarnation.subscribe()
    }

    /// Returns since when the container of this incarnation has been seen.
    pub fn seen(&self) -> Option<Instant> {
        self.life().0.seen()
    }

    /// Returns whether the kubelet has ever asked for its startup.
    pub fn is_wired(&self) -> bool {
        self.life().0.is_wired()
    }

    /// Returns whether a question of the kubelet would come after a pause.
    pub fn is_pause(&self) -> bool {
        self.life().0.is_pause(Instant::now())
    }

    /// Takes a sign whose cause, if it is one, says enough.
    pub fn note(&self, sign: Sign<'_>) -> Step {
        self.take(sign, |_| String::new())
    }

    /// Takes a sign. Where it begins a new incarnation, all who subscribed learn of it, and the log says why;
    /// `evidence` returns the target whose witness shows it.
    pub fn take(&self, sign: Sign<'_>, evidence: impl FnOnce(Cause) -> String) -> Step {
        let mut guard = self.life();
        let (life, place) = &mut *guard;
        let step = life.take(sign, Instant::now());
        if let Some(news) = life.take_news() {
            place.keep(&news);
        }
        let incarnation = life.incarnation();
        drop(guard);
        match step {
            Step::Same => {}
            Step::Refused(refusal) => self.log_refusal(refusal),
            Step::Begins(cause) => {
                self.incarnation.send_replace(incarnation);
                tracing::info!(
                    app_container = self.name(),
                    incarnation = incarnation.number,
                    cause = %cause,
                    evidence = evidence(cause),
                    "a new incarnation begins"
                );
            }
        }
        step
    }

    fn log_refusal(&self, refusal: Refusal) {
        let mut logged = lock(&self.refusal_logged);
        if logged.is_some_and(|logged| logged.elapsed() < REFUSAL_LOG_INTERVAL) {
            return;
        }
        *logged = Some(Instant::now());
        tracing::info!(
            app_container = self.name(),
            cause = %refusal,
            "the kubelet, or somebody who says so, asks again whether the container has started"
        );
    }

    fn life(&self) -> MutexGuard<'_, (Life, Place<Remembered>)> {
        lock(&self.life)
    }
}
