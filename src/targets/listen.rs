//! `listen://`: a socket listens on a port of this pod, and accepts what comes. The kernel's table tells: nothing
//! connects, so nothing stands in the app's log.

use std::time::Duration;

use super::{Attempt, LocalPort, Stage};
use crate::grammar::local::Port;
use crate::grammar::{OptionReader, options, values};
use crate::outcome::Outcome;
use crate::witness::Listeners;

/// A port and how many connections may wait at it.
#[derive(Debug)]
pub struct Listen {
    port: u16,
    max_backlog: Option<u32>,
}

impl Listen {
    /// Takes `_MAX_BACKLOG`.
    pub fn new(port: Port, reader: &mut OptionReader) -> Self {
        Self { port: port.0, max_backlog: reader.take(options::MAX_BACKLOG, values::count) }
    }

    fn judge(&self, listeners: &Listeners) -> Result<(), String> {
        let port = self.port;
        if !listeners.is_readable() {
            return Err(
                "the kernel tells nothing of its sockets: neither netlink nor /proc/net/tcp can be read"
                    .to_owned(),
            );
        }
        let waiting = listeners.waiting_on(port).ok_or_else(|| format!("nobody listens on port {port}"))?;
        match self.max_backlog {
            Some(most) if waiting > most => Err(format!(
                "{waiting} connections wait to be accepted on port {port}, and {most} may: the app does not get to them"
            )),
            _ => Ok(()),
        }
    }
}

impl Attempt for Listen {
    async fn attempt(&self, _: &Stage<'_>) -> Outcome {
        self.judge(&Listeners::now()).map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    fn timed_out(&self, _: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(format!("timeout: no look at the kernel's table of sockets within {timeout:?}"))
    }

    fn local_port(&self) -> Option<LocalPort> {
        Some(LocalPort { address: None, port: self.port })
    }
}
