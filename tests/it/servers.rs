//! What several tests need to start a real server.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::attempt::Directory;

/// A server from one of Debian's packages, which says nothing and ends with this value.
pub struct Server(pub Child);

impl Server {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(program).args(arguments))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} is needed: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of loopback that nobody listens on. It lies below the ports that the kernel hands out: one of those could be
/// another test's, or one end of its connection, before the server is there.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let of_this_process = 20_000 + std::process::id() % 1_000 * 12;
    let next = || u16::try_from(of_this_process + NEXT.fetch_add(1, Ordering::Relaxed) % 12).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(next).take(12).find(is_free).expect("a free port")
}

/// A command of `PostgreSQL`'s, which refuses to run as root.
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
