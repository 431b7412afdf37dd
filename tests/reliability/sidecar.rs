//! A real sidecar with variables of its own, started plainly or inside something that confines it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{Process, scratch};

/// The time that anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the program under test: the shipped artefact where the caller names it, else the one built for tests.
pub fn program() -> PathBuf {
    let named = std::env::var_os("HEALTH_PROXY_BINARY").map(PathBuf::from);
    let path = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_health-proxy").into());
    fs::canonicalize(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Waits until `condition` gives something, and fails with `what` if it never does.
#[track_caller]
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, condition).unwrap_or_else(|| panic!("never happened: {what}"))
}

/// Waits until `condition` gives something, or the time is over.
pub fn within<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let found = condition();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns a port of loopback that nobody has.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The way in which a sidecar is to be started.
#[derive(Debug)]
pub struct Plan {
    name: String,
    wrapper: Vec<OsString>,
    program: PathBuf,
    variables: Vec<(String, String)>,
    port: u16,
}

impl Plan {
    /// Returns a plain start of the program under test; `name` names its log.
    pub fn new(name: &str) -> Self {
        let port = free_port();
        let listen = ("HEALTH_PROXY_LISTEN".to_owned(), format!("127.0.0.1:{port}"));
        Self { name: name.to_owned(), wrapper: Vec::new(), program: program(), variables: vec![listen], port }
    }

    /// Adds a variable.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Listens on the network too, as in a pod.
    pub fn on_every_address(mut self) -> Self {
        self.variables.retain(|(name, _)| name != "HEALTH_PROXY_LISTEN");
        let listen = format!("[::]:{}", self.port);
        self.set("HEALTH_PROXY_LISTEN", listen)
    }

    /// Leaves the address to listen on to the default.
    pub fn on_default_address(mut self) -> Self {
        self.variables.retain(|(name, _)| name != "HEALTH_PROXY_LISTEN");
        self
    }

    /// Starts it through another command, such as `unshare`.
    pub fn through<S: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Starts another binary, as the wrapper sees it.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Returns the command, with nothing inherited but `PATH`.
    pub fn command(&self) -> Command {
        let mut words = self.wrapper.iter().cloned().chain([self.program.clone().into()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Returns a different command of the program, with the same variables.
    pub fn command_with(&self, argument: &str) -> Command {
        let mut command = self.command();
        command.arg(argument);
        command
    }

    /// Starts it with its outputs in files, and waits until it answers.
    pub fn start(self) -> Sidecar {
        let directory = scratch(&self.name);
        let (log, errors) = (directory.join("stdout"), directory.join("stderr"));
        let mut command = self.command();
        command.stdout(File::create(&log).expect("a log")).stderr(File::create(&errors).expect("a log"));
        let sidecar = Sidecar::adopt(command.spawn().expect("the sidecar starts"), self.port, log);
        sidecar.wait_until_it_answers();
        sidecar
    }

    /// Starts it with outputs of the caller's choice; it may not answer yet.
    pub fn start_with(self, stdout: Stdio, stderr: Stdio) -> Sidecar {
        let child = self.command().stdout(stdout).stderr(stderr).spawn().expect("the sidecar starts");
        Sidecar::adopt(child, self.port, PathBuf::new())
    }
}

/// A running sidecar; it ends with this value.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    log: PathBuf,
    /// Where it answers.
    pub address: SocketAddr,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Sidecar {
    fn adopt(child: Child, port: u16, log: PathBuf) -> Self {
        Self { child, log, address: (Ipv4Addr::LOCALHOST, port).into() }
    }

    pub fn wait_until_it_answers(&self) {
        eventually("the sidecar answers", || self.ask("GET", "/livez", "").ok());
    }

    /// Asks with a method and further header lines.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> io::Result<Answer> {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        let text = exchange(self.address, request.as_bytes(), PATIENCE)?;
        parse(&text).ok_or_else(|| io::Error::other(format!("no HTTP answer: {text:?}")))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Returns the document of `/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").body).expect("/status is JSON")
    }

    /// Returns every value of a family on `/metrics` whose line contains `filter`, added up.
    pub fn metric(&self, family: &str, filter: &str) -> f64 {
        let body = self.get("/metrics").body;
        let lines = body.lines().filter(|line| line.starts_with(family) && line.contains(filter));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Returns what it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Returns the process that was started: the supervisor, or what wraps it.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Returns the supervisor, below any wrapper.
    pub fn supervisor(&self) -> i32 {
        eventually("a supervisor", || self.find(|command| command.len() == 1))
    }

    /// Returns the worker.
    pub fn worker(&self) -> i32 {
        eventually("a worker", || self.find(|command| command.get(1).is_some_and(|word| word == "worker")))
    }

    fn find(&self, is_wanted: impl Fn(&[String]) -> bool) -> Option<i32> {
        let all = Process::all();
        let mut generation = vec![self.id()];
        while !generation.is_empty() {
            if let Some(id) = generation.iter().find(|&&id| is_ours(id, &is_wanted)) {
                return Some(*id);
            }
            let is_next = |process: &&Process| generation.contains(&process.parent);
            generation = all.iter().filter(is_next).map(|process| process.id).collect();
        }
        None
    }

    /// Waits for the end of what was started.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("it ends", || self.child.try_wait().expect("its status"))
    }

    /// Returns whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // A worker dies with its supervisor; one that is stopped has to be continued for that.
        for process in Process::children_of(self.id()) {
            let _ = kill(Pid::from_raw(process.id), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the remembered runs of a check in `/status`: how long each took in seconds, and its result.
pub fn past_runs(check: &Value) -> Vec<(f64, &'static str)> {
    let seconds = check["runs"]["seconds"].as_array().expect("seconds").iter();
    let results = check["runs"]["results"].as_str().expect("results").chars();
    let word = |letter| match letter {
        's' => "success",
        'f' => "failure",
        't' => "timeout",
        other => panic!("{other:?} is no result"),
    };
    seconds.map(|seconds| seconds.as_f64().expect("a number")).zip(results.map(word)).collect()
}

/// Sends a signal to a process that exists.
pub fn signal(id: i32, signal: Signal) {
    kill(Pid::from_raw(id), signal).expect("a signal is sent");
}

fn is_ours(id: i32, is_wanted: impl Fn(&[String]) -> bool) -> bool {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|&b| b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let words = &words[..words.len().saturating_sub(1)];
    words.first().is_some_and(|first| first.ends_with("health-proxy")) && is_wanted(words)
}

/// Sends bytes, and reads until the peer closes or `patience` is over between two reads.
pub fn exchange(address: SocketAddr, request: &[u8], patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Returns the status and the body of an answer.
pub fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}
