//! `postgres://`, `mysql://` and `redis://`: the server takes sessions. A port that is open is not a database that is
//! ready, and the server's own first words tell.

mod mysql;
mod postgres;
mod redis;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::{Dial, Stream};
use super::reason::io_reason;
use super::stage::quoted;
use super::{Attempt, Stage};
use crate::grammar::OptionReader;
use crate::grammar::remote::Remote;
use crate::outcome::Outcome;

/// The part of the server's words that is looked at, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// A database server.
#[derive(Debug)]
pub struct Database {
    dial: Dial,
    protocol: Protocol,
    /// The first message; empty where the server begins. It may hold a password.
    opening: Opening,
}

struct Opening(Vec<u8>);

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The protocol of a server.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// `PostgreSQL`'s, version 3.
    Postgres,
    /// That of `MySQL` and `MariaDB`.
    Mysql,
    /// That of Redis and Valkey, version 2.
    Redis,
}

/// The verdict on the bytes so far: `None` where more have to come.
type Heard = Option<Result<(), String>>;

impl Database {
    /// Takes no option.
    ///
    /// # Errors
    /// The fault of the user or the password.
    pub fn new(protocol: Protocol, remote: &Remote, reader: &mut OptionReader) -> Result<Self, String> {
        let login = remote.login()?;
        if let Some(password) = login.as_ref().and_then(|login| login.password.as_ref()) {
            reader.confide(password);
        }
        let opening = match protocol {
            Protocol::Postgres => postgres::opening(login.as_ref()),
            Protocol::Mysql => Vec::new(),
            Protocol::Redis => redis::opening(login.as_ref()),
        };
        Ok(Self { dial: Dial::new(remote, None, reader), protocol, opening: Opening(opening) })
    }

    async fn ask(&self, stage: &Stage<'_>) -> Result<(), String> {
        let mut stream = self.dial.open(stage).await?;
        let result = self.converse(&mut stream, stage).await;
        stream.leave();
        result
    }

    async fn converse(&self, stream: &mut Stream, stage: &Stage<'_>) -> Result<(), String> {
        let failed = |what| move |error: std::io::Error| format!("{what} failed: {}", io_reason(&error));
        stream.write_all(&self.opening.0).await.map_err(failed("sending"))?;
        let mut heard = Vec::new();
        loop {
            let room = (MAX_ANSWER_BYTES - heard.len()) as u64;
            if (&mut *stream).take(room).read_buf(&mut heard).await.map_err(failed("reading"))? == 0 {
                return Err(self.broken(&heard, stage));
            }
            if let Some(verdict) = self.protocol.judge(&heard) {
                // Whoever does not take it, does not miss it.
                let _ = stream.write_all(self.protocol.goodbye(&heard)).await;
                return verdict
                    .map_err(|reason| if reason.is_empty() { self.broken(&heard, stage) } else { reason });
            }
        }
    }

    /// Returns the reason for bytes that are no answer.
    fn broken(&self, heard: &[u8], stage: &Stage<'_>) -> String {
        if heard.is_empty() {
            return "the server closed the connection without an answer".to_owned();
        }
        format!("the server does not speak {}: answered {}", self.protocol.name(), quoted(&stage.hear(heard)))
    }
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL's protocol",
            Self::Mysql => "MySQL's protocol",
            Self::Redis => "Redis' protocol",
        }
    }

    /// Returns what the answer comes to; an empty reason is an answer of a different protocol.
    fn judge(self, heard: &[u8]) -> Heard {
        match self {
            Self::Postgres => postgres::judge(heard),
            Self::Mysql => mysql::judge(heard),
            Self::Redis => redis::judge(heard),
        }
    }

    /// Returns what the server wants to hear at the end, so that it has nothing to complain of.
    fn goodbye(self, heard: &[u8]) -> &'static [u8] {
        match self {
            Self::Postgres => postgres::goodbye(heard),
            // The server has no word for it before a login; MariaDB notes each such connection at log_warnings=2.
            Self::Mysql | Self::Redis => &[],
        }
    }
}

impl Attempt for Database {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.ask(stage).await.map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        let silent = || format!("timeout: connected, but the server said nothing within {timeout:?}");
        Outcome::timeout(stage.unconnected(timeout).unwrap_or_else(silent))
    }

    fn dial(&self) -> Option<&Dial> {
        Some(&self.dial)
    }
}
