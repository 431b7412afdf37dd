//! Tells the log when an answer changes, and when a check becomes stale: one line for each.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Entry, Pod, Scope};
use crate::probe::Probe;
use crate::verdict::Why;

/// The time to wait where nothing can change by time alone.
const IDLE: Duration = Duration::from_secs(3600);

/// Between two looks: a thousand checks that change at once are one change.
const PAUSE: Duration = Duration::from_millis(100);

/// The state that was told last.
#[derive(Debug)]
struct Told {
    /// Whether each probe of each scope passes.
    answers: Vec<bool>,
    /// Whether each check is stale.
    stale: Vec<bool>,
}

impl Pod {
    /// Tells of changes from now on, for as long as the worker lives; it ends only with its future.
    pub fn announce(self: Arc<Self>) -> impl Future<Output = Infallible> {
        let scopes = self.announced_scopes();
        let mut changes = self.changes();
        let mut told = Told { answers: self.answers(&scopes), stale: vec![false; self.entries.len()] };
        async move {
            loop {
                self.announce_answers(&scopes, &mut told);
                self.announce_staleness(&mut told);
                sleep(PAUSE).await;
                tokio::select! {
                    // The pod itself holds a sender, so there is always one.
                    _ = changes.changed() => {}
                    () = sleep_until(self.next_change()) => {}
                }
            }
        }
    }

    /// Returns the containers that checks name, or where they name none, the pod.
    fn announced_scopes(&self) -> Vec<Scope> {
        let named = self.containers().enumerate().filter(|(_, container)| container.name().is_some());
        let scopes: Vec<_> = named.map(|(place, _)| Scope::Container(place)).collect();
        if scopes.is_empty() { vec![Scope::Pod] } else { scopes }
    }

    fn answers(&self, scopes: &[Scope]) -> Vec<bool> {
        let probes = |scope: &Scope| Probe::ALL.map(|probe| self.passes(probe, *scope));
        scopes.iter().flat_map(probes).collect()
    }

    fn announce_answers(&self, scopes: &[Scope], told: &mut Told) {
        let answers = self.answers(scopes);
        for (place, (now, before)) in answers.iter().zip(&told.answers).enumerate() {
            if now != before {
                let count = Probe::ALL.len();
                self.announce_answer(Probe::ALL[place % count], scopes[place / count], *now);
            }
        }
        told.answers = answers;
    }

    fn announce_answer(&self, probe: Probe, scope: Scope, passes: bool) {
        let container = match scope {
            Scope::Pod => None,
            Scope::Container(place) => self.containers[place].container.name(),
        };
        let path = probe.path();
        if passes {
            tracing::info!(probe = probe.as_str(), app_container = container, "/{path} 503 -> 200");
        } else {
            let reason = self.verdict(probe, scope, &[]).reasons();
            tracing::warn!(
                probe = probe.as_str(),
                app_container = container,
                reason,
                "/{path} 200 -> 503: {reason}"
            );
        }
    }

    fn announce_staleness(&self, told: &mut Told) {
        let look = self.look(Probe::Liveness, Scope::Pod);
        for (entry, was_stale) in self.entries.iter().zip(&mut told.stale) {
            let late = look.facts(entry, |facts| facts.stale_for());
            let (probe, check) = (entry.check.probe.as_str(), entry.check.name.as_str());
            let container = entry.check.container.as_deref();
            match (late, *was_stale) {
                (Some(late), false) => {
                    let reason = Why::Stale(late).to_string();
                    tracing::warn!(probe, check, app_container = container, reason, "stale: {reason}");
                }
                (None, true) => {
                    tracing::info!(probe, check, app_container = container, "no longer stale: it runs again");
                }
                _ => {}
            }
            *was_stale = late.is_some();
        }
    }

    /// Returns when an answer may change by time alone: a check becomes stale, or a failure was held long enough.
    fn next_change(&self) -> Instant {
        let now = Instant::now();
        let times = |entry: &Entry| {
            let status = entry.status.borrow();
            let held_until = status.failed_after_success.map(|failed| failed + entry.check.hold);
            [status.stale_at(&entry.check), held_until]
        };
        let times = self.entries.iter().flat_map(times).flatten().filter(|at| *at > now);
        times.min().map_or(now + IDLE, |at| at + Duration::from_millis(1))
    }
}
