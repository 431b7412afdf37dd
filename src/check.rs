//! One configured check, and the task that lives for it: wait, run, record, for each incarnation anew.
//!
//! It writes one status and knows nothing of those who read it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

pub use crate::grammar::Timing;
use crate::incarnation::{Incarnation, Incarnations};
use crate::listener::ListenerWatch;
use crate::outcome::{Outcome, one_line};
use crate::probe::Probe;
use crate::schedule::Schedule;
use crate::status::{Run, Status};
use crate::targets::place::Inside;
use crate::targets::{Attempt, Stage};
use crate::tracker::{Change, Tracker};

/// What is configured about a check, but for its target.
#[derive(Debug)]
pub struct Check {
    /// Which probe it feeds.
    pub probe: Probe,
    /// Its name, unique in its probe.
    pub name: String,
    /// The target as it may be shown.
    pub target: String,
    /// The main container that it is about; `None`: the pod.
    pub container: Option<Arc<str>>,
    /// When it runs.
    pub timing: Timing,
    /// Whether it can fail its probe.
    pub required: bool,
}

impl Check {
    /// The state before the first run.
    pub const fn tracker(&self) -> Tracker {
        Tracker::new(self.probe.initial_health(), self.timing.thresholds)
    }
}

/// What holds a check back: the startup checks that have to pass first.
pub type Gate = Arc<[watch::Receiver<Status>]>;

/// How often an unhealthy check looks at who listens on its port: well within a container's restart.
const LISTENER_PERIOD: Duration = Duration::from_secs(1);

/// How often a check inside the app's container looks whether its process is still the same.
const PROCESS_PERIOD: Duration = Duration::from_secs(1);

/// The task of one check.
pub struct CheckTask<A> {
    /// What is configured.
    pub check: Arc<Check>,
    /// What is tried.
    pub target: A,
    /// Where the state is published.
    pub status: watch::Sender<Status>,
    /// The startup checks; empty for a startup check itself.
    pub gate: Gate,
    /// Tells of new incarnations, and takes the signs of one.
    pub incarnations: Incarnations,
    /// Takes how late each run begins, in seconds.
    pub schedule_delay: prometheus::Histogram,
}

impl<A: Attempt> CheckTask<A> {
    /// Runs the check through all incarnations; it ends only with its future.
    pub fn run(self) -> impl Future<Output = Infallible> {
        let mut incarnations = self.incarnations.subscribe();
        // A block, since an `async fn` would hold `self` twice for as long as it runs.
        async move {
            loop {
                let incarnation = *incarnations.borrow_and_update();
                self.status.send_modify(|status| {
                    status.begin(&self.check, incarnation);
                    status.certificate_expiry = self.target.certificate_expiry();
                });
                tokio::select! {
                    biased;
                    Ok(()) = incarnations.changed() => {}
                    never = self.watch_process() => match never {},
                    never = self.live(incarnation) => match never {},
                }
            }
        }
    }

    async fn live(&self, incarnation: Incarnation) -> Infallible {
        // In boxes of their own, since a resting check should not pay for the memory of a running one.
        Box::pin(self.wait_for_startup(incarnation)).await;
        let first = (incarnation.began + self.check.timing.initial_delay).max(Instant::now());
        let mut schedule = Schedule::starting(first);
        let mut listener = self.listener();
        let (mut free, mut is_degraded) = (first, false);
        loop {
            self.status.send_modify(|status| status.due = Some(schedule.due()));
            self.wait_for_run(schedule.due(), listener.as_ref()).await;
            let run = Box::pin(attempt(&self.check, &self.target)).await;
            let began = run.began;
            let late = began.saturating_duration_since(schedule.due().max(free));
            self.schedule_delay.observe(late.as_secs_f64());
            free = began + run.duration;
            let passed = run.outcome.passed();
            let is_healthy = self.record(run);
            if is_healthy && self.check.probe == Probe::Startup {
                self.rest().await;
            }
            if let Some(listener) = &mut listener {
                listener.note(passed);
            }
            is_degraded = !passed || (is_degraded && !is_healthy);
            schedule = schedule.after_run(began, free, self.check.timing.period_when(is_degraded));
        }
    }

    /// A check inside the app's container sees by its process that the app is another one, also while it waits
    /// for its next run, or rests.
    async fn watch_process(&self) -> Infallible {
        match self.target.inside() {
            Some(inside) => Box::pin(self.watch(inside)).await,
            None => std::future::pending().await,
        }
    }

    async fn watch(&self, inside: &Inside) -> Infallible {
        loop {
            if let Ok(process) = inside.process() {
                self.incarnations.saw(inside.name(), process);
            }
            sleep(PROCESS_PERIOD).await;
        }
    }

    /// A liveness check on a loopback port can see by its listener that the app is another one.
    fn listener(&self) -> Option<ListenerWatch> {
        let port = self.target.local_port().filter(|_| self.check.probe == Probe::Liveness);
        port.filter(|port| port.address.is_none()).map(|port| ListenerWatch::new(port.port))
    }

    /// Waits until the next run is due; while the check is unhealthy, looks out for a new container.
    async fn wait_for_run(&self, due: Instant, listener: Option<&ListenerWatch>) {
        let unhealthy = |_: &&ListenerWatch| !self.status.borrow().tracker.is_healthy();
        if let Some(listener) = listener.filter(unhealthy) {
            loop {
                if listener.has_changed() {
                    self.incarnations
                        .begin("the socket that listened on the port of a failing check is another one");
                }
                let look = Instant::now() + LISTENER_PERIOD;
                if look >= due {
                    break;
                }
                sleep_until(look).await;
            }
        }
        if due > Instant::now() {
            sleep_until(due).await;
        }
    }

    /// Readiness and liveness checks do not run before every required startup check has passed.
    async fn wait_for_startup(&self, incarnation: Incarnation) {
        for startup in &*self.gate {
            let has_passed =
                |status: &Status| status.incarnation == incarnation.number && status.tracker.is_healthy();
            if startup.clone().wait_for(has_passed).await.is_err() {
                // Its task is gone, and the whole process is about to follow.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Publishes a run, and whether the check is healthy after it.
    fn record(&self, run: Run) -> bool {
        self.log_run(&run);
        let logged = run.clone();
        let (mut change, mut is_healthy) = (Change::None, false);
        self.status.send_modify(|status| {
            change = status.record(run);
            status.certificate_expiry = self.target.certificate_expiry();
            is_healthy = status.tracker.is_healthy();
        });
        self.log_change(&logged, change, is_healthy);
        is_healthy
    }

    async fn rest(&self) -> Infallible {
        self.status.send_modify(|status| status.due = None);
        std::future::pending().await
    }

    fn log_run(&self, run: &Run) {
        let Check { probe, name, target, .. } = &*self.check;
        let (result, duration) = (run.outcome.kind().as_str(), run.duration.as_secs_f64());
        // Inside the macro, so that the line is only made where it is wanted.
        tracing::debug!(
            probe = probe.as_str(),
            check = name,
            target,
            duration,
            result,
            text = run.outcome.text().map(|text| one_line(text)).unwrap_or_default(),
            "run"
        );
    }

    /// One line for a change of state, in the words of the kubelet's events.
    fn log_change(&self, run: &Run, change: Change, is_healthy: bool) {
        let Check { probe, name, target, .. } = &*self.check;
        let (title, probe, duration) = (probe.title(), probe.as_str(), run.duration.as_secs_f64());
        match (change, is_healthy) {
            (Change::None, _) | (Change::Confirmed, true) => {}
            (Change::Flipped, true) => {
                tracing::info!(probe, check = name, target, duration, "{title} probe succeeded");
            }
            (Change::Confirmed | Change::Flipped, false) => {
                let reason = run.outcome.text().map(|text| one_line(text)).unwrap_or_default();
                tracing::warn!(probe, check = name, target, duration, "{title} probe failed: {reason}");
            }
        }
    }
}

/// One run: an attempt at the target, cut off at the check's timeout (of our own time: see `deadline`).
pub async fn attempt(check: &Check, target: &impl Attempt) -> Run {
    #[cfg(test)]
    fault::strike(&check.name);
    let began = Instant::now();
    let (limit, stage) = (check.timing.timeout, Stage::default());
    let outcome = tokio::select! {
        biased;
        outcome = target.attempt(&stage) => outcome,
        () = deadline::reached(began, limit) => Outcome::Timeout(target.timed_out(&stage, limit).into()),
    };
    Run { began, duration: began.elapsed(), outcome }
}

mod deadline;
#[cfg(test)]
mod fault;
