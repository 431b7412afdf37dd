//! What a scenario applies: a rendered example, with the few things changed that the scenario is about.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Probe, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::expand::expand;
use crate::render::{render, repository};

const SIDECAR: &str = "health-proxy";

/// A workload and what its pods refer to.
#[derive(Clone)]
pub struct Manifest {
    pub replicas: usize,
    pub pod: PodSpec,
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    pub services: Vec<String>,
}

impl Manifest {
    /// Returns one of `k8s/examples`, as `kubectl apply -k` would send it.
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

    /// Returns a pod that refers to nothing.
    pub fn of_pod(pod: PodSpec) -> Self {
        Self { replicas: 1, pod, config_maps: BTreeMap::new(), services: Vec::new() }
    }

    /// Puts these checks in the place of the example's own.
    pub fn with_checks(mut self, checks: &[(&str, &str)]) -> Self {
        for map in self.config_maps.values_mut() {
            *map = checks.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        }
        self
    }

    /// Calls the app with these arguments.
    pub fn with_app(mut self, arguments: &[&str]) -> Self {
        self.app().args = Some(arguments.iter().map(|&word| word.to_owned()).collect());
        self
    }

    pub fn without_startup_probe(mut self) -> Self {
        self.app().startup_probe = None;
        self
    }

    /// Has the kubelet restart the app after `failures`, one a second.
    pub fn with_hasty_kubelet(mut self, failures: i32) -> Self {
        let probe = self.app().liveness_probe.as_mut();
        let probe = probe.expect("the app is probed for liveness");
        probe.period_seconds = Some(1);
        probe.failure_threshold = Some(failures);
        self
    }

    /// Removes the sidecar, and gives the app probes of its own.
    pub fn native(mut self, probes: &Value) -> Self {
        self.pod.init_containers = None;
        self.pod.containers.retain(|container| container.name != SIDECAR);
        let probe = |field: &str| probes.get(field).map(typed::<Probe>);
        let app = self.app();
        app.startup_probe = probe("startupProbe");
        app.liveness_probe = probe("livenessProbe");
        app.readiness_probe = probe("readinessProbe");
        self
    }

    /// Adds an init container that takes its time, before the sidecar or after it.
    pub fn with_init_container(mut self, index: usize, name: &str, seconds: u32) -> Self {
        let app = self.app().clone();
        let init = Container {
            name: name.to_owned(),
            command: Some(vec!["sleep".to_owned(), seconds.to_string()]),
            args: None,
            startup_probe: None,
            liveness_probe: None,
            readiness_probe: None,
            ..app
        };
        self.pod.init_containers.get_or_insert_default().insert(index, init);
        self
    }

    /// Adds a directory at `/var/kubia` that outlives the app's container.
    pub fn with_directory(mut self) -> Self {
        self.pod.volumes.get_or_insert_default().push(typed(&json!({"name": "kubia", "emptyDir": {}})));
        let mount = typed(&json!({"name": "kubia", "mountPath": "/var/kubia"}));
        self.app().volume_mounts.get_or_insert_default().push(mount);
        self
    }

    /// Adds a variable of the sidecar, in which `$(POD_IP)` is the pod's address.
    pub fn with_pod_ip(mut self, name: &str, value: &str) -> Self {
        let field = json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}});
        let inits = self.pod.init_containers.iter_mut().flatten();
        let sidecar = inits.chain(&mut self.pod.containers).find(|one| one.name == SIDECAR);
        let variables = sidecar.expect("a sidecar").env.get_or_insert_default();
        variables.retain(|variable| variable.name != "POD_IP");
        variables.push(typed(&field));
        variables.push(typed(&json!({"name": name, "value": value})));
        self
    }

    /// Puts these apps in the place of the one: each is called in its own way and asked for by its own name.
    pub fn with_apps(mut self, apps: &[(&str, &[&str])]) -> Self {
        let like = self.app().clone();
        self.pod.containers = apps.iter().map(|(name, arguments)| app_like(&like, name, arguments)).collect();
        self
    }

    pub fn app(&mut self) -> &mut Container {
        self.pod.containers.first_mut().expect("an app")
    }

    /// Returns all containers, those of the start first.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.pod.init_containers.iter().flatten().chain(&self.pod.containers)
    }

    /// Returns the variables of one container, as the kubelet makes them: those of Services first, the container's own
    /// last.
    pub fn variables(&self, container: &Container, addresses: &[IpAddr]) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for service in std::iter::once("kubernetes").chain(self.services.iter().map(String::as_str)) {
            variables.extend(service_links(service));
        }
        for source in container.env_from.iter().flatten() {
            let reference = source.config_map_ref.as_ref().expect("only ConfigMaps");
            variables.extend(self.config_maps[&reference.name].clone());
        }
        for variable in container.env.iter().flatten() {
            let value = value_of(variable, &variables, addresses);
            variables.insert(variable.name.clone(), value);
        }
        variables
    }
}

fn app_like(like: &Container, name: &str, arguments: &[&str]) -> Container {
    let mut app = like.clone();
    name.clone_into(&mut app.name);
    app.args = Some(arguments.iter().map(|&word| word.to_owned()).collect());
    app.ports = None;
    let probes = [&mut app.startup_probe, &mut app.liveness_probe, &mut app.readiness_probe];
    for request in probes.into_iter().flatten().filter_map(|probe| probe.http_get.as_mut()) {
        let path = request.path.get_or_insert_default();
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str("container=");
        path.push_str(name);
    }
    app
}

/// Returns the number of a port of a container, which may be given by its name.
pub fn port_number(container: &Container, port: &IntOrString) -> u16 {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|one| one.name.as_ref() == Some(name)).expect("a port of this name").container_port
        }
    };
    number.try_into().expect("a port")
}

/// Returns a variable's value, in which those before it are put, or what the downward API says.
fn value_of(variable: &EnvVar, before: &BTreeMap<String, String>, addresses: &[IpAddr]) -> String {
    let source = variable.value_from.as_ref().and_then(|source| source.field_ref.as_ref());
    match source.map(|field| field.field_path.as_str()) {
        Some("status.podIP") => addresses[0].to_string(),
        Some(other) => panic!("{other}, which the stand-in does not know"),
        None => expand(variable.value.as_deref().expect("only plain values and fields"), before),
    }
}

/// Returns the variables that every container gets for a Service in its namespace.
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

pub fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("an object of Kubernetes")
}
