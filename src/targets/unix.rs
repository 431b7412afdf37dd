//! `unix:`: a connection to a unix socket opens, and the peer answers as expected where that is asked.

use std::os::fd::AsRawFd;
use std::time::Duration;

use tokio::net::UnixStream;

use super::net::io_reason;
use super::place::Inside;
use super::tcp::Dialogue;
use super::{Attempt, Stage};
use crate::options::Given;
use crate::outcome::Outcome;

/// What `sun_path` holds (unix(7)), but for the byte that ends it.
const LONGEST: usize = 107;

/// A unix socket and what is said over it.
#[derive(Debug)]
pub struct Unix {
    socket: Socket,
    dialogue: Dialogue,
}

impl Unix {
    /// Reads what follows `unix:`.
    pub fn parse(rest: &str, given: &mut Given) -> Result<Self, String> {
        Ok(Self { dialogue: Dialogue::parse(given), socket: Socket::parse(rest, given)? })
    }

    pub fn shown(&self) -> String {
        format!("unix:{}", self.socket.path)
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
    /// Reads an absolute path, and takes `_IN_PROCESS`.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(path: &str, given: &mut Given) -> Result<Self, String> {
        let inside = Inside::parse(given);
        if !path.starts_with('/') || path.contains('\0') || path.len() > LONGEST {
            return Err(format!(
                "accepted: an absolute path of at most {LONGEST} bytes, such as /run/app.sock"
            ));
        }
        Ok(Self { path: path.to_owned(), inside })
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
