//! `notify:`: the app itself says how it is, over `sd_notify(3)`. It is not asked, and what it says holds at once.

mod post;
mod said;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Attempt, Stage};
use crate::grammar::{self, OptionReader, options, values};
use crate::life::Incarnation;
use crate::lock::lock;
use crate::outcome::Outcome;
use crate::probe::Probe;
use post::{Post, Socket, State};

/// The greatest age of the last sign of life by default.
const MAX_AGE: Duration = Duration::from_secs(30);

/// A check of the app's own messages.
#[derive(Debug)]
pub struct Notify {
    post: Arc<Post>,
    /// Of liveness, how old the last sign of life may be; readiness and startup do not age.
    max_age: Option<Duration>,
    /// The result of the last run; before the first, the one that counts without a run.
    last: Mutex<Result<(), String>>,
}

impl Notify {
    /// Takes `_MAX_AGE_SECONDS` for liveness.
    pub fn new(path: &grammar::path::Path, reader: &mut OptionReader) -> Self {
        let is_liveness = reader.probe() == Some(Probe::Liveness);
        let max_age = is_liveness
            .then(|| reader.take(options::MAX_AGE_SECONDS, values::seconds(0.01)).unwrap_or(MAX_AGE));
        let last = if is_liveness { Ok(()) } else { Err(String::new()) };
        Self { post: Post::at(Path::new(&path.0)), max_age, last: Mutex::new(last) }
    }

    fn judge(&self, state: &State) -> Result<(), String> {
        if let Socket::Failed(reason) = &state.socket {
            return Err(reason.clone());
        }
        match self.max_age {
            Some(max_age) => state.said.liveness(Instant::now(), max_age),
            None => state.said.readiness(),
        }
    }

    /// Completes when a run would come to something else than the last one: by a message, or by a long silence.
    async fn differs_from_the_last_run(&self) {
        let mut state = self.post.subscribe();
        loop {
            let lives_until = {
                let state = state.borrow_and_update();
                let last = lock(&self.last);
                if state.socket != Socket::Opening && self.judge(&state) != *last {
                    return;
                }
                // Before it is open, a long silence says nothing.
                let may_age = last.is_ok() && state.socket != Socket::Opening;
                self.max_age.filter(|_| may_age).map(|max_age| state.said.lives_until(max_age))
            };
            match lives_until {
                Some(end) => drop(timeout_at(end, state.changed()).await),
                None => drop(state.changed().await),
            }
        }
    }
}

impl Attempt for Notify {
    async fn attempt(&self, _: &Stage<'_>) -> Outcome {
        let mut state = self.post.subscribe();
        let state = state.wait_for(|state| state.socket != Socket::Opening).await;
        let judged = state.map_err(|closed| closed.to_string()).and_then(|state| self.judge(&state));
        lock(&self.last).clone_from(&judged);
        judged.map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    fn timed_out(&self, _: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(format!("timeout: the file system did not make the socket within {timeout:?}"))
    }

    fn begin(&self, incarnation: Incarnation) {
        self.post.begin(incarnation);
    }

    async fn news(&self) {
        // In a box of its own, since the tasks of all kinds have room for it.
        Box::pin(self.differs_from_the_last_run()).await;
    }
}
