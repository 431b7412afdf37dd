//! `exec:`: a command exits with status 0. No shell; judged when the command itself exits.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

use super::place::Inside;
use super::reason::io_reason;
use super::{Attempt, MAX_SAID_BYTES, Progress, Stage, enter};
use crate::blocking::{Place, Turn};
use crate::grammar::{self, OptionReader};
use crate::orphans;
use crate::outcome::{Outcome, beginning};

/// The part of a command's output that is kept, in bytes (`pkg/probe/exec/exec.go`, `maxReadLength`).
const MAX_OUTPUT_BYTES: usize = 10 * 1024;

/// The part of it that a reason repeats, in bytes: how the command ended is to stand on the same line.
const MAX_REASON_BYTES: usize = 800;

/// A command and its arguments.
#[derive(Debug)]
pub struct Exec {
    words: grammar::command::Command,
    /// The container that it runs in, if that is not the sidecar's.
    inside: Option<Arc<Inside>>,
    /// Taken while a command runs, and for as long as one lives that was killed.
    place: Place,
}

impl Exec {
    /// Takes `_IN_PROCESS`.
    pub fn new(command: &grammar::command::Command, reader: &mut OptionReader) -> Self {
        let inside = Inside::parse(reader).map(Arc::new);
        Self { words: command.clone(), inside, place: Place::default() }
    }

    async fn command(&self) -> Result<Command, String> {
        let Some(inside) = &self.inside else { return Ok(enter::here(self.words.words()).into()) };
        let (looked_in, silence) = (Arc::clone(inside), "the processes of /proc did not answer");
        let process = self.place.run(silence, move || looked_in.process()).await??;
        Ok(enter::inside(inside.name(), process, self.words.words()).into())
    }

    async fn run(&self, stage: &Stage<'_>) -> Result<Outcome, String> {
        let command = self.command().await?;
        let turn = self.place.turn().await;
        let program = &self.words.program;
        let (group, output) = self
            .start(command, stage, turn)
            .map_err(|error| format!("cannot start {program:?}: {}", io_reason(&error)))?;
        finish(group, output, stage)
            .await
            .map_err(|error| format!("cannot run {program:?}: {}", io_reason(&error)))
    }

    fn start<'a>(
        &'a self,
        mut command: Command,
        stage: &'a Stage<'a>,
        turn: Turn,
    ) -> io::Result<(Group<'a>, Output)> {
        orphans::kill_leftovers();
        let (output, stdout) = io::pipe()?;
        let stderr = stdout.try_clone()?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let group = Group::new(self, stage, command.spawn()?, turn);
        // With the command go our own copies of the pipe's writing end, or its end would never be seen.
        Ok((group, Output::new(output)?))
    }
}

impl Attempt for Exec {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.run(stage).await.unwrap_or_else(Outcome::failure)
    }

    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(match self.place.waits_for().filter(|_| !stage.has_reached(Progress::Connected)) {
            Some(silence) => format!("timeout: {silence} within {timeout:?}"),
            None => format!("command timed out: {:?} timed out after {timeout:?}", self.words.program),
        })
    }

    fn inside(&self) -> Option<&Inside> {
        self.inside.as_deref()
    }
}

/// Reads while the command runs, so that it never blocks on a full pipe, and judges it when it exits.
async fn finish(mut group: Group<'_>, mut output: Output, stage: &Stage<'_>) -> io::Result<Outcome> {
    let status = tokio::select! {
        biased;
        status = group.wait() => status?,
        () = output.drain(stage) => group.wait().await?,
    };
    if status.success() {
        return Ok(Outcome::Success);
    }
    output.read_what_is_there();
    Ok(Outcome::failure(reason(status, &stage.hear(&output.kept))))
}

/// Returns what the kubelet would say, which is the output, and how the command ended.
fn reason(status: ExitStatus, output: &str) -> String {
    let end = match (status.signal(), status.code()) {
        (Some(number), _) if number == Signal::SIGKILL as i32 => {
            "killed by SIGKILL (the memory limit of the sidecar?)".to_owned()
        }
        (Some(number), _) => {
            format!("killed by {}", Signal::try_from(number).map_or("an unknown signal", Signal::as_str))
        }
        (None, code) => format!("exit status {}", code.unwrap_or_default()),
    };
    match output.trim() {
        "" => format!("{end}, and nothing was printed"),
        // Our own words, of a command that was never started.
        text if status.code() == Some(i32::from(enter::NOT_STARTED)) => text.to_owned(),
        text => {
            format!("{} ({end})", beginning(text, MAX_REASON_BYTES))
        }
    }
}

/// A command and all that it started in its process group; whatever is left of them is killed with this value.
struct Group<'a> {
    exec: &'a Exec,
    stage: &'a Stage<'a>,
    /// The command, and the turn that lasts as long as it lives; nothing once both were handed on.
    leader: Option<(Child, Turn)>,
    id: Option<Pid>,
}

impl<'a> Group<'a> {
    fn new(exec: &'a Exec, stage: &'a Stage<'a>, leader: Child, turn: Turn) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        id.into_iter().for_each(orphans::run_began);
        Self { exec, stage, leader: Some((leader, turn)), id }
    }

    /// Waits until the command exits.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.leader {
            Some((leader, _)) => leader.wait().await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Notes for the reason of a timeout how far the command `id` has come.
    fn note(&self, id: Pid) {
        let program = &self.exec.words.program;
        if enter::is_on_the_way(id) {
            self.exec.place.note(format!("the file system did not answer for {program}"));
        } else {
            self.stage.reach(Progress::Connected);
            self.exec.place.note(format!(
                "{program} of an earlier run was killed and does not die: what it waits for does not answer"
            ));
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // One that was waited for has no id any more.
        let survivor = self.leader.take().filter(|(leader, _)| leader.id().is_some());
        if survivor.is_some() {
            self.note(id);
        }
        // The id of a leader that was just waited for is not given away again for thousands of forks, and the group
        // keeps it in use while one member lives.
        let _ = killpg(id, Signal::SIGKILL);
        orphans::run_ended(id);
        orphans::kill_leftovers();
        // Even SIGKILL has to wait for a file system that does not answer, and until then no other is started.
        if let (Some((mut leader, turn)), Ok(runtime)) = (survivor, Handle::try_current()) {
            drop(runtime.spawn(async move {
                let _ = leader.wait().await;
                drop(turn);
            }));
        }
    }
}

/// The reading end of the pipe that is both standard output and standard error.
struct Output {
    pipe: pipe::Receiver,
    kept: Vec<u8>,
}

impl Output {
    fn new(pipe: PipeReader) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))?, kept: Vec::new() })
    }

    /// Reads to the end: keeps the beginning, so that the command never blocks on a full pipe.
    async fn drain(&mut self, stage: &Stage<'_>) {
        while self.kept.len() < MAX_OUTPUT_BYTES {
            let room = MAX_OUTPUT_BYTES - self.kept.len();
            match (&mut self.pipe).take(room as u64).read_buf(&mut self.kept).await {
                Ok(0) | Err(_) => return,
                // In case that it says no more and does not end.
                Ok(_) if self.kept.len() <= MAX_SAID_BYTES => drop(stage.hear(&self.kept)),
                Ok(_) => {}
            }
        }
        let mut ignored = vec![0; MAX_OUTPUT_BYTES];
        while !matches!(self.pipe.read(&mut ignored).await, Ok(0) | Err(_)) {}
    }

    /// Takes what a command left in the pipe, without waiting for others that still hold it open.
    fn read_what_is_there(&mut self) {
        while self.kept.len() < MAX_OUTPUT_BYTES && matches!(self.pipe.try_read_buf(&mut self.kept), Ok(1..))
        {
        }
        self.kept.truncate(MAX_OUTPUT_BYTES);
    }
}
