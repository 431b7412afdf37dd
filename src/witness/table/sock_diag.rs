//! Asks the kernel for the sockets that listen, and for no others (`sock_diag(7)`, as `ss` does): it walks its table of
//! listeners only. Anyone may ask about his own network namespace.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use super::{LISTEN, Listener};

/// Types of messages, and the flags of a question for all of a kind (`include/uapi/linux/netlink.h`, `sock_diag.h`).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;

/// Families and protocol, as the kernel numbers them.
const FAMILIES: [u8; 2] = [2, 10];
const IPPROTO_TCP: u8 = 6;

/// The size of `struct nlmsghdr`, and of one with `struct inet_diag_req_v2`, in bytes.
const HEADER: usize = 16;
const REQUEST: u8 = 72;

/// The places of port, length of the accept queue and inode in `struct inet_diag_msg`.
const PORT: usize = 4;
const WAITING: usize = 56;
const INODE: usize = 68;

/// The kernel puts no more into one answer than a page holds, or what was made room for last, in bytes.
const ANSWER: usize = 8192;

/// Returns every socket of this network namespace that listens.
pub fn listeners() -> Result<Vec<Listener>, Errno> {
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    let mut sockets = Vec::new();
    for family in FAMILIES {
        send(&kernel, &question(family), SendFlags::empty())?;
        while receive(&kernel, &mut sockets)? {}
    }
    Ok(sockets)
}

/// Asks for the sockets of one family in the state `LISTEN`.
fn question(family: u8) -> [u8; REQUEST as usize] {
    let mut question = [0; REQUEST as usize];
    question[..4].copy_from_slice(&u32::from(REQUEST).to_ne_bytes());
    question[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    question[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    question[HEADER..HEADER + 2].copy_from_slice(&[family, IPPROTO_TCP]);
    question[HEADER + 4..HEADER + 8].copy_from_slice(&(1_u32 << LISTEN).to_ne_bytes());
    question
}

/// Takes one answer, which is there already: the kernel makes it while it is asked. Returns whether another one follows.
fn receive(kernel: &OwnedFd, sockets: &mut Vec<Listener>) -> Result<bool, Errno> {
    let mut answer = [0; ANSWER];
    let (length, _) = recv(kernel, &mut answer, RecvFlags::DONTWAIT)?;
    let mut rest = answer.get(..length).unwrap_or_default();
    while !rest.is_empty() {
        let (kind, message) = next(&mut rest).ok_or(Errno::BADMSG)?;
        match kind {
            NLMSG_DONE => return Ok(false),
            NLMSG_ERROR => return Err(Errno::NOTSUP),
            _ => sockets.push(listener(message).ok_or(Errno::BADMSG)?),
        }
    }
    Ok(length > 0)
}

/// Takes the next message off: its type and what follows its header.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = usize::try_from(u32::from_ne_bytes(field(rest, 0)?)).ok()?;
    let kind = u16::from_ne_bytes(field(rest, 4)?);
    let message = rest.get(HEADER..length)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, message))
}

fn listener(message: &[u8]) -> Option<Listener> {
    Some(Listener {
        port: u16::from_be_bytes(field(message, PORT)?),
        inode: u32::from_ne_bytes(field(message, INODE)?).into(),
        waiting: u32::from_ne_bytes(field(message, WAITING)?),
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_answer_is_no_message() {
        let message = |length: u32| [&length.to_ne_bytes()[..], &[0; 16]].concat();
        for length in [0, 15, 21, u32::MAX] {
            assert_eq!(next(&mut message(length).as_slice()), None, "{length}");
        }
        assert_eq!(next(&mut message(18).as_slice()), Some((0, &[0, 0][..])));
        assert_eq!(next(&mut [1, 2, 3].as_slice()), None);
        assert_eq!(listener(&[0; 71]), None);
        assert_eq!(
            listener(&[1; 72]),
            Some(Listener { port: 0x0101, inode: 0x0101_0101, waiting: 0x0101_0101 })
        );
    }
}
