//! What several tests need to start a real server.

use std::process::Command;

use crate::attempt::Directory;

/// A port of loopback that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
