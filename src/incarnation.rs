//! The lives of the main container, one after another.

use tokio::sync::watch;
use tokio::time::Instant;

/// One life of the main container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Counts from 1.
    pub number: u64,
    /// When it began, as far as we know.
    pub began: Instant,
}

/// The present incarnation; whoever sees a sign of a new one begins it here, and all tasks learn of it.
#[derive(Clone, Debug)]
pub struct Incarnations(watch::Sender<Incarnation>);

impl Incarnations {
    /// Begins the first one.
    pub fn first() -> Self {
        Self(watch::Sender::new(Incarnation { number: 1, began: Instant::now() }))
    }

    /// The present one.
    pub fn current(&self) -> Incarnation {
        *self.0.borrow()
    }

    /// Begins the next one: all states and counters return to their initial values.
    pub fn begin(&self, sign: &str) {
        self.0.send_modify(|current| {
            *current = Incarnation { number: current.number + 1, began: Instant::now() };
        });
        tracing::info!(incarnation = self.current().number, sign, "a new incarnation of the app begins");
    }

    /// Tells of every further one.
    pub fn subscribe(&self) -> watch::Receiver<Incarnation> {
        self.0.subscribe()
    }
}
