//! The effect of a witness and of the kubelet's questions on checks: early runs, holding, vouching, new incarnations.

use std::time::Duration;

use super::rig::{Rig, Script, Step, check, thresholds, timed};
use crate::check::{Check, Timing};
use crate::probe::Probe;

fn after(seconds: u64) -> Timing {
    Timing { initial_delay: Duration::from_secs(seconds), ..Timing::default() }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_ready_within_a_quarter_of_a_second_of_its_app() {
    let (live, ready) = (Script::witnessed(&[Step::Pass]), Script::witnessed(&[Step::Pass]));
    let rig = Rig::start(&[
        (timed(Probe::Liveness, after(15)), &live),
        (Check { timing: after(20), ..check(Probe::Readiness, "r") }, &ready),
    ]);
    rig.at(3_000).await;
    assert_eq!(rig.passes(), [true, false, false]);
    live.listen(1);
    ready.listen(1);
    rig.at(3_251).await;
    assert_eq!(rig.passes(), [true, true, true]);
    rig.at(40_000).await;
    assert_eq!(live.began(rig.zero)[1..], [15_000, 25_000, 35_000], "the schedule is as it was");
    assert_eq!(ready.began(rig.zero)[1..], [20_000, 30_000, 40_000]);
}

#[tokio::test(start_paused = true)]
async fn an_early_run_can_only_help() {
    let ready = Script::witnessed(&[Step::Fail, Step::Fail, Step::Pass]);
    let timing = Timing { thresholds: thresholds(1, 2), ..after(5) };
    let rig = Rig::start(&[(timed(Probe::Readiness, timing), &ready)]);
    ready.listen(1);
    rig.at(4_000).await;
    assert_eq!(ready.began(rig.zero).len(), 1, "once for each socket");
    assert_eq!(rig.reasons(Probe::Readiness), "a: no result yet", "its failure is not counted");
    ready.listen(2);
    rig.at(4_300).await;
    assert_eq!(ready.began(rig.zero).len(), 2);
    rig.at(5_000).await;
    assert!(rig.passes()[1]);
}

#[tokio::test(start_paused = true)]
async fn a_liveness_that_turned_red_before_its_app_was_there_is_green_with_it() {
    let live = Script::witnessed(&[Step::Pass]);
    let hold = Duration::from_secs(30);
    let rig = Rig::start(&[(Check { hold, ..check(Probe::Liveness, "l") }, &live)]);
    rig.at(39_000).await;
    assert!(!rig.passes()[0]);
    live.listen(1);
    rig.at(39_251).await;
    assert!(rig.passes()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_liveness_failure_holds_for_its_time_or_until_the_next_incarnation() {
    let steps = [Step::Pass, Step::Fail, Step::Fail, Step::Fail, Step::Pass];
    let (held, next) = (Script::witnessed(&steps), Script::witnessed(&steps));
    for script in [&held, &next] {
        script.listen(1);
    }
    let check = Check { hold: Duration::from_secs(30), ..check(Probe::Liveness, "l") };
    let rig = Rig::start(&[(check.clone(), &held)]);
    rig.at(30_000).await;
    assert!(!rig.passes()[0]);
    rig.at(59_990).await;
    assert!(rig.reasons(Probe::Liveness).ends_with("it passes again, and the failure stands for 1 s more"));
    rig.at(60_001).await;
    assert!(rig.passes()[0]);

    let rig = Rig::start(&[(check, &next)]);
    rig.at(0).await;
    assert!(rig.kubelet(Probe::Startup));
    rig.at(41_000).await;
    assert!(!rig.kubelet(Probe::Liveness));
    next.listen(2);
    assert!(rig.kubelet(Probe::Startup), "the witness of the new container is there");
    assert_eq!(rig.incarnation(), 2);
    assert!(rig.kubelet(Probe::Liveness));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_vouched_for_who_is_not_there() {
    let ready = Script::witnessed(&[Step::Pass]);
    ready.listen(1);
    let rig = Rig::start(&[(check(Probe::Readiness, "r"), &ready)]);
    rig.at(0).await;
    assert!(rig.kubelet(Probe::Startup) && rig.kubelet(Probe::Readiness));
    rig.at(5_000).await;
    ready.close();
    assert!(!rig.kubelet(Probe::Readiness), "at that moment, and not a period later");
    assert_eq!(rig.reasons(Probe::Readiness), "r: the socket or process that passed last is gone");
    rig.at(6_000).await;
    ready.listen(2);
    assert!(!rig.kubelet(Probe::Readiness));
    rig.at(6_251).await;
    assert!(rig.kubelet(Probe::Readiness), "it was checked at once");
    assert_eq!(rig.incarnation(), 1, "an app may open its port anew");
    rig.at(7_000).await;
    ready.listen(3);
    assert!(!rig.kubelet(Probe::Readiness));
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_kubelet_changes_nothing_for_the_same_witnesses() {
    let live = Script::witnessed(&[Step::Pass]);
    live.listen(1);
    let rig =
        Rig::start(&[(timed(Probe::Liveness, after(60)), &live), (check(Probe::Readiness, "r"), &live)]);
    rig.at(0).await;
    assert!(rig.kubelet(Probe::Startup));
    for second in 1..30 {
        rig.at(second * 1000).await;
        assert!(rig.kubelet(Probe::Startup));
        assert_eq!(rig.passes(), [true, true, true]);
    }
    assert_eq!(rig.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_respawn_inside_a_container_whose_startup_is_asked_for_begins_nothing() {
    let live = Script::witnessed(&[Step::Pass, Step::Fail]);
    live.listen(1);
    let rig = Rig::start(&[(check(Probe::Liveness, "l"), &live)]);
    rig.at(0).await;
    assert!(rig.kubelet(Probe::Startup));
    for respawn in 2..12 {
        rig.at(respawn * 4000).await;
        live.listen(respawn);
    }
    rig.at(50_000).await;
    assert_eq!(rig.incarnation(), 1);
    assert!(!rig.kubelet(Probe::Liveness), "it is the kubelet's to restart");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_asks_for_the_startup_a_crash_is_forgotten_with_the_socket() {
    let live = Script::witnessed(&[Step::Pass]);
    live.listen(1);
    let check = Check { hold: Duration::from_secs(30), ..timed(Probe::Liveness, after(15)) };
    let rig = Rig::start(&[(check, &live)]);
    for second in (0..20).step_by(5) {
        rig.at(second * 1000).await;
        rig.kubelet(Probe::Liveness);
    }
    live.close();
    rig.at(25_000).await;
    assert_eq!(rig.incarnation(), 2, "the run of 20 s found nobody");
    // In its back-off nobody asks; what the runs show meanwhile is not held against the next container.
    rig.at(58_000).await;
    assert!(!rig.passes()[0]);
    assert!(rig.kubelet(Probe::Liveness), "the kubelet asks again: there is a new container");
    assert_eq!(rig.incarnation(), 3);
    for second in (63..93).step_by(5) {
        rig.at(second * 1000).await;
        assert!(rig.kubelet(Probe::Liveness), "its initial delay is given again ({second} s)");
    }
    live.listen(2);
    rig.at(93_000).await;
    assert!(rig.kubelet(Probe::Liveness));
}

#[tokio::test(start_paused = true)]
async fn a_start_is_the_startup_probes_to_judge() {
    let (startup, live) = (Script::new(&[Step::Fail]), Script::witnessed(&[Step::Fail]));
    let optional = Check { required: false, ..check(Probe::Startup, "s") };
    let rig = Rig::start(&[(optional, &startup), (check(Probe::Liveness, "l"), &live)]);
    rig.at(1).await;
    assert!(!rig.kubelet(Probe::Startup), "nothing listens");
    rig.at(60_000).await;
    assert!(rig.kubelet(Probe::Liveness), "a restarted kubelet takes a booting container for started");
    live.listen(1);
    assert!(rig.kubelet(Probe::Startup));
    rig.at(100_000).await;
    assert!(!rig.kubelet(Probe::Liveness), "it has started, and fails");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_starts_beside_a_running_app_runs_no_initial_delay() {
    let live = Script::witnessed(&[Step::Fail]);
    live.listen(1);
    let rig = Rig::start(&[(timed(Probe::Liveness, after(3600)), &live)]);
    rig.at(20_000).await;
    assert!(!rig.passes()[0]);
}

#[tokio::test(start_paused = true)]
async fn image_pulls_and_other_init_containers_are_nobodys_initial_delay() {
    let live = Script::witnessed(&[Step::Fail]);
    let rig = Rig::start(&[(timed(Probe::Liveness, after(15)), &live)]);
    rig.at(60_000).await;
    assert!(!rig.kubelet(Probe::Startup));
    assert!(rig.passes()[0]);
    rig.at(74_000).await;
    live.listen(1);
    assert!(rig.kubelet(Probe::Startup));
    assert!(rig.kubelet(Probe::Liveness));
    assert_eq!(rig.incarnation(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_answers_is_no_sign_of_an_app_that_could_be_seen() {
    let (live, database) = (Script::witnessed(&[Step::Pass]), Script::new(&[Step::Pass]));
    let timing = Timing { initial_delay: Duration::from_secs(50), ..Timing::default() };
    let rig =
        Rig::start(&[(timed(Probe::Liveness, timing), &live), (check(Probe::Readiness, "db"), &database)]);
    rig.at(40_000).await;
    assert!(
        !rig.kubelet(Probe::Startup),
        "nothing listens yet; this is the first question, 40 s after the sidecar"
    );
    rig.at(60_000).await;
    assert!(live.began(rig.zero).is_empty());
    assert!(!rig.kubelet(Probe::Startup));
    rig.at(125_000).await;
    assert!(rig.kubelet(Probe::Liveness), "it fails, and the startupProbe is to judge the start");
    live.listen(1);
    rig.at(125_300).await;
    assert!(rig.kubelet(Probe::Startup));
}

#[tokio::test(start_paused = true)]
async fn what_readiness_has_missed_is_known_to_the_log_and_the_metrics() {
    let ready = Script::witnessed(&[Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Readiness, "r"), &ready)]);
    ready.listen(1);
    rig.at(1_000).await;
    assert!(rig.kubelet(Probe::Readiness));
    let mut changes = rig.pod.changes();
    changes.mark_unchanged();
    ready.close();
    assert!(!rig.kubelet(Probe::Readiness));
    assert!(changes.has_changed().unwrap(), "the log is told");
    assert!(!rig.pod.passes_as_known(Probe::Readiness, crate::pod::Scope::Pod));
    ready.listen(1);
    rig.at(2_000).await;
    assert!(rig.pod.passes_as_known(Probe::Readiness, crate::pod::Scope::Pod));
}
