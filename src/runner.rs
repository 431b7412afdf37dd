//! The task that lives for one check: wait, run, record, for each incarnation anew.
//!
//! It writes one status and knows nothing of those who read it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::check::{Check, Timing};
use crate::container::Container;
use crate::gate::Gate;
use crate::grammar::{options, variable};
use crate::life::{Incarnation, Sign};
use crate::lookout::{Lookout, Nudge};
use crate::memory::{Place, RememberedCheck};
use crate::outcome::one_line;
use crate::probe::Probe;
use crate::schedule::Schedule;
use crate::status::{Run, Status};
use crate::targets::{Attempt, Stage};
use crate::tracker::Change;
use crate::witness::{Listeners, Sight};

/// The reason for which a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// It is due.
    Due,
    /// Somebody waits for a success, and it could be one.
    Hope,
    /// The target itself says that it has changed.
    News,
}

/// The runs of a check through one incarnation.
struct Course {
    schedule: Schedule,
    /// When the last run ended.
    free: Instant,
    /// Whether the unhealthy period applies.
    is_degraded: bool,
}

impl Course {
    const fn new(first: Instant, is_degraded: bool) -> Self {
        Self { schedule: Schedule::starting(first), free: first, is_degraded }
    }

    /// Returns how late a run began, after it was due or the one before had ended.
    fn late(&self, run: &Run) -> Duration {
        run.began.saturating_duration_since(self.schedule.due().max(self.free))
    }

    /// Goes on after a run; one that was not due changes nothing of when the next is.
    fn go_on(&mut self, timing: &Timing, run: &Run, is_healthy: bool, occasion: Occasion) {
        self.free = run.began + run.duration;
        self.is_degraded = !run.outcome.passed() || (self.is_degraded && !is_healthy);
        if occasion == Occasion::Due {
            let period = timing.period_when(self.is_degraded);
            self.schedule = self.schedule.after_run(run.began, self.free, period);
        }
    }
}

/// The task of one check.
pub struct Runner<A> {
    /// Its configuration.
    pub check: Arc<Check>,
    /// Its target.
    pub target: Arc<A>,
    /// The channel on which the state is published.
    pub status: watch::Sender<Status>,
    /// The place where the next worker finds it.
    pub place: Place<RememberedCheck>,
    /// The startup of its container; absent for a startup check itself.
    pub gate: Arc<Gate>,
    /// The container that it is about: tells of new incarnations, and takes the signs of one.
    pub container: Arc<Container>,
    /// Asks for a run before the next is due.
    pub nudge: Arc<Nudge>,
    /// Looks out for the witness where the check waits for it.
    pub lookout: Arc<Lookout>,
    /// Takes note that an answer may be a different one.
    pub changes: watch::Sender<()>,
    /// Takes how late each run begins, in seconds.
    pub schedule_delay: prometheus::Histogram,
}

impl<A: Attempt> Runner<A> {
    /// Runs the check through all incarnations; it ends only with its future.
    pub fn run(mut self) -> impl Future<Output = Infallible> {
        let mut incarnations = self.container.subscribe();
        // A block, since an `async fn` would hold `self` twice for as long as it runs.
        async move {
            loop {
                let incarnation = *incarnations.borrow_and_update();
                self.begin(incarnation);
                tokio::select! {
                    biased;
                    Ok(()) = incarnations.changed() => {}
                    never = self.live(incarnation) => match never {},
                }
            }
        }
    }

    /// Forgets the incarnation before, if the state is not about this one already.
    fn begin(&mut self, incarnation: Incarnation) {
        self.status.send_modify(|status| {
            if status.incarnation != incarnation.id {
                status.begin(&self.check, incarnation);
            }
            status.certificate_expiry = self.target.certificate_expiry();
        });
        self.target.begin(incarnation);
        self.nudge.set_lost(false);
        self.remember();
        self.lookout.wake();
        self.changes.send_replace(());
    }

    async fn live(&mut self, incarnation: Incarnation) -> Infallible {
        // In boxes of their own, since a resting check should not pay for the memory of a running one.
        Box::pin(self.wait_for_startup()).await;
        let mut course = Course::new(self.first_run(incarnation), self.status.borrow().is_degraded());
        self.status.send_modify(|status| status.due = Some(course.schedule.due()));
        loop {
            self.rest_if_started().await;
            let occasion = self.wait_for_run(course.schedule.due()).await;
            let run = Box::pin(attempt(&self.check, &*self.target)).await;
            if self.is_only_to_help(occasion) && !run.outcome.passed() {
                self.log_run(&run);
                self.nudge.is_done();
                self.changes.send_replace(());
                continue;
            }
            if occasion == Occasion::Due {
                self.schedule_delay.observe(course.late(&run).as_secs_f64());
            }
            self.record(run, &mut course, occasion);
        }
    }

    /// Returns whether a run that was not due can only help: before the first one is due, news are no reason to fail.
    fn is_only_to_help(&self, occasion: Occasion) -> bool {
        match occasion {
            Occasion::Hope => true,
            Occasion::News => self.status.borrow().last.is_none(),
            Occasion::Due => false,
        }
    }

    /// Returns when the first run of `incarnation` is due: when an earlier worker would have had its next one, or at the
    /// end of the initial delay, which is over if the container was there before the sidecar.
    fn first_run(&self, incarnation: Incarnation) -> Instant {
        let now = Instant::now();
        let delay = self.check.timing.initial_delay;
        let delay = if incarnation.is_joined { Duration::ZERO } else { delay };
        let resumed = self.status.borrow().due;
        resumed.unwrap_or_else(|| (incarnation.began + delay).max(now))
    }

    /// Readiness and liveness checks do not run before the startup of their container has passed.
    async fn wait_for_startup(&self) {
        let mut changes = self.changes.subscribe();
        while !self.gate.is_open() {
            // This task itself holds a sender, so there is always one.
            let _ = changes.changed().await;
        }
    }

    /// Rests until the next incarnation if this is a startup check that has passed: it passes once.
    async fn rest_if_started(&mut self) {
        if self.check.probe == Probe::Startup && self.status.borrow().tracker.is_healthy() {
            self.status.send_modify(|status| status.due = None);
            self.remember();
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the next run is due, or until there is a reason for one before that.
    async fn wait_for_run(&self, due: Instant) -> Occasion {
        if due <= Instant::now() {
            return Occasion::Due;
        }
        tokio::select! {
            biased;
            () = sleep_until(due) => Occasion::Due,
            () = self.early_run_can_help() => Occasion::Hope,
            () = self.target.news() => Occasion::News,
        }
    }

    async fn early_run_can_help(&self) {
        loop {
            self.nudge.is_wanted().await;
            if self.status.borrow().first_success.is_none() || self.nudge.is_lost() {
                return;
            }
            self.nudge.is_done();
        }
    }

    /// Publishes a run, and when the next is due.
    fn record(&mut self, run: Run, course: &mut Course, occasion: Occasion) {
        self.log_run(&run);
        let passed = run.outcome.passed();
        let was_stale = self.status.borrow().stale_for(&self.check, run.began + run.duration).is_some();
        let sight = self.is_news(passed).then(|| self.target.sight(&Listeners::now()));
        let is_different =
            sight.as_ref().is_some_and(|sight| sight.contradicts(self.status.borrow().noted.as_ref()));
        let noted = sight.as_ref().filter(|_| passed).and_then(Sight::witness).cloned();
        let logged = run.clone();
        let mut change = Change::None;
        self.status.send_modify(|status| {
            change = status.record(run);
            status.certificate_expiry = self.target.certificate_expiry();
            course.go_on(&self.check.timing, &logged, status.tracker.is_healthy(), occasion);
            status.due = Some(course.schedule.due());
            if noted.is_some() {
                status.noted = noted;
            }
        });
        self.nudge.is_done();
        if let Some(sight) = sight {
            self.tell(&sight, passed, is_different, change);
        }
        if was_stale {
            self.changes.send_replace(());
        }
        self.log_change(&logged, change);
    }

    /// Returns whether a run tells more than that all is as it was.
    fn is_news(&self, passed: bool) -> bool {
        let status = self.status.borrow();
        let tracker = &status.tracker;
        !passed
            || !tracker.is_passing()
            || tracker.streak() < tracker.streak_threshold()
            || self.nudge.is_lost()
    }

    /// Tells the container and those who wait of a run that was news.
    fn tell(&mut self, sight: &Sight, passed: bool, is_different: bool, change: Change) {
        self.remember();
        if is_different {
            self.container.take(Sign::WitnessChanged, |_| self.check.target.clone());
            self.lookout.wake();
        }
        if passed {
            self.nudge.set_lost(false);
        }
        if passed && self.container.is_shown_by(sight) {
            self.container.note(Sign::Passed);
        }
        if change != Change::None || passed {
            self.changes.send_replace(());
        }
    }

    /// Keeps the state for the next worker.
    fn remember(&mut self) {
        self.place.keep(&RememberedCheck::of(&self.status.borrow()));
    }

    fn log_run(&self, run: &Run) {
        let Check { probe, name, target, container, .. } = &*self.check;
        // Inside the macro, so that the line is only made where it is wanted.
        tracing::debug!(
            probe = probe.as_str(),
            check = name,
            app_container = container.as_deref(),
            target,
            result = run.outcome.kind().as_str(),
            duration_seconds = run.duration.as_secs_f64(),
            reason = reason(run),
            said = run.said.as_deref().map(one_line),
            "run"
        );
    }

    /// Logs one line for a change of state, in the words of the kubelet's events.
    fn log_change(&self, run: &Run, change: Change) {
        let Check { probe, name, target, container, .. } = &*self.check;
        let tracker = self.status.borrow().tracker;
        /// Logs a line with all that is known of the run.
        macro_rules! tell {
            ($level:ident, $($message:tt)+) => {
                tracing::$level!(
                    probe = probe.as_str(),
                    check = name,
                    app_container = container.as_deref(),
                    target,
                    state = tracker.health().as_str(),
                    result = run.outcome.kind().as_str(),
                    reason = reason(run),
                    duration_seconds = run.duration.as_secs_f64(),
                    consecutive = tracker.streak(),
                    threshold = tracker.streak_threshold(),
                    $($message)+
                )
            };
        }
        let title = probe.title();
        match (change, tracker.is_healthy()) {
            (Change::None, _) | (Change::Confirmed, true) => {}
            (Change::Flipped, true) => tell!(info, "{title} probe succeeded"),
            (Change::Confirmed | Change::Flipped, false) => {
                tell!(warn, "{title} probe failed: {}", reason(run).unwrap_or_default());
            }
        }
    }
}

/// Returns the reason or warning of a run, on one line.
fn reason(run: &Run) -> Option<String> {
    run.outcome.text().map(|text| one_line(text))
}

/// Runs the check once: an attempt at the target, cut off at the check's timeout (of our own time: see `deadline`).
pub async fn attempt(check: &Check, target: &impl Attempt) -> Run {
    #[cfg(test)]
    fault::strike(&check.name);
    let began = Instant::now();
    let (limit, stage) = (check.timing.timeout, Stage::new(&check.secrets));
    let outcome = tokio::select! {
        biased;
        outcome = target.attempt(&stage) => outcome,
        () = deadline::reached(began, limit) => target.timed_out(&stage, limit),
    };
    let said = stage.said().filter(|_| !outcome.passed()).map(Arc::from);
    let duration = began.elapsed();
    let outcome = outcome.with_text(|text| stage.hide(text));
    let outcome = outcome.with_text(|text| options::spelt_out(text, &variable(check.probe, &check.name)));
    Run { began, duration, outcome, said }
}

mod deadline;
#[cfg(test)]
mod fault;
