//! A bounded number of connections: the newest is always taken, and one on which nothing is asked makes room for it,
//! or one of the peer that has the most.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
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

/// One connection.
#[derive(Debug)]
struct Connection {
    peer: IpAddr,
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// All connections.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    tasks: JoinSet<()>,
    open: HashMap<Id, Connection>,
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

    /// Starts a connection of `peer`, if need be in place of another.
    pub(super) async fn start<F>(&mut self, peer: IpAddr, connection: impl FnOnce(Arc<Activity>) -> F)
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
        self.open.insert(task.id(), Connection { peer, activity, task });
    }

    /// Ends the connection that is needed least: a silent one before one that is answered, then one of the peer that has
    /// the most, so that nobody pushes off another, and the one that is so for the longest time.
    pub(super) fn end_one(&mut self) {
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.open.values() {
            *held.entry(connection.peer).or_default() += 1;
        }
        let rank = |Connection { peer, activity, .. }: &Connection| {
            (activity.is_answering(), Reverse(held.get(peer)), activity.touched.load(Ordering::Relaxed))
        };
        let least = self.open.iter().min_by_key(|(_, connection)| rank(connection));
        if let Some(least) = least.map(|(id, _)| *id).and_then(|id| self.open.remove(&id)) {
            least.task.abort();
        }
    }

    /// Waits until every connection has ended.
    pub(super) async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::Ipv4Addr;

    use super::*;

    const FLOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 66));
    const KUBELET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn limiter() -> ConnectionLimiter {
        ConnectionLimiter { max: 4, ..ConnectionLimiter::new() }
    }

    /// Starts a connection on which nothing is asked, or something whose answer is never ready.
    async fn start(limiter: &mut ConnectionLimiter, peer: IpAddr, is_asked: bool) -> Arc<Activity> {
        let mut started = None;
        let connection = |activity: Arc<Activity>| {
            let answering = is_asked.then(|| Answering::begin(&activity));
            started = Some(activity);
            async move {
                let _answering = answering;
                pending::<()>().await;
            }
        };
        limiter.start(peer, connection).await;
        started.unwrap()
    }

    fn is_open(limiter: &ConnectionLimiter, activity: &Arc<Activity>) -> bool {
        limiter.open.values().any(|connection| Arc::ptr_eq(&connection.activity, activity))
    }

    #[tokio::test]
    async fn a_peer_that_floods_loses_its_own_oldest() {
        let mut limiter = limiter();
        let mut flood = Vec::new();
        for _ in 0..9 {
            flood.push(start(&mut limiter, FLOOD, true).await);
        }
        let open: Vec<_> = flood.iter().map(|activity| is_open(&limiter, activity)).collect();
        assert_eq!(open, [false, false, false, false, false, true, true, true, true]);
    }

    #[tokio::test]
    async fn the_only_connection_of_another_peer_survives_however_old_it_is() {
        for is_asked in [true, false] {
            let mut limiter = limiter();
            let kubelet = start(&mut limiter, KUBELET, is_asked).await;
            for _ in 0..99 {
                start(&mut limiter, FLOOD, is_asked).await;
            }
            assert!(is_open(&limiter, &kubelet), "asked: {is_asked}");
            assert_eq!(limiter.open.len(), 4);
        }
    }

    #[tokio::test]
    async fn a_silent_connection_makes_room_before_one_that_is_answered() {
        let mut limiter = limiter();
        let silent = start(&mut limiter, KUBELET, false).await;
        for _ in 0..4 {
            start(&mut limiter, FLOOD, true).await;
        }
        assert!(!is_open(&limiter, &silent));
    }
}
