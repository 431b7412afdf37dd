//! What is under `k8s/` renders, is what the Kubernetes API takes, and keeps the promises of the README: Pod Security
//! Standard, resources, the wiring of the probes, and kubelet thresholds that outlast a restart of the sidecar.

mod component;
mod helm;
mod injection;
mod render;
mod schema;
mod security;
mod sidecar;
mod source;

use k8s_openapi::api::core::v1::{PodSpec, Probe};
use serde_json::Value;

use render::{read, render, repository};
use security::{against_baseline, against_restricted, containers};

/// All but `deployment.yaml` are directories with a kustomization.
const EXAMPLES: [&str; 6] =
    ["deployment.yaml", "exec-in-app", "kubia-err400", "kubia-readiness", "multi-container", "plain-sidecar"];

/// Returns the first object of a kind.
fn find<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

fn example(name: &str) -> Vec<Value> {
    let path = repository("k8s/examples").join(name);
    if path.is_dir() { render(&path) } else { read(&path) }
}

/// Returns the pod of a workload, a job or a pod.
fn pod_of(object: &Value) -> PodSpec {
    let pod = match object["kind"].as_str() {
        Some("Pod") => &object["spec"],
        Some("CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        _ => &object["spec"]["template"]["spec"],
    };
    serde_json::from_value(pod.clone()).expect("it has a pod")
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
#[ignore = "needs kubectl"]
fn every_object_is_what_the_api_takes() {
    for name in EXAMPLES {
        for object in example(name) {
            assert_eq!(schema::faults(&object), [""; 0], "{name}: {}", object["kind"]);
        }
    }
}

#[test]
fn every_example_is_tested() {
    let mut found: Vec<_> = std::fs::read_dir(repository("k8s/examples"))
        .expect("there are examples")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    let mut known: Vec<_> = EXAMPLES.iter().map(std::ffi::OsString::from).collect();
    // A chart, which has its own tests.
    known.push("helm".into());
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[test]
#[ignore = "needs kubectl"]
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
#[ignore = "needs kubectl"]
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

/// The time for which the kubelet may find nobody on the port when the sidecar dies twice in a row: it is started again
/// within two seconds the first time, and the second time 10 s after its end, noticed within a second and up within
/// another.
const MAX_GAP_SECONDS: i32 = 2 + 12;

fn outlasts_two_crashes(probe: &Probe) -> bool {
    let failures = probe.failure_threshold.unwrap_or(3);
    (failures - 1) * probe.period_seconds.unwrap_or(10) > MAX_GAP_SECONDS
}

#[test]
#[ignore = "needs kubectl"]
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
#[ignore = "needs kubectl"]
fn the_config_map_of_the_checks_is_found_under_its_hashed_name() {
    for name in EXAMPLES.into_iter().filter(|name| *name != "deployment.yaml") {
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
#[ignore = "needs kubectl"]
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
#[ignore = "needs kubectl"]
fn manifests_and_image_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    for name in EXAMPLES {
        for container in containers(&pod_of_example(name)) {
            let image = container.image.as_deref().expect("an image");
            if image.starts_with("registry.example/") {
                continue;
            }
            let tag = image.split_once(':').map(|(_, tag)| tag);
            let tag = tag.and_then(|tag| tag.strip_suffix("-tools").or(Some(tag)));
            assert_eq!(tag, Some(version), "{name}: {image}");
        }
    }
    let dockerfile = std::fs::read_to_string(repository("Dockerfile")).expect("the Dockerfile");
    let versions: Vec<_> = dockerfile.lines().filter(|line| line.starts_with("ARG VERSION=")).collect();
    assert_eq!(versions, vec![format!("ARG VERSION={version}"); 2]);
}
