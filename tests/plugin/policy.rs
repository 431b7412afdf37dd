//! The policy of `k8s/injection` and `inject` do the same to a pod, as far as CEL can: its expressions run here in the
//! interpreter of `policy.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use health_proxy::grammar::{RESERVED, options};
use serde_json::{Value, json};

use crate::program::{filtered, manifests, objects, pod_spec};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/injection/policy/policy.yaml");
const INTERPRETER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python/bin/python3");
const LEFT_NATIVE: &str = "health-proxy.io/left-native";
const SIDECAR: &str = "health-proxy";

/// Returns what becomes of pods.
fn admitted(pods: &[Value]) -> Vec<Value> {
    admitted_by(Path::new(POLICY), pods)
}

/// Returns what becomes of pods by another policy.
fn admitted_by(policy: &Path, pods: &[Value]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin/policy.py");
    let mut child = Command::new(INTERPRETER)
        .arg(script)
        .arg(policy)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/run installs target/python");
    let input = serde_json::to_vec(pods).expect("JSON");
    child.stdin.take().expect("a pipe").write_all(&input).expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "policy.py failed, see above");
    serde_json::from_slice(&output.stdout).expect("pods")
}

/// Returns a pod as a controller makes it from a template.
fn pod(spec: &Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": spec})
}

/// Returns the pods of manifests; those of Knative are not what their Service says, and are not created from it.
fn pods(text: &str) -> Vec<Value> {
    let is_knative =
        |object: &Value| object["apiVersion"].as_str().is_some_and(|api| api.contains("knative"));
    let objects = objects(text);
    objects.iter().filter(|object| !is_knative(object)).filter_map(pod_spec).map(pod).collect()
}

fn containers<'a>(pod: &'a Value, field: &str) -> Vec<&'a Value> {
    pod["spec"][field].as_array().into_iter().flatten().collect()
}

fn sidecar(pod: &Value) -> Option<&Value> {
    containers(pod, "initContainers").into_iter().find(|container| container["name"] == SIDECAR)
}

/// Returns the variables of the sidecar but those that say whose the checks are, which the policy always sets: another
/// policy may add a container to the pod after it.
fn variables(pod: &Value) -> BTreeMap<&str, &str> {
    let env = sidecar(pod).and_then(|sidecar| sidecar["env"].as_array()).into_iter().flatten();
    env.map(|entry| (entry["name"].as_str().expect("a name"), entry["value"].as_str().expect("a value")))
        .filter(|(name, _)| !name.ends_with("_CONTAINER"))
        .collect()
}

/// Returns the probes of a pod, without the question's container.
fn probes(pod: &Value) -> Vec<Value> {
    let fields = ["startupProbe", "livenessProbe", "readinessProbe"];
    let asked = |container: &Value, field: &str| {
        let mut probe = container[field].clone();
        let name = container["name"].as_str().expect("a name");
        if let Some(Value::String(path)) = probe.pointer_mut("/httpGet/path") {
            *path =
                path.replace(&format!("?container={name}"), "").replace(&format!("&container={name}"), "");
        }
        probe
    };
    let of = |container: &Value| fields.map(|field| asked(container, field));
    let all = containers(pod, "initContainers").into_iter().chain(containers(pod, "containers"));
    all.filter(|container| container["name"] != SIDECAR).flat_map(of).collect()
}

/// Returns the sidecar without its variables, and the volumes.
fn sidecar_and_volumes(pod: &Value) -> (Option<Value>, BTreeSet<String>) {
    let mut sidecar = sidecar(pod).cloned();
    if let Some(sidecar) = sidecar.as_mut().and_then(Value::as_object_mut) {
        sidecar.remove("env");
    }
    (sidecar, containers(pod, "volumes").iter().map(ToString::to_string).collect())
}

#[test]
#[ignore = "needs cel-expr-python"]
fn the_policy_and_inject_do_the_same_to_every_pod() {
    let mut injected_pods = 0;
    for (name, text) in manifests() {
        // A pod that `inject` has changed is passed through too: it gets the API's defaults, and nothing more.
        let expected = admitted(&pods(&filtered(&["inject"], &text)));
        let found = admitted(&pods(&text));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(variables(found), variables(expected), "{name}");
            assert_eq!(probes(found), probes(expected), "{name}");
            assert_eq!(sidecar_and_volumes(found), sidecar_and_volumes(expected), "{name}");
            assert_eq!(
                found["metadata"]["annotations"][LEFT_NATIVE],
                expected["metadata"]["annotations"][LEFT_NATIVE],
                "{name}"
            );
            injected_pods += usize::from(sidecar(found).is_some());
        }
    }
    assert!(injected_pods >= 25, "{injected_pods}");
}

fn web(extra: &Value) -> Value {
    let mut web = json!({"name": "web", "image": "web:1", "livenessProbe": {"tcpSocket": {"port": 8080}}});
    web.as_object_mut().expect("a map").extend(extra.as_object().expect("a map").clone());
    web
}

fn admitted_one(pod: Value) -> Value {
    admitted(&[pod]).remove(0)
}

#[test]
#[ignore = "needs cel-expr-python"]
fn a_pod_says_which_probes_stay_native_and_why() {
    let needs_startup =
        "livenessProbe of web: startupProbe stays native, and only it knows when the app has started";
    for (spec, expected) in [
        (
            json!({"containers": [web(&json!({"readinessProbe": {"exec": {"command": ["ls"]}}}))]}),
            json!("readinessProbe of web: a command runs in the container of the app"),
        ),
        (
            json!({"containers": [web(&json!({"startupProbe": {"httpGet": {"port": "nowhere"}}}))]}),
            json!(format!("startupProbe of web: the container has no such port; {needs_startup}")),
        ),
        (
            json!({"containers": [web(&json!({"startupProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "A", "value": "b\nc"}]}}}))]}),
            json!(format!("startupProbe of web: a check cannot be written like that; {needs_startup}")),
        ),
        (
            json!({"hostNetwork": true, "containers": [web(&json!({}))]}),
            json!("hostNetwork: all pods of a node share its ports"),
        ),
        (
            json!({"os": {"name": "windows"}, "containers": [web(&json!({}))]}),
            json!("a pod of Windows, for which there is no image"),
        ),
        (
            json!({"containers": [web(&json!({"ports": [{"containerPort": 9809}]}))]}),
            json!("port 9809 is taken"),
        ),
        (
            json!({"initContainers": [{"name": SIDECAR, "image": "other:1"}], "containers": [web(&json!({}))]}),
            json!("it has a container called health-proxy that is not of this policy"),
        ),
        (json!({"containers": [web(&json!({}))]}), Value::Null),
        (json!({"containers": [{"name": "web", "image": "web:1"}]}), Value::Null),
    ] {
        let admitted = admitted_one(pod(&spec));
        assert_eq!(admitted["metadata"]["annotations"][LEFT_NATIVE], expected);
    }
}

#[test]
#[ignore = "needs cel-expr-python"]
fn an_annotation_holds_further_checks() {
    let mut pod = pod(&json!({"containers": [web(&json!({}))]}));
    pod["metadata"]["annotations"] = json!({
        "health-proxy.io/checks":
            "# the queue\n READINESS_MQ=tcp://mq:5672 \n\nREADINESS_MQ_EXPECT=a=$b\nLIVENESS_WEB_PERIOD_SECONDS=2",
        "a": "b",
    });
    pod["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = json!(5);
    let admitted = admitted_one(pod);
    let expected = [
        ("LIVENESS_WEB", "tcp://:8080"),
        ("LIVENESS_WEB_PERIOD_SECONDS", "2"),
        ("READINESS_MQ", "tcp://mq:5672"),
        ("READINESS_MQ_EXPECT", "a=$$b"),
    ];
    assert_eq!(variables(&admitted), BTreeMap::from(expected));
}

/// The image may be called anything: the second mutation has to know the sidecar of the first one.
#[test]
#[ignore = "needs cel-expr-python"]
fn an_image_of_any_name_is_the_sidecar() {
    let policy = std::fs::read_to_string(POLICY).expect("the policy");
    let image = "registry.example/team/probes@sha256:1";
    let renamed = policy.replace("'health-proxy:0.2.0'", &format!("'{image}'"));
    assert_ne!(renamed, policy);
    let file = std::env::temp_dir().join(format!("policy-of-any-name-{}.yaml", std::process::id()));
    std::fs::write(&file, renamed).expect("it is written");
    let admitted = admitted_by(&file, &[pod(&json!({"containers": [web(&json!({}))]}))]).remove(0);
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(sidecar(&admitted).expect("a sidecar")["image"], image);
    assert_eq!(variables(&admitted), BTreeMap::from([("LIVENESS_WEB", "tcp://:8080")]));
    assert_eq!(admitted["spec"]["containers"][0]["livenessProbe"]["httpGet"]["path"], "/livez?container=web");
    assert_eq!(admitted["metadata"]["annotations"][LEFT_NATIVE], Value::Null);
}

#[test]
#[ignore = "needs cel-expr-python"]
fn no_patience_is_more_than_the_api_takes() {
    let patient = json!({"tcpSocket": {"port": 8080}, "failureThreshold": i32::MAX});
    let given = [
        json!({"containers": [web(&json!({"startupProbe": patient}))]}),
        json!({"containers": [web(&json!({"livenessProbe": patient}))]}),
    ];
    for spec in given {
        let admitted = admitted_one(pod(&spec));
        assert_eq!(admitted["spec"]["containers"][0]["startupProbe"]["failureThreshold"], i32::MAX);
    }
}

#[test]
#[ignore = "needs cel-expr-python"]
fn a_container_that_comes_later_is_carried_over_too() {
    let mut once = admitted_one(pod(&json!({"containers": [web(&json!({}))]})));
    let late = json!({"name": "late", "image": "late:1", "readinessProbe": {"tcpSocket": {"port": 1}}});
    once["spec"]["containers"].as_array_mut().expect("a list").insert(0, late);
    let twice = admitted_one(once);
    let expected = [("LIVENESS_WEB", "tcp://:8080"), ("READINESS_LATE", "tcp://:1")];
    assert_eq!(variables(&twice), BTreeMap::from(expected));
    assert_eq!(twice["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"], "/readyz?container=late");
    assert_eq!(twice["spec"]["containers"][0]["startupProbe"]["failureThreshold"], i32::MAX);
    assert_eq!(containers(&twice, "initContainers").len(), 1);
}

#[test]
#[ignore = "needs cel-expr-python"]
fn no_check_is_called_like_an_option_or_a_reason_of_the_sidecar() {
    let names = options::ALL.iter().map(|option| option.suffix.to_ascii_lowercase().replace('_', "-"));
    let names: Vec<String> =
        names.flat_map(|name| [format!("web-{name}"), name]).chain(RESERVED.map(str::to_owned)).collect();
    let probe = json!({"tcpSocket": {"port": 1}});
    let container = |name| json!({"name": name, "image": "web:1", "livenessProbe": probe});
    let containers: Vec<_> = names.iter().map(container).collect();
    let admitted = admitted_one(pod(&json!({"containers": containers})));
    let found = variables(&admitted);
    for name in &names {
        let check = format!("LIVENESS_{}_APP", name.to_ascii_uppercase().replace('-', "_"));
        assert_eq!(found.get(check.as_str()), Some(&"tcp://:1"), "{name}");
    }
}
