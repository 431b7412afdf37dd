//! `exec:`: a command exits with status 0. No shell; judged when the command itself exits.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::place::Inside;
use super::reason::io_reason;
use super::{Attempt, Stage, enter};
use crate::grammar::{self, Given};
use crate::orphans;
use crate::outcome::Outcome;

/// How much of a command's output is kept, in bytes (`pkg/probe/exec/exec.go`, `maxReadLength`).
const OUTPUT_LIMIT: usize = 10 * 1024;

/// A command and its arguments.
#[derive(Debug)]
pub struct Exec {
    words: grammar::command::Command,
    /// Where it runs, if that is not here.
    inside: Option<Inside>,
}

impl Exec {
    /// Takes `_IN_PROCESS`.
    pub fn new(command: &grammar::command::Command, given: &mut Given) -> Self {
        Self { words: command.clone(), inside: Inside::parse(given) }
    }

    fn command(&self) -> Result<Command, String> {
        if let Some(inside) = &self.inside {
            return Ok(enter::command(inside.name(), inside.process()?, self.words.words()).into());
        }
        let mut command = Command::new(&self.words.program);
        command.args(&self.words.arguments);
        Ok(command)
    }

    async fn run(&self, mut command: Command) -> io::Result<Outcome> {
        orphans::end_those_of_past_runs();
        let (output, stdout) = io::pipe()?;
        let stderr = stdout.try_clone()?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let group = match command.spawn() {
            Ok(child) => Group::new(child),
            Err(error) => {
                let reason = io_reason(&error);
                return Ok(Outcome::failure(format!("cannot start {:?}: {reason}", self.words.program)));
            }
        };
        // Our own copies of the pipe's writing end go, or its end would never be seen.
        drop(command);
        finish(group, Output::new(output)?).await
    }
}

impl Attempt for Exec {
    async fn attempt(&self, _: &Stage) -> Outcome {
        let fault =
            |error| Outcome::failure(format!("cannot run {:?}: {}", self.words.program, io_reason(&error)));
        match self.command() {
            Ok(command) => self.run(command).await.unwrap_or_else(fault),
            Err(reason) => Outcome::failure(reason),
        }
    }

    fn timed_out(&self, _: &Stage, timeout: Duration) -> String {
        format!("command timed out: {:?} timed out after {timeout:?}", self.words.program)
    }

    fn inside(&self) -> Option<&Inside> {
        self.inside.as_ref()
    }
}

/// Reads while the command runs, so that it never blocks on a full pipe, and judges it when it exits.
async fn finish(mut group: Group, mut output: Output) -> io::Result<Outcome> {
    let status = tokio::select! {
        biased;
        status = group.leader.wait() => status?,
        () = output.drain() => group.leader.wait().await?,
    };
    if status.success() {
        return Ok(Outcome::Success);
    }
    output.read_what_is_there();
    Ok(Outcome::failure(reason(status, &output.kept)))
}

/// What the kubelet would say: the output; or how the command ended where it said nothing.
fn reason(status: ExitStatus, output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    match (text.trim_end(), status.signal()) {
        ("", Some(number)) => {
            let name = Signal::try_from(number).map_or("unknown signal", Signal::as_str);
            format!("command was killed by signal {number} ({name})")
        }
        ("", None) => format!("command exited with status {}", status.code().unwrap_or_default()),
        (text, _) => text.to_owned(),
    }
}

/// A command and all that it started in its process group; whatever is left of them ends with this value.
struct Group {
    leader: Child,
    id: Option<Pid>,
}

impl Group {
    fn new(leader: Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        id.into_iter().for_each(orphans::run_began);
        Self { leader, id }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The id of a leader that was just waited for is not given away again for thousands of forks, and
        // the group keeps it in use while one member lives. The runtime reaps a leader that was not.
        if let Some(id) = self.id {
            let _ = killpg(id, Signal::SIGKILL);
            orphans::run_ended(id);
            orphans::end_those_of_past_runs();
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
    async fn drain(&mut self) {
        while self.kept.len() < OUTPUT_LIMIT {
            let room = OUTPUT_LIMIT - self.kept.len();
            match (&mut self.pipe).take(room as u64).read_buf(&mut self.kept).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let mut ignored = vec![0; OUTPUT_LIMIT];
        while !matches!(self.pipe.read(&mut ignored).await, Ok(0) | Err(_)) {}
    }

    /// Takes what a command left in the pipe, without waiting for others that still hold it open.
    fn read_what_is_there(&mut self) {
        while self.kept.len() < OUTPUT_LIMIT && matches!(self.pipe.try_read_buf(&mut self.kept), Ok(1..)) {}
        self.kept.truncate(OUTPUT_LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Kind, Options, TargetSpec};
    use crate::proc_stat::ProcStat;

    fn exec(rest: &str) -> Exec {
        let target = TargetSpec::read(&format!("exec:{rest}")).unwrap();
        let Kind::Exec(command) = &target.kind else { panic!("no command: {rest}") };
        Exec::new(command, &mut Given::new("READINESS_X", Options::default()))
    }

    async fn outcome(rest: &str) -> Outcome {
        exec(rest).attempt(&Stage::default()).await
    }

    #[tokio::test]
    async fn the_exit_status_decides_and_the_output_is_the_reason() {
        assert_eq!(outcome("true").await, Outcome::Success);
        assert_eq!(outcome("sh -c 'echo out; echo err >&2; exit 3'").await, Outcome::failure("out\nerr"));
        assert_eq!(outcome("sh -c 'exit 3'").await, Outcome::failure("command exited with status 3"));
        let killed = Outcome::failure("command was killed by signal 9 (SIGKILL)");
        assert_eq!(outcome("sh -c 'kill -9 $$'").await, killed);
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_started_fails() {
        let missing = Outcome::failure("cannot start \"/no/such\": no such file or directory");
        assert_eq!(outcome("/no/such").await, missing);
        assert_eq!(outcome("/").await, Outcome::failure("cannot start \"/\": permission denied"));
    }

    #[tokio::test]
    async fn it_is_judged_when_it_exits_and_its_children_end_with_it() {
        let directory = std::env::temp_dir();
        let file = directory.join(format!("health-proxy-exec-{}", std::process::id()));
        let script = format!("exec:sleep 600 & echo $! >{}; echo early; exit 1", file.display());
        let json = serde_json::to_string(&["sh", "-c", script.trim_start_matches("exec:")]).unwrap();
        assert_eq!(outcome(&json).await, Outcome::failure("early"));
        let child: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        std::fs::remove_file(&file).unwrap();
        wait_until_gone(child).await;
    }

    #[tokio::test]
    async fn a_run_that_is_dropped_takes_its_whole_group_along() {
        let exec = exec("sh -c 'sleep 600 & sleep 600'");
        let mut before = children();
        let run = tokio::time::timeout(Duration::from_millis(50), exec.run(exec.command().unwrap()));
        assert!(run.await.is_err());
        before.sort_unstable();
        for child in children().into_iter().filter(|child| !before.contains(child)) {
            wait_until_gone(child).await;
        }
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_never_blocks_the_command() {
        let Outcome::Failure(text) =
            outcome("sh -c 'head -c 1000000 /dev/zero | tr \"\\0\" x; exit 1'").await
        else {
            panic!("the command fails");
        };
        assert_eq!(text.len(), OUTPUT_LIMIT);
    }

    fn children() -> Vec<i32> {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let children = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")));
        children
            .flat_map(|ids| ids.unwrap_or_default().split(' ').flat_map(str::parse).collect::<Vec<_>>())
            .collect()
    }

    /// Dead is enough: who reaps an orphan is not this module's business.
    async fn wait_until_gone(id: i32) {
        let is_alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let state = ProcStat::parse(&stat).and_then(|stat| stat.field(3));
            state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
        };
        while is_alive() {
            tokio::task::yield_now().await;
        }
    }
}
