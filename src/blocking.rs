//! The only place for calls that may hang or take long: each runs on a thread beside the worker's own.
//!
//! A check has one such call at a time, and keeps its place until the call is really over: a file system that never
//! answers costs one thread for each check that asks it, and no other check a moment of its time.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex as Turns, OwnedMutexGuard, Semaphore, oneshot};

use crate::lock::lock;

/// The most calls at a time in the whole process; one that hangs keeps its thread.
pub const MAX_HELPERS: usize = 64;

/// The time that a thread waits for its next call before it exits.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The stack of a thread, in bytes: a resolver's buffers fit well.
const STACK_BYTES: usize = 256 * 1024;

static POOL: Pool = Pool::new(MAX_HELPERS);

/// Threads that exist while there are calls for them.
#[derive(Debug)]
struct Pool {
    limit: usize,
    free: Semaphore,
    queue: Mutex<Queue>,
    /// Wakes an idle thread.
    called: Condvar,
}

type Call = Box<dyn FnOnce() + Send>;

struct Queue {
    /// Never more than there are idle threads.
    calls: VecDeque<Call>,
    /// Threads without a call, those included that were woken for one.
    idle: usize,
}

/// A turn at a place, which is over when this value is dropped.
pub type Turn = OwnedMutexGuard<()>;

/// The place of one check: holds one call at a time.
#[derive(Debug)]
pub struct Place {
    pool: &'static Pool,
    turn: Arc<Turns<()>>,
    silence: Mutex<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self { pool: &POOL, turn: Arc::default(), silence: Mutex::default() }
    }
}

impl Place {
    /// Runs `call` on a thread of its own, once the last call of this place is over and a thread is free. `silence`
    /// says what is wrong while the call is not over, such as `the file system did not answer for /x`.
    ///
    /// # Errors
    /// No thread can be started, or the call panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        silence: impl Into<String>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let turn = self.turn().await;
        let helper = self.pool.free.acquire().await.map_err(|error| error.to_string())?;
        self.note(silence);
        let (sender, receiver) = oneshot::channel();
        let call = move || {
            let result = call();
            drop((helper, turn));
            // A run that gave up has nobody to take it.
            let _ = sender.send(result);
        };
        self.pool.start(Box::new(call)).map_err(|error| format!("cannot start a thread: {error}"))?;
        receiver.await.map_err(|_| "the call ended without a result".to_owned())
    }

    /// Waits for a turn that is no call, but something else that may not end when it should.
    pub async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Says what is wrong while the turn is not over.
    pub fn note(&self, silence: impl Into<String>) {
        *lock(&self.silence) = silence.into();
    }

    /// Returns what a run waits for that has got no further: its own call, or one of the threads that others hold.
    pub fn waits_for(&self) -> Option<String> {
        if self.turn.try_lock().is_err() {
            return Some(lock(&self.silence).clone());
        }
        let limit = self.pool.limit;
        let all = || format!("all {limit} helpers wait for files or names that do not answer: none was free");
        (self.pool.free.available_permits() == 0).then(all)
    }
}

impl Pool {
    const fn new(limit: usize) -> Self {
        let queue = Mutex::new(Queue { calls: VecDeque::new(), idle: 0 });
        Self { limit, free: Semaphore::const_new(limit), queue, called: Condvar::new() }
    }

    /// Hands `call` to an idle thread, or to one that is started for it.
    fn start(&'static self, call: Call) -> io::Result<()> {
        let mut queue = lock(&self.queue);
        if queue.idle > queue.calls.len() {
            queue.calls.push_back(call);
            self.called.notify_one();
            return Ok(());
        }
        drop(queue);
        let thread = thread::Builder::new().name("helper".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || self.serve(call)).map(drop)
    }

    /// Makes the first call, and all that come while the thread is idle.
    fn serve(&self, first: Call) {
        first();
        while let Some(call) = self.next() {
            call();
        }
    }

    /// Waits for a call; `None` when there was none for [`KEEP_ALIVE`].
    fn next(&self) -> Option<Call> {
        let mut queue = lock(&self.queue);
        queue.idle += 1;
        let is_empty = |queue: &mut Queue| queue.calls.is_empty();
        let waited = self.called.wait_timeout_while(queue, KEEP_ALIVE, is_empty);
        (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
        queue.calls.pop_front()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} calls for {} idle threads", self.calls.len(), self.idle)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    /// Returns a call that hangs until its sender is dropped.
    fn hanging() -> (mpsc::Sender<()>, impl FnOnce() + Send) {
        let (sender, receiver) = mpsc::channel();
        let call = move || {
            let _ = receiver.recv();
        };
        (sender, call)
    }

    #[tokio::test]
    async fn a_call_returns_what_it_found() {
        let place = Place::default();
        assert_eq!(place.run("", || 7).await, Ok(7));
        assert_eq!(place.waits_for(), None);
    }

    #[tokio::test]
    async fn a_place_has_one_call_until_it_is_over() {
        let (place, (release, call)) = (Place::default(), hanging());
        let (other, began) = (Place::default(), Arc::new(Mutex::new(false)));
        assert!(timeout(MOMENT, place.run("/x did not answer", call)).await.is_err());
        let note = Arc::clone(&began);
        assert!(timeout(MOMENT, place.run("second", move || *lock(&note) = true)).await.is_err());
        assert_eq!(place.waits_for().as_deref(), Some("/x did not answer"));
        assert!(!*lock(&began), "a second call was begun");
        assert_eq!(other.run("", || 7).await, Ok(7));
        drop(release);
        assert_eq!(place.run("", || 8).await, Ok(8));
    }

    #[tokio::test]
    async fn a_call_that_panics_gives_its_place_back() {
        let place = Place::default();
        let panicked = place.run("", || std::panic::resume_unwind(Box::new(()))).await;
        let _: Result<(), String> = panicked;
        assert_eq!(panicked, Err("the call ended without a result".to_owned()));
        assert_eq!(place.run("", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn when_all_helpers_hang_that_is_the_reason() {
        static SMALL: Pool = Pool::new(3);
        let place = || Place { pool: &SMALL, ..Place::default() };
        let stuck: Vec<_> = (0..3).map(|_| (place(), hanging())).collect();
        let mut releases = Vec::new();
        for (place, (release, call)) in stuck {
            assert!(timeout(MOMENT, place.run("", call)).await.is_err());
            releases.push(release);
        }
        let late = place();
        assert!(timeout(MOMENT, late.run("", || 7)).await.is_err());
        let reason = "all 3 helpers wait for files or names that do not answer: none was free";
        assert_eq!(late.waits_for().as_deref(), Some(reason));
        assert_eq!(Place::default().waits_for(), None, "another pool");
        drop(releases);
        assert_eq!(late.run("", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn calls_one_after_the_other_share_a_thread() {
        static FRESH: Pool = Pool::new(3);
        let place = Place { pool: &FRESH, ..Place::default() };
        let id = || thread::current().id();
        let first = place.run("", id).await;
        // The thread is idle some moments after its result is known.
        while lock(&FRESH.queue).idle == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(place.run("", id).await, first);
    }
}
