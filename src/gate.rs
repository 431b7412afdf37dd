//! The gate that holds back the checks of a container: its startup, which passes when every required startup check has
//! passed in the present incarnation, or one of each group.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::container::Container;
use crate::status::Status;

/// The startup of one container.
#[derive(Debug, Default)]
pub struct Gate {
    /// Of each group, one has to pass; a check by itself is a group of one.
    groups: Vec<Vec<Startup>>,
}

/// A required startup check.
#[derive(Debug)]
pub struct Startup {
    /// Its state, published by its task.
    pub status: watch::Receiver<Status>,
    /// The container that it is about.
    pub container: Arc<Container>,
}

impl Startup {
    /// Returns since when it has passed in the present incarnation.
    fn passed_at(&self) -> Option<Instant> {
        let status = self.status.borrow();
        let is_current = status.incarnation == self.container.incarnation().id;
        (is_current && status.tracker.is_healthy()).then_some(status.since)
    }
}

impl Gate {
    /// Returns the gate of these checks, each with the name of its group, if it has one.
    pub fn new(checks: impl IntoIterator<Item = (Option<Arc<str>>, Startup)>) -> Self {
        let mut groups: Vec<(Option<Arc<str>>, Vec<Startup>)> = Vec::new();
        for (name, startup) in checks {
            match groups.iter_mut().find(|(group, _)| group.is_some() && *group == name) {
                Some((_, members)) => members.push(startup),
                None => groups.push((name, vec![startup])),
            }
        }
        Self { groups: groups.into_iter().map(|(_, members)| members).collect() }
    }

    /// Returns whether the startup has passed; so it has where nothing tells of it.
    pub fn is_open(&self) -> bool {
        self.groups.iter().all(|group| group.iter().any(|startup| startup.passed_at().is_some()))
    }

    /// Returns whether nothing tells of the startup.
    pub fn is_absent(&self) -> bool {
        self.groups.is_empty()
    }

    /// Returns since when it has been open: since the last group passed, each with its first check.
    pub fn opened_at(&self) -> Option<Instant> {
        let passed_at = |group: &Vec<Startup>| group.iter().filter_map(Startup::passed_at).min();
        self.groups.iter().map(passed_at).collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}
