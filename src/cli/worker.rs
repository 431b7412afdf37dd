//! The hidden command `worker`: the process that does the work, on the socket that it was given.

use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

use super::CliError;
use crate::app;
use crate::config::{Config, LogFormat};
use crate::handover::{self, Handover};
use crate::log;
use crate::orphans;
use crate::parent;
use crate::signal::Termination;
use crate::watchdog::TICK;

/// Runs the worker; `supervisor` is the id of the process that started it.
pub(super) fn run(config: Config, supervisor: &str) -> Result<ExitCode, CliError> {
    // Without its supervisor a worker would hold the port for nobody.
    parent::follow(supervisor, Signal::SIGKILL)?;
    let (line, handover) = prepare()?;
    let as_json = match config.settings.log_format {
        Some(format) => format == LogFormat::Json,
        None => !io::IsTerminal::is_terminal(&io::stdout()),
    };
    let log = log::start(config.settings.log.clone(), as_json)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work(config, line, handover));
    // A look-up without an answer must not hold up the end.
    runtime.shutdown_background();
    log.finish();
    result.map(|()| ExitCode::SUCCESS)
}

/// Takes over what the supervisor prepared, and the orphans of commands, which it adopts.
fn prepare() -> io::Result<(UnixDatagram, Handover)> {
    orphans::set_reaper(getppid());
    let line = handover::line()?;
    let handover = handover::receive(&line)?;
    line.set_nonblocking(true)?;
    handover.listener.set_nonblocking(true)?;
    Ok((line, handover))
}

async fn work(config: Config, line: UnixDatagram, handover: Handover) -> Result<(), CliError> {
    tokio::spawn(beat(line));
    let Handover { listener, past, ended } = handover;
    let mut termination = Termination::listen()?;
    // The supervisor had blocked them, so that none is lost before somebody listens.
    SigSet::all().thread_unblock().map_err(io::Error::from)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    if let Some(ended) = ended {
        tracing::warn!("the worker {ended}; this is another");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "listening");
    let (asked, asking) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let signal = termination.next().await;
        tracing::info!(signal, "shutting down");
        let _ = asked.send(());
        let signal = termination.next().await;
        tracing::warn!(signal, "ending at once");
        std::process::exit(1);
    });
    Ok(app::run(config, listener, past, async { drop(asking.await) }).await?)
}

/// Tells the supervisor that the loop turns, for as long as it does.
async fn beat(line: UnixDatagram) -> Infallible {
    loop {
        handover::beat(&line);
        tokio::time::sleep(TICK).await;
    }
}
