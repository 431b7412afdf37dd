//! `/status`: everything that is known, as one JSON document with a stable shape: fields are added, never
//! renamed, retyped or removed.
//!
//! Times are Unix seconds by the sidecar's clock, to the millisecond; durations are seconds, to the microsecond.
//! No text holds a control character, but for the line breaks and tabs of an output.

mod made;

use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Debug, Deserialize, Serialize)]
pub struct Document {
    /// The sidecar's version.
    pub version: String,
    /// The host name, which in Kubernetes is the pod's.
    pub host: String,
    /// When the document was made.
    pub now: f64,
    /// Whether the sidecar itself works: what `/-/healthy` answers.
    pub healthy: bool,
    /// Whether reasons and outputs are told; if not, `reason withheld` stands for each (`HEALTH_PROXY_DETAILS`).
    pub details: bool,
    /// The present life of the main container; of the first one in the order of the alphabet, where there are several.
    pub incarnation: IncarnationPart,
    /// The three verdicts: liveness, readiness, startup.
    pub probes: Vec<ProbePart>,
    /// Every container that checks name by `_CONTAINER`.
    #[serde(default)]
    pub containers: Vec<ContainerPart>,
    /// Every check, by probe and name.
    pub checks: Vec<CheckPart>,
}

/// One main container.
#[derive(Debug, Deserialize, Serialize)]
pub struct ContainerPart {
    /// Its name.
    pub name: String,
    /// Its present life.
    pub incarnation: IncarnationPart,
    /// The answers to `?container=`: liveness, readiness, startup.
    pub probes: Vec<ProbePart>,
}

/// One life of the main container.
#[derive(Debug, Deserialize, Serialize)]
pub struct IncarnationPart {
    /// Counts from 1, anew when the sidecar itself was restarted.
    pub number: u64,
    /// When it began.
    pub began: f64,
    /// How long its startup took; `null` until it has passed.
    pub startup_seconds: Option<f64>,
}

/// The answer of a probe's path.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProbePart {
    /// `liveness`, `readiness` or `startup`.
    pub probe: String,
    /// Whether it answers 200.
    pub passes: bool,
    /// At least since when, as the present states of its checks tell; `null` where they do not.
    pub since: Option<f64>,
    /// Why it fails, one for each check that does; empty while it passes.
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
    /// The probe that it feeds: `liveness`, `readiness` or `startup`.
    pub probe: String,
    /// Its name, unique in its probe.
    pub name: String,
    /// The container that it is about; `null`: the pod.
    pub container: Option<String>,
    /// Its target without secrets.
    pub target: String,
    /// Whether it can fail its probe.
    pub required: bool,
    /// `healthy` or `unhealthy`, after thresholds.
    pub state: String,
    /// Since when.
    pub since: f64,
    /// The phase of its task: `waiting` for startup, `scheduled`, `running`, or `resting` since it has started.
    pub phase: String,
    /// For how long its result has been missing; `null` unless it is stale.
    pub stale_seconds: Option<f64>,
    /// Why it fails its probe now, on one line; `null` where it does not.
    pub reason: Option<String>,
    /// How many equal results came last, and how many decide.
    pub streak: StreakPart,
    /// The last run of this incarnation.
    pub last: Option<RunPart>,
    /// The last failure, also of an earlier incarnation, with its whole output.
    pub last_failure: Option<RunPart>,
    /// When the next run is due, or was while it runs; `null` while the check waits or rests.
    pub next_run: Option<f64>,
    /// Up to 60 runs, the oldest first, also of earlier incarnations.
    pub runs: RunsPart,
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
    /// The reason or warning, on one line.
    pub text: Option<String>,
    /// The beginning of what the app said, all its lines; only of `last_failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// Runs, in columns because there are many.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct RunsPart {
    /// When each began.
    pub began: Vec<f64>,
    /// How long each took.
    pub seconds: Vec<f64>,
    /// A letter for each: `s` success, `f` failure, `t` timeout.
    pub results: String,
}

/// The kubelet's fields.
#[derive(Debug, Deserialize, Serialize)]
pub struct TimingPart {
    /// From the beginning of an incarnation, or the end of its startup, to the first run.
    pub initial_delay_seconds: f64,
    /// Between the beginnings of two runs.
    pub period_seconds: f64,
    /// The same while the check fails.
    pub unhealthy_period_seconds: f64,
    /// After which a run without a result has failed.
    pub timeout_seconds: f64,
    /// Consecutive successes that make it healthy.
    pub success_threshold: u32,
    /// Consecutive failures that make it unhealthy.
    pub failure_threshold: u32,
}

#[cfg(test)]
mod tests;
