//! `file:`: a file exists, and was modified recently enough where that is asked: the heartbeat of a worker that
//! has no port.

use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::place::Inside;
use super::reason::io_reason;
use super::{Attempt, Stage};
use crate::blocking::Place;
use crate::grammar::{self, Given, options, values};
use crate::outcome::Outcome;

/// A file and how old it may be.
#[derive(Debug)]
pub struct File {
    path: Arc<PathBuf>,
    /// Where it is looked for, if that is not here.
    inside: Option<Arc<Inside>>,
    max_age: Option<Duration>,
    place: Place,
}

impl File {
    /// Takes `_MAX_AGE_SECONDS` and `_IN_PROCESS`.
    pub fn new(path: &grammar::path::Path, given: &mut Given) -> Self {
        let max_age = given.take(options::MAX_AGE_SECONDS, values::seconds(0.01));
        let inside = Inside::parse(given).map(Arc::new);
        Self { path: Arc::new(PathBuf::from(&path.0)), inside, max_age, place: Place::default() }
    }

    /// Looks for the file beside the worker's thread, since no file system promises to answer.
    async fn look(&self) -> Result<Metadata, String> {
        let (path, inside) = (self.path.clone(), self.inside.clone());
        let look = move || {
            let found = match inside {
                Some(inside) => inside.open(&path)?.metadata(),
                None => fs::metadata(&*path),
            };
            found.map_err(|error| format!("{}: {}", path.display(), io_reason(&error)))
        };
        self.place.run(self.silence(), look).await?
    }

    fn silence(&self) -> String {
        format!("the file system did not answer for {}", self.path.display())
    }

    fn judge(&self, file: &Metadata, now: SystemTime) -> Result<(), String> {
        if file.is_dir() {
            return Err("is a directory, not a file".to_owned());
        }
        let Some(limit) = self.max_age else { return Ok(()) };
        let modified = file.modified().map_err(|error| io_reason(&error))?;
        match now.duration_since(modified) {
            Ok(age) if age > limit => {
                Err(format!("was modified {:.1} s ago, {limit:?} is allowed", age.as_secs_f64()))
            }
            // Trusting the future would hide that the heart has stopped.
            Err(ahead) if ahead.duration() > limit => {
                Err(format!("was modified {:.1} s in the future", ahead.duration().as_secs_f64()))
            }
            _ => Ok(()),
        }
    }
}

impl Attempt for File {
    async fn attempt(&self, _: &Stage) -> Outcome {
        let file = match self.look().await {
            Ok(file) => file,
            Err(reason) => return Outcome::failure(reason),
        };
        match self.judge(&file, SystemTime::now()) {
            Ok(()) => Outcome::Success,
            Err(reason) => Outcome::failure(format!("{}: {reason}", self.path.display())),
        }
    }

    fn inside(&self) -> Option<&Inside> {
        self.inside.as_deref()
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn timed_out(&self, _: &Stage, timeout: Duration) -> String {
        format!("timeout: {} within {timeout:?}", self.silence())
    }
}
