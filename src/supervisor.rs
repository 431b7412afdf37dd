//! The first of the two processes: it holds the listening socket, and there is always a worker behind it.
//!
//! It also keeps, in memory that it never looks at, what a worker leaves to the next one.
//!
//! It reads the configuration once; after that it waits for signals and children and does nothing else: no
//! async runtime, nothing read from outside. Callers wait in the socket's backlog while a worker starts.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::handover::{self, Past};
use crate::orphans;

/// The hidden command that is the second process; its argument is the id of the first.
pub const WORKER: &str = "worker";

/// Where to listen by default.
const PORT: u16 = 9809;

/// So many deaths of the worker within [`DEATHS_WITHIN`] end the container.
const DEATHS: usize = 5;

/// See [`DEATHS`].
const DEATHS_WITHIN: Duration = Duration::from_secs(60);

/// How long to wait before another try where a worker cannot be started.
const START_PAUSE: Duration = Duration::from_millis(100);

/// What the kernel keeps of an accepted connection, in bytes each way: for a slow peer it could grow to
/// megabytes, which count as our memory.
const SOCKET_BUFFER: usize = 64 * 1024;

/// Why the supervisor ends with a failure.
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
    #[error("the worker died {DEATHS} times within a minute, the last time by {0}")]
    Deaths(String),
}

/// Listens, keeps a worker alive, passes SIGTERM and SIGINT on, and reaps every orphan.
///
/// Gives the worker's exit code once it was asked to end.
///
/// # Errors
/// The port cannot be had, or workers do not live.
pub fn run(configured: Option<SocketAddr>) -> Result<u8, SupervisorError> {
    let signals = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT]);
    signals.thread_block()?;
    set_child_subreaper(true)?;
    let mut worker = Worker::start(bind(configured)?)?;
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(code) = worker.reap()? {
                    return Ok(code);
                }
            }
            signal => worker.end(signal)?,
        }
    }
}

/// Binds the configured address, or port 9809 on every address that this pod has.
fn bind(configured: Option<SocketAddr>) -> Result<TcpListener, SupervisorError> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let address = configured.unwrap_or(any);
    let has_no_ipv6 = |error: &io::Error| {
        error.kind() == ErrorKind::AddrNotAvailable
            || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
    };
    let bound = match TcpListener::bind(address) {
        Err(error) if configured.is_none() && has_no_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
        }
        bound => bound,
    };
    let bound = bound.map_err(|error| SupervisorError::Listen(address, error))?;
    setsockopt(&bound, sockopt::SndBuf, &SOCKET_BUFFER)?;
    setsockopt(&bound, sockopt::RcvBuf, &SOCKET_BUFFER)?;
    // Accepted connections inherit it. Otherwise the end of a long answer waits 40 ms for a delayed acknowledgement.
    setsockopt(&bound, sockopt::TcpNoDelay, &true)?;
    // std asks for a backlog of 128; a burst must not make the kubelet wait for a repeated SYN.
    listen(&bound, Backlog::MAXCONN)?;
    Ok(bound)
}

/// The worker of the moment.
struct Worker {
    listener: TcpListener,
    past: Past,
    id: Pid,
    is_ending: bool,
    deaths: VecDeque<Instant>,
}

impl Worker {
    fn start(listener: TcpListener) -> Result<Self, SupervisorError> {
        let past = Past::empty().map_err(SupervisorError::Memory)?;
        let id = spawn(&listener, &past, None)?;
        Ok(Self { listener, past, id, is_ending: false, deaths: VecDeque::new() })
    }

    /// Passes a signal on; from then on the worker's end is ours.
    fn end(&mut self, signal: Signal) -> Result<(), SupervisorError> {
        self.is_ending = true;
        Ok(kill(self.id, signal)?)
    }

    /// Reaps whatever has ended. Gives the exit code when the worker's end is ours.
    fn reap(&mut self) -> Result<Option<u8>, SupervisorError> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
                Ok(status) if status.pid() == Some(self.id) => {
                    if self.is_ending {
                        return Ok(Some(exit_code(status)));
                    }
                    self.replace(status)?;
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts another worker, which logs how this one ended: the log is never written from here.
    #[expect(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
    fn replace(&mut self, status: WaitStatus) -> Result<(), SupervisorError> {
        orphans::end_all_of(getpid());
        let mut cause = cause(status);
        loop {
            self.count_death(&cause)?;
            match spawn(&self.listener, &self.past, Some(&format!("died by {cause}"))) {
                Ok(id) => {
                    self.id = id;
                    return Ok(());
                }
                // Those that just ended may still count against a limit on processes or memory.
                Err(error) => cause = error.to_string(),
            }
            std::thread::sleep(START_PAUSE);
        }
    }

    fn count_death(&mut self, cause: &str) -> Result<(), SupervisorError> {
        self.past.restarts.deaths += 1;
        let now = Instant::now();
        self.deaths.retain(|death| now.duration_since(*death) < DEATHS_WITHIN);
        self.deaths.push_back(now);
        if self.deaths.len() < DEATHS { Ok(()) } else { Err(SupervisorError::Deaths(cause.to_owned())) }
    }
}

/// Starts this program again, with a line to it as its standard input on which all it needs waits already.
fn spawn(listener: &TcpListener, past: &Past, ended: Option<&str>) -> Result<Pid, SupervisorError> {
    let start = || {
        let (ours, theirs) = UnixDatagram::pair()?;
        handover::send(&ours, listener, past, ended)?;
        let mut command = Command::new(own_program());
        command.arg(WORKER).arg(getpid().to_string()).stdin(Stdio::from(OwnedFd::from(theirs)));
        command.spawn()
    };
    let id = start().map_err(SupervisorError::Start)?.id();
    Ok(Pid::from_raw(i32::try_from(id).unwrap_or_default()))
}

/// This program, also where there is no `/proc`.
pub fn own_program() -> PathBuf {
    let named = || std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    std::env::current_exe().unwrap_or_else(|_| named())
}

fn cause(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit status {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("signal {} ({signal})", signal as i32),
        other => format!("{other:?}"),
    }
}

/// The worker's own code; for a signal 128 and its number, as a shell has it.
fn exit_code(status: WaitStatus) -> u8 {
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    };
    u8::try_from(code).unwrap_or(1)
}
