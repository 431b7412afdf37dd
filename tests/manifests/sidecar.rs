//! The variables of the examples, given to the program itself: it takes them all, and refuses a wrong one.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

use crate::security::containers;
use crate::{EXAMPLES, example, find, pod_of_example};

fn check_with(variables: impl IntoIterator<Item = (String, String)>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_health-proxy"))
        .arg("check")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables)
        .output()
        .expect("the program runs")
}

/// Returns the checks of an example: those of its `ConfigMap` and those that stand in the sidecar itself.
fn variables_of(name: &str) -> Vec<(String, String)> {
    let objects = example(name);
    let map = find(&objects, "ConfigMap").map_or(Value::Null, |map| map["data"].clone());
    let map: Option<BTreeMap<String, String>> = serde_json::from_value(map).expect("variables are text");
    let spec = pod_of_example(name);
    let sidecar = containers(&spec).find(|container| container.name == "health-proxy").expect("a sidecar");
    let own = sidecar
        .env
        .iter()
        .flatten()
        .map(|variable| (variable.name.clone(), variable.value.clone().expect("only plain values")));
    map.into_iter().flatten().chain(own).collect()
}

#[test]
#[ignore = "needs kubectl"]
fn the_variables_of_the_examples_are_accepted() {
    for name in EXAMPLES {
        let output = check_with(variables_of(name));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(2), "{name}: {errors}");
    }
}

#[test]
#[ignore = "needs kubectl"]
fn a_wrong_variable_in_the_config_map_is_refused_by_name() {
    let wrong = ("LIVENESS_KUBIA_PERIOD".to_owned(), "5".to_owned());
    let output = check_with(variables_of("kubia-err400").into_iter().chain([wrong]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("LIVENESS_KUBIA_PERIOD"), "{errors}");
}
