//! The container runtime: one function per thing that the kubelet asks of it. Everything goes through the `podman`
//! command, with the configuration that `tests/pod/run` has put into the environment.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The parts of a container, as arguments of `podman run`.
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
        let pid_file = std::env::temp_dir().join(format!("{name}-{}.pid", std::process::id()));
        let output = Command::new("podman")
            .args(["run", "--detach", "--pull=never", "--name", name])
            .arg(format!("--pidfile={}", pid_file.display()))
            .args(&self.options)
            .arg(&self.image)
            .args(&self.arguments)
            .output()
            .expect("podman runs");
        let id = text_of(&output);
        let pid = std::fs::read_to_string(&pid_file).expect("podman has written the process id");
        std::fs::remove_file(&pid_file).expect("it is there");
        Container { id, pid: pid.trim().parse().expect("a process id") }
    }
}

/// A container that has been started; it may have ended since.
#[derive(Clone, Debug)]
pub struct Container {
    pub id: String,
    /// Of its first process, as the host counts.
    pub pid: i32,
}

/// The end of a container.
pub struct Exit {
    pub code: i32,
    pub ago: Duration,
}

impl Container {
    /// Returns whether its first process is there; the runtime's monitor reaps it, so that it does not linger as a
    /// zombie.
    pub fn runs(&self) -> bool {
        Path::new(&format!("/proc/{}", self.pid)).exists()
    }

    /// Waits until the runtime knows that the container has ended.
    pub fn exit(&self) -> Exit {
        let state = "--format={{.State.Status}} {{.State.ExitCode}} {{.State.FinishedAt.UnixMilli}}";
        loop {
            let known = podman(&["inspect", state, &self.id]);
            let mut words = known.split(' ');
            if words.next() == Some("exited") {
                let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
                let (code, ended) = (number().expect("an exit status"), number().expect("a time"));
                let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
                let ago = now.saturating_sub(Duration::from_millis(ended));
                return Exit { code: code.try_into().expect("a small number"), ago };
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal to the first process. It may have ended by itself in between: then there is nobody to signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }

    /// Runs a command inside, as exec probes, hooks and `kubectl exec` do.
    pub fn exec(&self, command: &[String]) -> Output {
        let mut arguments = vec!["exec".to_owned(), self.id.clone()];
        arguments.extend_from_slice(command);
        raw(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a command inside for so long only: `None` when the command was still running then. It goes on until the
    /// container ends.
    pub fn exec_within(&self, command: &[String], limit: Duration) -> Option<Output> {
        let (tell, told) = std::sync::mpsc::channel();
        let (container, command) = (self.clone(), command.to_vec());
        std::thread::spawn(move || {
            let _ = tell.send(container.exec(&command));
        });
        told.recv_timeout(limit).ok()
    }

    /// Returns all that it has written to both its outputs.
    pub fn logs(&self) -> String {
        let output = raw(&["logs", &self.id]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    }

    pub fn remove(&self) {
        let _ = raw(&["rm", "--force", "--time=0", &self.id]);
    }

    /// Returns the children of its first process, as the host counts.
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
