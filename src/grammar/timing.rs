//! The timing of a check: when it runs and how often it has to agree with itself, in the kubelet's own fields.

use std::time::Duration;

use super::options::{self, OptionName, OptionReader};
use super::values;
use crate::probe::Probe;
use crate::tracker::Thresholds;

/// The least period and timeout, in seconds.
const MIN_SECONDS: f64 = 0.01;

/// The timing of a check: when it runs and how often it has to agree with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the beginning of an incarnation to the first run.
    pub initial_delay: Duration,
    /// Between the beginnings of two runs.
    pub period: Duration,
    /// The same from the first failing run until the check is healthy again, where it differs.
    pub unhealthy_period: Option<Duration>,
    /// The time after which a run without a result has failed.
    pub timeout: Duration,
    /// The equal results in a row that decide.
    pub thresholds: Thresholds,
}

impl Default for Timing {
    /// Returns the kubelet's defaults (`pkg/apis/core/v1/defaults.go`, `SetDefaults_Probe`).
    fn default() -> Self {
        Self {
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            unhealthy_period: None,
            timeout: Duration::from_secs(1),
            thresholds: Thresholds::default(),
        }
    }
}

impl Timing {
    /// Returns the period that applies now.
    pub fn period_when(&self, is_degraded: bool) -> Duration {
        self.unhealthy_period.filter(|_| is_degraded).unwrap_or(self.period)
    }

    /// Returns the longer of the two periods.
    pub fn longest_period(&self) -> Duration {
        self.period.max(self.period_when(true))
    }

    /// Takes the six options of timing; `defaults` stand where one is not given.
    pub(super) fn read(probe: Probe, defaults: Self, reader: &mut OptionReader) -> Self {
        let success =
            reader.take(options::SUCCESS_THRESHOLD, |value| match (values::threshold(value)?, probe) {
                (1, _) | (_, Probe::Readiness) => values::threshold(value),
                _ => Err(format!("must be 1 for {probe}, as in the kubelet")),
            });
        let failure = reader.take(options::FAILURE_THRESHOLD, values::threshold);
        let mut seconds = |name, least| reader.take(name, values::seconds(least));
        Self {
            initial_delay: seconds(options::INITIAL_DELAY_SECONDS, 0.0).unwrap_or(defaults.initial_delay),
            period: seconds(options::PERIOD_SECONDS, MIN_SECONDS).unwrap_or(defaults.period),
            unhealthy_period: seconds(options::UNHEALTHY_PERIOD_SECONDS, MIN_SECONDS)
                .or(defaults.unhealthy_period),
            timeout: seconds(options::TIMEOUT_SECONDS, MIN_SECONDS).unwrap_or(defaults.timeout),
            thresholds: Thresholds {
                success: success.unwrap_or(defaults.thresholds.success),
                failure: failure.unwrap_or(defaults.thresholds.failure),
            },
        }
    }

    /// Returns the options that say what differs from the contract's defaults, of which `thresholds` are the target's.
    pub(super) fn written(&self, thresholds: Thresholds) -> Vec<(OptionName, String)> {
        let default = Self { thresholds, ..Self::default() };
        let seconds = |name, value: Duration, default| {
            (value != default).then(|| (name, values::written_seconds(value)))
        };
        let count = |name, value: u32, default| (value != default).then(|| (name, value.to_string()));
        let written = [
            seconds(options::INITIAL_DELAY_SECONDS, self.initial_delay, default.initial_delay),
            seconds(options::PERIOD_SECONDS, self.period, default.period),
            self.unhealthy_period
                .map(|period| (options::UNHEALTHY_PERIOD_SECONDS, values::written_seconds(period))),
            seconds(options::TIMEOUT_SECONDS, self.timeout, default.timeout),
            count(options::SUCCESS_THRESHOLD, self.thresholds.success, default.thresholds.success),
            count(options::FAILURE_THRESHOLD, self.thresholds.failure, default.thresholds.failure),
        ];
        written.into_iter().flatten().collect()
    }
}
