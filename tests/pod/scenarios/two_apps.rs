//! Two apps in one pod, one of them sick: the other one is not restarted with it.

use crate::manifest::Manifest;
use crate::pod::Pod;

#[test]
fn only_the_sick_one_of_two_apps_is_restarted() {
    let manifest = Manifest::example("multi-container").with_checks(&[
        ("LIVENESS_PERIOD_SECONDS", "1"),
        ("LIVENESS_FRONT", "http://:8080/"),
        ("LIVENESS_BACK", "http://:8081/"),
        ("READINESS_PERIOD_SECONDS", "1"),
        ("READINESS_FRONT", "http://:8080/"),
        ("READINESS_BACK", "http://:8081/"),
    ]);
    let pod = Pod::start("two-apps", &manifest);
    pod.wait_for("the pod is ready", 30, Pod::ready);
    pod.container("back").signal("USR1");
    pod.wait_for("the sick one is restarted", 30, |pod| pod.restarts("back") == 1);
    pod.wait_for("the pod is ready again", 30, Pod::ready);
    pod.stays("nobody else is", 25, |pod| pod.restarts("back") == 1 && pod.restarts("front") == 0);
    assert!(pod.ready(), "{}", pod.story());
    let (status, answer) = pod.ask("/livez/front").expect("the sidecar answers");
    assert_eq!((status, answer.as_str()), (200, "ok"));
}
