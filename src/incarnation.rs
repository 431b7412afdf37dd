//! The lives of the main container, one after another.

mod pace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

pub use pace::Pace;

use crate::targets::process::Process;

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
pub struct Incarnations {
    current: watch::Sender<Incarnation>,
    /// The processes of the app that checks look into, by their names.
    processes: Arc<Mutex<BTreeMap<String, Process>>>,
}

impl Incarnations {
    /// Begins the first one.
    pub fn first() -> Self {
        let first = Incarnation { number: 1, began: Instant::now() };
        Self { current: watch::Sender::new(first), processes: Arc::default() }
    }

    /// The present one.
    pub fn current(&self) -> Incarnation {
        *self.current.borrow()
    }

    /// Begins the next one: all states and counters return to their initial values.
    pub fn begin(&self, sign: &str) {
        self.current.send_modify(|current| {
            *current = Incarnation { number: current.number + 1, began: Instant::now() };
        });
        tracing::info!(incarnation = self.current().number, sign, "a new incarnation of the app begins");
    }

    /// Takes note of the app's process called `name`. Another one than before begins a new incarnation, unless
    /// one has begun since that process started, which then is its own.
    pub fn saw(&self, name: &str, process: Process) {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = processes.insert(name.to_owned(), process);
        drop(processes);
        let is_another = before.is_some_and(|before| before != process);
        if is_another && process.age().is_none_or(|age| age < self.current().began.elapsed()) {
            self.begin(&format!("the process {name} is another one"));
        }
    }

    /// Tells of every further one.
    pub fn subscribe(&self) -> watch::Receiver<Incarnation> {
        self.current.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that started `seconds` ago, or will.
    fn started(id: i32, seconds: i64) -> Process {
        let uptime = Process::new(id, 0).age().unwrap().as_secs();
        Process::new(id, u64::try_from(i64::try_from(uptime).unwrap() - seconds).unwrap() * 100)
    }

    #[test]
    fn another_process_begins_one_incarnation_whoever_sees_it() {
        let incarnations = Incarnations::first();
        let number = || incarnations.current().number;
        let (first, second) = (started(7, 5), started(8, -5));
        incarnations.saw("app", first);
        incarnations.saw("app", first);
        incarnations.saw("helper", second);
        assert_eq!(number(), 1);
        incarnations.saw("app", second);
        incarnations.clone().saw("app", second);
        assert_eq!(number(), 2);
    }

    #[test]
    fn a_process_older_than_the_incarnation_is_its_own() {
        let incarnations = Incarnations::first();
        incarnations.saw("app", started(7, 60));
        incarnations.saw("app", started(8, 30));
        assert_eq!(incarnations.current().number, 1);
    }
}
