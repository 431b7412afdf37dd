//! The demo's sidecar: this program again, as a child with variables of its own and nothing else.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::narrator::Narrator;
use super::story::{Actor, Line, Mark};
use super::{DemoError, SIDECAR};
use crate::cli::ask::{CLI_AGENT, ask};
use crate::program;

/// The longest time that an orderly end may take.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Between two questions whether it is up.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Sidecar {
    child: Child,
    errors: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Sidecar {
    pub(super) fn start(port: u16, variables: &[(&str, String)]) -> Result<Self, DemoError> {
        let mut command = Command::new(program::own());
        command.args(["demo", SIDECAR, &std::process::id().to_string()]);
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C is for the demo, which then ends the sidecar in its own time.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(DemoError::Start)?;
        let errors = child.stderr.take().ok_or_else(|| DemoError::SidecarEnded("no output".to_owned()))?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Ok(Self { child, errors: BufReader::new(errors).lines(), address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the sidecar answers: before, a refused connection says nothing.
    pub(super) async fn wait_until_healthy(&mut self) -> Result<(), DemoError> {
        let healthy = async |address| {
            let answer = ask(&[address], "GET", "/-/healthy", CLI_AGENT).await;
            answer.is_ok_and(|answer| answer.status == 200)
        };
        while !healthy(self.address).await {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Err(self.ended().await);
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Tells what it complains of; ends only when it has ended.
    pub(super) async fn watch(&mut self, narrator: &Mutex<Narrator>) -> Result<Infallible, DemoError> {
        while let Ok(Some(line)) = self.errors.next_line().await {
            let text = line.trim_start_matches("health-proxy: ").to_owned();
            let line = Line { actor: Actor::Sidecar, mark: Mark::Fails, text };
            narrator.lock().await.tell(&line).await?;
        }
        Err(self.ended().await)
    }

    /// Returns its last words that have not been told yet, or else how it ended.
    async fn ended(&mut self) -> DemoError {
        let mut words = None;
        while let Ok(Some(line)) = self.errors.next_line().await {
            words = Some(line);
        }
        let status = self.child.wait().await;
        let how = || status.map_or_else(|error| error.to_string(), |status| status.to_string());
        DemoError::SidecarEnded(words.unwrap_or_else(how))
    }

    /// Asks it to end, and waits until it has; the worker ends with it in any case.
    pub(super) async fn end(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill(id, Signal::SIGTERM);
        }
        if timeout(LAST_REQUESTS, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
