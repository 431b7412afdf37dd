//! `postgres://`, `mysql://` and `redis://` against real servers: well, starting, full, stopped, and gone.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use health_proxy::outcome::Outcome;
use health_proxy::targets::Target;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;

use crate::attempt::{Directory, failure, problems, run, run_within, target};
use crate::servers::{free_port, postgres, serve};
use crate::sidecar::eventually;

/// A server whose output goes to a file; it ends with this value.
struct Server {
    process: Child,
    log: String,
}

impl Server {
    fn start(mut command: Command, directory: &Directory) -> Self {
        let log = directory.at("log");
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
        Self { process, log }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Two of them have processes of their own, which end with an orderly end only.
        let _ = kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGQUIT);
        let _ = kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGCONT);
        let _ = self.process.wait();
    }
}

/// Sessions, each begun with `opening` and held once the server's words end with `ending`, until `check` fails for
/// `reason`. That one of these is refused does not say that all places are theirs: the server counts a session that
/// has just ended for a moment more.
async fn fill(check: &Target, reason: &str, port: u16, opening: &[u8], ending: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..600 {
        held.extend(session(port, opening, ending));
        if run(check).await.text().is_some_and(|text| text.contains(reason)) {
            return held;
        }
    }
    panic!("never {reason:?} with {} sessions", held.len());
}

fn session(port: u16, opening: &[u8], ending: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(opening).unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(ending) {
        let mut words = [0; 1024];
        let length = stream.read(&mut words).unwrap_or_default();
        heard.extend_from_slice(&words[..length]);
        if length == 0 {
            return None;
        }
    }
    Some(stream)
}

async fn until(check: &Target, expected: &str) {
    let mut last = String::new();
    for _ in 0..600 {
        last = run(check).await.text().map_or_else(|| "success".to_owned(), ToString::to_string);
        if last.contains(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {expected:?}, but {last:?}");
}

/// Stops the server and kills it: one that takes connections and does nothing else is silent, and one that is gone
/// refuses.
async fn stops_and_ends(check: &Target, mut server: Server) {
    server.signal(Signal::SIGSTOP);
    let outcome = run_within(check, Duration::from_millis(200)).await;
    let silent = "timeout: connected, but the server said nothing within 200ms";
    assert_eq!(outcome, Outcome::Timeout(silent.into()));
    server.signal(Signal::SIGCONT);
    until(check, "success").await;
    server.signal(Signal::SIGKILL);
    server.process.wait().unwrap();
    until(check, "connection refused by localhost:").await;
}

fn redis(directory: &Directory, port: u16, options: &[&str]) -> Server {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--dir", directory.path().to_str().unwrap()]);
    command.args(options);
    Server::start(command, directory)
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_real_redis() {
    let (directory, port) = (Directory::new(), free_port());
    let server =
        redis(&directory, port, &["--requirepass", "p@ss:w/rd", "--user", "app", "on", ">hunter22", "+ping"]);
    let check = target(&format!("redis://:p%40ss%3Aw%2Frd@:{port}"), &[]);
    until(&check, "success").await;
    assert_eq!(run(&target(&format!("redis://app:hunter22@:{port}"), &[])).await, Outcome::Success);
    let wrong = |value: &str| target(&value.replace("PORT", &port.to_string()), &[]);
    assert_eq!(failure(&wrong("redis://:PORT")).await, "NOAUTH Authentication required.");
    let reason = failure(&wrong("redis://:other@:PORT")).await;
    assert!(reason.starts_with("WRONGPASS "), "{reason}");
    stops_and_ends(&check, server).await;
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replica_of_redis_without_its_master() {
    let (directory, port) = (Directory::new(), free_port());
    let options = ["--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no"];
    let _server = redis(&directory, port, &options);
    until(&target(&format!("redis://:{port}"), &[]), "MASTERDOWN Link with MASTER is down").await;
}

/// Starts a cluster that logs in as `method` has it, with the lines of `settings`.
fn cluster(directory: &Directory, method: &str, settings: &str) -> (Server, u16) {
    let (data, port) = (directory.at("data"), free_port());
    fs::create_dir(&data).unwrap();
    let password = directory.write("password", "hunter22");
    let mut initdb = postgres("initdb", directory);
    initdb.args(["--no-sync", "-U", "postgres", "-A", method, "--pwfile", &password, "-D", &data]);
    let made = initdb.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let configuration = format!("{data}/postgresql.conf");
    fs::write(&configuration, fs::read_to_string(&configuration).unwrap() + settings).unwrap();
    (start_postgres(directory, &data, port), port)
}

fn start_postgres(directory: &Directory, data: &str, port: u16) -> Server {
    let mut command = postgres("postgres", directory);
    let sockets = directory.path().to_str().unwrap();
    command.args(["-D", data, "-p", &port.to_string(), "-k", sockets, "-h", "127.0.0.1"]);
    Server::start(command, directory)
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_real_postgresql_of_which_the_log_says_nothing() {
    for method in ["trust", "scram-sha-256"] {
        let directory = Directory::new();
        let (server, port) = cluster(&directory, method, "");
        let check = target(&format!("postgres://:{port}"), &[]);
        until(&check, "success").await;
        eventually("it works", || server.log().contains("ready to accept connections").then_some(()));
        let before = server.log();
        for _ in 0..3 {
            assert_eq!(run(&check).await, Outcome::Success);
        }
        // A role that does not exist: the server takes sessions all the same.
        assert_eq!(run(&target(&format!("postgres://nobody@:{port}"), &[])).await, Outcome::Success);
        let said = server.log().replace(&before, "");
        let complaints: Vec<_> = said.lines().filter(|line| !line.contains("checkpoint")).collect();
        let expected = if method == "trust" { &["FATAL:  role \"nobody\" does not exist"][..] } else { &[] };
        assert_eq!(complaints.len(), expected.len(), "{method}: {complaints:?}");
        assert!(complaints.iter().zip(expected).all(|(line, end)| line.ends_with(end)), "{complaints:?}");
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_postgresql_that_recovers_one_that_is_full_and_one_that_stops() {
    let directory = Directory::new();
    let (server, port) = cluster(
        &directory,
        "trust",
        "max_connections = 2\nmax_wal_senders = 0\nsuperuser_reserved_connections = 0\n",
    );
    let check = target(&format!("postgres://:{port}"), &[]);
    until(&check, "success").await;
    let startup = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
    let full = "too many clients already (SQLSTATE 53300)";
    let sessions = fill(&check, full, port, startup, b"Z\0\0\0\x05I").await;
    drop(sessions);
    until(&check, "success").await;
    drop(server);
    // It waits for a part of its log that never comes.
    let data = directory.at("data");
    let configuration = format!("{data}/postgresql.conf");
    let waits = "restore_command = 'sleep 600'\n";
    fs::write(&configuration, fs::read_to_string(&configuration).unwrap() + waits).unwrap();
    fs::write(format!("{data}/recovery.signal"), "").unwrap();
    let server = start_postgres(&directory, &data, port);
    until(&check, "FATAL: the database system is ").await;
    assert!(failure(&check).await.ends_with("(SQLSTATE 57P03)"));
    server.signal(Signal::SIGQUIT);
}

#[tokio::test]
#[ignore = "needs mariadb-server"]
async fn a_real_mariadb() {
    let directory = Directory::new();
    let (data, socket, port) = (directory.at("data"), directory.at("socket"), free_port());
    let made = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"])
        .arg(format!("--datadir={data}"))
        // One that starts removes the temporary tables of all the others in that directory.
        .env("TMPDIR", directory.path())
        .output()
        .expect("mariadb-server is needed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = Command::new("mariadbd");
    command.env("TMPDIR", directory.path()).args([
        "--no-defaults",
        "--user=root",
        "--bind-address=127.0.0.1",
        "--max-connections=10",
        "--log-warnings=1",
        // Nothing has to outlive it, and a disk that is busy must not hold its start up.
        "--innodb-flush-method=nosync",
    ]);
    command.args([format!("--datadir={data}"), format!("--socket={socket}"), format!("--port={port}")]);
    let server = Server::start(command, &directory);
    let check = target(&format!("mysql://:{port}"), &[]);
    until(&check, "success").await;
    let before = server.log();
    for _ in 0..3 {
        assert_eq!(run(&check).await, Outcome::Success);
    }
    let said = server.log().replace(&before, "");
    assert_eq!(said, "", "at the default of 2 it would note each connection without a login");
    let sessions = fill(&check, "Too many connections (error 1040)", port, b"", b"native_password\0").await;
    drop(sessions);
    until(&check, "success").await;
    stops_and_ends(&check, server).await;
}

#[tokio::test]
async fn servers_of_another_kind() {
    let port = serve(async |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    })
    .await;
    for (scheme, protocol) in [("postgres", "PostgreSQL's"), ("mysql", "MySQL's"), ("redis", "Redis'")] {
        let reason = failure(&target(&format!("{scheme}://:{port}"), &[])).await;
        let answer = r#"answered "SSH-2.0-OpenSSH_9.2\r\n""#;
        assert_eq!(reason, format!("the server does not speak {protocol} protocol: {answer}"));
    }
}

#[test]
fn what_is_accepted() {
    for wrong in ["postgres://", "postgres://db", "mysql://u:p@db:1", "redis://:x@:", "redis://h:1/x"] {
        assert!(health_proxy::grammar::TargetSpec::read(wrong).is_err(), "{wrong}");
    }
    let refused = problems("mysql://:3306", &[("SEND", "x")]);
    assert_eq!(refused, ["LIVENESS_T_SEND=(hidden): a mysql target has no such option"]);
}
