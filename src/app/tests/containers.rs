//! Several containers in a pod, each with its own incarnations, startup and answers; and groups of checks.

use super::rig::{Rig, Script, Step, check, thresholds};
use crate::check::{Check, Timing};
use crate::pod::Scope;
use crate::probe::Probe;
use crate::verdict::Finding;

fn of(container: &str, probe: Probe) -> Check {
    Check { container: Some(container.into()), ..check(probe, container) }
}

#[tokio::test(start_paused = true)]
async fn each_waits_for_its_own_startup() {
    let (never, at_once) = (Script::new(&[Step::Fail]), Script::new(&[Step::Pass]));
    let rig = Rig::start(&[
        (of("back", Probe::Startup), &at_once),
        (of("back", Probe::Liveness), &at_once),
        (of("back", Probe::Readiness), &at_once),
        (of("front", Probe::Startup), &never),
        (of("front", Probe::Liveness), &at_once),
        (of("front", Probe::Readiness), &at_once),
    ]);
    rig.at(25_000).await;
    let answers = |container| Probe::ALL.map(|probe| rig.of(container, probe));
    assert_eq!(answers("back"), [true, true, true]);
    assert_eq!(answers("front"), [false, false, false], "its startup check has used up its failures");
    assert_eq!(rig.passes(), [false, false, false], "the pod is both");
    let front = rig.pod.entry(Probe::Liveness, "front").unwrap();
    let finding = rig.pod.finding(Probe::Liveness, front);
    assert!(format!("{finding:?}").starts_with("Failed(Several("), "{finding:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_one_is_none_of_the_other() {
    let (front, back) = (Script::witnessed(&[Step::Pass]), Script::witnessed(&[Step::Pass]));
    front.listen(1);
    back.listen(2);
    let rig = Rig::start(&[
        (of("back", Probe::Liveness), &back),
        (of("back", Probe::Readiness), &back),
        (of("front", Probe::Liveness), &front),
        (of("front", Probe::Readiness), &front),
    ]);
    let scope = |name| rig.pod.scope_of(name).unwrap();
    rig.at(0).await;
    for name in ["front", "back"] {
        assert!(rig.kubelet_of(scope(name), Probe::Startup));
    }
    front.close();
    assert!(!rig.kubelet_of(scope("front"), Probe::Readiness));
    assert!(!rig.kubelet_of(scope("front"), Probe::Startup));
    assert!(rig.kubelet_of(scope("back"), Probe::Startup) && rig.kubelet_of(scope("back"), Probe::Readiness));
    let numbers: Vec<_> = rig.pod.containers().map(|container| container.incarnation().number).collect();
    assert_eq!(numbers, [1, 2], "back, front");
    assert_eq!(rig.pod.scope_of("nope"), None);
}

#[tokio::test(start_paused = true)]
async fn a_check_about_the_pod_belongs_to_every_container() {
    let (fails, passes) = (Script::new(&[Step::Fail]), Script::new(&[Step::Pass]));
    let rig = Rig::start(&[
        (check(Probe::Readiness, "db"), &fails),
        (of("front", Probe::Readiness), &passes),
        (of("back", Probe::Readiness), &passes),
    ]);
    rig.at(1).await;
    assert!(!rig.of("front", Probe::Readiness) && !rig.of("back", Probe::Readiness));
    let verdict = rig.pod.verdict(Probe::Readiness, rig.pod.scope_of("back").unwrap(), &[]);
    let names: Vec<_> = verdict.findings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["back", "db"]);
    assert_eq!(rig.pod.verdict(Probe::Readiness, Scope::Pod, &[]).findings.len(), 3);
}

fn any_of(group: &str, check: Check) -> Check {
    Check { any_of: Some(group.into()), ..check }
}

#[tokio::test(start_paused = true)]
async fn of_a_group_one_check_has_to_pass() {
    let (fails, turns) = (Script::new(&[Step::Fail]), Script::new(&[Step::Pass, Step::Fail]));
    let timing = Timing { thresholds: thresholds(1, 1), ..Timing::default() };
    let member = |name: &str| any_of("db", Check { timing, ..check(Probe::Readiness, name) });
    let rig = Rig::start(&[(member("primary"), &fails), (member("replica"), &turns)]);
    rig.at(1).await;
    assert!(rig.passes()[1]);
    let verdict = |excluded: &[String]| rig.pod.verdict(Probe::Readiness, Scope::Pod, excluded);
    let finding = Finding::AnyOf { passing: vec!["replica".to_owned()], count: 2 };
    assert_eq!(verdict(&[]).findings, [("db".to_owned(), finding)]);
    rig.at(10_001).await;
    assert!(!rig.passes()[1]);
    assert_eq!(rig.reasons(Probe::Readiness), "db: primary: scripted; replica: scripted");
    assert!(verdict(&["db".to_owned()]).passes());
}

#[tokio::test(start_paused = true)]
async fn a_group_of_startup_checks_opens_with_its_first() {
    let (never, later) = (Script::new(&[Step::Fail]), Script::new(&[Step::Fail, Step::Pass]));
    let ready = Script::new(&[Step::Pass]);
    let rig = Rig::start(&[
        (any_of("start", check(Probe::Startup, "a")), &never),
        (any_of("start", check(Probe::Startup, "b")), &later),
        (check(Probe::Readiness, "r"), &ready),
    ]);
    rig.at(9_999).await;
    assert_eq!(rig.passes(), [true, false, false]);
    rig.at(30_000).await;
    assert_eq!(rig.passes(), [true, true, true], "one that is exhausted does not matter");
    assert_eq!(ready.began(rig.zero)[0], 10_000);
}
