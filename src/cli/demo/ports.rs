//! The two ports of the demo: the well-known ones, or the next that are free.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::DemoError;

/// The number of ports that are tried. They stay below those that the kernel hands out to outgoing connections, one
/// of which could take kubia's while it is down.
const MAX_TRIED_PORTS: u16 = 100;

/// The addresses of kubia and the sidecar, on loopback.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) kubia: Port,
    pub(super) sidecar: Port,
}

impl Ports {
    /// Chooses 8080 and 9809, or the next ports that are free.
    pub(super) fn choose() -> Result<Self, DemoError> {
        Ok(Self { kubia: Port::from(8080)?, sidecar: Port::from(9809)? })
    }
}

/// A free port that is kept from other demos, also while nobody listens on it.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _lock: UnixListener,
}

impl Port {
    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    fn from(preferred: u16) -> Result<Self, DemoError> {
        let last = preferred + MAX_TRIED_PORTS - 1;
        let free = (preferred..=last).find_map(|number| Some(Self { number, _lock: lock(number)? }));
        free.ok_or(DemoError::Ports(preferred, last))
    }
}

/// Takes a name in the kernel's own space for the port, unless the port is taken itself.
fn lock(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("health-proxy-demo-{port}"));
    let lock = UnixListener::bind_addr(&name.ok()?).ok()?;
    is_free(port).then_some(lock)
}

/// Returns whether nobody listens on the port, on `[::1]` either, since `localhost` means both.
fn is_free(port: u16) -> bool {
    let bind = |ip: IpAddr| TcpListener::bind((ip, port));
    let is_taken = |error: io::Error| error.kind() == ErrorKind::AddrInUse;
    bind(Ipv4Addr::LOCALHOST.into()).is_ok() && !bind(Ipv6Addr::LOCALHOST.into()).is_err_and(is_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(!is_free(port));
        assert!(Port::from(port).unwrap().number() > port);
    }

    #[test]
    fn two_demos_get_different_ports() {
        let (one, other) = (Ports::choose().unwrap(), Ports::choose().unwrap());
        assert_ne!(one.kubia.number(), other.kubia.number());
        assert_ne!(one.sidecar.number(), other.sidecar.number());
    }
}
