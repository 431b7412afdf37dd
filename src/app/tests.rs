//! Checks, gate, incarnations and verdicts together, on a paused clock with scripted targets.

mod containers;
mod evidence;
mod rig;
mod workers;

use std::io::{Read, Seek};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use crate::check::{Check, Timing};
use crate::life::StartupPath;
use crate::pod::Scope;
use crate::probe::Probe;
use crate::snapshot;

use rig::{Rig, Script, Step, check, thresholds, timed};

const PERIOD: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn the_first_run_is_exactly_at_the_end_of_the_initial_delay() {
    let script = Script::new(&[Step::Pass]);
    let timing = Timing { initial_delay: Duration::from_secs(15), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Liveness, timing), &script)]);
    rig.at(40_000).await;
    assert_eq!(script.began(rig.zero), [15_000, 25_000, 35_000]);
}

#[tokio::test(start_paused = true)]
async fn slow_runs_neither_drift_nor_overlap() {
    let slow = |millis| Step::PassAfter(Duration::from_millis(millis));
    let script = Script::new(&[slow(900), slow(2500), slow(100)]);
    let timing = Timing { period: Duration::from_secs(1), timeout: PERIOD, ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Readiness, timing), &script)]);
    rig.at(5_500).await;
    // The second run ends at 3500: the tick of 3000 is kept, that of 2000 is not.
    assert_eq!(script.began(rig.zero), [0, 1000, 3500, 4000, 5000]);
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_followed_by_one_run_and_not_by_a_burst() {
    let script = Script::new(&[Step::Pass]);
    let timing = Timing { period: Duration::from_secs(1), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Liveness, timing), &script)]);
    rig.at(500).await;
    advance(Duration::from_millis(30_100)).await;
    rig.at(32_500).await;
    let began = script.began(rig.zero);
    assert_eq!(began[0], 0);
    assert!((30_600..30_700).contains(&began[1]), "{began:?}");
    assert_eq!(began[2..], [31_000, 32_000]);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_a_result_fails_at_its_timeout() {
    let script = Script::new(&[Step::Hang]);
    let timing = Timing { thresholds: thresholds(1, 1), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Liveness, timing), &script)]);
    rig.at(999).await;
    assert!(rig.passes()[0]);
    rig.at(1000).await;
    assert_eq!(rig.reasons(Probe::Liveness), "a: timed out after 1s");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_sidecar_stands_still_is_not_held_against_the_app() {
    let timing = Timing { thresholds: thresholds(1, 1), ..Timing::default() };
    for (step, passes) in [(Step::PassInTurns(4), true), (Step::Hang, false)] {
        let script = Script::new(&[step]);
        let rig = Rig::start(&[(timed(Probe::Liveness, timing), &script)]);
        rig.at(0).await;
        // Starved: whatever it does next comes longer after the last than the whole timeout.
        for _ in 0..8 {
            advance(Duration::from_millis(1100)).await;
        }
        // Whoever has not answered a timeout later never will.
        rig.at(9_900).await;
        let runs = rig.pod.entries()[0].status.borrow().history.iter().count();
        assert_eq!((runs, rig.passes()[0]), (1, passes));
    }
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_exactly_at_the_third_failure_and_recovers_with_the_first_success() {
    let script =
        Script::new(&[Step::Fail, Step::Fail, Step::Pass, Step::Fail, Step::Fail, Step::Fail, Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Liveness, "a"), &script)]);
    let mut seen = Vec::new();
    for run in 0..7 {
        rig.at(run * 10_000).await;
        seen.push(rig.passes()[0]);
    }
    assert_eq!(seen, [true, true, true, true, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn readiness_begins_unhealthy_and_passes_within_a_run() {
    let script = Script::new(&[Step::PassAfter(Duration::from_millis(20))]);
    let rig = Rig::start(&[(check(Probe::Readiness, "a"), &script)]);
    assert_eq!(rig.reasons(Probe::Readiness), "a: no result yet");
    rig.at(21).await;
    assert_eq!(rig.passes(), [true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_success_threshold_says_how_far_it_has_come() {
    let script = Script::new(&[Step::Pass]);
    let timing = Timing { thresholds: thresholds(3, 3), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Readiness, timing), &script)]);
    rig.at(10_000).await;
    assert_eq!(rig.reasons(Probe::Readiness), "a: 2 of 3 successes");
    rig.at(20_000).await;
    assert!(rig.passes()[1]);
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_period_applies_until_the_check_is_healthy_again() {
    let script =
        Script::new(&[Step::Pass, Step::Fail, Step::Pass, Step::Fail, Step::Fail, Step::Fail, Step::Pass]);
    let timing = Timing { unhealthy_period: Some(Duration::from_secs(1)), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Liveness, timing), &script)]);
    rig.at(45_000).await;
    assert_eq!(script.began(rig.zero), [0, 10_000, 11_000, 21_000, 22_000, 23_000, 24_000, 34_000, 44_000]);
}

#[tokio::test(start_paused = true)]
async fn startup_holds_the_others_back_and_then_rests() {
    let startup = Script::new(&[Step::Fail, Step::Fail, Step::Pass]);
    let (live, ready) = (Script::new(&[Step::Pass]), Script::new(&[Step::Pass]));
    let rig = Rig::start(&[
        (check(Probe::Startup, "s"), &startup),
        (check(Probe::Liveness, "l"), &live),
        (check(Probe::Readiness, "r"), &ready),
    ]);
    rig.at(19_000).await;
    assert_eq!(rig.passes(), [true, false, false]);
    assert_eq!(rig.reasons(Probe::Readiness), "r: waits for startup; startup: s: scripted");
    rig.at(35_000).await;
    assert_eq!(rig.passes(), [true, true, true]);
    assert_eq!(startup.began(rig.zero), [0, 10_000, 20_000]);
    assert_eq!(live.began(rig.zero), [20_000, 30_000]);
    assert_eq!(ready.began(rig.zero), [20_000, 30_000]);
    assert_eq!(rig.pod.started_at(0), Some(rig.zero + Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn an_initial_delay_counts_from_the_incarnation_and_not_from_the_gate() {
    let startup = Script::new(&[Step::Fail, Step::Pass]);
    let live = Script::new(&[Step::Pass]);
    let delayed = Timing { initial_delay: Duration::from_secs(13), ..Timing::default() };
    let rig = Rig::start(&[(check(Probe::Startup, "s"), &startup), (timed(Probe::Liveness, delayed), &live)]);
    rig.at(14_000).await;
    assert_eq!(live.began(rig.zero), [13_000]);
}

#[tokio::test(start_paused = true)]
async fn a_startup_check_that_uses_up_its_failures_fails_liveness_and_goes_on() {
    let startup = Script::new(&[Step::Fail, Step::Fail, Step::Fail, Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Startup, "s"), &startup)]);
    rig.at(19_000).await;
    assert!(rig.passes()[0]);
    rig.at(20_000).await;
    assert_eq!(rig.reasons(Probe::Liveness), "startup: s: scripted");
    rig.at(30_000).await;
    assert_eq!(rig.passes(), [true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn without_startup_checks_and_witnesses_startup_passes_at_once() {
    let script = Script::new(&[Step::Fail]);
    let rig = Rig::start(&[(check(Probe::Liveness, "a"), &script)]);
    assert_eq!(rig.passes(), [true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_not_required_fails_nothing_and_holds_nothing_back() {
    let failing = Script::new(&[Step::Fail]);
    let live = Script::new(&[Step::Pass]);
    let optional = |probe| Check { required: false, ..check(probe, "o") };
    let rig = Rig::start(&[
        (optional(Probe::Startup), &failing),
        (optional(Probe::Liveness), &failing),
        (optional(Probe::Readiness), &failing),
        (check(Probe::Liveness, "l"), &live),
    ]);
    rig.at(30_000).await;
    assert_eq!(rig.passes(), [true, true, true]);
    assert_eq!(live.began(rig.zero), [0, 10_000, 20_000, 30_000]);
}

#[tokio::test(start_paused = true)]
async fn the_kubelet_asking_again_begins_a_new_incarnation() {
    let startup = Script::new(&[Step::Pass, Step::Fail, Step::Pass]);
    let live = Script::new(&[Step::Fail, Step::Fail, Step::Fail, Step::Pass]);
    let delayed = Timing { initial_delay: Duration::from_secs(5), ..Timing::default() };
    let rig = Rig::start(&[(check(Probe::Startup, "s"), &startup), (timed(Probe::Liveness, delayed), &live)]);
    let ask = || rig.kubelet(Probe::Startup);
    rig.at(1).await;
    assert!(ask());
    rig.at(25_000).await;
    assert_eq!(rig.passes(), [false, true, true], "three failures at 5, 15 and 25 s");
    assert!(!ask(), "a new incarnation has not started");
    assert_eq!(rig.passes(), [true, false, false], "all states are initial ones, at once");
    assert!(!ask(), "and asking on changes nothing");
    assert_eq!(rig.incarnation(), 2);
    rig.at(35_002).await;
    assert!(ask());
    assert_eq!(startup.began(rig.zero), [0, 25_001, 35_001]);
    assert_eq!(live.began(rig.zero), [5_000, 15_000, 25_000, 35_001]);
}

#[tokio::test(start_paused = true)]
async fn each_path_of_startup_is_told_on_its_own() {
    let script = Script::new(&[Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Startup, "a"), &script), (check(Probe::Startup, "b"), &script)]);
    rig.at(1).await;
    let ask = |path| rig.pod.kubelet_asks(Scope::Pod, Some(path));
    ask(StartupPath::Check(0));
    rig.pod.kubelet_told(Scope::Pod, StartupPath::Check(0));
    ask(StartupPath::Check(1));
    ask(StartupPath::Whole);
    assert_eq!(rig.incarnation(), 1);
    ask(StartupPath::Check(0));
    assert_eq!(rig.incarnation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_incarnation_ends_a_run_that_is_under_way() {
    let script = Script::new(&[Step::Hang, Step::Pass]);
    let timing = Timing { timeout: Duration::from_secs(60), ..Timing::default() };
    let rig = Rig::start(&[(timed(Probe::Readiness, timing), &script)]);
    rig.at(5_000).await;
    rig.pod.kubelet_told(Scope::Pod, StartupPath::Whole);
    rig.pod.kubelet_asks(Scope::Pod, Some(StartupPath::Whole));
    rig.pod.kubelet_told(Scope::Pod, StartupPath::Whole);
    rig.pod.kubelet_asks(Scope::Pod, Some(StartupPath::Whole));
    rig.at(5_001).await;
    assert!(rig.passes()[1]);
    assert_eq!(script.began(rig.zero).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_stops_running_becomes_stale() {
    let script = Script::new(&[Step::Pass]);
    let mut rig =
        Rig::start(&[(check(Probe::Readiness, "r"), &script), (check(Probe::Liveness, "l"), &script)]);
    rig.at(0).await;
    rig.tasks.shutdown().await;
    // The last results were due at 0, two periods and a timeout make 21 s.
    rig.at(20_999).await;
    assert_eq!((rig.passes(), rig.pod.stale().len()), ([true, true, true], 0));
    rig.at(33_000).await;
    assert_eq!(rig.passes(), [true, false, true], "readiness fails, liveness stands");
    assert_eq!(
        rig.reasons(Probe::Readiness),
        "r: no result for 23 s: the sidecar does not get to run its checks"
    );
    assert_eq!(rig.pod.stale()[0].0, "liveness/l");
}

#[tokio::test(start_paused = true)]
async fn a_resting_check_is_never_stale() {
    let script = Script::new(&[Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Startup, "s"), &script)]);
    rig.at(3_600_000).await;
    assert_eq!(rig.pod.stale(), []);
}

#[tokio::test(start_paused = true)]
async fn draining_and_shutdown_turn_readiness_red_and_leave_liveness() {
    let script = Script::new(&[Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Readiness, "r"), &script)]);
    rig.at(1).await;
    rig.pod.drain();
    rig.pod.shut_down();
    assert_eq!(rig.passes(), [true, false, true]);
    let reasons = rig.reasons(Probe::Readiness);
    assert!(
        reasons.starts_with("drain: draining since ")
            && reasons.ends_with(" UTC; it ends with the pod; shutdown: shutting down"),
        "{reasons}"
    );
}

#[tokio::test(start_paused = true)]
async fn exclusions_reach_checks_and_built_in_reasons() {
    let script = Script::new(&[Step::Fail]);
    let rig = Rig::start(&[(check(Probe::Readiness, "r"), &script)]);
    rig.at(1).await;
    rig.pod.drain();
    let excluded = ["r", "drain", "nope"].map(str::to_owned);
    let verdict = rig.pod.verdict(Probe::Readiness, Scope::Pod, &excluded);
    assert!(verdict.passes());
    assert_eq!(verdict.unknown, ["nope"]);
}

/// By these fields people query their logs.
#[tokio::test(start_paused = true)]
async fn the_log_tells_of_a_stale_check_with_its_container_and_reason() {
    let log = Arc::new(snapshot::memory().unwrap());
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(Arc::clone(&log));
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let script = Script::new(&[Step::PassAfter(Duration::from_millis(500))]);
    let front = Check { container: Some("front".into()), ..check(Probe::Readiness, "a") };
    let mut rig = Rig::start(&[(front, &script)]);
    rig.tasks.spawn(Arc::clone(&rig.pod).announce());
    rig.at(5000).await;
    advance(Duration::from_secs(60)).await;
    rig.at(70_000).await;
    let mut text = String::new();
    (&*log).rewind().unwrap();
    (&*log).read_to_string(&mut text).unwrap();
    let line = |message: &str| {
        let line = text.lines().find(|line| line.contains(message)).unwrap_or_else(|| panic!("{text}"));
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        ["message", "probe", "check", "app_container", "reason"].map(|field| line[field].clone())
    };
    let reason = "no result for 55 s: the sidecar does not get to run its checks";
    let begins = format!("stale: {reason}");
    assert_eq!(line("\"stale: "), [begins.as_str(), "readiness", "a", "front", reason]);
    let ends = line("\"no longer stale: ");
    assert_eq!(ends[1..4], ["readiness", "a", "front"]);
}
