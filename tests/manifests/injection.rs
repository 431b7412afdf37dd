//! The admission policy of `k8s/injection` as an object; what it does to pods is in `tests/plugin/policy.rs`.

use k8s_openapi::api::admissionregistration::{v1, v1beta1};
use serde_json::{Value, json};

use crate::render::{render, repository};
use crate::schema::through;

fn of_kind(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] == kind).cloned().collect()
}

#[test]
#[ignore = "needs kubectl"]
fn the_api_takes_the_policy_and_its_bindings() {
    for directory in ["k8s/injection", "k8s/injection/v1beta1"] {
        let objects = render(&repository(directory));
        let (policies, bindings) = (
            of_kind(&objects, "MutatingAdmissionPolicy"),
            of_kind(&objects, "MutatingAdmissionPolicyBinding"),
        );
        assert_eq!((policies.len(), bindings.len(), objects.len()), (1, 2, 3), "{directory}");
        let bindings = bindings.iter();
        if directory == "k8s/injection" {
            assert_eq!(through::<v1::MutatingAdmissionPolicy>(&policies[0]), [""; 0]);
            let faults = bindings.flat_map(through::<v1::MutatingAdmissionPolicyBinding>);
            assert_eq!(faults.count(), 0);
        } else {
            assert_eq!(through::<v1beta1::MutatingAdmissionPolicy>(&policies[0]), [""; 0]);
            let faults = bindings.flat_map(through::<v1beta1::MutatingAdmissionPolicyBinding>);
            assert_eq!(faults.count(), 0);
        }
    }
}

#[test]
#[ignore = "needs kubectl"]
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
#[ignore = "needs kubectl"]
fn the_image_is_the_first_variable_which_the_readme_has_replaced() {
    let objects = render(&repository("k8s/injection"));
    let policy = &of_kind(&objects, "MutatingAdmissionPolicy")[0];
    let source = crate::source::sidecar();
    let image = format!("'{}'", source["image"].as_str().expect("an image"));
    assert_eq!(policy["spec"]["variables"][0], json!({"name": "image", "expression": image}));
    let readme = std::fs::read_to_string(repository("k8s/injection/README.md")).expect("text");
    assert!(readme.contains("path: /spec/variables/0/expression"));
}
