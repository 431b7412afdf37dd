//! The metrics of the checks: one family each, and how its lines come from what a check publishes.

use super::text::{Lines, Value};
use crate::outcome::Kind;
use crate::pod::{Entry, Look};
use crate::status::BUCKETS;
use crate::tracker::Health;
use crate::verdict::Facts;

/// One metric.
pub(super) struct Family {
    /// The name and a brace: how the lines of most families begin.
    series: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Writes the lines of one check.
    row: fn(&mut Row),
}

impl Family {
    const fn gauge(series: &'static str, help: &'static str, row: fn(&mut Row)) -> Self {
        Self { series, kind: "gauge", help, row }
    }

    const fn counter(series: &'static str, help: &'static str, row: fn(&mut Row)) -> Self {
        Self { series, kind: "counter", help, row }
    }

    /// Begins the family.
    pub(super) fn begin(&self, lines: &mut Lines) {
        lines.family(self.series.trim_end_matches('{'), self.kind, self.help);
    }

    /// Writes the lines of one check.
    pub(super) fn write(&self, lines: &mut Lines, entry: &Entry, look: &Look<'_>) {
        look.facts(entry, |facts| {
            (self.row)(&mut Row { lines, series: self.series, labels: &entry.labels, facts });
        });
    }
}

/// The lines of one check in one family.
struct Row<'a> {
    lines: &'a mut Lines,
    series: &'static str,
    labels: &'a str,
    facts: Facts<'a>,
}

impl Row<'_> {
    /// The only line.
    fn value(&mut self, value: impl Into<Value>) {
        self.line(self.series, "} ", value);
    }

    /// One of several: `end` adds a label to those of the check.
    fn line(&mut self, series: &str, end: &str, value: impl Into<Value>) {
        self.lines.line([series, self.labels, end], value);
    }
}

/// Every metric of the checks.
pub(super) const FAMILIES: [Family; 11] = [
    Family::gauge("health_proxy_check_healthy{", "Whether the check is healthy, after thresholds.", |row| {
        row.value(row.facts.health() == Health::Healthy);
    }),
    Family::gauge(
        "health_proxy_check_stale{",
        "Whether the check should have finished a run and has not.",
        |row| row.value(row.facts.stale_for().is_some()),
    ),
    Family::gauge("health_proxy_check_required{", "Whether the check can fail its probe.", |row| {
        row.value(row.facts.check.required);
    }),
    Family::gauge("health_proxy_check_consecutive_failures{", "How many runs failed in a row.", |row| {
        row.value(row.facts.consecutive_failures());
    }),
    Family::gauge("health_proxy_check_failure_threshold{", "How many failures make it unhealthy.", |row| {
        row.value(row.facts.check.timing.thresholds.failure);
    }),
    Family::gauge("health_proxy_check_timeout_seconds{", "After which a run has failed.", |row| {
        row.value(row.facts.check.timing.timeout);
    }),
    Family::gauge(
        "health_proxy_check_last_success_timestamp_seconds{",
        "When the check last passed, in Unix time; 0 before the first time.",
        |row| row.value(row.facts.status.last_success.unwrap_or_default()),
    ),
    Family::gauge(
        "health_proxy_check_tls_certificate_expiry_timestamp_seconds{",
        "When the first certificate of the presented chain ends, in Unix time.",
        |row| {
            // Only checks with TLS have this series.
            if let Some(expiry) = row.facts.status.certificate_expiry {
                row.value(u64::try_from(expiry).unwrap_or_default());
            }
        },
    ),
    Family::counter("health_proxy_check_runs_total{", "Runs by result.", |row| {
        let ends = [",result=\"success\"} ", ",result=\"failure\"} ", ",result=\"timeout\"} "];
        for (kind, end) in Kind::ALL.into_iter().zip(ends) {
            row.line(row.series, end, row.facts.status.counts.runs[kind.index()]);
        }
    }),
    Family::counter(
        "health_proxy_check_transitions_total{",
        "Changes of the state after thresholds.",
        |row| {
            row.line(row.series, ",to=\"healthy\"} ", row.facts.status.counts.to_healthy);
            row.line(row.series, ",to=\"unhealthy\"} ", row.facts.status.counts.to_unhealthy);
        },
    ),
    Family {
        series: "health_proxy_check_duration_seconds{",
        kind: "histogram",
        help: "How long runs took, failures included.",
        row: durations,
    },
];

/// The label of each of [`BUCKETS`].
const BOUNDS: [&str; BUCKETS.len()] = [
    ",le=\"0.001\"} ",
    ",le=\"0.005\"} ",
    ",le=\"0.025\"} ",
    ",le=\"0.1\"} ",
    ",le=\"0.25\"} ",
    ",le=\"0.5\"} ",
    ",le=\"1\"} ",
    ",le=\"2.5\"} ",
    ",le=\"5\"} ",
    ",le=\"10\"} ",
];

const BUCKET: &str = "health_proxy_check_duration_seconds_bucket{";

fn durations(row: &mut Row) {
    let counts = &row.facts.status.counts;
    let mut cumulative = 0;
    for (bound, count) in BOUNDS.iter().zip(counts.buckets) {
        cumulative += count;
        row.line(BUCKET, bound, cumulative);
    }
    let all: u64 = counts.runs.iter().sum();
    row.line(BUCKET, ",le=\"+Inf\"} ", all);
    row.line("health_proxy_check_duration_seconds_sum{", "} ", counts.duration);
    row.line("health_proxy_check_duration_seconds_count{", "} ", all);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_values() {
        for (label, bound) in BOUNDS.iter().zip(BUCKETS) {
            assert_eq!(*label, format!(",le=\"{bound}\"}} "));
        }
    }
}
