//! Holds rendered objects against the Kubernetes API types: what does not survive the way through the type is no
//! field of it. The API server drops such a field with a warning at best, which is how misspellings get lost.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodTemplate, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Returns everything in an object that the API would refuse or drop, each with its path.
pub fn faults(object: &Value) -> Vec<String> {
    match (object["apiVersion"].as_str(), object["kind"].as_str()) {
        (Some("v1"), Some("ConfigMap")) => through::<ConfigMap>(object),
        (Some("v1"), Some("Service")) => through::<Service>(object),
        (Some("v1"), Some("Pod")) => through::<Pod>(object),
        (Some("v1"), Some("PodTemplate")) => through::<PodTemplate>(object),
        (Some("apps/v1"), Some("Deployment")) => through::<Deployment>(object),
        (Some("apps/v1"), Some("ReplicaSet")) => through::<ReplicaSet>(object),
        (Some("apps/v1"), Some("StatefulSet")) => through::<StatefulSet>(object),
        (Some("apps/v1"), Some("DaemonSet")) => through::<DaemonSet>(object),
        (Some("batch/v1"), Some("Job")) => through::<Job>(object),
        (Some("batch/v1"), Some("CronJob")) => through::<CronJob>(object),
        (version, kind) => vec![format!("no schema here for {kind:?} of {version:?}")],
    }
}

/// Returns what the API would refuse or drop in an object of a type.
pub fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Vec<String> {
    let typed: T = match serde_json::from_value(object.clone()) {
        Ok(typed) => typed,
        Err(error) => return vec![error.to_string()],
    };
    let back = serde_json::to_value(typed).expect("an API type is JSON");
    let mut faults = Vec::new();
    compare("", object, &back, &mut faults);
    faults
}

fn compare(path: &str, written: &Value, understood: &Value, faults: &mut Vec<String>) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, value) in written {
                match understood.get(key) {
                    Some(other) => compare(&format!("{path}.{key}"), value, other, faults),
                    None => faults.push(format!("unknown field {path}.{key}")),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (index, (value, other)) in written.iter().zip(understood).enumerate() {
                compare(&format!("{path}[{index}]"), value, other, faults);
            }
        }
        _ if written != understood => {
            faults.push(format!("{path}: {written} is read as {understood}"));
        }
        _ => {}
    }
}

#[test]
fn a_misspelt_field_is_a_fault() {
    let object = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {}, "template": {"spec": {"containers": [
            {"name": "web", "livenessProbe": {"periodSecond": 3, "httpGet": {"port": 80}}}
        ]}}}
    });
    assert_eq!(
        faults(&object),
        ["unknown field .spec.template.spec.containers[0].livenessProbe.periodSecond"]
    );
}

#[test]
fn a_number_for_a_text_is_a_fault() {
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"PERIOD": 5}
    });
    assert_eq!(faults(&object).len(), 1);
}
