//! How a [`Document`] is made from what the site knows.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    CheckPart, Document, IncarnationPart, ProbePart, ReasonPart, RunPart, RunsPart, StreakPart, TimingPart,
};
use crate::board::{Board, Entry};
use crate::check::{Check, Timing};
use crate::incarnation::Incarnation;
use crate::outcome::{Kind, one_line, printable};
use crate::probe::Probe;
use crate::server::Site;
use crate::server::answer::WITHHELD;
use crate::status::{PastRun, Run, Status};
use crate::unix_time::UnixTime;
use crate::verdict::{Finding, Moment};

/// Where Linux tells the host name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

impl Document {
    /// What `site` knows now.
    pub fn of(site: &Site) -> Self {
        let board = &*site.board;
        let context = Context {
            clock: UnixTime::now(),
            moment: board.moment(),
            incarnation: board.incarnation(),
            details: site.details,
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: std::fs::read_to_string(HOST_NAME).map(|name| one_line(&name)).unwrap_or_default(),
            now: context.time(context.moment.now),
            healthy: board.stale().is_empty(),
            details: site.details,
            incarnation: context.incarnation(board),
            probes: Probe::ALL.map(|asked| context.probe(board, asked)).into(),
            checks: board.entries().iter().map(|entry| context.check(entry)).collect(),
        }
    }
}

/// What every part is made with.
struct Context {
    clock: UnixTime,
    moment: Moment,
    incarnation: Incarnation,
    details: bool,
}

impl Context {
    fn time(&self, instant: Instant) -> f64 {
        rounded(self.clock.of(instant), 1e3)
    }

    fn told(&self, reason: String) -> String {
        if self.details { reason } else { WITHHELD.to_owned() }
    }

    fn incarnation(&self, board: &Board) -> IncarnationPart {
        let Incarnation { number, began } = self.incarnation;
        let startup = board.started_at().map(|at| at.saturating_duration_since(began));
        IncarnationPart { number, began: self.time(began), startup_seconds: startup.map(seconds) }
    }

    fn probe(&self, board: &Board, asked: Probe) -> ProbePart {
        let verdict = board.verdict(asked, &[]);
        let passes = verdict.passes();
        let failed = verdict.findings.into_iter().filter_map(|(check, finding)| match finding {
            Finding::Failed(reason) => Some(ReasonPart { check, reason: self.told(reason) }),
            _ => None,
        });
        let reasons = failed.collect();
        let since = self.probe_since(board, asked, passes).map(|since| self.time(since));
        ProbePart { probe: asked.as_str().to_owned(), passes, since, reasons }
    }

    /// A probe passes since the last of its checks does, and fails since the first of those that do.
    fn probe_since(&self, board: &Board, asked: Probe, passes: bool) -> Option<Instant> {
        if asked == Probe::Startup {
            return if passes { board.started_at() } else { Some(self.incarnation.began) };
        }
        let required = board.entries_of(asked).filter(|entry| entry.check.required);
        if passes {
            return required.map(|entry| self.since(entry)).max();
        }
        let failing = required.filter(|entry| entry.failure(asked, self.moment).is_some());
        failing.map(|entry| self.since(entry)).min()
    }

    /// Since when a check is as it is.
    fn since(&self, entry: &Entry) -> Instant {
        let stale = entry.stale_for(self.moment).and_then(|late| self.moment.now.checked_sub(late));
        let status = entry.status.borrow();
        let is_current = status.incarnation == self.moment.incarnation;
        stale.unwrap_or(if is_current { status.since } else { self.incarnation.began })
    }

    fn check(&self, entry: &Entry) -> CheckPart {
        let check = &*entry.check;
        let mut status = entry.status.borrow().clone();
        if status.incarnation != self.moment.incarnation {
            status.begin(check, self.incarnation);
        }
        let reason = entry.failure(check.probe, self.moment);
        let streak = StreakPart {
            passing: status.tracker.is_passing(),
            count: status.tracker.streak(),
            threshold: status.tracker.streak_threshold(),
        };
        CheckPart {
            probe: check.probe.as_str().to_owned(),
            name: check.name.clone(),
            target: one_line(&check.target),
            required: check.required,
            state: status.tracker.health().as_str().to_owned(),
            since: self.time(status.since),
            phase: phase(check, &status, self.moment.now).to_owned(),
            stale_seconds: entry.stale_for(self.moment).map(seconds),
            reason: reason.map(|reason| self.told(reason)),
            streak,
            last: status.last.as_ref().map(|run| self.run(run, one_line)),
            last_failure: status.last_failure.as_ref().map(|run| self.run(run, printable)),
            next_run: status.due.map(|due| self.time(due)),
            runs: self.runs(status.history.iter()),
            timing: timing(&check.timing),
        }
    }

    fn run(&self, run: &Run, shown: fn(&str) -> String) -> RunPart {
        RunPart {
            began: self.time(run.began),
            seconds: seconds(run.duration),
            result: run.outcome.kind().as_str().to_owned(),
            text: run.outcome.text().map(|text| self.told(shown(text))),
        }
    }

    fn runs(&self, past: impl Iterator<Item = PastRun>) -> RunsPart {
        let mut runs = RunsPart::default();
        for run in past {
            runs.began.push(self.time(run.began));
            runs.seconds.push(seconds(run.duration));
            runs.results.push(letter(run.kind));
        }
        runs
    }
}

const fn letter(kind: Kind) -> char {
    match kind {
        Kind::Success => 's',
        Kind::Failure => 'f',
        Kind::Timeout => 't',
    }
}

pub(super) fn phase(check: &Check, status: &Status, now: Instant) -> &'static str {
    match status.due {
        None if check.probe == Probe::Startup && status.tracker.is_healthy() => "resting",
        None => "waiting",
        Some(due) if due > now => "scheduled",
        Some(_) => "running",
    }
}

fn timing(timing: &Timing) -> TimingPart {
    TimingPart {
        initial_delay_seconds: seconds(timing.initial_delay),
        period_seconds: seconds(timing.period),
        unhealthy_period_seconds: seconds(timing.unhealthy_period.unwrap_or(timing.period)),
        timeout_seconds: seconds(timing.timeout),
        success_threshold: timing.thresholds.success,
        failure_threshold: timing.thresholds.failure,
    }
}

fn seconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64(), 1e6)
}

/// Digits that nobody can measure are not worth their bytes.
fn rounded(seconds: f64, parts: f64) -> f64 {
    (seconds * parts).round() / parts
}
