//! Who listens on a port of this pod: the sign by which a new container is known without being told.
//!
//! Anyone in the pod's network namespace may read it; it is asked only while a check fails.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// The state `TCP_LISTEN` (`include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// The sockets that listen on one port, by their inodes.
type Listeners = BTreeSet<u64>;

/// Watches a port from a check's first failure on, for as long as it fails.
#[derive(Debug)]
pub struct ListenerWatch {
    port: u16,
    before: Option<Listeners>,
}

impl ListenerWatch {
    /// Begins to watch `port`, without a look at it yet.
    pub const fn new(port: u16) -> Self {
        Self { port, before: None }
    }

    /// Takes note of a run: the first failure of a streak remembers who listened then.
    pub fn note(&mut self, passed: bool) {
        if passed {
            self.before = None;
        } else if self.before.is_none() {
            self.before = Some(listeners(self.port));
        }
    }

    /// Whether those who listened when the failures began are gone, or are others now.
    pub fn has_changed(&self) -> bool {
        let Some(before) = &self.before else { return false };
        let now = listeners(self.port);
        before.is_disjoint(&now) && !(before.is_empty() && now.is_empty())
    }
}

/// Empty where nobody listens, or where `/proc` cannot be read.
fn listeners(port: u16) -> Listeners {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| File::open(path).ok())
        .flat_map(|table| inodes(BufReader::new(table), port))
        .collect()
}

/// The kernel lists listening sockets first, so that the rest of a long table is never read.
fn inodes(table: impl BufRead, port: u16) -> Vec<u64> {
    let rows = table.lines().skip(1).map_while(Result::ok);
    let rows = rows.map_while(|row| listening_row(&row));
    rows.filter(|(listening, _)| *listening == port).map(|(_, inode)| inode).collect()
}

/// Port and inode of a row that tells of a listening socket (`net/ipv4/tcp_ipv4.c`, `get_openreq4`).
fn listening_row(row: &str) -> Option<(u16, u64)> {
    let mut fields = row.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let is_listening = fields.nth(1)? == LISTEN;
    let inode = fields.nth(5)?.parse().ok()?;
    Some((u16::from_str_radix(port, 16).ok()?, inode)).filter(|_| is_listening)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn rows_of_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n\
            \x20  1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0\n\
            \x20  2: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0\n";
        assert_eq!(inodes(table.as_bytes(), 8080), [4711]);
        assert!(inodes("header\nnonsense\n".as_bytes(), 8080).is_empty());
    }

    #[test]
    fn a_change_is_seen_only_against_the_first_failure() {
        let first = TcpListener::bind("[::]:0").unwrap();
        let address = first.local_addr().unwrap();
        let mut watch = ListenerWatch::new(address.port());
        assert!(!watch.has_changed(), "nothing has failed");
        watch.note(false);
        watch.note(false);
        assert!(!watch.has_changed(), "the same one listens");
        drop(first);
        assert!(watch.has_changed(), "it is gone");
        let second = TcpListener::bind(address).unwrap();
        assert!(watch.has_changed(), "another one listens");
        watch.note(true);
        assert!(!watch.has_changed(), "a success forgets");
        drop(second);
        watch.note(false);
        assert!(!watch.has_changed(), "nobody listened, and nobody does");
        let _third = TcpListener::bind(address).unwrap();
        assert!(watch.has_changed(), "somebody listens now");
    }
}
