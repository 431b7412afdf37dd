//! A connection to a unix socket, here or in the container of another process.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket as Handle, Type};
use tokio::net::UnixStream;

use crate::blocking::Place;
use crate::grammar::{self, OptionReader};
use crate::targets::place::Inside;
use crate::targets::reason::io_reason;

/// The place of a unix socket.
#[derive(Debug)]
pub(super) struct Socket {
    /// Absolute.
    path: Arc<str>,
    /// In whose file system, if that is not ours.
    pub(super) inside: Option<Arc<Inside>>,
}

impl Socket {
    /// Takes `_IN_PROCESS`.
    pub(super) fn new(path: &grammar::path::Path, reader: &mut OptionReader) -> Self {
        Self { path: path.0.as_str().into(), inside: Inside::parse(reader).map(Arc::new) }
    }

    /// Opens a connection; the way to the socket may lead over a file system that does not answer.
    pub(super) async fn connect(&self, place: &Place) -> Result<UnixStream, String> {
        let (path, inside) = (Arc::clone(&self.path), self.inside.clone());
        let silence = format!("the file system did not answer for {path}");
        let stream = place.run(silence, move || open(&path, inside.as_deref())).await??;
        UnixStream::from_std(stream).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("{}: {}", self.path, io_reason(error))
    }
}

fn open(path: &str, inside: Option<&Inside>) -> Result<StdStream, String> {
    let connected = match inside {
        None => connect(path.as_ref()),
        // The only name by which what is open already can be connected to.
        Some(inside) => inside
            .open(path.as_ref())?
            .and_then(|socket| connect(format!("/proc/self/fd/{}", socket.as_raw_fd()).as_ref())),
    };
    connected.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => format!("{path}: its backlog is full"),
        _ => format!("{path}: {}", io_reason(&error)),
    })
}

/// Connects without waiting for a server that does not accept.
fn connect(path: &Path) -> io::Result<StdStream> {
    let socket = Handle::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}
