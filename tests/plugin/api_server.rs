//! A small API server: it answers with what a real one was seen to answer, and counts how many sidecars
//! are asked at a time.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// The answers by path, with their statuses.
pub type Answers = HashMap<String, (u16, String)>;

/// A server on a port of loopback, and a configuration that leads kubectl to it.
pub struct ApiServer {
    directory: PathBuf,
    shared: Arc<Shared>,
}

/// The state that all connections share.
struct Shared {
    answers: Mutex<Answers>,
    crowd: Mutex<Crowd>,
    changed: Condvar,
}

/// The questions to sidecars that wait for an answer.
#[derive(Default)]
struct Crowd {
    now: usize,
    most: usize,
    /// Nobody is answered before so many have asked at a time.
    wanted: usize,
}

impl Shared {
    /// Waits until the crowd is as large as is wanted, once; whoever waits too long goes on, and the test fails.
    fn join(&self) {
        let mut crowd = self.crowd.lock().expect("the crowd");
        crowd.now += 1;
        crowd.most = crowd.most.max(crowd.now);
        self.changed.notify_all();
        let is_small = |crowd: &mut Crowd| crowd.most < crowd.wanted;
        let waited = self.changed.wait_timeout_while(crowd, Duration::from_secs(30), is_small);
        waited.expect("the crowd").0.now -= 1;
    }
}

impl ApiServer {
    pub fn start(answers: Answers) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (answers, crowd) = (Mutex::new(answers), Mutex::default());
        let shared = Arc::new(Shared { answers, crowd, changed: Condvar::new() });
        let of_all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_all);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let directory =
            std::env::temp_dir().join(format!("health-proxy-api-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "namespace": "shop", "user": "test"}},
                {"name": "other", "context": {"cluster": "test", "user": "test"}},
            ],
            "users": [{"name": "test", "user": {}}],
        });
        std::fs::write(directory.join("config"), config.to_string()).expect("a configuration");
        Self { directory, shared }
    }

    /// Answers a path differently from now on.
    pub fn set(&self, path: &str, answer: &Value) {
        self.shared.answers.lock().expect("the answers").insert(path.to_owned(), (200, answer.to_string()));
    }

    /// Holds answers back until so many sidecars are asked at a time.
    pub fn want_a_crowd(&self, size: usize) {
        self.shared.crowd.lock().expect("the crowd").wanted = size;
    }

    /// Returns how many sidecars were asked at a time at the most.
    pub fn most(&self) -> usize {
        self.shared.crowd.lock().expect("the crowd").most
    }

    /// Returns `kubectl health-proxy` with these words: kubectl itself finds the plugin.
    pub fn kubectl(&self, words: &[&str]) -> Command {
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-health_proxy"));
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            [plugin.parent().expect("a directory").to_owned(), tools]
                .into_iter()
                .chain(std::env::split_paths(&path)),
        );
        let path = path.expect("a PATH");
        // The program that is started is looked for in our own PATH, its children in theirs.
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/kubectl");
        let kubectl = if installed.exists() { installed } else { "kubectl".into() };
        let mut command = Command::new(kubectl);
        command.arg("health-proxy").args(words);
        command
            .env("PATH", path)
            .env("KUBECONFIG", self.directory.join("config"))
            .env("HOME", &self.directory);
        command
    }

    /// Runs `kubectl health-proxy status` with these words.
    pub fn status(&self, words: &[&str]) -> crate::program::Run {
        let output = self.kubectl(&[&["status"], words].concat()).output();
        let output = output.expect("there is a kubectl: tests/tools/kubectl-helm installs one");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        crate::program::Run {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Starts `kubectl health-proxy status` in a process group of its own.
    pub fn watch(&self, words: &[&str]) -> Child {
        use std::os::unix::process::CommandExt;
        let mut command = self.kubectl(&[&["status", "--watch"], words].concat());
        command.stdout(Stdio::piped()).process_group(0).spawn().expect("there is a kubectl")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Answers one connection: one request after the other, as kubectl's client wants it.
fn answer(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        // kubectl hands its patience on.
        let path = first
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .replace("&timeout=10s", "")
            .replace("?timeout=10s", "");
        if path.contains("/proxy/") {
            shared.join();
        }
        let found = shared.answers.lock().expect("the answers").get(&path).cloned();
        let (status, body) =
            found.unwrap_or_else(|| (404, refusal(404, "NotFound", &format!("nothing at {path}"))));
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

/// Returns how an API server refuses.
pub fn refusal(code: u16, reason: &str, message: &str) -> String {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": {}, "code": code,
    });
    status.to_string()
}
