//! One check as readers see it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Scope;
use crate::check::Check;
use crate::container::Container;
use crate::life::{Sign, StartupPath};
use crate::lookout::Nudge;
use crate::status::Status;
use crate::targets::Attempt;
use crate::witness::{Listeners, Sight};

/// Something that can be looked for without trying the target.
pub trait Visible: Send + Sync {
    /// Looks for the witness.
    fn look(&self, listeners: &Listeners) -> Sight;
}

impl<A: Attempt> Visible for A {
    fn look(&self, listeners: &Listeners) -> Sight {
        self.sight(listeners)
    }
}

/// One check as readers see it.
pub struct Entry {
    /// Its place among all.
    pub(super) place: usize,
    /// Its configuration.
    pub check: Arc<Check>,
    /// Its state, published by its task.
    pub status: watch::Receiver<Status>,
    /// The container that it is about.
    pub container: Arc<Container>,
    pub(super) container_place: usize,
    /// Whether its container can be seen by a witness of this check.
    pub(super) is_witnessed: bool,
    target: Arc<dyn Visible>,
    nudge: Arc<Nudge>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("check", &self.check).finish_non_exhaustive()
    }
}

impl Entry {
    /// Returns the check in place `place`, about the container in place `container.0`; `sight` is that of its witness now.
    pub fn new(
        place: usize,
        check: Arc<Check>,
        status: watch::Receiver<Status>,
        container: (usize, Arc<Container>),
        target: Arc<dyn Visible>,
        nudge: Arc<Nudge>,
        sight: &Sight,
    ) -> Self {
        let is_witnessed = *sight != Sight::Unwitnessed;
        let (container_place, container) = container;
        Self { place, check, status, container, container_place, is_witnessed, target, nudge }
    }

    /// Returns the check's own path that tells of startup.
    pub fn startup_path(&self) -> Option<StartupPath> {
        u16::try_from(self.place).ok().map(StartupPath::Check)
    }

    /// Returns the place of its container among all.
    pub const fn container_place(&self) -> usize {
        self.container_place
    }

    /// Returns the part of the pod that its container is.
    pub const fn scope(&self) -> Scope {
        Scope::Container(self.container_place)
    }

    /// Looks for its witness.
    pub fn sight(&self, listeners: &Listeners) -> Sight {
        self.target.look(listeners)
    }

    /// Returns whether it is worth looking out for its witness: a run could make the check healthy sooner than its
    /// schedule.
    pub fn awaits_witness(&self) -> bool {
        !self.has_passed() || self.nudge.is_lost()
    }

    /// Returns whether it has passed in the present incarnation.
    pub fn has_passed(&self) -> bool {
        let status = self.status.borrow();
        status.incarnation == self.container.incarnation().id && status.first_success.is_some()
    }

    /// Returns whether its first result of the present incarnation is on its way.
    pub fn is_first_result_due(&self, now: Instant) -> bool {
        let status = self.status.borrow();
        let incarnation = self.container.incarnation().id;
        let is_early_possible = self.is_witnessed && !self.nudge.was_looked_for(incarnation);
        let begins = status.last.is_none() && (is_early_possible || status.due.is_none_or(|due| due <= now));
        status.incarnation != incarnation || begins || self.nudge.is_pending()
    }

    /// Notes that its witness was looked for in the incarnation of this id; returns whether that is news.
    pub(super) fn note_look(&self, incarnation: u64) -> bool {
        self.nudge.note_look(incarnation)
    }

    /// Has the check run at once.
    pub fn run_early(&self) {
        self.nudge.run_early();
    }

    /// Returns whether a witness of the present incarnation was noted.
    pub(super) fn is_noted(&self) -> bool {
        self.status.borrow().noted.is_some()
    }

    /// Returns whether a witness that was noted in the present incarnation is gone, or is a different one.
    pub(super) fn is_contradicted(&self, sight: &Sight) -> bool {
        let status = self.status.borrow();
        status.incarnation == self.container.incarnation().id && sight.contradicts(status.noted.as_ref())
    }

    /// Tells its container that the witness is gone, or is a different one.
    pub(super) fn witness_changed(&self) {
        self.container.take(Sign::WitnessChanged, |_| self.check.target.clone());
    }

    /// Returns whether its witness was found gone, or a different one, and no run has passed since.
    pub(super) fn is_lost(&self) -> bool {
        self.nudge.is_lost()
    }

    /// Takes it that its witness is gone, or is a different one, and returns whether that is news.
    pub(super) fn lose(&self, sight: &Sight) -> bool {
        self.witness_changed();
        let is_news = !self.is_lost();
        if is_news {
            self.nudge.set_lost(true);
            tracing::debug!(check = self.check.name, ?sight, "who passed last is not there");
        }
        is_news
    }
}
