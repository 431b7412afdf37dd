//! `health-proxy demo`: the newcomer's first minute. An app that falls ill, a real sidecar beside it, and a
//! stand-in for the kubelet that restarts the app; the terminal tells what happens.

mod intro;
mod kubelet;
mod kubia;
mod narrator;
mod ports;
mod sidecar;
mod story;
mod terminal;

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use super::CliError;
use crate::config::Config;
use crate::parent;
use crate::signal::Termination;
use crate::supervisor;

use kubelet::Kubelet;
use kubia::Kubia;
use narrator::Narrator;
use ports::Ports;
use sidecar::Sidecar;
use terminal::Terminal;

/// The hidden command that is the demo's sidecar.
pub(super) const SIDECAR: &str = "sidecar";

/// The reason for which the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("no free port on loopback from {0} to {1}")]
    Ports(u16, u16),
    #[error("kubia cannot listen on port {0}: {1}")]
    Kubia(u16, io::Error),
    #[error("cannot start the sidecar: {0}")]
    Start(io::Error),
    #[error("the sidecar has ended: {0}")]
    SidecarEnded(String),
    #[error("output: {0}")]
    Output(io::Error),
    #[error("signals: {0}")]
    Signals(io::Error),
}

/// Shows the demo until it is interrupted or nobody reads it any more.
pub(super) fn run() -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(show()) {
        Err(DemoError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {}
        shown => shown?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the sidecar as anywhere else, except that it exits with the process `demo`, even when that is killed.
pub(super) fn run_sidecar(config: &Config, demo: &str) -> Result<ExitCode, CliError> {
    parent::follow(demo, Signal::SIGTERM)?;
    Ok(supervisor::run(config.settings.listen)?.into())
}

async fn show() -> Result<(), DemoError> {
    let mut termination = Termination::listen().map_err(DemoError::Signals)?;
    let ports = Ports::choose()?;
    let (kubia, sidecar) = (ports.kubia.number(), ports.sidecar.number());
    let variables = intro::variables(kubia, sidecar);
    let mut terminal = Terminal::of_process();
    terminal.text(&intro::text(kubia, sidecar, &variables))?;
    let kubia = Kubia::new(kubia);
    let mut sidecar = Sidecar::start(sidecar, &variables)?;
    let narrator = Mutex::new(Narrator::new(terminal, sidecar.address(), kubia.served()));
    let shown = tokio::select! {
        shown = play(&mut sidecar, &kubia, &narrator) => shown.map(|never| match never {}),
        _ = termination.next() => Ok(()),
    };
    sidecar.end().await;
    // Where nobody reads any more there is nobody to take leave of.
    let _ = narrator.into_inner().take_leave(shown.is_ok());
    shown
}

/// Plays the demo: the sidecar runs before the app starts, as a native sidecar does.
async fn play(
    sidecar: &mut Sidecar,
    kubia: &Kubia,
    narrator: &Mutex<Narrator>,
) -> Result<Infallible, DemoError> {
    sidecar.wait_until_healthy().await?;
    let kubelet = Kubelet { sidecar: sidecar.address(), kubia, narrator };
    tokio::select! {
        biased;
        ended = kubelet.run() => ended,
        ended = sidecar.watch(narrator) => ended,
        ended = narrator::watch(narrator) => ended,
    }
}
