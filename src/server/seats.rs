//! A bounded number of connections: the newest always gets a seat, and the longest idle one loses its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, getrlimit};
use tokio::task::{AbortHandle, Id, JoinSet, yield_now};

/// How many connections there can be at a time; each costs some ten KiB.
const MOST: u64 = 256;

/// The part of the descriptors that connections may take: the rest is for checks.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// The part of the seats whose connections may be on their way out at a time.
const LEAVING_PART: usize = 4;

/// When a connection last began a request, counted in events instead of time.
#[derive(Debug)]
pub(super) struct Seat {
    touched: AtomicU64,
    clock: Arc<AtomicU64>,
}

impl Seat {
    /// Notes a request.
    pub(super) fn touch(&self) {
        self.touched.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Seats {
    tasks: JoinSet<()>,
    taken: HashMap<Id, (Arc<Seat>, AbortHandle)>,
    clock: Arc<AtomicU64>,
    most: usize,
    leaving: usize,
}

impl Seats {
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
        let most = MOST.min(descriptors / SHARE_OF_DESCRIPTORS).max(1);
        Self {
            tasks: JoinSet::new(),
            taken: HashMap::new(),
            clock: Arc::default(),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            leaving: 0,
        }
    }

    /// Starts a connection, if need be in place of the one that has been silent for the longest time.
    pub(super) async fn take<F>(&mut self, connection: impl FnOnce(Arc<Seat>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(left) = self.tasks.try_join_next_with_id() {
            let id = left.map_or_else(|error| error.id(), |(id, ())| id);
            self.taken.remove(&id);
        }
        if self.taken.len() >= self.most {
            self.free_oldest();
            self.leaving += 1;
        }
        // A descriptor is free once its task has been looked at, so not before this one steps back. To do so
        // for each would let the callers queue up.
        if self.leaving > self.most / LEAVING_PART {
            self.leaving = 0;
            yield_now().await;
        }
        let seat = Arc::new(Seat { touched: AtomicU64::new(0), clock: Arc::clone(&self.clock) });
        seat.touch();
        let task = self.tasks.spawn(connection(Arc::clone(&seat)));
        self.taken.insert(task.id(), (seat, task));
    }

    /// Ends the connection that has been silent for the longest time.
    pub(super) fn free_oldest(&mut self) {
        let oldest = self.taken.iter().min_by_key(|(_, (seat, _))| seat.touched.load(Ordering::Relaxed));
        if let Some((_, task)) = oldest.map(|(id, _)| *id).and_then(|id| self.taken.remove(&id)) {
            task.abort();
        }
    }

    /// Waits until every connection has ended.
    pub(super) async fn all_left(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
