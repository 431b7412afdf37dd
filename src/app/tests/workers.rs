//! The knowledge of a worker outlives it: no answer changes because a worker died.

use std::time::Duration;

use super::rig::{Rig, Script, Step, check, thresholds, timed};
use crate::check::{Check, Timing};
use crate::pod::Scope;
use crate::probe::Probe;

#[tokio::test(start_paused = true)]
async fn the_next_worker_answers_as_the_one_before() {
    let live = Script::witnessed(&[Step::Pass, Step::Fail, Step::Fail, Step::Fail, Step::Pass]);
    let (ready, startup) = (Script::witnessed(&[Step::Pass]), Script::witnessed(&[Step::Pass]));
    live.listen(1);
    ready.listen(1);
    startup.listen(1);
    let delayed = Timing { initial_delay: Duration::from_secs(8), ..Timing::default() };
    let hold = Duration::from_secs(60);
    let mut rig = Rig::start(&[
        (Check { hold, ..check(Probe::Liveness, "l") }, &live),
        (timed(Probe::Readiness, delayed), &ready),
        (check(Probe::Startup, "s"), &startup),
    ]);
    for second in 0..90 {
        rig.at(second * 1000).await;
        if second == 5 {
            assert!(rig.kubelet(Probe::Startup));
        }
        let before = Probe::ALL.map(|probe| (rig.pod.passes(probe, Scope::Pod), rig.reasons(probe)));
        rig = rig.replaced().await;
        let after = Probe::ALL.map(|probe| (rig.pod.passes(probe, Scope::Pod), rig.reasons(probe)));
        assert_eq!(after, before, "at {second} s");
        assert_eq!(rig.incarnation(), 1);
    }
    assert_eq!(live.began(rig.zero), [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000, 80_000]);
    assert_eq!(startup.began(rig.zero), [0], "it rests");
    assert!(rig.kubelet(Probe::Startup), "the kubelet was told already");
    assert_eq!(rig.incarnation(), 1);
}

/// Returns a timing that wants three successes, a second apart, before a check is healthy again.
fn hasty_while_unhealthy() -> Timing {
    Timing {
        unhealthy_period: Some(Duration::from_secs(1)),
        thresholds: thresholds(3, 1),
        ..Timing::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_period_goes_on_until_the_check_is_healthy_again() {
    let script = Script::new(&[Step::Fail, Step::Pass]);
    let rig = Rig::start(&[(timed(Probe::Readiness, hasty_while_unhealthy()), &script)]);
    rig.at(1000).await;
    let rig = rig.replaced().await;
    rig.at(2000).await;
    let rig = rig.replaced().await;
    rig.at(25_000).await;
    assert_eq!(script.began(rig.zero), [0, 1000, 2000, 3000, 13_000, 23_000]);
}

/// A worker that comes late goes on with the ticks of the period that applied.
#[tokio::test(start_paused = true)]
async fn a_late_worker_goes_on_at_the_unhealthy_period() {
    let script = Script::new(&[Step::Fail, Step::Pass]);
    let mut rig = Rig::start(&[(timed(Probe::Readiness, hasty_while_unhealthy()), &script)]);
    rig.at(1000).await;
    rig.tasks.shutdown().await;
    rig.at(4500).await;
    let rig = rig.replaced().await;
    rig.at(6500).await;
    assert_eq!(script.began(rig.zero), [0, 1000, 5000, 6000]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on() {
    let ready = Script::new(&[Step::Pass]);
    let rig = Rig::start(&[(check(Probe::Readiness, "r"), &ready)]);
    rig.at(1).await;
    rig.pod.drain();
    let reasons = rig.reasons(Probe::Readiness);
    let rig = rig.replaced().await;
    assert_eq!(rig.reasons(Probe::Readiness), reasons);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_restarted_while_no_worker_lived_is_a_different_one() {
    let live = Script::witnessed(&[Step::Pass]);
    live.listen(1);
    let rig = Rig::start(&[(check(Probe::Liveness, "l"), &live), (check(Probe::Readiness, "r"), &live)]);
    rig.at(1).await;
    assert!(rig.kubelet(Probe::Startup) && rig.kubelet(Probe::Readiness));
    live.listen(2);
    let rig = rig.replaced().await;
    assert!(!rig.kubelet(Probe::Readiness));
    rig.kubelet(Probe::Startup);
    assert_eq!(rig.incarnation(), 2);
}
