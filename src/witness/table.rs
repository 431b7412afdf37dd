//! The kernel's table of the sockets that listen: asked for by netlink, or read from `/proc` where that is not to be had.
//!
//! `/proc/net/tcp` lists listeners first, but whoever reads the last of them has the kernel walk all connections of the
//! node in search of the next row: milliseconds each time, on the worker's thread.

mod sock_diag;

use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// The state `TCP_LISTEN` (`include/net/tcp_states.h`).
const LISTEN: u8 = 10;

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port that it listens on.
    pub port: u16,
    /// The kernel's number of it.
    pub inode: u64,
    /// The number of connections that wait to be accepted.
    pub waiting: u32,
}

/// Returns every socket of this network namespace that listens; `None` where nothing tells.
pub fn listeners() -> Option<Vec<Listener>> {
    sock_diag::listeners().ok().or_else(from_proc)
}

fn from_proc() -> Option<Vec<Listener>> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let mut sockets = None;
    for table in tables.into_iter().filter_map(|path| File::open(path).ok()) {
        // What came before an error in the middle is true all the same.
        let _ = listening(BufReader::new(table), sockets.get_or_insert_with(Vec::new));
    }
    sockets
}

/// Adds each socket that listens, which are the first ones.
fn listening(mut table: impl BufRead, sockets: &mut Vec<Listener>) -> io::Result<()> {
    let mut row = String::new();
    table.read_line(&mut row)?;
    loop {
        row.clear();
        table.read_line(&mut row)?;
        match listening_row(&row) {
            Some(socket) => sockets.push(socket),
            None => return Ok(()),
        }
    }
}

/// Returns what a row tells of a listening socket (`net/ipv4/tcp_ipv4.c`, `get_tcp4_sock`): the length of its accept queue
/// stands where others have what was received.
fn listening_row(row: &str) -> Option<Listener> {
    let mut fields = row.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let is_listening = u8::from_str_radix(fields.nth(1)?, 16) == Ok(LISTEN);
    let (_, waiting) = fields.next()?.split_once(':')?;
    let inode = fields.nth(4)?.parse().ok()?;
    let (port, waiting) = (u16::from_str_radix(port, 16).ok()?, u32::from_str_radix(waiting, 16).ok()?);
    Some(Listener { port, inode, waiting }).filter(|_| is_listening)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_rows_of_listening_sockets_are_taken_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n\
            \x20  1: 00000000:1F91 00000000:0000 0A 00000000:0000001F 00:00000000 00000000     0        0 4712 1 0 100 0\n\
            \x20  2: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0\n";
        let listener = |port, inode, waiting| Listener { port, inode, waiting };
        let both = vec![listener(8080, 4711, 0), listener(8081, 4712, 31)];
        for (table, expected) in [(table, both), ("header\nnonsense\n", vec![])] {
            let mut sockets = Vec::new();
            listening(table.as_bytes(), &mut sockets).unwrap();
            assert_eq!(sockets, expected);
        }
    }

    /// Other tests open and close sockets meanwhile, so only these are looked for.
    #[test]
    fn netlink_and_proc_tell_the_same_of_sockets_of_both_families() {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let six = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let connected = TcpStream::connect(four.local_addr().unwrap()).unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let of = |table: &[Listener], port: u16| -> Vec<Listener> {
            table.iter().filter(|socket| socket.port == port).copied().collect()
        };
        let (asked, read) = (sock_diag::listeners().unwrap(), from_proc().unwrap());
        for listener in [&four, &six] {
            assert_eq!(of(&asked, port(listener)).len(), 1);
            assert_eq!(of(&asked, port(listener)), of(&read, port(listener)));
        }
        assert_eq!(of(&asked, port(&four))[0].waiting, 1, "nobody accepts");
        let client = connected.local_addr().unwrap().port();
        assert_eq!((of(&asked, client), of(&read, client)), (vec![], vec![]), "it does not listen");
    }

    #[test]
    fn a_table_of_many_answers_is_told_whole() {
        let listeners: Vec<_> = (0..300).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let asked = sock_diag::listeners().unwrap();
        for listener in &listeners {
            let port = listener.local_addr().unwrap().port();
            assert!(asked.iter().any(|socket| socket.port == port), "{port}");
        }
    }
}
