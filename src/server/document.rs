//! `/status`: everything that is known, as one JSON document with a stable shape.
//!
//! Times are Unix seconds, durations are seconds. Fields are added, never renamed or removed.

use serde::{Deserialize, Serialize};

use super::Site;
use super::answer::WITHHELD;
use crate::board::{Board, Entry};
use crate::incarnation::Incarnation;
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::status::Run;
use crate::unix_time::UnixTime;
use crate::verdict::{Finding, Moment};

/// The whole document.
#[derive(Debug, Deserialize, Serialize)]
pub struct Document {
    /// The sidecar's version.
    pub version: String,
    /// When the document was made.
    pub now: f64,
    /// Whether the sidecar itself works: what `/-/healthy` answers.
    pub healthy: bool,
    /// The present life of the main container.
    pub incarnation: IncarnationPart,
    /// The three verdicts.
    pub probes: Vec<ProbePart>,
    /// Every check, by probe and name.
    pub checks: Vec<CheckPart>,
}

/// One life of the main container.
#[derive(Debug, Deserialize, Serialize)]
pub struct IncarnationPart {
    /// Counts from 1.
    pub number: u64,
    /// When it began.
    pub began: f64,
    /// How long its startup took; `null` until it has passed.
    pub startup_seconds: Option<f64>,
}

/// What a probe's path answers.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProbePart {
    /// `liveness`, `readiness` or `startup`.
    pub probe: String,
    /// Whether it answers 200.
    pub passes: bool,
    /// Why not, a line for each check that fails.
    pub reasons: Vec<ReasonPart>,
}

/// One reason of a probe that fails.
#[derive(Debug, Deserialize, Serialize)]
pub struct ReasonPart {
    /// The check, or `drain`, `shutdown` or `startup`.
    pub check: String,
    /// Its reason, on one line.
    pub reason: String,
}

/// One check.
#[derive(Debug, Deserialize, Serialize)]
pub struct CheckPart {
    /// The probe that it feeds.
    pub probe: String,
    /// Its name.
    pub name: String,
    /// Its target without secrets.
    pub target: String,
    /// Whether it can fail its probe.
    pub required: bool,
    /// `healthy` or `unhealthy`, after thresholds.
    pub state: String,
    /// Since when.
    pub since: f64,
    /// Why it fails its probe now, on one line; `null` where it does not.
    pub reason: Option<String>,
    /// How many equal results came last, and how many decide.
    pub streak: StreakPart,
    /// The last run of this incarnation.
    pub last: Option<RunPart>,
    /// The last failure, also of an earlier incarnation, with its whole output.
    pub last_failure: Option<RunPart>,
    /// When the next run is due; `null` while the check rests or waits for startup.
    pub next_run: Option<f64>,
    /// Up to 60 runs, the oldest first: when, how long, and `success`, `failure` or `timeout`.
    pub runs: Vec<(f64, f64, String)>,
    /// When it runs.
    pub timing: TimingPart,
}

/// A streak against its threshold.
#[derive(Debug, Deserialize, Serialize)]
pub struct StreakPart {
    /// Whether successes or failures are counted.
    pub passing: bool,
    /// How many came last.
    pub count: u32,
    /// How many decide.
    pub threshold: u32,
}

/// One run.
#[derive(Debug, Deserialize, Serialize)]
pub struct RunPart {
    /// When it began.
    pub began: f64,
    /// How long it took.
    pub seconds: f64,
    /// `success`, `failure` or `timeout`.
    pub result: String,
    /// The reason, warning or output as the target gave it.
    pub text: Option<String>,
}

/// The kubelet's fields.
#[derive(Debug, Deserialize, Serialize)]
pub struct TimingPart {
    pub initial_delay_seconds: f64,
    pub period_seconds: f64,
    pub unhealthy_period_seconds: f64,
    pub timeout_seconds: f64,
    pub success_threshold: u32,
    pub failure_threshold: u32,
}

/// What every part is made with.
#[derive(Clone, Copy)]
struct Context {
    clock: UnixTime,
    moment: Moment,
    details: bool,
}

impl Context {
    fn told(&self, reason: String) -> String {
        if self.details { reason } else { WITHHELD.to_owned() }
    }

    fn run(&self, run: &Run) -> RunPart {
        let text = run.outcome.text().map(|text| self.told(text.to_string()));
        RunPart {
            began: self.clock.of(run.began),
            seconds: run.duration.as_secs_f64(),
            result: run.outcome.kind().as_str().to_owned(),
            text: text.filter(|_| !matches!(run.outcome, Outcome::Success)),
        }
    }
}

impl Document {
    /// What `site` knows now.
    pub fn of(site: &Site) -> Self {
        let board = &*site.board;
        let context = Context { clock: UnixTime::now(), moment: board.moment(), details: site.details };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: context.clock.of(context.moment.now),
            healthy: board.stale().is_empty(),
            incarnation: incarnation(board, board.incarnation(), context),
            probes: Probe::ALL.map(|asked| probe(board, asked, context)).into(),
            checks: board.entries().iter().map(|entry| check(entry, context)).collect(),
        }
    }
}

fn incarnation(board: &Board, incarnation: Incarnation, context: Context) -> IncarnationPart {
    let startup = board.started_at().map(|at| at.saturating_duration_since(incarnation.began));
    IncarnationPart {
        number: incarnation.number,
        began: context.clock.of(incarnation.began),
        startup_seconds: startup.map(|startup| startup.as_secs_f64()),
    }
}

fn probe(board: &Board, asked: Probe, context: Context) -> ProbePart {
    let verdict = board.verdict(asked, &[]);
    let passes = verdict.passes();
    let failed = verdict.findings.into_iter().filter_map(|(check, finding)| match finding {
        Finding::Failed(reason) => Some(ReasonPart { check, reason: context.told(reason) }),
        _ => None,
    });
    ProbePart { probe: asked.as_str().to_owned(), passes, reasons: failed.collect() }
}

fn check(entry: &Entry, context: Context) -> CheckPart {
    let Context { clock, moment, .. } = context;
    let check = &*entry.check;
    let reason = entry.failure(check.probe, moment).map(|reason| context.told(reason));
    let mut status = entry.status.borrow().clone();
    if status.incarnation != moment.incarnation {
        status.tracker = check.tracker();
        (status.last, status.due) = (None, None);
    }
    let past = status.history.iter();
    let runs =
        past.map(|run| (clock.of(run.began), f64::from(run.micros) / 1e6, run.kind.as_str().to_owned()));
    CheckPart {
        probe: check.probe.as_str().to_owned(),
        name: check.name.clone(),
        target: check.target.clone(),
        required: check.required,
        state: status.tracker.health().as_str().to_owned(),
        since: clock.of(status.since),
        reason,
        streak: StreakPart {
            passing: status.tracker.is_passing(),
            count: status.tracker.streak(),
            threshold: status.tracker.streak_threshold(),
        },
        last: status.last.as_ref().map(|run| context.run(run)),
        last_failure: status.last_failure.as_ref().map(|run| context.run(run)),
        next_run: status.due.map(|due| clock.of(due)),
        runs: runs.collect(),
        timing: TimingPart {
            initial_delay_seconds: check.timing.initial_delay.as_secs_f64(),
            period_seconds: check.timing.period.as_secs_f64(),
            unhealthy_period_seconds: check
                .timing
                .unhealthy_period
                .unwrap_or(check.timing.period)
                .as_secs_f64(),
            timeout_seconds: check.timing.timeout.as_secs_f64(),
            success_threshold: check.timing.thresholds.success,
            failure_threshold: check.timing.thresholds.failure,
        },
    }
}
