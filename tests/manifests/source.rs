//! Every way in has the same sidecar and the same probes: those of `k8s/component/settings`.

use serde_json::Value;

use crate::render::{read, render, repository};
use crate::{EXAMPLES, example, pod_of_example, schema};

/// Returns the object that every way in is held against.
fn source() -> Value {
    let objects = read(&repository("k8s/component/settings/health-proxy.yaml"));
    objects.into_iter().next().expect("one object")
}

/// Returns the sidecar without what differs from pod to pod: its checks.
pub fn sidecar() -> Value {
    without_checks(source()["template"]["spec"]["initContainers"][0].clone())
}

/// Returns the sidecar's own volume.
pub fn volume() -> Value {
    source()["template"]["spec"]["volumes"][0].clone()
}

/// Returns one of the app's probes, asked for a container or for the whole pod.
pub fn probe(field: &str, container: Option<&str>) -> Value {
    let mut probe = source()["template"]["spec"]["containers"][0][field].clone();
    if let Some(container) = container {
        let path = probe["httpGet"]["path"].as_str().expect("a path").to_owned();
        let sign = if path.contains('?') { '&' } else { '?' };
        probe["httpGet"]["path"] = format!("{path}{sign}container={container}").into();
    }
    probe
}

/// Returns a sidecar without its checks.
pub fn without_checks(mut sidecar: Value) -> Value {
    let fields = sidecar.as_object_mut().expect("a container");
    fields.remove("env");
    fields.remove("envFrom");
    sidecar
}

fn pod(name: &str) -> Value {
    serde_json::to_value(pod_of_example(name)).expect("a pod is JSON")
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let list = list.as_array().expect("a list");
    list.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{name} is there"))
}

#[test]
#[ignore = "needs kubectl"]
fn the_source_is_what_the_api_takes_and_stays_out_of_the_cluster() {
    assert_eq!(schema::faults(&source()), [""; 0]);
    for name in EXAMPLES {
        assert!(example(name).iter().all(|object| object["kind"] != "PodTemplate"), "{name}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn the_examples_have_the_sidecar_of_the_source() {
    for name in ["deployment.yaml", "kubia-err400", "multi-container"] {
        let pod = pod(name);
        assert_eq!(
            without_checks(named(&pod["initContainers"], "health-proxy").clone()),
            sidecar(),
            "{name}"
        );
        assert_eq!(*named(&pod["volumes"], "health-proxy-no-token"), volume(), "{name}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_plain_sidecar_differs_in_what_makes_it_native() {
    let pod = pod("plain-sidecar");
    let plain = without_checks(named(&pod["containers"], "health-proxy").clone());
    let mut expected = sidecar();
    let fields = expected.as_object_mut().expect("a container");
    fields.remove("restartPolicy");
    expected["lifecycle"].as_object_mut().expect("hooks").remove("postStart");
    assert_eq!(plain, expected);
}

#[test]
#[ignore = "needs kubectl"]
fn the_examples_have_the_probes_of_the_source() {
    let wired = [
        ("deployment.yaml", "web", None),
        ("exec-in-app", "kubia", None),
        ("kubia-err400", "kubia", None),
        ("kubia-readiness", "kubia", None),
        ("plain-sidecar", "kubia", None),
        ("multi-container", "front", Some("front")),
        ("multi-container", "back", Some("back")),
    ];
    for (name, app, container) in wired {
        let pod = pod(name);
        let app = named(&pod["containers"], app);
        for field in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(app[field], probe(field, container), "{name}: {field}");
        }
    }
}

#[test]
#[ignore = "needs kubectl"]
fn the_sidecar_has_no_token_of_the_service_account() {
    let objects = render(&repository("tests/manifests/every-kind"));
    let pod = crate::pod_of(crate::find(&objects, "Pod").expect("a Pod"));
    assert_eq!(pod.automount_service_account_token, None, "the app keeps its own");
    let sidecar = &pod.init_containers.expect("the sidecar")[0];
    let mounts = sidecar.volume_mounts.as_ref().expect("mounts");
    assert_eq!(mounts[0].mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
}
