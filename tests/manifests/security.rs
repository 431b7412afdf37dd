//! The rules of the Pod Security Standards `baseline` and `restricted`, as far as a pod template can break them.

use k8s_openapi::api::core::v1::{Container, PodSpec, SecurityContext};
use serde_json::Value;

const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Returns what keeps a pod from being admitted by `baseline`.
pub fn against_baseline(spec: &PodSpec) -> Vec<String> {
    let host = [(spec.host_network, "hostNetwork"), (spec.host_pid, "hostPID"), (spec.host_ipc, "hostIPC")];
    let mut faults: Vec<_> =
        host.into_iter().filter(|(set, _)| set.unwrap_or(false)).map(|(_, field)| field.to_owned()).collect();
    for volume in spec.volumes.iter().flatten() {
        if volume.host_path.is_some() {
            faults.push(format!("volume {}: hostPath", volume.name));
        }
    }
    for container in containers(spec) {
        let context = context(container);
        if context.privileged.unwrap_or(false) {
            faults.push(format!("{}: privileged", container.name));
        }
        if context.proc_mount.is_some_and(|mount| mount != "Default") {
            faults.push(format!("{}: procMount", container.name));
        }
        for added in added_capabilities(container) {
            if !BASELINE_CAPABILITIES.contains(&added.as_str()) {
                faults.push(format!("{}: capability {added}", container.name));
            }
        }
        for port in container.ports.iter().flatten() {
            if port.host_port.unwrap_or(0) != 0 {
                faults.push(format!("{}: hostPort", container.name));
            }
        }
        if seccomp(spec, container).as_deref() == Some("Unconfined") {
            faults.push(format!("{}: seccompProfile Unconfined", container.name));
        }
        faults.extend(probed_hosts(container));
    }
    faults
}

/// Returns what keeps a pod from being admitted by `restricted`.
pub fn against_restricted(spec: &PodSpec) -> Vec<String> {
    let mut faults = against_baseline(spec);
    for volume in spec.volumes.iter().flatten() {
        let kinds = serde_json::to_value(volume).expect("a volume is JSON");
        let kind = kinds.as_object().into_iter().flatten().map(|(key, _)| key);
        for kind in kind.filter(|kind| *kind != "name") {
            if !RESTRICTED_VOLUMES.contains(&kind.as_str()) {
                faults.push(format!("volume {}: {kind}", volume.name));
            }
        }
    }
    let pod = spec.security_context.clone().unwrap_or_default();
    for container in containers(spec) {
        let context = context(container);
        let name = &container.name;
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{name}: {what}"));
            }
        };
        must(context.allow_privilege_escalation == Some(false), "allowPrivilegeEscalation is not false");
        must(context.run_as_non_root.or(pod.run_as_non_root) == Some(true), "runAsNonRoot is not true");
        must(context.run_as_user.or(pod.run_as_user) != Some(0), "runAsUser is 0");
        must(drops_all_capabilities(container), "capabilities are not all dropped");
        must(
            added_capabilities(container).iter().all(|added| added == "NET_BIND_SERVICE"),
            "capabilities are added",
        );
        must(
            matches!(seccomp(spec, container).as_deref(), Some("RuntimeDefault" | "Localhost")),
            "seccompProfile is not RuntimeDefault",
        );
    }
    faults
}

/// Returns every container of a pod, init containers first.
pub fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

fn context(container: &Container) -> SecurityContext {
    container.security_context.clone().unwrap_or_default()
}

fn added_capabilities(container: &Container) -> Vec<String> {
    let capabilities = context(container).capabilities.unwrap_or_default();
    capabilities.add.unwrap_or_default()
}

fn drops_all_capabilities(container: &Container) -> bool {
    let capabilities = context(container).capabilities.unwrap_or_default();
    capabilities.drop.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL"))
}

fn seccomp(spec: &PodSpec, container: &Container) -> Option<String> {
    let pod = spec.security_context.clone().unwrap_or_default();
    let profile = context(container).seccomp_profile.or(pod.seccomp_profile)?;
    Some(profile.type_)
}

/// Probes and hooks that name a host make the kubelet call it from the node: refused by `baseline` since 1.34.
fn probed_hosts(container: &Container) -> Vec<String> {
    fn look(value: &Value, name: &str, faults: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let kind = matches!(key.as_str(), "httpGet" | "tcpSocket");
            if kind && value.get("host").is_some() {
                faults.push(format!("{name}: {key} names a host"));
            }
            look(value, name, faults);
        }
    }
    let value = serde_json::to_value(container).expect("a container is JSON");
    let mut faults = Vec::new();
    look(&value, &container.name, &mut faults);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(container: &Value) -> PodSpec {
        serde_json::from_value(serde_json::json!({ "containers": [container] }))
            .expect("a pod of one container")
    }

    #[test]
    fn a_container_that_asks_for_nothing_breaks_restricted_alone() {
        let spec = pod(&serde_json::json!({"name": "web"}));
        assert_eq!(against_baseline(&spec), [""; 0]);
        assert_eq!(against_restricted(&spec).len(), 4);
    }

    #[test]
    fn what_baseline_forbids_is_found() {
        let spec = pod(&serde_json::json!({
            "name": "web",
            "ports": [{"containerPort": 80, "hostPort": 80}],
            "livenessProbe": {"httpGet": {"host": "127.0.0.1", "port": 80}},
            "securityContext": {
                "privileged": true,
                "capabilities": {"add": ["SYS_PTRACE", "SYS_CHROOT"]},
                "seccompProfile": {"type": "Unconfined"}
            }
        }));
        assert_eq!(
            against_baseline(&spec),
            [
                "web: privileged",
                "web: capability SYS_PTRACE",
                "web: hostPort",
                "web: seccompProfile Unconfined",
                "web: httpGet names a host"
            ]
        );
    }
}
