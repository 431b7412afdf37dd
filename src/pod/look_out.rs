//! Looks out for witnesses while a check waits for its container: a pod is ready with its app, and not a period later.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Entry, Pod};
use crate::probe::Probe;
use crate::witness::{Listeners, Sight, Witness};

/// The witness that a check was told to try last, and in which incarnation.
type Tried = Option<(u64, Witness)>;

impl Pod {
    /// Looks out for as long as somebody waits; it ends only with its future.
    pub async fn look_out(self: Arc<Self>) -> Infallible {
        let mut tried: Vec<Tried> = vec![None; self.entries.len()];
        loop {
            if self.is_anything_awaited() {
                self.look_once(&mut tried);
                self.lookout.pause().await;
            } else {
                self.lookout.is_woken().await;
            }
        }
    }

    fn is_anything_awaited(&self) -> bool {
        let is_unseen = self.containers.iter().any(|member| {
            member.gate.is_absent() && !member.telling.is_empty() && member.container.seen().is_none()
        });
        is_unseen || self.entries.iter().any(|entry| entry.is_witnessed && entry.awaits_witness())
    }

    fn look_once(&self, tried: &mut [Tried]) {
        let listeners = Listeners::now();
        let sights: Vec<_> =
            self.entries.iter().map(|entry| (entry.place, entry.sight(&listeners))).collect();
        self.note_seen(&sights);
        for ((entry, (_, sight)), tried) in self.entries.iter().zip(sights).zip(tried) {
            self.try_early(entry, sight, tried);
        }
    }

    /// Has a check run as soon as its witness has appeared, once for each.
    fn try_early(&self, entry: &Entry, sight: Sight, tried: &mut Tried) {
        if !entry.awaits_witness() || self.is_held_back(entry) {
            return;
        }
        let incarnation = entry.container.incarnation().id;
        let now = if let Sight::There(witness) = sight { Some((incarnation, witness)) } else { None };
        // A run that goes on tries it already.
        let runs = entry.status.borrow().due.is_some_and(|due| due <= Instant::now());
        if now.is_some() && now != *tried && !runs {
            entry.run_early();
        }
        *tried = now;
        if entry.note_look(incarnation) {
            self.changes.send_replace(());
        }
    }

    fn is_held_back(&self, entry: &Entry) -> bool {
        entry.check.probe != Probe::Startup && !self.standing(entry.container_place).has_started
    }
}
