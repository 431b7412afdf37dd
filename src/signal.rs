//! SIGTERM and SIGINT: the first asks for an orderly end, the second for an end at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask a process to end.
#[derive(Debug)]
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Begins to listen; from here on the signals do nothing else.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
