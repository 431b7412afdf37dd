//! The manifests in the pages are what the Kubernetes API takes: whole objects, patches, and parts of a container.

use k8s_openapi::api::core::v1::{Container, EnvVar, PodTemplateSpec};
use serde_json::Value;

use crate::schema::{faults, through};
use crate::{blocks, pages};

/// The fields by which a file of kustomize or Helm is known: other tests render what these say.
const OF_TOOLS: [&str; 4] = ["components", "configMapGenerator", "dependencies", "health-proxy"];

/// Returns a patch as it is merged, without kustomize's own words.
fn without_directives(patch: &mut Value) {
    match patch {
        Value::Object(map) => {
            map.retain(|name, _| !name.starts_with('$'));
            map.values_mut().for_each(without_directives);
        }
        Value::Array(list) => list.iter_mut().for_each(without_directives),
        _ => {}
    }
}

/// Returns what is wrong with an object, a part of a pod's template or of a container, or a list of variables.
fn faults_of(manifest: &Value) -> Vec<String> {
    let has = |field: &str| manifest.get(field).is_some();
    let patches = manifest["patches"].as_array().into_iter().flatten();
    let patches: Vec<_> = patches.filter_map(|patch| patch["patch"].as_str()).collect();
    if let Some(variables) = manifest.as_array() {
        variables.iter().flat_map(through::<EnvVar>).collect()
    } else if !patches.is_empty() {
        patches.into_iter().flat_map(faults_of_patch).collect()
    } else if OF_TOOLS.iter().any(|field| has(field)) {
        Vec::new()
    } else if has("kind") {
        faults(manifest)
    } else if has("metadata") {
        through::<PodTemplateSpec>(manifest)
    } else {
        let mut container = manifest.clone();
        container["name"] = "health-proxy".into();
        through::<Container>(&container)
    }
}

fn faults_of_patch(text: &str) -> Vec<String> {
    let mut patch: Value = serde_saphyr::from_str(text).expect("YAML");
    let Some(operations) = patch.as_array() else {
        without_directives(&mut patch);
        return faults(&patch);
    };
    let is_operation = |one: &&Value| {
        one["op"].is_string() && one["path"].as_str().is_some_and(|path| path.starts_with('/'))
    };
    operations.iter().filter(|one| !is_operation(one)).map(|one| format!("no operation: {one}")).collect()
}

#[test]
fn every_manifest_in_a_page_is_what_the_api_takes() {
    let mut looked_at = 0;
    for (path, text) in pages() {
        for block in blocks(&text, "yaml").into_iter().filter(|block| !block.contains("{{-")) {
            let manifests: Vec<Value> = serde_saphyr::from_multiple(block).expect("YAML");
            for manifest in &manifests {
                assert_eq!(faults_of(manifest), [""; 0], "{path}: {block}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 30, "{looked_at} manifests");
}
