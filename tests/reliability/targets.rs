//! A thousand checks against servers of every bad kind: each result right and in time, memory flat.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Scale;
use crate::hostile::{self, Kind};
use crate::process::{Starvation, resident_kib};
use crate::sidecar::{Plan, Sidecar, past_runs};
use crate::table::{Tally, percentile};

const CHECKS: usize = 1000;
const PERIOD: f64 = 1.0;
const TIMEOUT: f64 = 0.5;

/// The memory by which a process may still grow in the second half, when every check remembers its sixty runs.
const GROWTH_KIB: u64 = 3 * 1024;

pub fn run(scale: &Scale) -> Tally {
    let kinds = hostile::kinds();
    let ports = hostile::start(&kinds);
    let mut plan = Plan::new("targets")
        .set("HEALTH_PROXY_LOG", "error")
        .set("READINESS_PERIOD_SECONDS", PERIOD.to_string())
        .set("READINESS_TIMEOUT_SECONDS", TIMEOUT.to_string());
    for number in 0..CHECKS {
        let port = ports[number % kinds.len()];
        let variable = format!("READINESS_C{number:04}");
        // Spread over the period, as nobody would start a thousand checks at one instant.
        let delay = PERIOD * f64::from(u32::try_from(number).unwrap()) / 1000.0;
        plan = plan
            .set(format!("{variable}_INITIAL_DELAY_SECONDS"), format!("{delay:.3}"))
            .set(variable, format!("http://127.0.0.1:{port}/"));
    }
    let sidecar = plan.start();
    let mut tally = Tally::default();
    // Each check remembers sixty runs: after a minute memory has nothing left to grow with.
    let worker = sidecar.worker();
    let (first, second) = scale.pick((10, 15), (70, 120));
    let starvation = Starvation::of(worker);
    sleep(Duration::from_secs(first));
    let (before, runs_before, began) = (resident_kib(worker), total_runs(&sidecar), Instant::now());
    sleep(Duration::from_secs(second));
    let (after, runs_after) = (resident_kib(worker), total_runs(&sidecar));
    let per_second = (runs_after - runs_before) / began.elapsed().as_secs_f64();
    judge(&kinds, &sidecar.status(), &starvation, &mut tally);
    let growth = after.saturating_sub(before);
    tally.check(growth <= GROWTH_KIB, || format!("memory grew by {growth} KiB to {after} KiB"));
    let expected = 990.0 * (1.0 - starvation.share());
    tally.check(per_second > expected, || format!("only {per_second:.0} of 1000 runs a second"));
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    tally.figure(format!("{per_second:.0} runs/s; {after} KiB resident, {growth} KiB growth"));
    tally
}

fn total_runs(sidecar: &Sidecar) -> f64 {
    sidecar.metric("health_proxy_check_runs_total", "")
}

/// Judges the runs against a target. On a machine that is busy with something else, a target of ours may be late too:
/// then few of its runs are.
fn judge(kinds: &[Kind], status: &Value, starvation: &Starvation, tally: &mut Tally) {
    let (patience, strays) = if starvation.is_quiet() { (1.0, 0) } else { (10.0, 3) };
    let checks = status["checks"].as_array().expect("checks");
    let (mut overruns, mut well) = (Vec::new(), Vec::new());
    for (number, check) in checks.iter().enumerate() {
        let kind = &kinds[number % kinds.len()];
        let runs = past_runs(check);
        let wrong = runs.iter().filter(|(_, came)| *came != kind.result).count() as u64;
        tally.many(runs.len() as u64, if wrong > strays { wrong } else { 0 }, || {
            format!("{}: {wrong} of {} runs no {}: {}", kind.name, runs.len(), kind.result, check["last"])
        });
        let text = check["last"]["text"].as_str().unwrap_or_default();
        let came = runs.last().map(|(_, came)| *came);
        tally.check(came != Some(kind.result) || text.contains(kind.reason), || {
            format!("{}: {text:?}", kind.name)
        });
        let seconds = runs.iter().map(|(seconds, _)| *seconds);
        match kind.result {
            "timeout" => overruns.extend(seconds.map(|seconds| seconds - TIMEOUT)),
            _ if kind.name == "well" => well.extend(seconds),
            _ => {}
        }
    }
    let late = percentile(&mut overruns, 0.99) * 1000.0;
    tally.check(late <= 50.0 * patience, || {
        format!("the 99th percentile of runs ends {late:.0} ms after its timeout")
    });
    let well = percentile(&mut well, 0.99) * 1000.0;
    tally
        .check(well <= 200.0 * patience, || format!("the 99th percentile of good answers took {well:.0} ms"));
    tally.figure(starvation.figure());
    tally.figure(format!("timeouts +{late:.0} ms, good answers {well:.1} ms at p99"));
}
