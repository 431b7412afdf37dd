//! `listen://` and `process:`: what is looked for in the pod and not connected to.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use health_proxy::outcome::Outcome;
use health_proxy::targets::Attempt;
use health_proxy::witness::{Listeners, Sight, Witness};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::attempt::{Directory, failure, problems, run, target};
use crate::sidecar::eventually;

#[tokio::test]
async fn a_port_that_somebody_listens_on_without_a_word_to_him() {
    for host in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let listener = TcpListener::bind(host).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let check = target(&format!("listen://:{port}"), &[]);
        assert_eq!(run(&check).await, Outcome::Success, "{host}");
        assert!(matches!(check.sight(&Listeners::now()), Sight::There(Witness::Sockets(_))));
        assert!(listener.accept().is_err(), "nobody connects");
        drop(listener);
        assert_eq!(failure(&check).await, format!("nobody listens on port {port}"));
    }
}

#[tokio::test]
async fn no_more_connections_may_wait_than_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let check = target(&format!("listen://:{}", address.port()), &[("MAX_BACKLOG", "2")]);
    let _waiting: Vec<_> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert_eq!(run(&check).await, Outcome::Success);
    let _more: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    let reason = failure(&check).await;
    let expected = format!(
        "5 connections wait to be accepted on port {}, and 2 may: the app does not get to them",
        address.port()
    );
    assert_eq!(reason, expected);
    let _accepted: Vec<_> = (0..3).map(|_| listener.accept().unwrap()).collect();
    assert_eq!(run(&check).await, Outcome::Success);
}

#[test]
fn what_is_accepted_of_a_port() {
    for value in
        ["listen://", "listen://:0", "listen://:http", "listen://localhost:80", "listen://10.0.0.1:80"]
    {
        assert!(health_proxy::grammar::TargetSpec::read(value).is_err(), "{value}");
    }
    assert_eq!(
        problems("listen://:1", &[("MAX_BACKLOG", "many"), ("SEND", "x")]),
        [
            "LIVENESS_T_MAX_BACKLOG=\"many\": accepted: a whole number",
            "LIVENESS_T_SEND=(hidden): a listen target has no such option"
        ]
    );
}

/// A process that is not ours, as an app's: its parent has left it. It ends with this value.
struct App(Pid);

impl App {
    fn start(words: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\" >/dev/null 2>&1 & echo $!", "sh"]).args(words);
        let output = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        let app = Self(Pid::from_raw(output.trim().parse().unwrap()));
        // Until then it is still the shell.
        eventually("it has become what it is", || {
            let line = fs::read(format!("/proc/{}/cmdline", app.0)).ok()?;
            line.starts_with(words[0].as_bytes()).then_some(())
        });
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        eventually("it is dead", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
            let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            matches!(state, None | Some('Z' | 'X')).then_some(())
        });
    }
}

#[tokio::test]
async fn a_process_of_that_name_runs() {
    let directory = Directory::new();
    let program = directory.at("it-sleeper-with-a-long-name");
    fs::copy("/bin/sleep", &program).unwrap();
    let check = target("process:it-sleeper-with-a-long-name", &[]);
    let gone = "no process named \"it-sleeper-with-a-long-name\" runs: it has ended, or has not started yet";
    assert_eq!(failure(&check).await, gone);
    assert_eq!(check.sight(&Listeners::now()), Sight::Missing);
    let app = App::start(&[&program, "600.125"]);
    assert_eq!(run(&check).await, Outcome::Success);
    let noted = check.sight(&Listeners::now()).witness().cloned();
    assert!(matches!(noted, Some(Witness::Process(process)) if process.id == app.0.as_raw()));
    // What it is told is its own business, since it is no interpreter.
    assert!(failure(&target("process:600.125", &[])).await.starts_with("no process named"));
    drop(app);
    assert_eq!(failure(&check).await, gone);
    let _next = App::start(&[&program, "600"]);
    assert_eq!(run(&check).await, Outcome::Success);
    assert!(check.sight(&Listeners::now()).contradicts(noted.as_ref()), "it is a different one");
}

#[test]
fn what_is_asked_inside_a_container_has_its_process_for_a_witness() {
    let targets = ["file:/x", "exec:true", "unix:/x", "http+unix://%2Fx/", "grpc+unix://%2Fx"].map(|value| {
        let own = target(value, &[]);
        assert_eq!(own.sight(&Listeners::now()), Sight::Unwitnessed, "{value} in the sidecar");
        target(value, &[("IN_PROCESS", "it-inside-a-container")])
    });
    let directory = Directory::new();
    let program = directory.at("it-inside-a-container");
    fs::copy("/bin/sleep", &program).unwrap();
    let sights = || targets.each_ref().map(|target| target.sight(&Listeners::now()));
    assert_eq!(sights(), [const { Sight::Missing }; 5]);
    let app = App::start(&[&program, "600"]);
    let sees =
        |sight: &Sight| matches!(sight, Sight::There(Witness::Process(one)) if one.id == app.0.as_raw());
    eventually("every check sees the process", || sights().iter().all(sees).then_some(()));
}

#[tokio::test]
async fn an_interpreter_is_known_by_its_command_line() {
    let check = target("process:it.kafka.Kafka", &[]);
    assert!(failure(&check).await.starts_with("no process named"));
    let app = App::start(&["perl", "-e", "sleep 600", "--", "-Dlog=/x", "it.kafka.Kafka"]);
    assert_eq!(run(&check).await, Outcome::Success);
    assert_eq!(run(&target("process:kafka.Kaf", &[])).await, Outcome::Success);
    drop(app);
    assert!(failure(&check).await.starts_with("no process named"));
}
