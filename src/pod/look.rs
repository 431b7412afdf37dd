//! One look at all that an answer is made of.

use tokio::time::Instant;

use super::{Entry, Pod, Scope};
use crate::verdict::Facts;
use crate::witness::Sight;

/// The sight of a witness that an earlier look has missed.
static LOST: Sight = Sight::Missing;

/// The knowledge at one moment, when a question is asked.
#[derive(Debug)]
pub struct Look<'a> {
    pub(super) pod: &'a Pod,
    pub(super) scope: Scope,
    pub(super) now: Instant,
    /// The witnesses that are seen, by the places of their checks.
    pub(super) sights: Vec<(usize, Sight)>,
}

impl Look<'_> {
    /// Returns what `read` makes of what is known of a check.
    pub fn facts<T>(&self, entry: &Entry, read: impl FnOnce(Facts<'_>) -> T) -> T {
        // They are in order, as the checks are.
        let found = self.sights.binary_search_by_key(&entry.place, |(place, _)| *place);
        let sight = found.ok().map(|at| &self.sights[at].1).or_else(|| entry.is_lost().then_some(&LOST));
        read(Facts {
            check: &entry.check,
            status: &entry.status.borrow(),
            container: self.pod.standing(entry.container_place),
            sight,
            now: self.now,
        })
    }

    /// Returns the moment of the look.
    pub const fn now(&self) -> Instant {
        self.now
    }
}
