//! A bounded number of connections: the newest is always taken, and one on which nothing is asked makes room for it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};
use nix::sys::resource::{Resource, getrlimit};
use tokio::task::{AbortHandle, Id, JoinSet, yield_now};

/// The most connections at a time; each costs some ten KiB.
const MAX_CONNECTIONS: u64 = 256;

/// The part of the descriptors that connections may take: the rest is for checks.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// The part of the connections that may be on their way out at a time.
const LEAVING_PART: usize = 4;

/// The state of a connection, by a clock that counts events instead of time.
#[derive(Debug)]
pub(super) struct Activity {
    /// When a request last began or was answered.
    touched: AtomicU64,
    /// The number of answers that are being made or sent.
    answers: AtomicUsize,
    clock: Arc<AtomicU64>,
}

impl Activity {
    fn touch(&self) {
        self.touched.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Returns whether an answer is being made or sent.
    pub(super) fn is_answering(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    /// Returns the rank by which the least of all makes room: one that is silent before one that is answered, and the
    /// one that is so for the longest time.
    fn rank(&self) -> (bool, u64) {
        (self.is_answering(), self.touched.load(Ordering::Relaxed))
    }
}

/// An answer from the request until its last piece was taken.
#[derive(Debug)]
pub(super) struct Answering(Arc<Activity>);

impl Answering {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.touch();
        activity.answers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }

    /// Goes on for as long as `body` is taken.
    pub(super) const fn with(self, body: Body) -> AnswerBody {
        AnswerBody { body, _answering: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.touch();
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    tasks: JoinSet<()>,
    open: HashMap<Id, (Arc<Activity>, AbortHandle)>,
    clock: Arc<AtomicU64>,
    max: usize,
    leaving: usize,
}

impl ConnectionLimiter {
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
        let max = MAX_CONNECTIONS.min(descriptors / SHARE_OF_DESCRIPTORS).max(1);
        Self {
            tasks: JoinSet::new(),
            open: HashMap::new(),
            clock: Arc::default(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            leaving: 0,
        }
    }

    /// Starts a connection, if need be in place of another.
    pub(super) async fn start<F>(&mut self, connection: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            self.open.remove(&id);
        }
        if self.open.len() >= self.max {
            self.end_one();
            self.leaving += 1;
        }
        // A descriptor is free once its task has been looked at, so not before this one steps back. To do so
        // for each would let the callers queue up.
        if self.leaving > self.max / LEAVING_PART {
            self.leaving = 0;
            yield_now().await;
        }
        let activity = Activity { touched: 0.into(), answers: 0.into(), clock: Arc::clone(&self.clock) };
        let activity = Arc::new(activity);
        activity.touch();
        let task = self.tasks.spawn(connection(Arc::clone(&activity)));
        self.open.insert(task.id(), (activity, task));
    }

    /// Ends the connection that is needed least.
    pub(super) fn end_one(&mut self) {
        let least = self.open.iter().min_by_key(|(_, (activity, _))| activity.rank());
        if let Some((_, task)) = least.map(|(id, _)| *id).and_then(|id| self.open.remove(&id)) {
            task.abort();
        }
    }

    /// Waits until every connection has ended.
    pub(super) async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
