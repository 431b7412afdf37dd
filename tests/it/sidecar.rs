//! Starts the binary with variables of its own, asks it, reads its log, and ends it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The time that anything that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_health-proxy");

/// Returns a command of the binary that inherits nothing but `PATH`.
pub fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Waits until `condition` gives something.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "between two looks a test lets the others work")]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let head = head.to_ascii_lowercase();
        let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
        let body = if is_chunked && !body.is_empty() { unchunked(body)? } else { body.to_owned() };
        Some(Self { status, head, body })
    }
}

/// Returns a body that came in chunks, if it came whole.
fn unchunked(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let (chunk, rest) = rest.split_at_checked(usize::from_str_radix(size, 16).ok()?)?;
        body.push_str(chunk);
        chunks = rest.strip_prefix("\r\n")?;
        if chunk.is_empty() {
            return Some(body);
        }
    }
}

/// Sends bytes and reads until the peer closes.
pub fn raw(address: SocketAddr, request: &[u8]) -> std::io::Result<String> {
    raw_in_pieces(address, &[request])
}

/// Sends bytes piece by piece and reads until the peer closes.
pub fn raw_in_pieces(address: SocketAddr, pieces: &[&[u8]]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    for piece in pieces {
        stream.write_all(piece)?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A running sidecar; it ends with this value.
pub struct Sidecar {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
    /// Where it answers.
    pub address: SocketAddr,
}

impl Sidecar {
    /// Starts it on a free port of loopback.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = command(&[], &[("HEALTH_PROXY_LISTEN", "127.0.0.1:0")]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(&mut command)
    }

    /// Starts it as `command` says, with piped outputs.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let log = collect(child.stdout.take().expect("a pipe"));
        let errors = collect(child.stderr.take().expect("a pipe"));
        let address = eventually("the sidecar listens", || {
            let log = log.lock().unwrap();
            let line = log.iter().find(|line| line.contains("\"listening\""))?;
            line.split("\"address\":\"").nth(1)?.split('"').next()?.parse().ok()
        });
        Self { child, log, errors, address }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    /// Asks as the kubelet does.
    pub fn kubelet(&self, path: &str) -> Answer {
        self.request("GET", path, "User-Agent: kube-probe/1.36\r\n")
    }

    pub fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        let text = raw(self.address, request.as_bytes()).expect("an answer");
        Answer::parse(&text).unwrap_or_else(|| panic!("no HTTP answer to {path}: {text:?}"))
    }

    /// Waits until `path` answers `status`, and gives the body.
    #[track_caller]
    pub fn wait_for(&self, path: &str, status: u16) -> String {
        eventually(&format!("{path} answers {status}"), || {
            let answer = self.get(path);
            (answer.status == status).then_some(answer.body)
        })
    }

    /// Waits until a line of the log contains `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> String {
        eventually(&format!("the log says {text:?}"), || self.logged(text))
    }

    pub fn logged(&self, text: &str) -> Option<String> {
        self.log.lock().unwrap().iter().find(|line| line.contains(text)).cloned()
    }

    pub fn errors(&self) -> Vec<String> {
        self.errors.lock().unwrap().clone()
    }

    /// Returns the value of a series on `/metrics`, named as it is printed there.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let body = self.get("/metrics").body;
        let line = body.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }

    /// Returns the id of the supervisor.
    pub fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Returns the id of the present worker.
    pub fn worker(&self) -> Option<Pid> {
        let id = self.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split(' ').find_map(|child| child.parse().ok()).map(Pid::from_raw)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Waits for the end of the supervisor.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the sidecar ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // The worker goes with it, since the kernel tells it of its parent's death.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(pipe: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            collected.lock().unwrap().push(line);
        }
    });
    lines
}
