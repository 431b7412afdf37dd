//! From a container of a manifest to the arguments of the runtime: what the kubelet and its runtime make of image,
//! command, environment, security context, resources and volumes.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, SecurityContext};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::manifest::Manifest;
use crate::podman::Recipe;

/// The parts of a pod that its containers share.
pub struct Sandbox {
    pub id: String,
    pub volumes: PathBuf,
    /// The first one is where the kubelet probes, and what the downward API tells.
    pub addresses: Vec<IpAddr>,
}

/// Returns how to run one container of a manifest in a pod.
pub fn recipe(manifest: &Manifest, container: &Container, sandbox: &Sandbox) -> Recipe {
    let image = container.image.as_deref().expect("a container has an image");
    let mut recipe = Recipe::new(&format!("localhost/{image}"));
    recipe.option("network", format!("container:{}", sandbox.id));
    if manifest.pod.share_process_namespace == Some(true) {
        recipe.option("pid", format!("container:{}", sandbox.id));
    }
    for (name, value) in manifest.variables(container, &sandbox.addresses) {
        recipe.option("env", format!("{name}={value}"));
    }
    if let Some(command) = &container.command {
        let command = serde_json::to_string(command).expect("words are JSON");
        recipe.option("entrypoint", command);
    }
    recipe.arguments(container.args.as_deref().unwrap_or_default());
    confine(&mut recipe, container.security_context.as_ref().expect("a security context"));
    limit(&mut recipe, container);
    for mount in container.volume_mounts.iter().flatten() {
        let access = if mount.read_only == Some(true) { "ro" } else { "rw" };
        let volumes = manifest.pod.volumes.iter().flatten();
        let host_path = volumes.filter(|one| one.name == mount.name).find_map(|one| one.host_path.as_ref());
        let directory = host_path
            .map_or_else(|| empty_dir(&sandbox.volumes, &mount.name), |host| PathBuf::from(&host.path));
        recipe.option("volume", format!("{}:{}:{access}", directory.display(), mount.mount_path));
    }
    recipe
}

fn confine(recipe: &mut Recipe, context: &SecurityContext) {
    let user = context.run_as_user.expect("a numeric user");
    recipe.option("user", format!("{user}:{}", context.run_as_group.unwrap_or(user)));
    if context.read_only_root_filesystem == Some(true) {
        recipe.option("read-only", true);
        recipe.option("read-only-tmpfs", false);
    }
    if context.allow_privilege_escalation == Some(false) {
        recipe.option("security-opt", "no-new-privileges");
    }
    let capabilities = context.capabilities.clone().unwrap_or_default();
    for capability in capabilities.drop.iter().flatten() {
        recipe.option("cap-drop", capability);
    }
    for capability in capabilities.add.iter().flatten() {
        recipe.option("cap-add", capability);
    }
}

fn limit(recipe: &mut Recipe, container: &Container) {
    let limits = container.resources.as_ref().and_then(|all| all.limits.as_ref());
    let limits = limits.expect("limits are set");
    recipe.option("memory", bytes(&limits["memory"]));
    recipe.option("memory-swap", bytes(&limits["memory"]));
    recipe.option("cpus", format!("{:.3}", f64::from(millis(&limits["cpu"])) / 1000.0));
}

fn bytes(quantity: &Quantity) -> u64 {
    let mebibytes = quantity.0.strip_suffix("Mi").expect("memory in Mi");
    mebibytes.parse::<u64>().expect("a number") << 20
}

fn millis(quantity: &Quantity) -> u32 {
    let millis = quantity.0.strip_suffix('m').expect("cpu in m");
    millis.parse().expect("a number")
}

/// Returns the directory of an `emptyDir`, writable for everybody as in Kubernetes.
fn empty_dir(volumes: &Path, name: &str) -> PathBuf {
    let directory = volumes.join(name);
    std::fs::create_dir_all(&directory).expect("a directory for the volume");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("its permissions");
    directory
}
