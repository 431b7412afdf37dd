//! A cluster, asked by kubectl with the rights of whoever runs it.

use std::process::{Command, Stdio};

use form_urlencoded::byte_serialize;

/// The longest time that one question may take.
const PATIENCE: &str = "--request-timeout=10s";

/// Options of kubectl itself, which are handed on.
const HANDED_ON: [&str; 10] = [
    "--as",
    "--as-group",
    "--as-uid",
    "--cluster",
    "--context",
    "--kubeconfig",
    "--server",
    "--tls-server-name",
    "--token",
    "--user",
];

/// A cluster as kubectl knows it.
#[derive(Debug, Default)]
pub struct Cluster {
    options: Vec<String>,
}

impl Cluster {
    /// Returns whether an option is one of kubectl's own that say which cluster is meant.
    pub fn knows(option: &str) -> bool {
        HANDED_ON.contains(&option)
    }

    /// Hands an option on to kubectl.
    pub fn hand_on(&mut self, option: &str, value: &str) {
        self.options.push(format!("{option}={value}"));
    }

    /// Returns the namespace that kubectl would use.
    ///
    /// # Errors
    /// There is no kubectl, or it has no configuration.
    pub fn namespace(&self) -> Result<String, String> {
        let named = self.run(&["config", "view", "--minify", "--output=jsonpath={..namespace}"])?;
        Ok(if named.is_empty() { "default".to_owned() } else { named })
    }

    /// Asks the API server for a path.
    ///
    /// # Errors
    /// The message of kubectl.
    pub fn get(&self, path: &str) -> Result<String, String> {
        self.run(&["get", "--raw", path, PATIENCE])
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output =
            Command::new("kubectl").args(&self.options).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("kubectl: {error}"))?;
        if output.status.success() {
            return String::from_utf8(output.stdout).map_err(|_| "the answer is not UTF-8".to_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let said = errors.trim().lines().next_back().unwrap_or("kubectl failed without a word").to_owned();
        Err(said)
    }
}

/// Returns the path of the pods of a namespace, or of all.
pub fn pods(namespace: Option<&str>, selector: Option<&str>) -> String {
    let namespace = namespace.map(|namespace| format!("/namespaces/{}", escaped(namespace)));
    let selector = selector.map(|selector| format!("?labelSelector={}", escaped(selector)));
    format!("/api/v1{}/pods{}", namespace.unwrap_or_default(), selector.unwrap_or_default())
}

/// Returns the path of one pod.
pub fn pod(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", escaped(namespace), escaped(name))
}

/// Returns the path by which the API server asks a pod's sidecar for its document.
pub fn document(namespace: &str, name: &str, port: u16) -> String {
    format!("{}:{port}/proxy/status", pod(namespace, name))
}

fn escaped(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_whatever_a_user_writes() {
        assert_eq!(pods(None, None), "/api/v1/pods");
        assert_eq!(
            pods(Some("shop"), Some("app in (a,b),!x")),
            "/api/v1/namespaces/shop/pods?labelSelector=app+in+%28a%2Cb%29%2C%21x"
        );
        assert_eq!(document("a/b", "web-0", 81), "/api/v1/namespaces/a%2Fb/pods/web-0:81/proxy/status");
    }
}
