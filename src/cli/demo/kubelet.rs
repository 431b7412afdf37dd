//! A stand-in for the kubelet (`pkg/kubelet/prober`): asks the sidecar, and restarts kubia when it must.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::DemoError;
use super::kubia::Kubia;
use super::narrator::Narrator;
use super::story::{Actor, Line, Mark};
use crate::cli::ask::ask;
use crate::probe::Probe;
use crate::schedule::Schedule;

/// The name by which the sidecar knows who asks.
const KUBELET_AGENT: &str = "kube-probe/1.36";

/// `periodSeconds` of its three probes.
const PERIOD: Duration = Duration::from_secs(1);

/// `timeoutSeconds` of its three probes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// `failureThreshold` of its livenessProbe, as in the shipped manifests: long enough for whoever looks at the page.
const LIVENESS_FAILURES: u32 = 4;

/// The time from the end of one container to the start of the next.
const RESTART: Duration = Duration::from_secs(1);

pub(super) struct Kubelet<'a> {
    pub(super) sidecar: SocketAddr,
    pub(super) kubia: &'a Kubia,
    pub(super) narrator: &'a Mutex<Narrator>,
}

impl Kubelet<'_> {
    /// Starts one container after the other.
    pub(super) async fn run(&self) -> Result<Infallible, DemoError> {
        let mut container = 1;
        loop {
            let line = kubelet(Mark::Starts, format!("starts kubia, container {container}"));
            self.narrator.lock().await.say(&line)?;
            let reason = tokio::select! {
                error = self.kubia.run(container) => return Err(error),
                reason = self.attend() => reason?,
            };
            self.tell(Mark::Kills, format!("{reason}: has killed container {container}")).await?;
            sleep(RESTART).await;
            container += 1;
        }
    }

    /// Probes one life of the app until it has to be killed: the startup probe, then the other two. Returns the reason.
    async fn attend(&self) -> Result<String, DemoError> {
        let mut schedule = Schedule::starting(Instant::now());
        while self.probe(Probe::Startup).await.is_err() {
            schedule = tick(schedule).await;
        }
        self.tell(Mark::Passes, "/startupz 200: asks /livez and /readyz from now on".to_owned()).await?;
        let (mut was_ready, mut failures) = (false, 0);
        loop {
            match self.probe(Probe::Liveness).await {
                Ok(()) => failures = 0,
                Err(reason) => {
                    failures += 1;
                    if failures == LIVENESS_FAILURES {
                        return Ok(reason);
                    }
                    self.tell(Mark::Warns, format!("{reason}: {failures} of {LIVENESS_FAILURES}")).await?;
                }
            }
            let readiness = self.probe(Probe::Readiness).await;
            let is_ready = readiness.is_ok();
            match readiness {
                Ok(()) if !was_ready => self.tell(Mark::Passes, "/readyz 200: sends traffic".into()).await?,
                Err(reason) if was_ready => {
                    self.tell(Mark::Fails, format!("{reason}: sends no more traffic")).await?;
                }
                _ => {}
            }
            was_ready = is_ready;
            schedule = tick(schedule).await;
        }
    }

    async fn probe(&self, probe: Probe) -> Result<(), String> {
        let (path, sidecar) = (format!("/{}", probe.path()), [self.sidecar]);
        match timeout(TIMEOUT, ask(&sidecar, "GET", &path, KUBELET_AGENT)).await {
            Ok(Ok(answer)) if answer.status == 200 => Ok(()),
            Ok(Ok(answer)) => Err(format!("{path} {}", answer.status)),
            Ok(Err(error)) => Err(format!("{path}: {error}")),
            Err(_) => Err(format!("{path}: no answer within {TIMEOUT:?}")),
        }
    }

    async fn tell(&self, mark: Mark, text: String) -> Result<(), DemoError> {
        self.narrator.lock().await.tell(&kubelet(mark, text)).await
    }
}

/// Waits for the next probe.
async fn tick(schedule: Schedule) -> Schedule {
    let next = schedule.after_run(schedule.due(), Instant::now(), PERIOD);
    sleep_until(next.due()).await;
    next
}

fn kubelet(mark: Mark, text: String) -> Line {
    Line { actor: Actor::Kubelet, mark, text }
}
