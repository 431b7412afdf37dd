//! `exec-floor COMMAND RATE RUNS`: `posix_spawn` and wait.

use std::io;
use std::process::Command;

fn main() -> io::Result<()> {
    let program = std::env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    // The standard library calls posix_spawn where, as here, nothing forbids it.
    floors::paced(1, || match Command::new(&program).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("the command failed")),
    })
}
