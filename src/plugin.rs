//! `kubectl health-proxy`: reads manifests and clusters, and writes manifests. Nothing of it runs in a pod.
//!
//! `inject`, `uninject` and `explain` are filters over text: `yaml` edits it in place, `workload` and `pod` find
//! what there is to look at, `plan` decides, and the grammar and `native` say what a probe is as a check.

mod arguments;
mod asked;
mod boot;
mod cluster;
mod env;
mod findings;
pub mod inject;
pub mod input;
mod manifests;
mod names;
mod original;
mod place;
pub mod plan;
mod pod;
mod probe;
mod report;
pub mod set;
mod shared;
pub mod sidecar;
mod status;
mod times;
pub mod uninject;
mod workload;
mod yaml;

use std::process::ExitCode;

use input::Fault;

/// The exit status of a wrong command and of input that is wrong.
const WRONG_USE: u8 = 2;

const HELP: &str = "\
kubectl health-proxy moves probes to the health-proxy sidecar and back, and says what probes mean.

Usage:
  kubectl health-proxy inject [-f FILE]…    add the sidecar; native probes become its checks
  kubectl health-proxy uninject [-f FILE]…  undo inject: restore the native probes
  kubectl health-proxy explain [-f FILE]…   how long restarts take; exit status 1 if something is dangerous
  kubectl health-proxy status [NAME | -l SELECTOR] [-n NAMESPACE | -A] [--watch] [-o json]
                                            what the sidecars say, failing first; exit status 1 if a pod is not ready
  kubectl health-proxy --help, --version

Without -f the manifests come from standard input. The result goes to standard output, comments on it to
standard error. All kinds with a pod template are understood; everything else in the files stays unchanged.

Options of inject:
  --image IMAGE         the sidecar's image
  --port PORT           the sidecar's port (default 9809)
  --container NAME      only this container's probes; may be repeated
  --exec-in-process     exec probes too: the sidecar runs the command inside the container's process
  --set NAME=VALUE      a variable of the sidecar, such as LIVENESS_WEB_PERIOD_SECONDS=2; may be repeated

status asks each sidecar through the API server with your own rights (get pods, get pods/proxy); it takes
kubectl's options that say which cluster is meant (--context, --kubeconfig, --as and their like).
";

/// The reason for which a command could not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The command line is wrong.
    #[error("kubectl health-proxy: {0}")]
    Usage(String),
    /// The input is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
    /// Something cannot be written.
    #[error("kubectl health-proxy: {0}")]
    Io(std::io::Error),
}

impl From<Vec<Fault>> for PluginError {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faults(faults)
    }
}

impl From<String> for PluginError {
    fn from(message: String) -> Self {
        Self::Usage(message)
    }
}

/// Does what `arguments` (without the program's name) ask for.
pub fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments {
        [command, rest @ ..] if !rest.iter().any(|word| word == "--help" || word == "-h") => {
            match command.as_str() {
                "inject" => manifests::run_inject(rest),
                "uninject" => manifests::run_uninject(rest),
                "explain" => manifests::run_explain(rest),
                "status" => status::run_status(rest),
                "--help" | "-h" | "help" => help(),
                "--version" | "-V" => version(),
                other => Err(PluginError::Usage(format!(
                    "unknown command {other:?}; see kubectl health-proxy --help"
                ))),
            }
        }
        [_, ..] => help(),
        [] => Err(PluginError::Usage("which command? See kubectl health-proxy --help".to_owned())),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        WRONG_USE.into()
    })
}

fn help() -> Result<ExitCode, PluginError> {
    manifests::print(HELP).map(|()| ExitCode::SUCCESS)
}

fn version() -> Result<ExitCode, PluginError> {
    let version = concat!("kubectl-health_proxy ", env!("CARGO_PKG_VERSION"), "\n");
    manifests::print(version).map(|()| ExitCode::SUCCESS)
}
