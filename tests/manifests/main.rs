//! What is under `k8s/` renders, is what the Kubernetes API takes, and keeps the promises of the README: Pod Security
//! Standard, resources, the wiring of the probes, and kubelet thresholds that outlast a restart of the sidecar.

mod render;
mod schema;
mod security;
mod sidecar;

use k8s_openapi::api::core::v1::{PodSpec, Probe};
use serde_json::Value;

use render::{render, repository};
use security::{against_baseline, against_restricted, containers};

const EXAMPLES: [&str; 5] =
    ["kubia-err400", "kubia-readiness", "multi-container", "plain-sidecar", "exec-in-app"];

/// The first object of a kind.
fn find<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

fn example(name: &str) -> Vec<Value> {
    render(&repository("k8s/examples").join(name))
}

fn pod_of(workload: &Value) -> PodSpec {
    serde_json::from_value(workload["spec"]["template"]["spec"].clone())
        .expect("a workload has a pod template")
}

fn pod_of_example(name: &str) -> PodSpec {
    let objects = example(name);
    let workload = objects
        .iter()
        .find(|object| object["spec"]["template"].is_object())
        .expect("an example has a workload");
    pod_of(workload)
}

#[test]
fn every_object_is_what_the_api_takes() {
    for name in EXAMPLES {
        for object in example(name) {
            assert_eq!(schema::faults(&object), [""; 0], "{name}: {}", object["kind"]);
        }
    }
}

#[test]
fn every_directory_of_examples_is_tested() {
    let mut found: Vec<_> = std::fs::read_dir(repository("k8s/examples"))
        .expect("there are examples")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    let mut known: Vec<_> = EXAMPLES.iter().map(std::ffi::OsString::from).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn every_example_is_restricted_and_only_exec_in_app_is_baseline() {
    for name in EXAMPLES {
        let spec = pod_of_example(name);
        if name == "exec-in-app" {
            assert_eq!(against_baseline(&spec), [""; 0], "{name}");
        } else {
            assert_eq!(against_restricted(&spec), [""; 0], "{name}");
        }
    }
}

#[test]
fn every_container_has_requests_and_limits() {
    for name in EXAMPLES {
        for container in containers(&pod_of_example(name)) {
            let resources = container.resources.clone().unwrap_or_default();
            for (kind, amounts) in [("requests", resources.requests), ("limits", resources.limits)] {
                for resource in ["cpu", "memory"] {
                    let set = amounts.iter().any(|map| map.contains_key(resource));
                    assert!(set, "{name}/{}: no {kind} of {resource}", container.name);
                }
            }
        }
    }
}

/// How long the kubelet may find nobody on the port when the sidecar dies twice in a row: it is started again within two
/// seconds the first time, and the second time 10 s after its end, noticed within a second and up within another.
const LONGEST_GAP_SECONDS: i32 = 2 + 12;

fn outlasts_two_crashes(probe: &Probe) -> bool {
    let failures = probe.failure_threshold.unwrap_or(3);
    (failures - 1) * probe.period_seconds.unwrap_or(10) > LONGEST_GAP_SECONDS
}

#[test]
fn two_crashes_of_the_sidecar_restart_no_app() {
    for name in EXAMPLES {
        for container in &pod_of_example(name).containers {
            if container.name != "health-proxy" {
                let probe = container.liveness_probe.as_ref();
                let probe = probe.expect("an app is probed for liveness");
                assert!(outlasts_two_crashes(probe), "{name}/{}", container.name);
            }
        }
    }
}

#[test]
fn every_kind_of_workload_gets_the_sidecar_and_its_probes() {
    let objects = render(&repository("tests/manifests/every-kind"));
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"] {
        let workload = find(&objects, kind).expect("the fixture has every kind");
        assert_eq!(schema::faults(workload), [""; 0], "{kind}");
        let spec = pod_of(workload);
        let first = spec.init_containers.iter().flatten().next();
        let sidecar = first.expect("an init container");
        assert_eq!(sidecar.name, "health-proxy", "{kind}: starts first");
        assert_eq!(sidecar.restart_policy.as_deref(), Some("Always"), "{kind}: native");
        let app = &spec.containers[0];
        for (probe, path) in [
            (&app.startup_probe, "/startupz"),
            (&app.liveness_probe, "/livez"),
            (&app.readiness_probe, "/readyz"),
        ] {
            let probe = probe.as_ref().expect("all three probes are set");
            assert!(probe.exec.is_none(), "{kind}: the app's own probe is replaced");
            let request = probe.http_get.as_ref().expect("an HTTP probe");
            assert_eq!(request.path.as_deref(), Some(path), "{kind}");
        }
        assert!(spec.containers[1].liveness_probe.is_none(), "{kind}: only the first container");
    }
}

#[test]
fn a_job_is_left_alone() {
    let objects = render(&repository("tests/manifests/every-kind"));
    let spec = pod_of(find(&objects, "Job").expect("the fixture has a Job"));
    assert!(spec.init_containers.is_none());
}

#[test]
fn the_config_map_of_the_checks_is_found_under_its_hashed_name() {
    for name in EXAMPLES {
        let objects = example(name);
        let map = find(&objects, "ConfigMap").expect("the checks");
        let workload = objects.iter().find(|object| object["spec"]["template"].is_object());
        let spec = pod_of(workload.expect("a workload"));
        let referred: Vec<_> = containers(&spec)
            .flat_map(|container| container.env_from.iter().flatten())
            .filter_map(|source| source.config_map_ref.as_ref())
            .map(|reference| reference.name.clone())
            .collect();
        assert_eq!(referred, [map["metadata"]["name"].as_str().expect("a name")], "{name}");
    }
}

#[test]
fn no_probe_depends_on_a_port_name_or_an_address_family() {
    for name in EXAMPLES {
        for container in containers(&pod_of_example(name)) {
            let value = serde_json::to_value(container).expect("a container is JSON");
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let port = &value[probe]["httpGet"]["port"];
                assert!(port.is_null() || port.is_u64(), "{name}: {probe} {port}");
            }
            let text = value.to_string();
            assert!(!text.contains("0.0.0.0") && !text.contains("127.0.0.1"));
        }
    }
}

#[test]
fn manifests_and_image_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    for name in EXAMPLES {
        for container in containers(&pod_of_example(name)) {
            let image = container.image.as_deref().expect("an image");
            let tag = image.split_once(':').map(|(_, tag)| tag);
            let tag = tag.and_then(|tag| tag.strip_suffix("-tools").or(Some(tag)));
            assert_eq!(tag, Some(version), "{name}: {image}");
        }
    }
    let dockerfile = std::fs::read_to_string(repository("Dockerfile")).expect("the Dockerfile");
    let versions: Vec<_> = dockerfile.lines().filter(|line| line.starts_with("ARG VERSION=")).collect();
    assert_eq!(versions, vec![format!("ARG VERSION={version}"); 2]);
}
