//! The worker: one task per check, the server and the signal, and the order in which they end.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::board::Board;
use crate::check::{Check, CheckTask, Gate};
use crate::config::Config;
use crate::handover::Past;
use crate::incarnation::Incarnations;
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::server::{self, Site};
use crate::status::Status;
use crate::targets::Attempt;

/// A fault of our own, after which remembered answers must not be served.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Metrics are wrongly described.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A task that has no end has ended.
    #[error("the task of a check has ended: {0}")]
    CheckEnded(JoinError),
    /// The server has ended before it was asked to.
    #[error("the server has ended: {0}")]
    ServerEnded(JoinError),
}

/// Runs all checks of `config` and answers on `listener`.
///
/// `shutdown` turns `/readyz` red; the answers go on for the shutdown delay, then requests in flight finish.
/// `past` is what earlier workers left; `is_successor` says that an earlier worker answered the kubelet before this one.
///
/// # Errors
/// A fault of our own; what should have been asked for an orderly end is not an error.
pub async fn run(
    config: Config,
    listener: TcpListener,
    past: Past,
    is_successor: bool,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let settings = config.settings;
    let metrics = Metrics::new()?;
    metrics.count_restarts(past.restarts);
    let mut checks = JoinSet::new();
    let board = Arc::new(spawn_checks(config.checks, &metrics, is_successor, &mut checks));
    let site = Arc::new(Site { board: Arc::clone(&board), metrics, details: settings.details });
    let (stop, stopped) = tokio::sync::oneshot::channel::<Infallible>();
    let mut server = tokio::spawn(server::serve(listener, site, async { drop(stopped.await) }));
    let orderly_end = async {
        shutdown.await;
        board.shut_down();
        sleep(settings.shutdown_delay).await;
    };
    tokio::select! {
        () = orderly_end => {}
        Some(ended) = checks.join_next() => match ended {
            Err(error) => return Err(AppError::CheckEnded(error)),
            Ok(never) => match never {},
        },
        Err(error) = &mut server => return Err(AppError::ServerEnded(error)),
    }
    drop(stop);
    server.await.map_err(AppError::ServerEnded)
}

/// Starts a task for each check, and gives the board that shows their states.
fn spawn_checks<A: Attempt + 'static>(
    configured: Vec<(Arc<Check>, A)>,
    metrics: &Metrics,
    is_successor: bool,
    tasks: &mut JoinSet<Infallible>,
) -> Board {
    let incarnations = Incarnations::first();
    let first = incarnations.current();
    let published = |(check, target): (Arc<Check>, A)| {
        let (status, readers) = watch::channel(Status::new(&check, first));
        (check, target, status, readers)
    };
    let published: Vec<_> = configured.into_iter().map(published).collect();
    let is_gate = |check: &Check| check.probe == Probe::Startup && check.required;
    let gate: Gate =
        published.iter().filter(|(check, ..)| is_gate(check)).map(|(.., readers)| readers.clone()).collect();
    let entries: Vec<_> =
        published.iter().map(|(check, .., readers)| (Arc::clone(check), readers.clone())).collect();
    for (check, target, status, _) in published {
        log_check(&check);
        let is_held_back = check.probe != Probe::Startup;
        let gate = if is_held_back { Arc::clone(&gate) } else { Gate::default() };
        let (schedule_delay, incarnations) = (metrics.schedule_delay.clone(), incarnations.clone());
        tasks.spawn(CheckTask { check, target, status, gate, incarnations, schedule_delay }.run());
    }
    Board::new(entries, incarnations, is_successor)
}

/// One line per check at the start.
fn log_check(check: &Check) {
    let Check { probe, name, target, timing, container, required } = check;
    tracing::info!(
        probe = probe.as_str(),
        check = name,
        app_container = container.as_deref(),
        target,
        required,
        initial_delay_seconds = timing.initial_delay.as_secs_f64(),
        period_seconds = timing.period.as_secs_f64(),
        timeout_seconds = timing.timeout.as_secs_f64(),
        success_threshold = timing.thresholds.success,
        failure_threshold = timing.thresholds.failure,
        "check"
    );
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
