//! What a scenario applies: a rendered example, with the few things changed that the scenario is about.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, Service};
use serde_json::Value;

use crate::render::{render, repository};

/// A workload and what its pods refer to.
#[derive(Clone)]
pub struct Manifest {
    pub replicas: usize,
    pub pod: PodSpec,
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    pub services: Vec<String>,
}

impl Manifest {
    /// One of `k8s/examples`, as `kubectl apply -k` would send it.
    pub fn example(name: &str) -> Self {
        let objects = render(&repository("k8s/examples").join(name));
        let is_workload = |object: &&Value| object["spec"]["template"].is_object();
        let workload = objects.iter().find(is_workload).expect("a workload");
        let replicas = workload["spec"]["replicas"].as_u64().unwrap_or(1);
        Self {
            replicas: replicas.try_into().expect("a few replicas"),
            pod: typed(&workload["spec"]["template"]["spec"]),
            config_maps: of_kind(&objects, "ConfigMap")
                .map(|map| (name_of(map), typed(&map["data"])))
                .collect(),
            services: of_kind(&objects, "Service")
                .map(typed::<Service>)
                .map(|service| service.metadata.name.expect("a Service has a name"))
                .collect(),
        }
    }

    /// The same with these checks in place of the example's own.
    pub fn with_checks(mut self, checks: &[(&str, &str)]) -> Self {
        for map in self.config_maps.values_mut() {
            *map = checks.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        }
        self
    }

    /// The same with the app called in another way.
    pub fn with_app(mut self, arguments: &[&str]) -> Self {
        self.app().args = Some(arguments.iter().map(|&word| word.to_owned()).collect());
        self
    }

    pub fn without_startup_probe(mut self) -> Self {
        self.app().startup_probe = None;
        self
    }

    /// The same with a kubelet that restarts the app after `failures`, one a second.
    pub fn with_hasty_kubelet(mut self, failures: i32) -> Self {
        let probe = self.app().liveness_probe.as_mut();
        let probe = probe.expect("the app is probed for liveness");
        probe.period_seconds = Some(1);
        probe.failure_threshold = Some(failures);
        self
    }

    fn app(&mut self) -> &mut Container {
        self.pod.containers.first_mut().expect("an app")
    }

    /// The variables of one container, as the kubelet makes them: those of Services first, the container's own last.
    pub fn variables(&self, container: &Container) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for service in std::iter::once("kubernetes").chain(self.services.iter().map(String::as_str)) {
            variables.extend(service_links(service));
        }
        for source in container.env_from.iter().flatten() {
            let reference = source.config_map_ref.as_ref().expect("only ConfigMaps");
            variables.extend(self.config_maps[&reference.name].clone());
        }
        for variable in container.env.iter().flatten() {
            let value = variable.value.clone().expect("only plain values");
            variables.insert(variable.name.clone(), value);
        }
        variables
    }
}

/// The variables that every container gets for a Service in its namespace.
fn service_links(service: &str) -> [(String, String); 7] {
    let prefix = service.to_uppercase().replace('-', "_");
    [
        ("SERVICE_HOST", "10.96.0.1"),
        ("SERVICE_PORT", "443"),
        ("PORT", "tcp://10.96.0.1:443"),
        ("PORT_443_TCP", "tcp://10.96.0.1:443"),
        ("PORT_443_TCP_PROTO", "tcp"),
        ("PORT_443_TCP_PORT", "443"),
        ("PORT_443_TCP_ADDR", "10.96.0.1"),
    ]
    .map(|(suffix, value)| (format!("{prefix}_{suffix}"), value.to_owned()))
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().expect("an object has a name").to_owned()
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("the manifests test has seen it")
}
