//! Brings together those who wait for a container and those who look for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// Between two looks while a check waits for its container.
const PERIOD: Duration = Duration::from_millis(250);

/// Between two looks while a caller waits too: an answer within 20 ms of the app's listen(2).
const HURRIED_PERIOD: Duration = Duration::from_millis(15);

/// A bell that wakes the one who looks, and tells how often to.
#[derive(Debug, Default)]
pub struct Lookout {
    woken: Notify,
    hurried: Notify,
    /// The number of callers that wait.
    callers: AtomicUsize,
}

/// A caller who waits; looks are frequent until it is dropped.
#[derive(Debug)]
pub struct Caller(Arc<Lookout>);

impl Lookout {
    /// Wakes the one who looks: there may be something to look for.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Completes when there may be something to look for.
    pub async fn is_woken(&self) {
        self.woken.notified().await;
    }

    /// Waits between two looks.
    pub async fn pause(&self) {
        let is_hurried = || self.callers.load(Ordering::Relaxed) > 0;
        if is_hurried() {
            return sleep(HURRIED_PERIOD).await;
        }
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = self.hurried.notified() => {}
        }
    }

    /// Hurries for as long as the result lives.
    pub fn hurry(self: &Arc<Self>) -> Caller {
        self.callers.fetch_add(1, Ordering::Relaxed);
        self.hurried.notify_one();
        self.wake();
        Caller(Arc::clone(self))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way from readers of a check to its task: only to have it run sooner than it would.
#[derive(Debug, Default)]
pub struct Nudge {
    run: Notify,
    is_pending: AtomicBool,
    is_lost: AtomicBool,
    /// The incarnation in which the witness was last looked for, by its id.
    looked: AtomicU64,
}

impl Nudge {
    /// Has the check run at once, if that can help.
    pub fn run_early(&self) {
        self.is_pending.store(true, Ordering::Relaxed);
        self.run.notify_one();
    }

    /// Returns whether such a run has not ended yet.
    pub fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Relaxed)
    }

    /// Notes that a run has ended, or was not worth it.
    pub fn is_done(&self) {
        self.is_pending.store(false, Ordering::Relaxed);
    }

    /// Completes when the check should run at once.
    pub async fn is_wanted(&self) {
        self.run.notified().await;
    }

    /// Notes that the witness was looked for in the incarnation of this id, and a run begun where that helps; returns
    /// whether that is news.
    pub fn note_look(&self, incarnation: u64) -> bool {
        self.looked.swap(incarnation, Ordering::Relaxed) != incarnation
    }

    /// Returns whether the witness was looked for in the incarnation of this id.
    pub fn was_looked_for(&self, incarnation: u64) -> bool {
        self.looked.load(Ordering::Relaxed) == incarnation
    }

    /// Returns whether the witness that was noted has been found gone, or a different one.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Notes whether it has.
    pub fn set_lost(&self, is_lost: bool) {
        self.is_lost.store(is_lost, Ordering::Relaxed);
    }
}
