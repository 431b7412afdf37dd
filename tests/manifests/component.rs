//! What the component makes of each kind of object, and what its README promises for namespaces, ports and names.

use serde_json::Value;

use crate::render::{render, repository};
use crate::{pod_of, schema, source};

fn every_kind() -> Vec<Value> {
    render(&repository("tests/manifests/every-kind"))
}

fn two_workloads() -> Vec<Value> {
    render(&repository("tests/manifests/two-workloads"))
}

fn named<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["metadata"]["name"] == name;
    objects.iter().find(is_it).expect("the fixture has it")
}

#[test]
#[ignore = "needs kubectl"]
fn every_kind_gets_the_sidecar_first_and_the_probes_of_its_first_container() {
    let objects = every_kind();
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob"] {
        let object = named(&objects, &format!("wired-{}", kind.to_lowercase()));
        assert_eq!(object["kind"], kind);
        assert_eq!(schema::faults(object), [""; 0], "{kind}");
        let pod = serde_json::to_value(pod_of(object)).expect("a pod is JSON");
        let sidecar = pod["initContainers"][0].clone();
        assert_eq!(source::without_checks(sidecar), source::sidecar(), "{kind}");
        assert_eq!(pod["initContainers"][1]["name"], "migrate", "{kind}: the other ones stay");
        assert_eq!(pod["volumes"][0], source::volume(), "{kind}");
        for field in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert_eq!(pod["containers"][0][field], source::probe(field, None), "{kind}: {field}");
            assert!(pod["containers"][1][field].is_null(), "{kind}: only the first container");
        }
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_job_that_does_not_ask_and_a_workload_that_declines_are_left_alone() {
    let objects = every_kind();
    for name in ["silent-job", "silent-cron-job", "declining"] {
        let pod = pod_of(named(&objects, name));
        assert!(pod.init_containers.is_none() && pod.volumes.is_none(), "{name}");
        assert!(pod.containers[0].startup_probe.is_none(), "{name}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_namespace_in_the_manifest_and_checks_for_each_workload_are_found() {
    let objects = two_workloads();
    let maps: Vec<_> = objects.iter().filter(|object| object["kind"] == "ConfigMap").collect();
    for (workload, prefix) in [("front", "health-proxy-7"), ("back", "health-proxy-back-")] {
        let sidecar = &pod_of(named(&objects, workload)).init_containers.expect("a sidecar")[0];
        let reference = sidecar.env_from.as_ref().expect("checks")[0].config_map_ref.as_ref();
        let name = &reference.expect("a ConfigMap").name;
        let map = maps.iter().find(|map| map["metadata"]["name"] == name.as_str());
        assert!(name.starts_with(prefix), "{workload}: {name}");
        assert_eq!(map.expect("it is rendered")["metadata"]["namespace"], "shop", "{workload}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn another_port_is_said_once_and_all_that_asks_follows() {
    let objects = two_workloads();
    for name in ["front", "back"] {
        let pod = serde_json::to_value(pod_of(named(&objects, name))).expect("a pod is JSON");
        let sidecar = &pod["initContainers"][0];
        assert_eq!(sidecar["ports"][0]["containerPort"], 19809, "{name}");
        assert_eq!(sidecar["livenessProbe"]["httpGet"]["port"], 19809, "{name}");
        assert_eq!(sidecar["env"][0]["value"], "[::]:19809", "{name}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_container_is_wired_by_its_name_wherever_it_stands() {
    let pod = pod_of(named(&two_workloads(), "front"));
    for container in &pod.containers {
        let probes = [&container.startup_probe, &container.liveness_probe, &container.readiness_probe];
        let is_web = container.name == "web";
        for probe in probes {
            let port = probe.as_ref().and_then(|probe| probe.http_get.as_ref());
            assert_eq!(port.is_some(), is_web, "{}", container.name);
            assert!(probe.as_ref().is_none_or(|probe| probe.exec.is_none() && probe.tcp_socket.is_none()));
        }
    }
}
