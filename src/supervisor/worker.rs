//! The worker of the moment: started, watched, and replaced when it dies or hangs.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, fs, io};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::{SupervisorError, WORKER};
use crate::handover::{self, Past, Restarts};
use crate::orphans;
use crate::proc_stat::ProcStat;
use crate::program;
use crate::watchdog::{Hang, Judgement, Look, Watchdog};

/// So many workers that had to be replaced within [`ENDS_WITHIN`] end the container.
pub(super) const MAX_ENDS: usize = 5;

/// See [`MAX_ENDS`].
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The exit code of a worker that was killed because it hung.
const KILLED: u8 = 128 + Signal::SIGKILL as u8;

/// The unit of processor time in `/proc`, on every architecture that there is an image for.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// The pause before another try where a worker cannot be started.
const START_PAUSE: Duration = Duration::from_millis(100);

/// The worker of the moment.
pub(super) struct Worker {
    listener: TcpListener,
    past: Past,
    process: WorkerProcess,
    is_ending: bool,
    /// When the last ones had to be replaced.
    ends: VecDeque<Instant>,
}

/// A worker's process, as long as it is the one.
struct WorkerProcess {
    id: Pid,
    line: UnixDatagram,
    watchdog: Watchdog,
    /// Why it was killed, if it was.
    hang: Option<Hang>,
}

impl Worker {
    pub(super) fn start(listener: TcpListener) -> Result<Self, SupervisorError> {
        let past = Past::empty().map_err(SupervisorError::Memory)?;
        let process = spawn(&listener, &past, None).map_err(SupervisorError::Start)?;
        Ok(Self { listener, past, process, is_ending: false, ends: VecDeque::new() })
    }

    /// Passes a signal on; from then on the worker's end is ours.
    pub(super) fn end(&mut self, signal: Signal) -> Result<Option<u8>, SupervisorError> {
        self.is_ending = true;
        kill(self.process.id, signal)?;
        Ok(None)
    }

    /// Reaps whatever has ended. Returns the exit code when the worker's end is ours.
    pub(super) fn reap(&mut self) -> Result<Option<u8>, SupervisorError> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
                Ok(status) if status.pid() == Some(self.process.id) => {
                    let cause = self.process.hang.take().map_or_else(|| Cause::of(status), Cause::Hang);
                    if let Some(code) = self.ended(cause, exit_code(status))? {
                        return Ok(Some(code));
                    }
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills a worker that hangs; whatever it leaves is cleared away when it has ended.
    pub(super) fn tick(&mut self, now: Instant) -> Result<Option<u8>, SupervisorError> {
        let WorkerProcess { id, line, watchdog, hang } = &mut self.process;
        if let Some(hang) = hang.take() {
            // One that waits for a dead disk does not even end by SIGKILL; it will, before it runs again.
            return self.ended(Cause::Hang(hang), KILLED);
        }
        if let Judgement::Hung(cause) = watchdog.tick(now, handover::has_beaten(line), || look(*id)) {
            *hang = Some(cause);
            kill(*id, Signal::SIGKILL)?;
        }
        Ok(None)
    }

    /// Returns the exit code when the worker's end is ours, else there is another worker afterwards.
    fn ended(&mut self, cause: Cause, code: u8) -> Result<Option<u8>, SupervisorError> {
        if self.is_ending {
            return Ok(Some(code));
        }
        self.replace(cause)?;
        Ok(None)
    }

    /// Starts another worker, which logs how this one ended: the log is never written from here.
    #[expect(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
    fn replace(&mut self, mut cause: Cause) -> Result<(), SupervisorError> {
        orphans::kill_children(getpid());
        loop {
            self.count(&cause)?;
            match spawn(&self.listener, &self.past, Some(&cause.to_string())) {
                Ok(process) => {
                    self.process = process;
                    return Ok(());
                }
                // Those that just ended may still count against a limit on processes or memory.
                Err(error) => cause = Cause::Death(format!("could not be started: {error}")),
            }
            std::thread::sleep(START_PAUSE);
        }
    }

    fn count(&mut self, cause: &Cause) -> Result<(), SupervisorError> {
        let Restarts { deaths, hangs } = &mut self.past.restarts;
        *(if matches!(cause, Cause::Hang(_)) { hangs } else { deaths }) += 1;
        let now = Instant::now();
        self.ends.retain(|end| now.duration_since(*end) < ENDS_WITHIN);
        self.ends.push_back(now);
        if self.ends.len() < MAX_ENDS { Ok(()) } else { Err(SupervisorError::Ends(cause.to_string())) }
    }
}

/// The reason for which a worker has to be replaced, in words that follow *the worker*.
enum Cause {
    Death(String),
    Hang(Hang),
}

impl Cause {
    fn of(status: WaitStatus) -> Self {
        Self::Death(match status {
            WaitStatus::Exited(_, code) => format!("died by exit status {code}"),
            WaitStatus::Signaled(_, signal, _) => format!("died by signal {} ({signal})", signal as i32),
            other => format!("died by {other:?}"),
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Death(how) => f.write_str(how),
            Self::Hang(hang) => hang.fmt(f),
        }
    }
}

/// Looks at the thread that turns a worker's loop, its first one.
fn look(worker: Pid) -> Option<Look> {
    let stat = fs::read_to_string(format!("/proc/{worker}/task/{worker}/stat")).ok()?;
    let stat = ProcStat::parse(&stat)?;
    let used = stat.field::<u32>(14)?.saturating_add(stat.field(15)?);
    Some(Look { state: stat.field(3)?, used: CLOCK_TICK * used })
}

/// Starts this program again, with a line to it as its standard input on which all it needs waits already.
fn spawn(listener: &TcpListener, past: &Past, ended: Option<&str>) -> io::Result<WorkerProcess> {
    let (line, theirs) = UnixDatagram::pair()?;
    line.set_nonblocking(true)?;
    handover::send(&line, listener, past, ended)?;
    let mut command = Command::new(program::own());
    command.arg(WORKER).arg(getpid().to_string()).stdin(Stdio::from(OwnedFd::from(theirs)));
    let id = command.spawn()?.id();
    let id = Pid::from_raw(i32::try_from(id).unwrap_or_default());
    Ok(WorkerProcess { id, line, watchdog: Watchdog::new(Instant::now()), hang: None })
}

/// Returns the worker's own code; for a signal 128 and its number, as a shell has it.
fn exit_code(status: WaitStatus) -> u8 {
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::process::Child;

    use super::*;

    fn shell(script: &str) -> (Child, Pid) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        (child, id)
    }

    #[test]
    fn a_look_tells_who_works_and_who_does_not() {
        let (mut busy, busy_id) = shell("while :; do :; done");
        let (mut idle, idle_id) = shell("kill -STOP $$");
        let sees = |id, what: &dyn Fn(Look) -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            let mut looks = std::iter::repeat_with(|| look(id)).take_while(|_| Instant::now() < deadline);
            looks.any(|look| look.is_some_and(what))
        };
        assert!(sees(busy_id, &|look| look.state == 'R' && look.used >= Duration::from_millis(50)));
        assert!(sees(idle_id, &|look| look.state == 'T' && look.used < Duration::from_millis(50)));
        for child in [&mut busy, &mut idle] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(look(busy_id), None);
    }
}
