//! The state of a check, as the next worker has to know it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Remember;
use super::bytes::{Reader, Writer};
use crate::check::Check;
use crate::outcome::{Kind, Outcome};
use crate::schedule::Schedule;
use crate::status::{Run, Status};
use crate::tracker::{Health, Tracker};
use crate::witness::Witness;

/// The part of a [`Status`] that is remembered: enough for the answers, without counters and history.
#[derive(Clone, Debug, PartialEq)]
pub struct RememberedCheck {
    incarnation: u64,
    is_healthy: bool,
    is_decided: bool,
    is_passing: bool,
    streak: u32,
    since: Instant,
    first_success: Option<Instant>,
    failed_after_success: Option<Instant>,
    due: Option<Instant>,
    last_success: Option<Duration>,
    last: Option<LastRun>,
    noted: Option<Witness>,
    /// The reason of the last failure, as far as there is room.
    reason: Option<Arc<str>>,
}

/// The last run, without its reason.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LastRun {
    kind: Kind,
    began: Instant,
    duration: Duration,
}

impl RememberedCheck {
    /// Returns what the next worker has to know of `status`.
    pub fn of(status: &Status) -> Self {
        let last = status.last.as_ref();
        let reason = status.last_failure.as_ref().and_then(|run| run.outcome.text());
        Self {
            incarnation: status.incarnation,
            is_healthy: status.tracker.is_healthy(),
            is_decided: status.tracker.is_decided(),
            is_passing: status.tracker.is_passing(),
            streak: status.tracker.streak(),
            since: status.since,
            first_success: status.first_success,
            failed_after_success: status.failed_after_success,
            due: status.due,
            last_success: status.last_success,
            last: last.map(|run| LastRun {
                kind: run.outcome.kind(),
                began: run.began,
                duration: run.duration,
            }),
            noted: status.noted.clone(),
            reason: reason.cloned(),
        }
    }

    /// Returns the id of the incarnation that the state is about.
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Puts the state of `check` back into `status`; the next run is due at the next tick of its schedule after `now`.
    pub fn restore(self, check: &Check, status: &mut Status, now: Instant) {
        let health = if self.is_healthy { Health::Healthy } else { Health::Unhealthy };
        let thresholds = check.timing.thresholds;
        status.incarnation = self.incarnation;
        status.tracker = Tracker::resume(thresholds, health, self.is_decided, self.is_passing, self.streak);
        status.since = self.since;
        status.first_success = self.first_success;
        status.failed_after_success = self.failed_after_success;
        status.last_success = self.last_success;
        status.noted = self.noted;
        let run = |kind: Kind, began, duration| Run {
            began,
            duration,
            outcome: outcome(kind, self.reason.clone()),
            said: None,
        };
        status.last = self.last.map(|last| run(last.kind, last.began, last.duration));
        let is_failure = |run: &&Run| !run.outcome.passed();
        let last_failure = status.last.as_ref().filter(is_failure).cloned();
        status.last_failure = last_failure
            .or_else(|| self.reason.is_some().then(|| run(Kind::Failure, self.since, Duration::ZERO)))
            .map(Arc::new);
        let period = check.timing.period_when(status.is_degraded());
        status.due = self.due.map(|due| Schedule::starting(due).resumed(now, period).due());
    }
}

fn outcome(kind: Kind, reason: Option<Arc<str>>) -> Outcome {
    match kind {
        Kind::Success => Outcome::Success,
        Kind::Failure => Outcome::Failure(reason.unwrap_or_default()),
        Kind::Timeout => Outcome::Timeout(reason.unwrap_or_default()),
    }
}

impl Remember for RememberedCheck {
    fn write(&self, writer: &mut Writer) {
        writer.flags([self.is_healthy, self.is_decided, self.is_passing]);
        writer.number(self.incarnation);
        writer.number(self.streak.into());
        writer.instant(self.since);
        for instant in [self.first_success, self.failed_after_success, self.due] {
            writer.optional(instant, Writer::instant);
        }
        writer.optional(self.last_success, Writer::duration);
        writer.optional(self.last, |writer, last| {
            writer.byte(u8::try_from(last.kind.index()).unwrap_or_default());
            writer.instant(last.began);
            writer.duration(last.duration);
        });
        writer.optional(self.noted.as_ref(), Writer::witness);
        writer.optional(self.reason.as_deref(), Writer::text);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let [is_healthy, is_decided, is_passing] = reader.flags()?;
        Some(Self {
            is_healthy,
            is_decided,
            is_passing,
            incarnation: reader.number()?,
            streak: reader.number()?.try_into().ok()?,
            since: reader.instant()?,
            first_success: reader.optional(Reader::instant)?,
            failed_after_success: reader.optional(Reader::instant)?,
            due: reader.optional(Reader::instant)?,
            last_success: reader.optional(Reader::duration)?,
            last: reader.optional(|reader| {
                let kind = *Kind::ALL.get(usize::from(reader.byte()?))?;
                Some(LastRun { kind, began: reader.instant()?, duration: reader.duration()? })
            })?,
            noted: reader.optional(Reader::witness)?,
            reason: reader.optional(|reader| reader.text().map(Arc::from))?,
        })
    }
}
