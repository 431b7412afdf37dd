//! The manifests of the plugin's tests as pods that run here: once with their native probes, and once as `inject` leaves
//! them. Images are not here, so every container that is probed serves what its own probes ask for (`stand_in.py`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{Container, PodSpec, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::manifest::{Manifest, port_number, typed};
use crate::pod::SIDECAR;
use crate::prober::probes;
use crate::program::{POD_SPECS, filtered, manifests, objects, pod_spec};
use crate::render::repository;

const FIELDS: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];
const KINDS: [&str; 2] = ["initContainers", "containers"];

/// A pod in one of its two forms.
pub struct Life {
    pub name: String,
    pub manifest: Manifest,
    /// The containers as they were before `inject`: what they are asked natively.
    pub apps: Vec<Container>,
}

/// The state in which all apps of a pod are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Starting,
    Well,
    Failing,
    Hanging,
}

/// Returns both forms of every pod that `inject` changes.
pub fn lives() -> Vec<Life> {
    manifests().into_iter().flat_map(|(file, text)| lives_of(&file, &text)).collect()
}

fn lives_of(file: &str, text: &str) -> Vec<Life> {
    let mut native = objects(text);
    for containers in native.iter_mut().filter_map(spec_of) {
        containers.for_each(make_impatient);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": native}).to_string();
    // The only one that `inject` leaves alone for its port.
    let port: &[_] = if file == "app-on-9809.yaml" { &["--port", "9808"] } else { &[] };
    let moved = objects(&filtered(&[&["inject", "-f", "-"], port].concat(), &list));
    let pods = native.iter().zip(&moved).enumerate().filter(|(_, (native, moved))| native != moved);
    let file = file.replace('.', "-");
    pods.flat_map(|(index, (native, moved))| {
        let spec = |object| typed::<PodSpec>(pod_spec(object).expect("only pods are changed"));
        let apps: Vec<_> = Manifest::of_pod(spec(native)).containers().cloned().collect();
        [("native", native), ("moved", moved)].map(|(form, object)| Life {
            name: format!("{file}-{index}-{form}"),
            manifest: Manifest::of_pod(stand_in(spec(object), &apps)),
            apps: apps.iter().filter(|app| probes(app).next().is_some()).cloned().collect(),
        })
    })
    .collect()
}

/// Returns the containers of the pod that an object holds.
fn spec_of(object: &mut Value) -> Option<impl Iterator<Item = &mut Value>> {
    let way = POD_SPECS
        .into_iter()
        .find(|way| object.pointer(way).is_some_and(|spec| spec["containers"].is_array()))?;
    let spec = object.pointer_mut(way).and_then(Value::as_object_mut)?;
    let kinds = spec.iter_mut().filter(|(kind, _)| KINDS.contains(&kind.as_str()));
    Some(kinds.filter_map(|(_, containers)| containers.as_array_mut()).flatten())
}

/// Has a container asked every second, for liveness once it has had the time to boot, and with commands that it has. A
/// `host` would be another machine than the pod.
fn make_impatient(container: &mut Value) {
    for field in FIELDS {
        let Some(probe) = container.get_mut(field).and_then(Value::as_object_mut) else { continue };
        probe.insert("periodSeconds".to_owned(), 1.into());
        probe.remove("initialDelaySeconds");
        match field {
            "startupProbe" => probe.insert("failureThreshold".to_owned(), 60.into()),
            "livenessProbe" => probe.insert("initialDelaySeconds".to_owned(), 15.into()),
            _ => None,
        };
        if let Some(exec) = probe.get_mut("exec") {
            exec["command"] = json!(["test", "-e", "/state/well"]);
        }
        for handler in ["httpGet", "tcpSocket"] {
            if let Some(handler) = probe.get_mut(handler).and_then(Value::as_object_mut) {
                handler.remove("host");
            }
        }
    }
}

/// Returns a pod with a stand-in in the place of every container but the sidecar.
fn stand_in(mut pod: PodSpec, apps: &[Container]) -> PodSpec {
    let inits = pod.init_containers.iter_mut().flatten();
    for container in inits.chain(&mut pod.containers).filter(|one| one.name != SIDECAR) {
        let native =
            apps.iter().find(|app| app.name == container.name).expect("inject adds the sidecar alone");
        run_here(container, native);
    }
    let ending = pod.init_containers.iter_mut().flatten().filter(|init| init.restart_policy.is_none());
    for init in ending {
        (init.command, init.args) = (Some(vec!["true".to_owned()]), None);
    }
    let volumes = pod.volumes.get_or_insert_default();
    for (index, path) in interpreter().iter().enumerate() {
        volumes.push(typed(&json!({"name": format!("host-{index}"), "hostPath": {"path": path}})));
    }
    volumes.push(typed(&json!({"name": "state", "emptyDir": {}})));
    pod
}

/// Returns the directories of this machine that the stand-in's interpreter needs.
fn interpreter() -> &'static [PathBuf] {
    static DIRECTORIES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
        let mut directories = vec!["/usr".into(), "/lib".into(), "/lib64".into()];
        let prefix = Command::new(python()).args(["-c", "import sys; print(sys.base_prefix)"]).output();
        let prefix = prefix.expect("the tests' Python runs").stdout;
        let prefix = PathBuf::from(String::from_utf8(prefix).expect("a path").trim());
        if !prefix.starts_with("/usr") {
            directories.push(prefix);
        }
        directories.extend([repository("target/python"), repository("tests/pod")]);
        directories
    });
    &DIRECTORIES
}

fn python() -> PathBuf {
    repository("target/python/bin/python3")
}

fn run_here(container: &mut Container, native: &Container) {
    container.image = Some(concat!("kubia:", env!("CARGO_PKG_VERSION")).to_owned());
    container.lifecycle = None;
    container.env = None;
    container.security_context = Some(typed(&json!({"runAsUser": 0})));
    container.resources = Some(typed(&json!({"limits": {"cpu": "1000m", "memory": "128Mi"}})));
    let mounts = interpreter()
        .iter()
        .enumerate()
        .map(|(index, path)| json!({"name": format!("host-{index}"), "mountPath": path, "readOnly": true}));
    let state = json!({"name": "state", "mountPath": "/state"});
    container.volume_mounts = Some(mounts.chain([state]).map(|mount| typed(&mount)).collect());
    let program = [python(), repository("tests/pod/stand_in.py")];
    container.command = Some(program.map(|path| path.display().to_string()).to_vec());
    let asked: Vec<_> = probes(native).map(|(_, probe)| by_number(native, probe)).collect();
    container.args = Some(vec![json!(asked).to_string()]);
}

/// Returns a probe with its port as a number.
fn by_number(container: &Container, probe: &Probe) -> Value {
    let mut probe = json!(probe);
    for handler in ["httpGet", "tcpSocket"] {
        if let Some(port) = probe.get(handler).map(|handler| typed::<IntOrString>(&handler["port"])) {
            probe[handler]["port"] = port_number(container, &port).into();
        }
    }
    probe
}

/// Returns whether a native probe of an app passes while it is in a mood. A port that is only connected to is open
/// while the app hangs, and while it fails if it serves HTTP too.
pub fn passes(app: &Container, probe: &Probe, mood: Mood) -> bool {
    let Some(connected) = probe.tcp_socket.as_ref().map(|socket| port_number(app, &socket.port)) else {
        return mood == Mood::Well;
    };
    let requests = probes(app).filter_map(|(_, probe)| probe.http_get.as_ref());
    let serves_http = requests.map(|request| port_number(app, &request.port)).any(|port| port == connected);
    mood != Mood::Failing || serves_http
}

/// Puts all apps of a pod into a mood, before or while they run. `state` is the directory of their volume.
pub fn set_mood(state: &Path, mood: Mood) {
    fs::create_dir_all(state).expect("a directory for the state");
    let well = state.join("well");
    if mood == Mood::Well {
        fs::write(&well, "").expect("a file");
    } else if well.exists() {
        fs::remove_file(&well).expect("no file");
    }
    // They read it at any time, and never half of it.
    let next = state.join("next");
    fs::write(&next, format!("{mood:?}").to_lowercase()).expect("a mood");
    fs::rename(&next, state.join("mood")).expect("another mood");
}

/// Writes the certificate of the apps that speak TLS; the kubelet believes every one.
pub fn write_certificate(state: &Path) {
    let made = rcgen::generate_simple_self_signed(["app".to_owned()]).expect("a certificate");
    let text = made.cert.pem() + &made.signing_key.serialize_pem();
    fs::write(state.join("tls.pem"), text).expect("a file");
}
