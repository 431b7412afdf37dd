//! The only place that opens connections: by a name or an address, by a unix socket here or in the container of
//! another process, and in TLS where that is asked.

mod connection;
mod name;
mod socket;
mod stream;
mod tls;

use std::sync::OnceLock;

use crate::blocking::Place;
use crate::grammar::OptionReader;
use crate::grammar::path::Path;
use crate::grammar::remote::{At, Remote};
use crate::grammar::url::Authority;

use super::place::Inside;
use super::{LocalPort, Progress, Stage};

pub use stream::{BoxStream, Limited, Stream};
pub use tls::Tls;

use socket::Socket;

/// Whom a target connects to, and how.
#[derive(Debug)]
pub struct Dial {
    to: To,
    is_tls: bool,
    /// Set where `is_tls`, and once a redirect led to TLS.
    tls: OnceLock<Box<Tls>>,
    place: Place,
}

#[derive(Debug)]
enum To {
    Host(Authority),
    Socket(Box<Socket>),
}

impl Dial {
    /// Connects where `remote` is; with `tls`, speaks TLS there.
    pub fn new(remote: &Remote, tls: Option<Tls>, reader: &mut OptionReader) -> Self {
        let to = match &remote.at {
            At::Host(authority) => To::Host(authority.clone()),
            At::Socket(path) => To::Socket(Box::new(Socket::new(path, reader))),
        };
        let (is_tls, tls) = (tls.is_some(), tls.map(|tls| OnceLock::from(Box::new(tls))));
        Self { to, is_tls, tls: tls.unwrap_or_default(), place: Place::default() }
    }

    /// Connects to a unix socket.
    pub fn socket(path: &Path, reader: &mut OptionReader) -> Self {
        let to = To::Socket(Box::new(Socket::new(path, reader)));
        Self { to, is_tls: false, tls: OnceLock::new(), place: Place::default() }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Why that cannot be.
    pub async fn open(&self, stage: &Stage<'_>) -> Result<Stream, String> {
        let stream = match &self.to {
            To::Host(authority) => return self.open_to(authority, self.is_tls, stage).await,
            To::Socket(socket) => socket.connect(&self.place).await.map(Stream::Unix),
        };
        stage.reach(Progress::Greeted);
        stream
    }

    /// Opens a connection to another host, as a redirect asks for it.
    ///
    /// # Errors
    /// Why that cannot be.
    pub async fn open_to(
        &self,
        authority: &Authority,
        is_tls: bool,
        stage: &Stage<'_>,
    ) -> Result<Stream, String> {
        let stream = if is_tls {
            // The files first: no connection is to wait for them.
            let client = self.tls.get_or_init(Box::default).client(&authority.host, &self.place).await?;
            let connection = name::connect(authority, &self.place).await?;
            stage.reach(Progress::Connected);
            client.greet(connection).await?
        } else {
            name::connect(authority, &self.place).await.map(Stream::Tcp)?
        };
        stage.reach(Progress::Greeted);
        Ok(stream)
    }

    /// Returns the host and port, if it is not a unix socket.
    pub const fn authority(&self) -> Option<&Authority> {
        match &self.to {
            To::Host(authority) => Some(authority),
            To::Socket(_) => None,
        }
    }

    /// Returns whether it speaks TLS.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Returns the host and port, as they stand in a URL; `localhost` for a unix socket.
    pub fn host(&self) -> String {
        self.authority().map_or_else(|| "localhost".to_owned(), Authority::shown)
    }

    /// Returns where a check makes its calls that may hang.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the same as [`Attempt::local_port`](super::Attempt::local_port).
    pub fn local_port(&self) -> Option<LocalPort> {
        self.authority()?.local_port()
    }

    /// Returns the same as [`Attempt::inside`](super::Attempt::inside).
    pub fn inside(&self) -> Option<&Inside> {
        match &self.to {
            To::Host(_) => None,
            To::Socket(socket) => socket.inside.as_deref(),
        }
    }

    /// Returns the same as [`Attempt::certificate_expiry`](super::Attempt::certificate_expiry).
    pub fn certificate_expiry(&self) -> Option<i64> {
        let tls = self.tls.get().filter(|_| self.is_tls);
        tls.map(|tls| tls.expiry())
    }
}
