//! The series of the probes and of the checks, as the board has them at the moment of the scrape.

use std::time::Duration;

use super::text::{Family, Value};
use crate::board::{Board, Entry};
use crate::outcome::Kind;
use crate::probe::Probe;
use crate::status::{BUCKETS, Status};
use crate::tracker::Health;
use crate::unix_time::UnixTime;

/// Appends them to `text`.
pub(super) fn write(text: &mut String, board: &Board) {
    let label = |entry: &Entry| format!("check=\"{}\",probe=\"{}\"", entry.check.name, entry.check.probe);
    let rows: Vec<_> = board.entries().iter().map(|entry| (label(entry), entry)).collect();
    write_probes(text, board);
    write_gauges(text, board, &rows);
    write_counts(text, &rows);
    write_durations(text, &rows);
}

/// The labels of each check and the check.
type Rows<'a> = [(String, &'a Entry)];

fn write_probes(text: &mut String, board: &Board) {
    let help = "Whether the probe passes: what its path answers.";
    let mut family = Family::new(text, "health_proxy_probe_healthy", "gauge", help);
    for probe in Probe::ALL {
        family.line("", &["probe=\"", probe.as_str(), "\""], board.passes(probe));
    }
    let incarnation = board.incarnation();
    let startup = board.started_at().map(|at| at.saturating_duration_since(incarnation.began));
    let help = "From the beginning of the incarnation until startup passed; 0 until then.";
    let mut family = Family::new(text, "health_proxy_startup_duration_seconds", "gauge", help);
    family.line("", &[], startup.unwrap_or_default());
    let help = "Lives of the main container that were seen, the first included.";
    Family::new(text, "health_proxy_incarnations_total", "counter", help).line("", &[], incarnation.number);
}

fn write_gauges(text: &mut String, board: &Board, rows: &Rows) {
    let (moment, clock) = (board.moment(), UnixTime::now());
    let mut gauge = |name, help, value: &dyn Fn(&Entry) -> Option<Value>| {
        let mut family = Family::new(text, name, "gauge", help);
        for (labels, entry) in rows {
            if let Some(value) = value(entry) {
                family.line("", &[labels], value);
            }
        }
    };
    gauge("health_proxy_check_healthy", "Whether the check is healthy, after thresholds.", &|entry| {
        Some(entry.is_healthy(moment).into())
    });
    gauge(
        "health_proxy_check_stale",
        "Whether the check should have finished a run and has not.",
        &|entry| Some(entry.stale_for(moment).is_some().into()),
    );
    gauge("health_proxy_check_consecutive_failures", "How many runs failed in a row.", &|entry| {
        Some(entry.consecutive_failures(moment).into())
    });
    gauge("health_proxy_check_failure_threshold", "How many failures make it unhealthy.", &|entry| {
        Some(entry.check.timing.thresholds.failure.into())
    });
    gauge("health_proxy_check_timeout_seconds", "After which a run has failed.", &|entry| {
        Some(entry.check.timing.timeout.into())
    });
    gauge(
        "health_proxy_check_last_success_timestamp_seconds",
        "When the check last passed, in Unix time; 0 before the first time.",
        &|entry| {
            let passed = entry.status.borrow().last_success;
            Some(passed.map_or(Duration::ZERO, |at| clock.since_1970(at)).into())
        },
    );
    // A series of the checks with TLS alone.
    let expiry = |entry: &Entry| entry.status.borrow().certificate_expiry.map(Value::Whole);
    if rows.iter().any(|(_, entry)| expiry(entry).is_some()) {
        gauge(
            "health_proxy_check_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of the presented chain ends, in Unix time.",
            &expiry,
        );
    }
}

fn write_counts(text: &mut String, rows: &Rows) {
    let mut counter = |name, help, write: &dyn Fn(&mut Family, &str, &Status)| {
        let mut family = Family::new(text, name, "counter", help);
        for (labels, entry) in rows {
            write(&mut family, labels, &entry.status.borrow());
        }
    };
    counter("health_proxy_check_runs_total", "Runs by result.", &|family, labels, status| {
        for kind in Kind::ALL {
            let result = [labels, ",result=\"", kind.as_str(), "\""];
            family.line("", &result, status.counts.runs[kind.index()]);
        }
    });
    counter(
        "health_proxy_check_transitions_total",
        "Changes of the state after thresholds.",
        &|family, labels, status| {
            let counts = &status.counts;
            for (to, count) in
                [(Health::Healthy, counts.to_healthy), (Health::Unhealthy, counts.to_unhealthy)]
            {
                family.line("", &[labels, ",to=\"", to.as_str(), "\""], count);
            }
        },
    );
}

fn write_durations(text: &mut String, rows: &Rows) {
    let bounds = BUCKETS.map(|bound| bound.to_string());
    let help = "How long runs took, failures included.";
    let mut family = Family::new(text, "health_proxy_check_duration_seconds", "histogram", help);
    for (labels, entry) in rows {
        let counts = &entry.status.borrow().counts;
        let mut cumulative = 0;
        for (bound, count) in bounds.iter().zip(counts.buckets) {
            cumulative += count;
            family.line("_bucket", &[labels, ",le=\"", bound, "\""], cumulative);
        }
        let all: u64 = counts.runs.iter().sum();
        family.line("_bucket", &[labels, ",le=\"+Inf\""], all);
        family.line("_sum", &[labels], counts.duration);
        family.line("_count", &[labels], all);
    }
}
