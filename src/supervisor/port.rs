//! The socket on which the sidecar answers.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::errno::Errno;
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};

use super::SupervisorError;

/// Where to listen by default.
const PORT: u16 = 9809;

/// What the kernel keeps of an accepted connection, in bytes each way: for a slow peer it could grow to
/// megabytes, which count as our memory.
const SOCKET_BUFFER: usize = 64 * 1024;

/// Binds the configured address, or port 9809 on every address that this pod has.
pub(super) fn bind(configured: Option<SocketAddr>) -> Result<TcpListener, SupervisorError> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let address = configured.unwrap_or(any);
    let has_no_ipv6 = |error: &io::Error| {
        error.kind() == ErrorKind::AddrNotAvailable
            || error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32)
    };
    let bound = match TcpListener::bind(address) {
        Err(error) if configured.is_none() && has_no_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
        }
        bound => bound,
    };
    let bound = bound.map_err(|error| SupervisorError::Listen(address, error))?;
    setsockopt(&bound, sockopt::SndBuf, &SOCKET_BUFFER)?;
    setsockopt(&bound, sockopt::RcvBuf, &SOCKET_BUFFER)?;
    // Accepted connections inherit it. Otherwise the end of a long answer waits 40 ms for a delayed acknowledgement.
    setsockopt(&bound, sockopt::TcpNoDelay, &true)?;
    // std asks for a backlog of 128; a burst must not make the kubelet wait for a repeated SYN.
    listen(&bound, Backlog::MAXCONN)?;
    Ok(bound)
}
