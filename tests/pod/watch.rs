//! Somebody who asks the sidecar the same thing all the time, and writes down every answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::network::spawn_on_node;
use crate::request::{self, Question};

pub struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sight>>,
}

/// One answer.
#[derive(Debug)]
pub struct Sight {
    /// The age of the pod when the question was sent.
    pub asked: Duration,
    /// The same when the answer came.
    pub at: Duration,
    pub answer: Result<(u16, String), String>,
}

impl Sight {
    pub fn status(&self) -> Option<u16> {
        self.answer.as_ref().ok().map(|(status, _)| *status)
    }

    /// Returns whether the request failed because the worker died while it was answering it: no supervisor can help
    /// there.
    pub fn was_taken(&self) -> bool {
        let taken =
            |reason: &String| reason.ends_with("unexpected end of file") || reason.contains("reset by peer");
        self.answer.as_ref().is_err_and(taken)
    }
}

impl Watch {
    pub fn start(
        born: Instant,
        address: SocketAddr,
        agent: &'static str,
        path: &str,
        pause: Duration,
    ) -> Self {
        let (over, path) = (Arc::new(AtomicBool::new(false)), path.to_owned());
        let watched = Arc::clone(&over);
        let thread = spawn_on_node(move || {
            let mut sights = Vec::new();
            while !watched.load(Ordering::Relaxed) {
                let question = Question { path: &path, agent, headers: Vec::new() };
                let asked = born.elapsed();
                let answer = request::ask(address, &question, Duration::from_secs(1));
                sights.push(Sight { asked, at: born.elapsed(), answer });
                std::thread::sleep(pause);
            }
            sights
        });
        Self { over, thread }
    }

    /// Ends the watch and returns all that was seen.
    pub fn end(self) -> Vec<Sight> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("a watch does not panic")
    }

    /// Ends the watch, which has to have seen one status all the time.
    pub fn end_with_only(self, status: u16) -> usize {
        let sights = self.end();
        let others: Vec<_> = sights.iter().filter(|sight| sight.status() != Some(status)).collect();
        let first: Vec<_> = others.iter().take(3).collect();
        assert!(others.is_empty(), "{} of {} were not {status}: {first:#?}", others.len(), sights.len());
        sights.len()
    }
}
