//! A check that runs in the app's container: no tool in the sidecar's image, no change to the app's.

use crate::manifest::Manifest;
use crate::pod::Pod;

#[test]
fn a_command_runs_in_the_container_of_the_app() {
    let pod = Pod::start("exec-in-app", &Manifest::example("exec-in-app"));
    pod.wait_for("the app runs", 20, |pod| pod.status("kubia").attempts == 1);
    let file = "/var/kubia/ready";
    pod.stays("not ready without the file", 5, |pod| !pod.ready());
    // The check's first run comes before there is an app.
    let reason = format!("ls: {file}: No such file or directory");
    pod.wait_for("the command's own words", 30, |pod| {
        pod.ask("/readyz").is_ok_and(|(_, answer)| answer.contains(&reason))
    });

    pod.exec("kubia", &["touch", file]);
    pod.wait_for("ready within a period", 30, Pod::ready);
    pod.kill("kubia");
    pod.wait_for("the kubelet starts it again", 10, |pod| pod.restarts("kubia") == 1);
    pod.wait_for("ready again, in the new container", 30, Pod::ready);
    assert_eq!(pod.restarts("kubia"), 1);
    assert_eq!(pod.restarts("health-proxy"), 0);
}
