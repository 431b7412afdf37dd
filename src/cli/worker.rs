//! The hidden command `worker`: the process that does the work, on the socket that it was given.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

use super::CliError;
use crate::app;
use crate::config::{Config, LogFormat};
use crate::log;
use crate::orphans;
use crate::parent;
use crate::signal::Termination;

/// `supervisor` is the id of the process that started this one; `ended` says how the worker before this one
/// ended, if there was one.
pub(super) fn run(config: Config, supervisor: &str, ended: Option<&str>) -> Result<ExitCode, CliError> {
    // Without its supervisor a worker would hold the port for nobody.
    parent::follow(supervisor, Signal::SIGKILL)?;
    let listener = prepare()?;
    let as_json = match config.settings.log_format {
        Some(format) => format == LogFormat::Json,
        None => !io::IsTerminal::is_terminal(&io::stdout()),
    };
    let log = log::start(config.settings.log.clone(), as_json)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(work(config, listener, ended));
    // A look-up without an answer must not hold up the end.
    runtime.shutdown_background();
    log.finish();
    result.map(|()| ExitCode::SUCCESS)
}

/// Takes over what the supervisor prepared: the socket, and the orphans of commands, which it adopts.
fn prepare() -> io::Result<TcpListener> {
    orphans::are_adopted_by(getppid());
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn work(config: Config, listener: TcpListener, ended: Option<&str>) -> Result<(), CliError> {
    let mut termination = Termination::listen()?;
    // The supervisor had blocked them, so that none is lost before somebody listens.
    SigSet::all().thread_unblock().map_err(io::Error::from)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let is_successor = ended.is_some();
    if let Some(cause) = ended {
        tracing::warn!("the worker died by {cause}; this is another");
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, is_successor, "listening");
    let (asked, asking) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let signal = termination.next().await;
        tracing::info!(signal, "shutting down");
        let _ = asked.send(());
        let signal = termination.next().await;
        tracing::warn!(signal, "ending at once");
        std::process::exit(1);
    });
    Ok(app::run(config, listener, is_successor, async { drop(asking.await) }).await?)
}
