//! `unix:`: a connection to a unix socket opens, and the peer answers as expected where that is asked.

use std::os::fd::AsRawFd;
use std::time::Duration;

use tokio::net::UnixStream;

use super::net::io_reason;
use super::place::Inside;
use super::tcp::Dialogue;
use super::{Attempt, Stage};
use crate::grammar::{self, Given};
use crate::outcome::Outcome;

/// A unix socket and what is said over it.
#[derive(Debug)]
pub struct Unix {
    socket: Socket,
    dialogue: Dialogue,
}

impl Unix {
    /// Takes the options of a dialogue and of a place.
    pub fn new(path: &grammar::path::Path, given: &mut Given) -> Self {
        Self { dialogue: Dialogue::parse(given), socket: Socket::new(path, given) }
    }
}

impl Attempt for Unix {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        self.dialogue.over(self.socket.connect().await, stage).await
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        Dialogue::timed_out(stage, timeout)
    }

    fn inside(&self) -> Option<&Inside> {
        self.socket.inside.as_ref()
    }
}

/// Where a unix socket is.
#[derive(Debug)]
pub struct Socket {
    /// Absolute.
    pub path: String,
    /// In whose file system, if that is not ours.
    pub inside: Option<Inside>,
}

impl Socket {
    /// Takes `_IN_PROCESS`.
    pub fn new(path: &grammar::path::Path, given: &mut Given) -> Self {
        Self { path: path.0.clone(), inside: Inside::parse(given) }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Why that cannot be.
    pub async fn connect(&self) -> Result<UnixStream, String> {
        let connected = match &self.inside {
            None => UnixStream::connect(&self.path).await,
            Some(inside) => {
                let socket = inside.open(self.path.as_ref())?;
                // The only name by which what is open already can be connected to.
                UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await
            }
        };
        connected.map_err(|error| format!("{}: {}", self.path, io_reason(&error)))
    }
}
