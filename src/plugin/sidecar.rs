//! The sidecar and the probes that ask it, from the one manifest that all ways in copy from.

use std::time::Duration;

use super::boot::startup_failures;
use super::probe;
use super::yaml::{Data, Id, Tree};
use crate::patience::Asking;
use crate::probe::Probe;

/// The object that `k8s/component` copies from too.
const SOURCE: &str = include_str!("../../k8s/component/settings/health-proxy.yaml");

/// The variable that says where the sidecar listens.
pub(super) const LISTEN: &str = "HEALTH_PROXY_LISTEN";

/// The sidecar that a pod gets.
#[derive(Debug)]
pub struct Source {
    container: Data,
    app: Data,
    volume: Data,
}

/// The differences of a pod's sidecar from the source.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The image, if it differs.
    pub image: Option<&'a str>,
    /// The port, if it differs.
    pub port: Option<u16>,
    /// Whether it is a plain container, without what Knative refuses.
    pub is_plain: bool,
    /// The capabilities that it needs to run commands inside the app's container as root.
    pub capabilities: &'a [&'a str],
}

impl Source {
    /// Reads the source; `None` if it is not what this program was written for, which a test excludes.
    pub fn read() -> Option<Self> {
        let tree = Tree::read(SOURCE).ok()?;
        let root = tree.documents().first()?.root?;
        let first = |field: &str| -> Option<Id> {
            tree.items(tree.at(root, &["template", "spec", field])?).first().copied()
        };
        let part = |field: &str| Some(Data::of(&tree, first(field)?));
        Some(Self { container: part("initContainers")?, app: part("containers")?, volume: part("volumes")? })
    }

    /// Returns the port that the sidecar listens on by default.
    pub fn port(&self) -> u16 {
        let number = self.port_entry().and_then(|port| port.get("containerPort"));
        match number {
            Some(Data::Plain(number)) => number.parse().unwrap_or_default(),
            _ => 0,
        }
    }

    /// Returns the sidecar's container with its `env`.
    pub fn container(&self, settings: &Settings<'_>, variables: &[(String, String)]) -> Data {
        let mut container = self.container.clone();
        if let Some(image) = settings.image {
            container.set("image", Data::text(image));
        }
        let mut env: Vec<_> = variables.iter().map(|(name, value)| super::env::entry(name, value)).collect();
        if let Some(port) = settings.port {
            env.push(super::env::entry(LISTEN, &format!("[::]:{port}")));
            set_port(&mut container, port);
        }
        replace(&mut container, "envFrom", "env", Data::List(env));
        if !settings.capabilities.is_empty() {
            run_as_root(&mut container, settings.capabilities);
        }
        if settings.is_plain {
            for field in ["restartPolicy", "ports", "livenessProbe", "lifecycle", "volumeMounts"] {
                container.remove(field);
            }
        }
        container
    }

    /// Returns the volume that keeps the service account's token from the sidecar.
    pub fn volume(&self) -> &Data {
        &self.volume
    }

    /// Returns the name of that volume.
    pub fn volume_name(&self) -> &str {
        match self.volume.get("name") {
            Some(Data::Text(name)) => name,
            _ => "",
        }
    }

    /// Returns one of the app's probes; `container` is its name where there are several.
    pub fn probe(&self, which: Probe, container: Option<&str>, port: u16) -> Data {
        let mut wired = self.app.get(probe::field(which)).cloned().unwrap_or(Data::Map(Vec::new()));
        if let Some(request) = wired.get_mut("httpGet") {
            if let (Some(name), Some(Data::Text(path))) = (container, request.get_mut("path")) {
                let sign = if path.contains('?') { "&" } else { "?" };
                path.extend([sign, "container=", name]);
            }
            request.set("port", Data::number(port));
        }
        wired
    }

    /// Returns how the kubelet asks through one of the app's probes.
    pub fn asking(&self, which: Probe) -> Asking {
        let number = |field: &str, default| match self.app.get(probe::field(which))?.get(field) {
            Some(Data::Plain(number)) => number.parse().ok(),
            _ => Some(default),
        };
        let period = number("periodSeconds", 10).unwrap_or_default();
        Asking {
            period: Duration::from_secs(u64::from(period)),
            failures: number("failureThreshold", 3).unwrap_or_default(),
        }
    }

    fn port_entry(&self) -> Option<&Data> {
        match self.container.get("ports") {
            Some(Data::List(ports)) => ports.first(),
            _ => None,
        }
    }
}

/// Gives a startup probe as many failures as let an app boot for `boot`.
pub fn set_boot(startup_probe: &mut Data, boot: Duration) {
    startup_probe.set("failureThreshold", Data::number(startup_failures(boot)));
}

fn set_port(container: &mut Data, port: u16) {
    if let Some(Data::List(ports)) = container.get_mut("ports") {
        for entry in ports {
            entry.set("containerPort", Data::number(port));
        }
    }
    let own = container.get_mut("livenessProbe").and_then(|probe| probe.get_mut("httpGet"));
    if let Some(request) = own {
        request.set("port", Data::number(port));
    }
}

/// Replaces a value.
fn replace(map: &mut Data, old: &str, name: &str, value: Data) {
    if let Data::Map(entries) = map
        && let Some(entry) = entries.iter_mut().find(|(other, _)| other == old)
    {
        *entry = (name.to_owned(), value);
    }
}

fn run_as_root(container: &mut Data, capabilities: &[&str]) {
    if let Some(context) = container.get_mut("securityContext") {
        context.set("runAsNonRoot", Data::Plain("false".to_owned()));
        context.set("runAsUser", Data::number(0));
        context.set("runAsGroup", Data::number(0));
        let add = capabilities.iter().map(|name| Data::text(*name)).collect();
        if let Some(set) = context.get_mut("capabilities") {
            set.set("add", Data::List(add));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::{LIVEZ, READYZ};
    use crate::plugin::boot::STARTUP_WAIT;

    #[test]
    fn the_source_is_what_the_program_takes_it_for() {
        let source = Source::read().unwrap();
        assert_eq!(source.port(), 9809);
        assert_eq!(source.volume_name(), "health-proxy-no-token");
        assert_eq!(source.asking(Probe::Liveness), LIVEZ);
        assert_eq!(source.asking(Probe::Readiness), READYZ);
        let wait = format!("/startupz?wait={}&container=web", STARTUP_WAIT.as_secs());
        let startup = source.probe(Probe::Startup, Some("web"), 1);
        let request = startup.get("httpGet").unwrap();
        assert_eq!(request.get("path"), Some(&Data::text(wait)));
        assert_eq!(request.get("port"), Some(&Data::number(1)));
    }

    #[test]
    fn what_differs_is_set_everywhere() {
        let source = Source::read().unwrap();
        let capabilities = ["SYS_CHROOT"];
        let settings =
            Settings { image: Some("a/b:1"), port: Some(1), is_plain: false, capabilities: &capabilities };
        let container = source.container(&settings, &[("LIVENESS_A".to_owned(), "tcp://:2".to_owned())]);
        let shown = format!("{container:?}");
        assert!(!shown.contains("9809") && !shown.contains("envFrom") && !shown.contains("65532"), "{shown}");
        let env = Data::List(vec![
            crate::plugin::env::entry("LIVENESS_A", "tcp://:2"),
            crate::plugin::env::entry("HEALTH_PROXY_LISTEN", "[::]:1"),
        ]);
        assert_eq!(container.get("env"), Some(&env));
        assert_eq!(container.get("image"), Some(&Data::text("a/b:1")));
    }
}
