//! The Helm library chart and its example, rendered by the real helm; and the post-renderer for foreign charts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::render::{repository, tool};
use crate::security::against_restricted;
use crate::source::{probe, sidecar, volume, without_checks};
use crate::{pod_of, schema};

/// A copy of the charts, since helm writes into them, and all that helm keeps; it goes with this value.
struct Charts(PathBuf);

impl Charts {
    fn new(test: &str) -> Self {
        let directory = repository("target/tmp").join(format!("helm-{test}"));
        let _ = fs::remove_dir_all(&directory);
        let copy = |from: &str| {
            let to = directory.join(from);
            fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
            let copied = Command::new("cp").arg("-r").arg(repository(from)).arg(&to).status();
            assert!(copied.expect("cp").success());
        };
        copy("k8s/helm");
        copy("k8s/examples/helm");
        let charts = Self(directory);
        charts.helm(&["dependency", "build", "k8s/examples/helm"]);
        charts
    }

    /// Runs helm, which has to succeed; its standard output.
    fn helm(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("helm is there");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{arguments:?}: {stdout}{stderr}");
        stdout.into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut helm = tool("helm");
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-health_proxy")).parent().expect("a directory");
        let mut folders = vec![plugin.to_owned(), repository("target/tools")];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        helm.args(arguments).current_dir(&self.0);
        helm.env("PATH", std::env::join_paths(folders).expect("a path"));
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(home, self.0.join(home));
        }
        helm
    }

    /// Returns the one Deployment of the example, with more values.
    fn rendered(&self, values: &str) -> Value {
        fs::write(self.0.join("values.yaml"), values).expect("values");
        let text = self.helm(&["template", "web", "k8s/examples/helm", "--values", "values.yaml"]);
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        assert_eq!(objects.len(), 1);
        objects.into_iter().next().expect("one")
    }
}

impl Drop for Charts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pod(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

#[test]
#[ignore = "needs helm"]
fn both_charts_are_clean_and_the_example_is_what_the_api_takes() {
    let charts = Charts::new("clean");
    for chart in ["k8s/helm/health-proxy", "k8s/examples/helm"] {
        let about = fs::read_to_string(repository(chart).join("Chart.yaml")).expect("a chart");
        assert!(about.contains(concat!("\nversion: ", env!("CARGO_PKG_VERSION"), "\n")), "{about}");
        let said = charts.helm(&["lint", "--strict", chart]);
        assert!(said.contains("0 chart(s) failed"), "{said}");
    }
    let web = charts.rendered("");
    assert_eq!(schema::faults(&web), [""; 0]);
    assert_eq!(against_restricted(&pod_of(&web)), [""; 0]);
}

#[test]
#[ignore = "needs helm"]
fn the_chart_has_the_sidecar_and_the_probes_of_the_source() {
    let web = Charts::new("source").rendered("");
    let pod = pod(&web);
    assert_eq!(without_checks(pod["initContainers"][0].clone()), sidecar());
    assert_eq!(pod["volumes"], json!([volume()]));
    for field in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(pod["containers"][0][field], probe(field, None), "{field}");
    }
    let env = pod["initContainers"][0]["env"].as_array().expect("variables");
    assert!(env.contains(&json!({"name": "READINESS_PERIOD_SECONDS", "value": "5"})), "{env:?}");
}

#[test]
#[ignore = "needs helm"]
fn values_change_what_they_name_and_nothing_else() {
    let charts = Charts::new("values");
    let web = charts.rendered(
        "health-proxy: {image: 'r/health-proxy:1', port: 9900, startupSeconds: 600, securityContext: {runAsUser: 1000},\n\
         checks: {READINESS_CACHE: 'redis://:6379'}}\n",
    );
    assert_eq!(schema::faults(&web), [""; 0]);
    let pod = pod(&web);
    let sidecar = &pod["initContainers"][0];
    let env: Vec<_> = sidecar["env"].as_array().expect("variables").iter().map(|one| &one["name"]).collect();
    assert_eq!(*env.last().expect("one"), "HEALTH_PROXY_LISTEN");
    assert_eq!(sidecar["image"], "r/health-proxy:1");
    assert_eq!(sidecar["securityContext"]["runAsUser"], 1000);
    assert_eq!(sidecar["securityContext"]["runAsNonRoot"], true);
    assert_eq!(sidecar["livenessProbe"]["httpGet"]["port"], 9900);
    assert_eq!(pod["containers"][0]["livenessProbe"]["httpGet"]["port"], 9900);
    assert_eq!(pod["containers"][0]["startupProbe"]["failureThreshold"], 67);
}

#[test]
#[ignore = "needs helm"]
fn a_reference_is_left_to_the_sidecar() {
    let web = Charts::new("references").rendered(
        "health-proxy: {checks: {READINESS_CACHE: 'redis://:$(REDIS_PASSWORD)@:6379', READINESS_RUN: 'exec:a $$(b) $',\n\
         REDIS_PASSWORD: {secretKeyRef: {name: redis, key: password}}}}\n",
    );
    assert_eq!(schema::faults(&web), [""; 0]);
    let env = &pod(&web)["initContainers"][0]["env"];
    let entry = |name| env.as_array().expect("variables").iter().find(|one| one["name"] == name);
    let value = |name| entry(name).map(|one| &one["value"]);
    assert_eq!(value("READINESS_CACHE"), Some(&json!("redis://:$$(REDIS_PASSWORD)@:6379")), "{env}");
    assert_eq!(value("READINESS_RUN"), Some(&json!("exec:a $$$$(b) $$")), "{env}");
    let from = json!({"secretKeyRef": {"name": "redis", "key": "password"}});
    assert_eq!(entry("REDIS_PASSWORD").map(|one| &one["valueFrom"]), Some(&from), "{env}");
}

#[test]
#[ignore = "needs helm"]
fn a_number_is_written_as_the_sidecar_reads_it() {
    let web = Charts::new("numbers").rendered(
        "health-proxy: {checks: {LIVENESS_A: 'file:/a', LIVENESS_A_MAX_AGE_SECONDS: 1209600, LIVENESS_A_PERIOD_SECONDS: 0.5,\n\
         LIVENESS_A_REQUIRED: false}}\n",
    );
    let env = &pod(&web)["initContainers"][0]["env"];
    let value = |name| {
        env.as_array().expect("variables").iter().find(|one| one["name"] == name).map(|one| &one["value"])
    };
    for (name, expected) in [("MAX_AGE_SECONDS", "1209600"), ("PERIOD_SECONDS", "0.5"), ("REQUIRED", "false")]
    {
        assert_eq!(value(format!("LIVENESS_A_{name}")), Some(&json!(expected)), "{env}");
    }
}

#[test]
#[ignore = "needs helm"]
fn several_containers_ask_for_themselves_and_no_check_is_an_error() {
    let charts = Charts::new("several");
    let template = charts.0.join("k8s/examples/helm/templates/deployment.yaml");
    let text = fs::read_to_string(&template).expect("a template");
    let named = text.replace("\"health-proxy.probes\" .", "\"health-proxy.probes\" (list . \"web\")");
    fs::write(&template, named).expect("a template");
    let web = charts.rendered("");
    for field in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(pod(&web)["containers"][0][field], probe(field, Some("web")), "{field}");
    }
    let none = ["template", "web", "k8s/examples/helm", "--set-json", "health-proxy.checks=null"];
    let refused = charts.command(&none).output().expect("helm");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("health-proxy.checks is empty"), "{said}");
}

#[test]
#[ignore = "needs helm"]
fn a_foreign_chart_gets_its_sidecar_by_the_post_renderer() {
    let charts = Charts::new("foreign");
    charts.helm(&["plugin", "install", "k8s/helm/inject"]);
    charts.helm(&["create", "foreign"]);
    let text = charts.helm(&["template", "web", "foreign", "--post-renderer", "health-proxy-inject"]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let web = objects.iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    assert_eq!(without_checks(pod(web)["initContainers"][0].clone()), sidecar());
    assert_eq!(pod(web)["containers"][0]["livenessProbe"]["httpGet"]["port"], 9809);
}
