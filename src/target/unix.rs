//! `unix:`: a connection to a unix socket opens, and the peer answers as expected where that is asked.

use std::time::Duration;

use tokio::net::UnixStream;

use super::net::io_reason;
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
        Ok(Self { dialogue: Dialogue::parse(given), socket: Socket::parse(rest)? })
    }

    pub fn shown(&self) -> String {
        format!("unix:{}", self.socket.path)
    }
}

impl Attempt for Unix {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        match self.socket.connect().await {
            Ok(stream) => {
                stage.connected();
                self.dialogue.hold(stream).await
            }
            Err(reason) => Outcome::failure(reason),
        }
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        Dialogue::timed_out(stage, timeout)
    }
}

/// Where a unix socket is.
#[derive(Debug)]
pub struct Socket {
    /// Absolute.
    pub path: String,
}

impl Socket {
    /// Reads an absolute path.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(path: &str) -> Result<Self, String> {
        if !path.starts_with('/') || path.contains('\0') || path.len() > LONGEST {
            return Err(format!(
                "accepted: an absolute path of at most {LONGEST} bytes, such as /run/app.sock"
            ));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Why that cannot be.
    pub async fn connect(&self) -> Result<UnixStream, String> {
        UnixStream::connect(&self.path).await.map_err(|error| format!("{}: {}", self.path, io_reason(&error)))
    }
}
