//! Renders a kustomization the way a user's `kubectl apply -k` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Returns the directory of a path given relative to the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns a tool of the tests: the one that `tests/tools/kubectl-helm` has installed, or else what is in the `PATH`.
pub fn tool(name: &str) -> Command {
    let installed = repository("target/tools").join(name);
    Command::new(if installed.exists() { installed } else { name.into() })
}

/// Returns the objects that `kubectl kustomize` makes of a directory, in its order.
pub fn render(directory: &Path) -> Vec<Value> {
    let output = tool("kubectl")
        .arg("kustomize")
        .arg(directory)
        .output()
        .expect("there is a kubectl: tests/tools/kubectl-helm installs one");
    assert!(
        output.status.success(),
        "{} does not render: {}",
        directory.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("manifests are UTF-8");
    serde_saphyr::from_multiple(&text).expect("rendered manifests are YAML")
}

/// Returns the objects of a file.
pub fn read(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the file is there");
    serde_saphyr::from_multiple(&text).expect("manifests are YAML")
}
