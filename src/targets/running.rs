//! `process:`: a process of that name runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::process::{self, Known};
use super::{Attempt, Stage};
use crate::blocking::Place;
use crate::grammar::local::Name;
use crate::lock::lock;
use crate::outcome::Outcome;
use crate::witness::{Listeners, Process, Sight, Witness};

/// A process that has to run.
#[derive(Debug)]
pub struct Running {
    sought: Arc<Sought>,
    place: Place,
}

#[derive(Debug)]
struct Sought {
    name: String,
    /// The process that was found last.
    found: Mutex<Option<Process>>,
}

impl Running {
    /// Takes no option.
    pub fn new(name: &Name) -> Self {
        let sought = Sought { name: name.0.clone(), found: Mutex::default() };
        Self { sought: Arc::new(sought), place: Place::default() }
    }
}

impl Sought {
    fn known(&self) -> Option<Process> {
        let found = *lock(&self.found);
        found.filter(|process| process.lives())
    }

    /// Looks for it, which may take its time.
    fn find(&self) -> Result<(), String> {
        if self.known().is_some_and(|process| process::is_still(process, &self.name)) {
            return Ok(());
        }
        let found = process::find_running(&self.name, Known::ByCommand);
        *lock(&self.found) = found.as_ref().ok().copied();
        found.map(drop)
    }
}

impl Attempt for Running {
    async fn attempt(&self, _: &Stage<'_>) -> Outcome {
        let sought = Arc::clone(&self.sought);
        let found = self.place.run("the processes of /proc did not answer", move || sought.find()).await;
        found.flatten().map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    fn timed_out(&self, _: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(format!("timeout: no look at the processes of /proc within {timeout:?}"))
    }

    /// Looks without waiting, so without reading a command line: for the process that the last run found, or one by its
    /// name.
    fn sight(&self, _: &Listeners) -> Sight {
        let found = self.sought.known();
        let found = found.or_else(|| process::find_running(&self.sought.name, Known::ByName).ok());
        found.map_or(Sight::Missing, |process| Sight::There(Witness::Process(process)))
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }
}
