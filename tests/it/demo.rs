//! `demo`, as a newcomer sees it: the whole round, and an end that leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sidecar::{command, eventually};

/// One round, each line after the one before, others in between.
const ROUND: [&[&str]; 13] = [
    &["kubelet  > starts kubia, container 1"],
    &["sidecar  - startup kubia 1/20: connection refused by localhost:"],
    &["sidecar  + startup kubia passes"],
    &["kubelet  + /readyz 200: sends traffic"],
    &["sidecar  - liveness kubia 1/3: HTTP probe failed with statuscode: 400"],
    &["sidecar  - liveness kubia 2/3: HTTP probe failed with statuscode: 400"],
    &["sidecar  - liveness kubia 3/3: HTTP probe failed with statuscode: 400"],
    &["sidecar  * /livez 200 -> 503"],
    &["kubelet  - /livez 503: 3 of 4"],
    // The sidecar sees by the socket that this one is new, or is told so by the kubelet's question.
    &[
        "kubelet  x /livez 503: has killed container 1",
        "kubelet  > starts kubia, container 2",
        "sidecar  * incarnation 2: every state and count begins anew",
    ],
    &["sidecar  + startup kubia passes"],
    &["kubelet  + /startupz 200: asks /livez and /readyz from now on"],
    &["kubelet  + /readyz 200: sends traffic"],
];

/// A running demo; it ends with this value.
struct Demo {
    child: Child,
    lines: Option<std::io::Lines<BufReader<ChildStdout>>>,
}

impl Demo {
    /// Starts the demo with a variable of the user's own, which is none of the sidecar's business.
    fn start() -> Self {
        let mut command = command(&["demo"], &[("LIVENESS_MISSPELT_PERIOD", "1")]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        Self { child, lines }
    }

    /// Reads until a line contains `text`, and gives it.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        for line in self.lines.iter_mut().flatten().map_while(Result::ok) {
            if line.contains(text) {
                return line;
            }
            read.push(line);
        }
        panic!("never said: {text}\n{}", read.join("\n"));
    }

    /// Reads until every one of `texts` was said, in whatever order.
    #[track_caller]
    fn wait_for_all(&mut self, texts: &[&str]) {
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            let line = self.wait_for("");
            missing.retain(|text| !line.contains(text));
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Returns the sidecar's two processes.
    fn sidecar(&self) -> [Pid; 2] {
        let supervisor = eventually("a supervisor", || child_of(self.id()));
        [supervisor, eventually("a worker", || child_of(supervisor))]
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill(self.id(), signal).unwrap();
        self.wait()
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        eventually("the demo ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn child_of(id: Pid) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    children.split(' ').find_map(|child| child.parse().ok()).map(Pid::from_raw)
}

/// Returns whether the process is gone. Dead is enough: an orphan is reaped by whoever adopts it.
fn has_gone(id: Pid) -> Option<()> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z')).then_some(())
}

/// Returns the port at the end of `NAME=…:PORT`.
fn port(line: &str) -> u16 {
    line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn the_whole_round_and_an_orderly_end() {
    let mut demo = Demo::start();
    let ports = ["LIVENESS_KUBIA=", "HEALTH_PROXY_LISTEN="].map(|name| {
        let line = demo.wait_for(name);
        port(line.split(" #").next().unwrap().trim_end())
    });
    for texts in ROUND {
        demo.wait_for_all(texts);
    }
    let sidecar = demo.sidecar();
    assert_eq!(demo.end(Signal::SIGINT).code(), Some(0));
    demo.wait_for("their ports are free again");
    for id in sidecar {
        assert_eq!(has_gone(id), Some(()), "{id} has been left behind");
    }
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "port {port} is in use");
    }
}

#[test]
fn it_ends_when_nobody_reads_any_more() {
    let mut demo = Demo::start();
    demo.wait_for("Ctrl-C ends it.");
    demo.lines = None;
    assert_eq!(demo.wait().code(), Some(0));
}

#[test]
fn the_sidecar_goes_with_a_demo_that_is_killed() {
    let mut demo = Demo::start();
    demo.wait_for("starts kubia, container 1");
    let sidecar = demo.sidecar();
    assert_eq!(demo.end(Signal::SIGKILL).signal(), Some(9));
    for id in sidecar {
        eventually("the sidecar has gone", || has_gone(id));
    }
}

#[test]
fn it_ends_when_its_sidecar_does() {
    let mut demo = Demo::start();
    demo.wait_for("starts kubia, container 1");
    kill(demo.sidecar()[0], Signal::SIGKILL).unwrap();
    assert_eq!(demo.wait().code(), Some(1));
}
