//! Witnesses: the listening sockets and the processes by which a container is known again.
//!
//! Anyone in the pod's network namespace may look for its sockets: no privilege is needed.

mod table;

use std::cell::OnceCell;
use std::fs;
use std::net::{IpAddr, UdpSocket};

use crate::proc_stat::ProcStat;

/// The most sockets that are noted of a port: a server may open one a processor (`SO_REUSEPORT`), and one that is
/// the same is enough.
pub const MAX_SOCKETS: usize = 8;

/// One process: an id is given away again, but not with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// In our process namespace.
    pub id: i32,
    /// Clock ticks from the machine's boot.
    start: u64,
}

impl Process {
    /// Returns the process `id`, as long as it started at `start`.
    pub const fn new(id: i32, start: u64) -> Self {
        Self { id, start }
    }

    /// Returns when it started, in clock ticks from the machine's boot.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// Returns whether it is still there; a zombie is not.
    pub fn lives(self) -> bool {
        let stat = fs::read(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let Some(stat) = ProcStat::parse(&stat) else { return false };
        stat.field(3).is_some_and(|state: char| !matches!(state, 'Z' | 'X'))
            && stat.field(22) == Some(self.start)
    }
}

/// The witnesses that were there when a container was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The sockets that listen on a port, by their inodes.
    Sockets(Box<[u64]>),
    /// A process, by its id and start.
    Process(Process),
}

impl Witness {
    /// Returns whether what is there `now` is of the same container: for sockets, whether any of them is the same.
    pub fn is_same(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Sockets(then), Self::Sockets(now)) => then.iter().any(|inode| now.contains(inode)),
            (then, now) => then == now,
        }
    }
}

/// The result of a look for a check's witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The check has no witness, or it cannot be looked for.
    Unwitnessed,
    /// Nobody listens on the port, or there is no such process.
    Missing,
    /// It is there.
    There(Witness),
}

impl Sight {
    /// Returns the witness that is there.
    pub const fn witness(&self) -> Option<&Witness> {
        match self {
            Self::There(witness) => Some(witness),
            Self::Unwitnessed | Self::Missing => None,
        }
    }

    /// Returns whether a witness that was noted is gone now, or is a different one.
    pub fn contradicts(&self, noted: Option<&Witness>) -> bool {
        match (noted, self) {
            (None, _) | (Some(_), Self::Unwitnessed) => false,
            (Some(_), Self::Missing) => true,
            (Some(noted), Self::There(now)) => !noted.is_same(now),
        }
    }
}

/// All sockets of the pod that listen, at the moment when the first is asked for.
#[derive(Debug, Default)]
pub struct Listeners {
    /// `None` where the kernel does not tell.
    sockets: OnceCell<Option<Vec<table::Listener>>>,
}

impl Listeners {
    /// Looks at nothing yet: most targets have no port.
    pub fn now() -> Self {
        Self::default()
    }

    /// Returns whether the kernel tells.
    pub fn is_readable(&self) -> bool {
        self.sockets().is_some()
    }

    fn sockets(&self) -> Option<&[table::Listener]> {
        self.sockets.get_or_init(table::listeners).as_deref()
    }

    /// Returns who listens on `port`.
    pub fn on(&self, port: u16) -> Sight {
        let Some(sockets) = self.sockets() else { return Sight::Unwitnessed };
        let inodes = sockets.iter().filter(|socket| socket.port == port).map(|socket| socket.inode);
        let inodes: Box<[u64]> = inodes.take(MAX_SOCKETS).collect();
        if inodes.is_empty() { Sight::Missing } else { Sight::There(Witness::Sockets(inodes)) }
    }

    /// Returns how many connections wait to be accepted on `port`; `None` where nobody listens.
    pub fn waiting_on(&self, port: u16) -> Option<u32> {
        let sockets = self.sockets().unwrap_or_default().iter().filter(|socket| socket.port == port);
        sockets.map(|socket| socket.waiting).reduce(u32::saturating_add)
    }
}

/// Returns whether `address` is one of this pod's: only such a one can be bound.
pub fn is_of_this_pod(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_socket_is_there_while_it_listens_and_the_next_on_its_port_is_a_different_one() {
        let first = TcpListener::bind("[::1]:0").unwrap();
        let address = first.local_addr().unwrap();
        let look = || Listeners::now().on(address.port());
        let noted = look().witness().cloned();
        assert!(noted.is_some());
        assert!(!look().contradicts(noted.as_ref()));
        drop(first);
        assert_eq!(look(), Sight::Missing);
        assert!(look().contradicts(noted.as_ref()));
        let _second = TcpListener::bind(address).unwrap();
        assert!(look().contradicts(noted.as_ref()));
        assert!(!look().contradicts(None), "nothing was noted");
    }

    #[test]
    fn one_socket_of_several_that_is_the_same_is_enough() {
        let sockets = |inodes: &[u64]| Witness::Sockets(inodes.into());
        assert!(sockets(&[1, 2]).is_same(&sockets(&[2, 3])));
        assert!(!sockets(&[1, 2]).is_same(&sockets(&[3, 4])));
        assert!(!sockets(&[1]).is_same(&Witness::Process(Process::new(1, 1))));
        assert!(!Witness::Process(Process::new(1, 1)).is_same(&Witness::Process(Process::new(1, 2))));
    }

    #[test]
    fn tables_that_cannot_be_read_show_nothing() {
        let listeners = Listeners { sockets: OnceCell::from(None) };
        assert_eq!(listeners.on(80), Sight::Unwitnessed);
        assert!(!listeners.on(80).contradicts(Some(&Witness::Sockets([1].into()))));
    }

    #[test]
    fn an_address_is_of_this_pod_only_if_it_can_be_bound() {
        for (address, expected) in
            [("127.0.0.1", true), ("127.8.8.8", true), ("::1", true), ("192.0.2.1", false)]
        {
            assert_eq!(is_of_this_pod(address.parse().unwrap()), expected, "{address}");
        }
    }
}
