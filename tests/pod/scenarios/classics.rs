//! The two classics of every Kubernetes course, exactly as shipped: the same behaviour as with native probes.

use crate::manifest::Manifest;
use crate::pod::Pod;

#[test]
fn kubia_err400_is_restarted_after_three_errors_in_a_row() {
    let pod = Pod::start("err400", &Manifest::example("kubia-err400"));
    pod.wait_for("ready after the initial delay", 35, Pod::ready);
    // Requests 7, 8 and 9 fail: the third error comes 80 s after the first request.
    pod.stays("no restart before the third error", 75, |pod| pod.restarts("kubia") == 0);
    pod.wait_for("a restart", 35, |pod| pod.restarts("kubia") == 1);
    let log = pod.container("health-proxy").logs();
    assert!(log.contains("HTTP probe failed with statuscode: 400"), "the log says why: {log}");
    pod.wait_for("ready again", 35, |pod| pod.is_ready_again("kubia", 1));
    pod.stays("the fresh app is left alone", 20, |pod| pod.ready() && pod.restarts("kubia") == 1);
    assert_eq!(pod.restarts("health-proxy"), 0);
}

#[test]
fn only_the_pod_that_has_its_file_joins_the_endpoints() {
    let manifest = Manifest::example("kubia-readiness");
    let pods: Vec<_> =
        (0..manifest.replicas).map(|number| Pod::start(&format!("readiness-{number}"), &manifest)).collect();
    let endpoints = || pods.iter().map(Pod::ready).collect::<Vec<_>>();
    for pod in &pods {
        pod.wait_for("the app runs", 20, |pod| pod.status("kubia").attempts == 1);
    }
    let file = "/var/kubia/ready";
    pods[0].stays("nobody is ready without a file", 5, |_| endpoints() == [false; 3]);
    let (_, answer) = pods[0].ask("/readyz").expect("the sidecar answers");
    assert!(answer.contains(&format!("ls: {file}: No such file or directory")), "{answer}");

    pods[1].exec("kubia", &["touch", file]);
    pods[1].wait_for("ready within a period", 30, Pod::ready);
    assert_eq!(endpoints(), [false, true, false]);

    pods[1].exec("kubia", &["rm", file]);
    pods[1].wait_for("out again after three failures", 40, |pod| !pod.ready());
    assert!(pods.iter().all(|pod| pod.restarts("kubia") == 0));
}
