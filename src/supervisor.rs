//! The first of the two processes: it holds the listening socket, and there is always a worker behind it.
//!
//! It also keeps, in memory that it never looks at, what a worker leaves to the next one.
//!
//! It reads the configuration once; after that it waits for signals, children and time and does nothing else:
//! no async runtime, nothing read from outside. Callers wait in the socket's backlog while a worker starts.

mod port;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::watchdog::TICK;
use worker::{MAX_ENDS, Worker};

/// The hidden command that is the second process; its argument is the id of the first.
pub const WORKER: &str = "worker";

/// The reason for which the supervisor exits with a failure.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The port cannot be had.
    #[error("HEALTH_PROXY_LISTEN={0}: cannot listen: {1}")]
    Listen(SocketAddr, io::Error),
    /// There is no memory for what a worker leaves to the next one.
    #[error("cannot make the memory of the workers: {0}")]
    Memory(io::Error),
    /// A worker cannot be started.
    #[error("cannot start the worker: {0}")]
    Start(io::Error),
    /// Signals or children cannot be waited for.
    #[error("cannot wait: {0}")]
    Wait(#[from] Errno),
    /// Workers do not live.
    #[error("{MAX_ENDS} workers had to be replaced within a minute; the last one {0}")]
    Ends(String),
}

/// Listens, keeps a worker alive, passes SIGTERM and SIGINT on, and reaps every orphan.
///
/// Returns the worker's exit code once it was asked to end.
///
/// # Errors
/// The port cannot be had, or workers do not live.
pub fn run(configured: Option<SocketAddr>) -> Result<u8, SupervisorError> {
    let wanted = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT]);
    wanted.thread_block()?;
    let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    set_child_subreaper(true)?;
    let mut worker = Worker::start(port::bind(configured)?)?;
    let mut next_tick = Instant::now() + TICK;
    loop {
        let signal = next_signal(&signals, next_tick)?;
        let code = match signal {
            Some(Signal::SIGCHLD) => worker.reap()?,
            Some(signal) => worker.end(signal)?,
            None => {
                let now = Instant::now();
                next_tick = now + TICK;
                worker.tick(now)?
            }
        };
        if let Some(code) = code {
            return Ok(code);
        }
    }
}

/// Returns the next signal, or `None` when it is `until`.
fn next_signal(signals: &SignalFd, until: Instant) -> Result<Option<Signal>, Errno> {
    loop {
        if let Some(signal) = signals.read_signal()? {
            return Signal::try_from(signal.ssi_signo.cast_signed()).map(Some);
        }
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(None);
        }
        // Poll counts whole milliseconds, and would return early without one more.
        let rest = PollTimeout::try_from(rest + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], rest) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
