//! Ending with the process that started this one, however that ended.

use std::io;
use std::os::unix::process::parent_id;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// Sends `signal` here, from now on, when `parent` exits, the id of the process that started this one.
///
/// # Errors
/// It has ended already, so that nobody would send anything.
pub fn follow(parent: &str, signal: Signal) -> io::Result<()> {
    set_pdeathsig(signal)?;
    if parent_id().to_string() == parent {
        Ok(())
    } else {
        Err(io::Error::other(format!("process {parent}, which started this one, has ended")))
    }
}
