//! The metrics of the checks: one family each, and how its series come from what a check publishes.

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::messages::{self, number};
use crate::outcome::Kind;
use crate::pod::{Entry, Look};
use crate::status::BUCKETS;
use crate::tracker::Health;
use crate::verdict::Facts;

/// One metric of every check.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    series: Series,
}

/// The series of one check, by how many there are and of which kind.
enum Series {
    /// A gauge, if the check has such a value.
    Gauge(fn(&Facts) -> Option<f64>),
    /// A counter for each value of one more label.
    Counters(&'static str, fn(&Facts) -> Vec<(&'static str, u64)>),
    /// A histogram of the durations of all runs.
    Durations,
}

impl Family {
    const fn gauge(name: &'static str, help: &'static str, read: fn(&Facts) -> Option<f64>) -> Self {
        Self { name, help, series: Series::Gauge(read) }
    }

    /// Returns the series of some checks.
    pub(super) fn collect(&self, entries: &[Entry], look: &Look<'_>) -> MetricFamily {
        let mut series = Vec::with_capacity(entries.len());
        for entry in entries {
            look.facts(entry, |facts| self.series.add(&facts, &mut series));
        }
        messages::family(self.name, self.help, self.series.kind(), series)
    }
}

impl Series {
    const fn kind(&self) -> MetricType {
        match self {
            Self::Gauge(_) => MetricType::GAUGE,
            Self::Counters(..) => MetricType::COUNTER,
            Self::Durations => MetricType::HISTOGRAM,
        }
    }

    fn add(&self, facts: &Facts, series: &mut Vec<Metric>) {
        match self {
            Self::Gauge(read) => {
                let gauge = |value| messages::gauge(labels(facts, None), value);
                series.extend(read(facts).map(gauge));
            }
            Self::Counters(label, read) => {
                let counter =
                    |(value, count)| messages::counter(labels(facts, Some((label, value))), number(count));
                series.extend(read(facts).into_iter().map(counter));
            }
            Self::Durations => series.push(durations(facts)),
        }
    }
}

/// Returns the labels of a check, and one more.
fn labels(facts: &Facts, more: Option<(&str, &str)>) -> Vec<LabelPair> {
    let (name, value) = more.unzip();
    messages::labels([
        ("app_container", facts.check.container.as_deref()),
        ("check", Some(&facts.check.name)),
        ("probe", Some(facts.check.probe.as_str())),
        (name.unwrap_or_default(), value),
    ])
}

fn durations(facts: &Facts) -> Metric {
    let counts = &facts.status.counts;
    let mut cumulative = 0;
    let buckets = BUCKETS.into_iter().zip(counts.buckets).map(|(bound, count)| {
        cumulative += count;
        (bound, cumulative)
    });
    let all = counts.runs.iter().sum();
    messages::histogram(labels(facts, None), counts.duration.as_secs_f64(), all, buckets)
}

/// Every metric of the checks.
pub(super) const FAMILIES: [Family; 11] = [
    Family::gauge("health_proxy_check_healthy", "Whether the check is healthy, after thresholds.", |facts| {
        Some((facts.health() == Health::Healthy).into())
    }),
    Family::gauge(
        "health_proxy_check_stale",
        "Whether the check should have finished a run and has not.",
        |facts| Some(facts.stale_for().is_some().into()),
    ),
    Family::gauge("health_proxy_check_required", "Whether the check can fail its probe.", |facts| {
        Some(facts.check.required.into())
    }),
    Family::gauge("health_proxy_check_consecutive_failures", "How many runs failed in a row.", |facts| {
        Some(facts.consecutive_failures().into())
    }),
    Family::gauge("health_proxy_check_failure_threshold", "How many failures make it unhealthy.", |facts| {
        Some(facts.check.timing.thresholds.failure.into())
    }),
    Family::gauge("health_proxy_check_timeout_seconds", "After which a run has failed.", |facts| {
        Some(facts.check.timing.timeout.as_secs_f64())
    }),
    Family::gauge(
        "health_proxy_check_last_success_timestamp_seconds",
        "When the check last passed, in Unix time; 0 before the first time.",
        |facts| Some(facts.status.last_success.unwrap_or_default().as_secs_f64()),
    ),
    Family::gauge(
        "health_proxy_check_tls_certificate_expiry_timestamp_seconds",
        "When the first certificate of the presented chain ends, in Unix time.",
        |facts| {
            // Only checks with TLS have this series.
            let expiry = facts.status.certificate_expiry?;
            Some(number(u64::try_from(expiry).unwrap_or_default()))
        },
    ),
    Family {
        name: "health_proxy_check_runs_total",
        help: "Runs by result.",
        series: Series::Counters("result", |facts| {
            let runs = facts.status.counts.runs;
            Kind::ALL.map(|kind| (kind.as_str(), runs[kind.index()])).into()
        }),
    },
    Family {
        name: "health_proxy_check_transitions_total",
        help: "Changes of the state after thresholds.",
        series: Series::Counters("to", |facts| {
            let counts = &facts.status.counts;
            vec![("healthy", counts.to_healthy), ("unhealthy", counts.to_unhealthy)]
        }),
    },
    Family {
        name: "health_proxy_check_duration_seconds",
        help: "How long runs took, failures included.",
        series: Series::Durations,
    },
];
