//! The container runtime: one function per thing that the kubelet asks of it. Everything goes through the `podman`
//! command, with the configuration that `tests/pod/run` has put into the environment.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

/// What a container is made of, as arguments of `podman run`.
#[derive(Default)]
pub struct Recipe {
    options: Vec<String>,
    image: String,
    arguments: Vec<String>,
}

impl Recipe {
    pub fn new(image: &str) -> Self {
        Self { image: image.to_owned(), ..Self::default() }
    }

    pub fn option(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.options.push(format!("--{name}={value}"));
        self
    }

    pub fn arguments(&mut self, arguments: &[impl ToString]) -> &mut Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// Starts the container in the background.
    pub fn run(&self, name: &str) -> Container {
        let output = Command::new("podman")
            .args(["run", "--detach", "--pull=never", "--name", name])
            .args(&self.options)
            .arg(&self.image)
            .args(&self.arguments)
            .output()
            .expect("podman runs");
        let id = text_of(&output);
        let pid = podman(&["inspect", "--format={{.State.Pid}}", &id]);
        Container { id, pid: pid.parse().expect("a process id") }
    }
}

/// A container that has been started; it may have ended since.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    /// Of its first process, as the host counts; 0 when it had ended before anybody looked.
    pub pid: i32,
}

/// How a container ended.
pub struct Exit {
    pub code: i32,
    pub ago: Duration,
}

impl Container {
    /// Whether its first process is there; the runtime's monitor reaps it, so that it does not linger as a zombie.
    pub fn runs(&self) -> bool {
        self.pid != 0 && Path::new(&format!("/proc/{}", self.pid)).exists()
    }

    /// Waits until the runtime knows that the container has ended.
    pub fn exit(&self) -> Exit {
        let code = podman(&["wait", &self.id]);
        let ended = podman(&["inspect", "--format={{.State.FinishedAt.UnixMilli}}", &self.id]);
        let ended = Duration::from_millis(ended.parse().expect("a time"));
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        Exit { code: code.parse().expect("an exit status"), ago: now.saturating_sub(ended) }
    }

    pub fn signal(&self, name: &str) {
        // The container may have ended by itself in between: then there is nobody to signal.
        let _ = raw(&["kill", "--signal", name, &self.id]);
    }

    /// Runs a command inside, as exec probes, hooks and `kubectl exec` do.
    pub fn exec(&self, command: &[String]) -> Output {
        let mut arguments = vec!["exec".to_owned(), self.id.clone()];
        arguments.extend_from_slice(command);
        raw(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// All that it has written to both its outputs.
    pub fn logs(&self) -> String {
        let output = raw(&["logs", &self.id]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    }

    pub fn remove(&self) {
        let _ = raw(&["rm", "--force", "--time=0", &self.id]);
    }

    /// The children of its first process, as the host counts.
    pub fn children(&self) -> Vec<i32> {
        let list = PathBuf::from(format!("/proc/{0}/task/{0}/children", self.pid));
        let list = std::fs::read_to_string(list).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }
}

fn podman(arguments: &[&str]) -> String {
    text_of(&raw(arguments))
}

fn raw(arguments: &[&str]) -> Output {
    Command::new("podman").args(arguments).output().expect("podman runs")
}

fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "podman: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
