//! The admission policy of `k8s/injection` as an object; what it does to pods is in `tests/plugin/policy.rs`.

use k8s_openapi::api::admissionregistration::{v1, v1beta1};
use serde_json::{Value, json};

use crate::render::{render, repository};
use crate::schema::through;

fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

#[test]
fn the_api_takes_the_policy_and_its_bindings() {
    for directory in ["k8s/injection", "k8s/injection/v1beta1"] {
        let objects = render(&repository(directory));
        let (policies, bindings) = (
            of_kind(&objects, "MutatingAdmissionPolicy"),
            of_kind(&objects, "MutatingAdmissionPolicyBinding"),
        );
        assert_eq!((policies.len(), bindings.len(), objects.len()), (1, 2, 3), "{directory}");
        let is_v1 = policies[0]["apiVersion"] == "admissionregistration.k8s.io/v1";
        assert_eq!(is_v1, directory == "k8s/injection");
        let (policy, binding): (fn(&Value) -> Vec<String>, fn(&Value) -> Vec<String>) = if is_v1 {
            (through::<v1::MutatingAdmissionPolicy>, through::<v1::MutatingAdmissionPolicyBinding>)
        } else {
            (through::<v1beta1::MutatingAdmissionPolicy>, through::<v1beta1::MutatingAdmissionPolicyBinding>)
        };
        assert_eq!(policy(&policies[0]), [""; 0]);
        assert!(bindings.iter().all(|object| binding(object).is_empty()), "{directory}");
    }
}

#[test]
fn no_pod_is_touched_without_a_label_and_none_is_kept_from_starting() {
    let objects = render(&repository("k8s/injection"));
    let policy = &of_kind(&objects, "MutatingAdmissionPolicy")[0]["spec"];
    assert_eq!(policy["failurePolicy"], "Ignore");
    assert_eq!(policy["reinvocationPolicy"], "IfNeeded");
    for binding in of_kind(&objects, "MutatingAdmissionPolicyBinding") {
        assert_eq!(binding["spec"]["policyName"], "health-proxy");
        let selects = &binding["spec"]["matchResources"];
        let labels = ["/namespaceSelector/matchLabels", "/objectSelector/matchLabels"];
        let labels: Vec<_> = labels.iter().filter_map(|way| selects.pointer(way)).collect();
        assert_eq!(labels, [&json!({"health-proxy.io/inject": "true"})]);
    }
}

#[test]
fn the_image_is_the_first_variable_which_the_readme_has_replaced() {
    let objects = render(&repository("k8s/injection"));
    let policy = &of_kind(&objects, "MutatingAdmissionPolicy")[0];
    let source = crate::source::sidecar();
    let image = format!("'{}'", source["image"].as_str().expect("an image"));
    assert_eq!(policy["spec"]["variables"][0], json!({"name": "image", "expression": image}));
    let readme = std::fs::read_to_string(repository("k8s/injection/README.md")).expect("text");
    assert!(readme.contains("path: /spec/variables/0/expression"));
}
