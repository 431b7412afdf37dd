//! Makes a [`Document`] from the state of the worker.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    CheckPart, ContainerPart, Document, IncarnationPart, ProbePart, ReasonPart, RunPart, RunsPart,
    StreakPart, TimingPart,
};
use crate::check::{Check, Timing};
use crate::life::Incarnation;
use crate::outcome::{Kind, one_line, printable};
use crate::pod::{Entry, Look, Pod, Scope};
use crate::probe::Probe;
use crate::server::AppState;
use crate::server::answer::WITHHELD;
use crate::status::{PastRun, Run, Status};
use crate::unix_time::UnixTime;
use crate::verdict::Finding;

/// The file in which Linux tells the host name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

impl Document {
    /// Returns what `state` knows now.
    pub fn of(state: &AppState) -> Self {
        let pod = &*state.pod;
        let context = Context { clock: UnixTime::now(), pod, details: state.details };
        // Every check answers for its own probe, and only what /readyz vouches for is looked for.
        let look = pod.look(Probe::Readiness, Scope::Pod);
        let named = pod.containers().enumerate().filter(|(_, container)| container.name().is_some());
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: std::fs::read_to_string(HOST_NAME).map(|name| one_line(&name)).unwrap_or_default(),
            now: context.time(look.now()),
            healthy: pod.stale().is_empty(),
            details: state.details,
            incarnation: context.incarnation(0),
            probes: context.probes(Scope::Pod),
            containers: named
                .map(|(place, container)| ContainerPart {
                    name: container.name().unwrap_or_default().to_owned(),
                    incarnation: context.incarnation(place),
                    probes: context.probes(Scope::Container(place)),
                })
                .collect(),
            checks: pod.entries().iter().map(|entry| context.check(entry, &look)).collect(),
        }
    }
}

/// The facts that every part is made with.
struct Context<'a> {
    clock: UnixTime,
    pod: &'a Pod,
    details: bool,
}

impl Context<'_> {
    fn time(&self, instant: Instant) -> f64 {
        rounded(self.clock.of(instant), 1e3)
    }

    fn told(&self, reason: String) -> String {
        if self.details { reason } else { WITHHELD.to_owned() }
    }

    fn incarnation(&self, container: usize) -> IncarnationPart {
        let Incarnation { number, began, .. } = self.pod.incarnation(container);
        let startup = self.pod.started_at(container).map(|at| at.saturating_duration_since(began));
        IncarnationPart { number, began: self.time(began), startup_seconds: startup.map(seconds) }
    }

    fn probes(&self, scope: Scope) -> Vec<ProbePart> {
        Probe::ALL.map(|asked| self.probe(asked, scope)).into()
    }

    fn probe(&self, asked: Probe, scope: Scope) -> ProbePart {
        let verdict = self.pod.verdict(asked, scope, &[]);
        let passes = verdict.passes();
        let failed = verdict.findings.into_iter().filter_map(|(check, finding)| match finding {
            Finding::Failed(why) => Some(ReasonPart { check, reason: self.told(why.to_string()) }),
            _ => None,
        });
        let reasons = failed.collect();
        let since = self.probe_since(asked, scope, passes).map(|since| self.time(since));
        ProbePart { probe: asked.as_str().to_owned(), passes, since, reasons }
    }

    /// Returns since when a probe passes or fails: it passes since the last of its checks does, and fails since the
    /// first of those that do.
    fn probe_since(&self, asked: Probe, scope: Scope, passes: bool) -> Option<Instant> {
        let places = || (0..self.pod.containers().count()).filter(|place| scope.concerns(*place));
        if asked == Probe::Startup {
            let began = || places().map(|place| self.pod.incarnation(place).began).min();
            return if passes {
                places().filter_map(|place| self.pod.started_at(place)).max()
            } else {
                began()
            };
        }
        let look = self.pod.look(asked, scope);
        let required = self.pod.entries_of(asked, scope).filter(|entry| entry.check.required);
        if passes {
            // What is stale stands as it was.
            return required.map(|entry| self.state_since(entry, &look)).max();
        }
        let fails = |entry: &&Entry| look.facts(entry, |facts| facts.failure(asked).is_some());
        required.filter(fails).map(|entry| self.since(entry, &look)).min()
    }

    /// Returns since when a check is as it is: stale, or in its state.
    fn since(&self, entry: &Entry, look: &Look<'_>) -> Instant {
        let stale = look.facts(entry, |facts| facts.now.checked_sub(facts.stale_for()?));
        stale.unwrap_or_else(|| self.state_since(entry, look))
    }

    /// Returns since when a check is in its state.
    fn state_since(&self, entry: &Entry, look: &Look<'_>) -> Instant {
        let began = || self.pod.incarnation(entry.container_place()).began;
        look.facts(entry, |facts| if facts.is_current() { facts.status.since } else { began() })
    }

    fn check(&self, entry: &Entry, look: &Look<'_>) -> CheckPart {
        let check = &*entry.check;
        let (reason, stale) =
            look.facts(entry, |facts| (facts.failure(check.probe), facts.stale_for().map(seconds)));
        let mut status = entry.status.borrow().clone();
        let incarnation = entry.container.incarnation();
        if status.incarnation != incarnation.id {
            status.begin(check, incarnation);
        }
        let streak = StreakPart {
            passing: status.tracker.is_passing(),
            count: status.tracker.streak(),
            threshold: status.tracker.streak_threshold(),
        };
        CheckPart {
            probe: check.probe.as_str().to_owned(),
            name: check.name.clone(),
            container: check.container.as_deref().map(str::to_owned),
            target: one_line(&check.target),
            required: check.required,
            state: status.tracker.health().as_str().to_owned(),
            since: self.time(status.since),
            phase: phase(check, &status, look.now()).to_owned(),
            stale_seconds: stale,
            reason: reason.map(|why| self.told(why.to_string())),
            streak,
            last: status.last.as_ref().map(|run| self.run(run, None)),
            last_failure: status.last_failure.as_ref().map(|run| self.run(run, run.said.as_deref())),
            next_run: status.due.map(|due| self.time(due)),
            runs: self.runs(status.history.iter()),
            timing: timing(&check.timing),
        }
    }

    fn run(&self, run: &Run, said: Option<&str>) -> RunPart {
        RunPart {
            began: self.time(run.began),
            seconds: seconds(run.duration),
            result: run.outcome.kind().as_str().to_owned(),
            text: run.outcome.text().map(|text| self.told(one_line(text))),
            said: said.filter(|_| self.details).map(printable),
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
