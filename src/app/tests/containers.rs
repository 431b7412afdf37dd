//! Several containers in a pod: each has its own incarnations, its own startup and its own answers.

use super::rig::{Rig, Script, Step, check};
use crate::check::Check;
use crate::pod::Scope;
use crate::probe::Probe;

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
    assert!(format!("{finding:?}").starts_with("Failed(Startup("), "{finding:?}");
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
