//! The socket on which the sidecar answers.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use nix::errno::Errno;
use nix::sys::socket::Backlog;
use socket2::{Domain, Socket, Type};

use super::SupervisorError;

/// The port to listen on by default.
const PORT: u16 = 9809;

/// The kernel's buffer of an accepted connection, in bytes each way: for a slow peer it could grow to
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
    let bound = match listen(address) {
        Err(error) if configured.is_none() && has_no_ipv6(&error) => {
            listen((Ipv4Addr::UNSPECIFIED, PORT).into())
        }
        bound => bound,
    };
    bound.map_err(|error| SupervisorError::Listen(address, error))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // The node's administrator may have set net.ipv6.bindv6only; the kubelet may ask over IPv4 all the same.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    // Accepted connections inherit it. Otherwise the end of a long answer waits 40 ms for a delayed acknowledgement.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    // As long as the kernel allows: a burst must not make the kubelet wait for a repeated SYN.
    socket.listen(Backlog::MAXCONN.into())?;
    Ok(socket.into())
}
