//! A thousand runs a second for a long time: memory and descriptors do not move, no period is missed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Scale;
use crate::hostile;
use crate::process::{Starvation, descriptors, resident_kib};
use crate::sidecar::Plan;
use crate::table::Tally;

/// Runs a second.
const RUNS: u32 = 1000;

/// The number of runs that a check remembers: after so many periods memory has nothing left to grow with.
const REMEMBERED: u32 = 62;

/// The memory that may still come and go, in KiB: in the short form the allocator has hardly settled.
const NOISE_KIB: (u64, u64) = (2048, 1024);

pub fn run(scale: &Scale) -> Tally {
    let ports = hostile::start(&hostile::kinds()[..3]);
    // The short form has half the checks at half the period, so that it is warm in half the time.
    let (checks, period) = scale.pick((RUNS / 2, 0.5), (RUNS, 1.0));
    let mut plan = Plan::new("soak")
        .set("HEALTH_PROXY_LOG", "error")
        .set("LIVENESS_PERIOD_SECONDS", period.to_string())
        .set("LIVENESS_COMMAND", "exec:true");
    for number in 1..checks {
        let variable = format!("LIVENESS_C{number}");
        // Good ones, late ones, and every tenth is refused; as http and as tcp.
        let port = ports[if number % 10 == 0 { 2 } else { usize::from(number % 3 == 0) }];
        let form = if number % 2 == 0 { "http" } else { "tcp" };
        plan = plan
            .set(format!("{variable}_INITIAL_DELAY_SECONDS"), format!("{:.3}", f64::from(number) / 1000.0))
            .set(variable, format!("{form}://127.0.0.1:{port}"));
    }
    let sidecar = plan.start();
    let worker = sidecar.worker();
    sleep(Duration::from_secs_f64(period) * REMEMBERED);
    let runs = || sidecar.metric("health_proxy_check_runs_total", "");
    let (first_runs, began, starvation) = (runs(), Instant::now(), Starvation::of(worker));
    let (mut memory, mut open) = (Vec::new(), Vec::new());
    while began.elapsed() < Duration::from_secs(scale.pick(30, 1800)) {
        sleep(Duration::from_millis(500));
        memory.push(resident_kib(worker));
        open.push(descriptors(worker));
    }
    let expected = f64::from(RUNS) * began.elapsed().as_secs_f64();
    let missed = (1.0 - (runs() - first_runs) / expected).max(0.0) * 100.0;
    let mut tally = Tally::default();
    let slope = growth(&memory);
    tally.check(slope <= scale.pick(NOISE_KIB.0, NOISE_KIB.1), || format!("memory grew by {slope} KiB"));
    // Connections under way come and go; the quietest moments of both halves are compared.
    let (early, late) = open.split_at(open.len() / 2);
    let (early, late) = (early.iter().min(), late.iter().min());
    tally.check(late <= early.map(|count| count + 5).as_ref(), || {
        format!("{late:?} descriptors, {early:?} at first")
    });
    tally.many(u64::from(RUNS), u64::from(missed > 1.0 + starvation.share() * 100.0), || {
        format!("{missed:.2} % of periods missed")
    });
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    let resident = memory.last().copied().unwrap_or_default();
    tally.figure(starvation.figure());
    tally.figure(format!("{resident} KiB resident, {slope} KiB growth; {missed:.2} % of periods missed"));
    tally
}

/// Returns the growth from the first quarter's median to the last quarter's.
fn growth(memory: &[u64]) -> u64 {
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied().unwrap_or_default()
    };
    let quarter = memory.len() / 4;
    median(&memory[memory.len() - quarter..]).saturating_sub(median(&memory[..quarter]))
}
