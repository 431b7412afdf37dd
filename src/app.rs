//! The worker: one task per check, the server and the signal, and the order in which they end.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::check::Check;
use crate::config::Config;
use crate::grammar::values;
use crate::handover::Past;
use crate::memory::{Clock, Memory};
use crate::metrics::Metrics;
use crate::patience;
use crate::probe::Probe;
use crate::server::{self, AppState};

/// An internal fault, after which remembered answers must not be served.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Metrics are wrongly described.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// There is no clock that outlives a worker.
    #[error("clock: {0}")]
    Clock(#[from] std::io::Error),
    /// A task that has no end has ended.
    #[error("the task of a check, or the one that looks out, has ended: {0}")]
    CheckEnded(JoinError),
    /// The server has ended before it was asked to.
    #[error("the server has ended: {0}")]
    ServerEnded(JoinError),
}

/// Runs all checks of `config` and answers on `listener`.
///
/// `shutdown` turns `/readyz` red; the answers go on for the shutdown delay, then requests in flight finish.
/// `past` is what earlier workers left; this one goes on from there.
///
/// # Errors
/// An internal fault; an orderly end that was asked for is not an error.
pub async fn run(
    config: Config,
    listener: TcpListener,
    past: Past,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AppError> {
    let settings = config.settings;
    let metrics = Metrics::new()?;
    metrics.count_restarts(past.restarts);
    let memory = Memory::open(past.memory, Clock::now()?, config.checks.iter().map(|(check, _)| &**check));
    let (pod, runners) = assemble::assemble(config.checks, &memory, &metrics.schedule_delay);
    let mut tasks = JoinSet::new();
    for runner in runners {
        log_check(&runner.check);
        tasks.spawn(runner.run());
    }
    let pod = Arc::new(pod);
    tasks.spawn(Arc::clone(&pod).look_out());
    tasks.spawn(Arc::clone(&pod).announce());
    let state = Arc::new(AppState {
        pod: Arc::clone(&pod),
        metrics,
        details: settings.details,
        is_status_private: settings.is_status_private,
        startup_key: settings.startup_key,
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<Infallible>();
    let mut server = tokio::spawn(server::serve(listener, state, async { drop(stopped.await) }));
    let orderly_end = async {
        shutdown.await;
        pod.shut_down();
        sleep(settings.shutdown_delay).await;
    };
    tokio::select! {
        () = orderly_end => {}
        Some(ended) = tasks.join_next() => match ended {
            Err(error) => return Err(AppError::CheckEnded(error)),
            Ok(never) => match never {},
        },
        Err(error) = &mut server => return Err(AppError::ServerEnded(error)),
    }
    drop(stop);
    server.await.map_err(AppError::ServerEnded)
}

/// Logs one line per check at the start.
fn log_check(check: &Check) {
    let Check { probe, name, target, timing, container, required, .. } = check;
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
        "check{}",
        consequence(check)
    );
}

/// Says what a check means for its container, where it decides alone: as the kubelet asks by the shipped manifests.
fn consequence(check: &Check) -> String {
    let within = |asking| values::written_seconds(patience::until_relayed(&check.timing, asking));
    match check.probe {
        _ if !check.required || check.any_of.is_some() || !check.is_asked => String::new(),
        Probe::Liveness => {
            let seconds = within(patience::LIVEZ);
            format!(": the container is restarted at most {seconds} s after it stops answering")
        }
        Probe::Readiness => {
            let seconds = within(patience::READYZ);
            format!(": the pod is out of traffic at most {seconds} s after it stops answering")
        }
        Probe::Startup => String::new(),
    }
}

mod assemble;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
