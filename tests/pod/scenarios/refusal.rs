//! A wrong configuration: the sidecar says all that is wrong and the app is never started.

use crate::manifest::Manifest;
use crate::pod::Pod;

#[test]
fn a_wrong_variable_keeps_the_app_from_starting() {
    let manifest = Manifest::example("kubia-err400").with_checks(&[
        ("LIVENESS_KUBIA", "http://:8080/"),
        ("LIVENESS_KUBIA_PERIOD", "5"),
        ("READINESS_KUBIA", "htp://:8080/"),
        ("HEALTH_PROXY_PORT", "9999"),
    ]);
    let pod = Pod::start("refusal", &manifest);
    pod.wait_for("the second attempt, after the back-off", 25, |pod| pod.restarts("health-proxy") == 2);
    assert_eq!(pod.status("kubia").attempts, 0, "the app is never started");
    let exit = pod.status("health-proxy").exit.expect("it has ended");
    assert_eq!(exit.code, 2);
    let first = pod.status("health-proxy").earlier.remove(0);
    let log = first.logs();
    for variable in ["LIVENESS_KUBIA_PERIOD", "READINESS_KUBIA", "HEALTH_PROXY_PORT"] {
        let line = log.lines().find(|line| line.contains(variable));
        assert!(line.is_some(), "{variable} is not named:\n{log}");
    }
    println!("what `kubectl logs` shows:\n{log}");
}
