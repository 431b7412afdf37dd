//! What several tests need to start a real server.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};

use crate::attempt::Directory;

/// A server from one of Debian's packages, which says nothing. It is killed with this value, and its children with it.
pub struct Server(pub Child);

impl Server {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(program).args(arguments))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self::of(command)
    }

    /// Starts a server whose standard streams the test has set.
    pub fn of(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} is needed: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().try_into().expect("a process id"));
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// Treats each connection to a free port with `treat`, and returns the port.
pub async fn serve<F: Future<Output = ()> + Send + 'static>(
    treat: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(treat(stream));
        }
    });
    port
}

/// Returns the Python that has the packages of the tests.
pub fn python() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/python/bin/python3"))
}

/// Starts a server in Python that prints its port.
pub fn python_server(arguments: &[&str]) -> (Server, u16) {
    let mut server = Server::of(python().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, line.trim().parse().expect("a port: the packages of tests/tools/python are needed"))
}

/// Returns a port of loopback that nobody listens on. It lies below the ports that the kernel hands out: one of those
/// could be another test's, or one end of its connection, before the server is there.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let of_this_process = 20_000 + std::process::id() % 1_000 * 12;
    let next = || u16::try_from(of_this_process + NEXT.fetch_add(1, Ordering::Relaxed) % 12).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(next).take(12).find(is_free).expect("a free port")
}

/// Returns a command of `PostgreSQL`'s, which refuses to run as root.
pub fn postgres(program: &str, directory: &Directory) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql is needed");
    let newest = versions.map(|version| version.unwrap().path()).max().expect("postgresql is needed");
    let program = newest.join("bin").join(program);
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let owned = Command::new("chown").args(["-R", "postgres", directory.path().to_str().unwrap()]).status();
    assert!(owned.unwrap().success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}
