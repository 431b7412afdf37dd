//! The agreement of supervisor and worker: the socket, the memory and the news of those before it reach a worker
//! in one message, on a line that is its standard input. Back come the signs that its loop turns.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use rustix::stdio::dup2_stdin;

use crate::snapshot;

/// The most bytes that say how a worker ended.
const MAX_ENDED: usize = 1024;

/// The number of descriptors that are handed over beside the news.
const DESCRIPTORS: usize = 2;

/// The number of replaced workers, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// It had died.
    pub deaths: u64,
    /// It hung, and was killed for it.
    pub hangs: u64,
}

/// The legacy of the workers before.
#[derive(Debug)]
pub struct Past {
    /// Their knowledge, see `snapshot`.
    pub memory: File,
    /// The number of those workers.
    pub restarts: Restarts,
}

impl Past {
    /// Returns what the first worker finds: nothing, and room to write to.
    ///
    /// # Errors
    /// There is no memory to be had.
    pub fn empty() -> io::Result<Self> {
        Ok(Self { memory: snapshot::memory()?, restarts: Restarts::default() })
    }
}

/// Everything that a worker is started with.
#[derive(Debug)]
pub struct Handover {
    /// The socket on which it answers.
    pub listener: TcpListener,
    /// The state from which it goes on.
    pub past: Past,
    /// The end of the worker before it, such as `died by signal 9 (SIGKILL)`; `None` for the first one.
    pub ended: Option<String>,
}

/// Sends everything a worker needs on `line`; it waits there until the other end is read.
///
/// # Errors
/// The kernel has no room for it.
pub fn send(line: &UnixDatagram, listener: &TcpListener, past: &Past, ended: Option<&str>) -> io::Result<()> {
    let counts = [past.restarts.deaths, past.restarts.hangs].map(u64::to_le_bytes);
    let bytes = [counts.as_flattened(), ended.unwrap_or_default().as_bytes()].concat();
    let descriptors: [BorrowedFd; DESCRIPTORS] = [listener.as_fd(), past.memory.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    rights.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(line, &[IoSlice::new(&bytes)], &mut rights, SendFlags::empty())?;
    Ok(())
}

/// Takes the line from standard input, which is empty from then on: no command may inherit it.
///
/// # Errors
/// Standard input is not there.
pub fn line() -> io::Result<UnixDatagram> {
    let line = io::stdin().as_fd().try_clone_to_owned()?;
    // A pipe that nobody writes to reads as /dev/null does, and needs no /dev.
    let (nothing, _) = io::pipe()?;
    dup2_stdin(nothing)?;
    Ok(line.into())
}

/// Receives what [`send`] sent.
///
/// # Errors
/// It is not a line of this program's supervisor.
pub fn receive(line: &UnixDatagram) -> io::Result<Handover> {
    let mut bytes = [0; size_of::<Restarts>() + MAX_ENDED];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(line, &mut [IoSliceMut::new(&mut bytes)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = rights.drain().flat_map(descriptors_of);
    let descriptors = descriptors.next().zip(descriptors.next());
    let told = descriptors.zip(parse(&bytes[..received.bytes]));
    let wrong = || io::Error::other("standard input is not the supervisor's line");
    let ((listener, memory), (restarts, ended)) = told.ok_or_else(wrong)?;
    Ok(Handover { listener: listener.into(), past: Past { memory: memory.into(), restarts }, ended })
}

/// Says on `line` that the worker's loop turns, and never waits: where nobody has read the signs before this
/// one, they say enough.
pub fn beat(line: &UnixDatagram) {
    let _ = line.send(&[0]);
}

/// Returns whether the worker gave a sign since it was last asked for one. Needs a `line` that never waits.
pub fn has_beaten(line: &UnixDatagram) -> bool {
    let mut has_beaten = false;
    while line.recv(&mut [0]).is_ok_and(|length| length > 0) {
        has_beaten = true;
    }
    has_beaten
}

fn descriptors_of(message: RecvAncillaryMessage) -> Vec<OwnedFd> {
    match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    }
}

fn parse(bytes: &[u8]) -> Option<(Restarts, Option<String>)> {
    let (deaths, rest) = bytes.split_first_chunk()?;
    let (hangs, ended) = rest.split_first_chunk()?;
    let restarts = Restarts { deaths: u64::from_le_bytes(*deaths), hangs: u64::from_le_bytes(*hangs) };
    Some((restarts, (!ended.is_empty()).then(|| String::from_utf8_lossy(ended).into_owned())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    fn handed_over(restarts: Restarts, ended: Option<&str>) -> (TcpListener, Past, Handover) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let past = Past { restarts, ..Past::empty().unwrap() };
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        send(&ours, &listener, &past, ended).unwrap();
        (listener, past, receive(&theirs).unwrap())
    }

    #[test]
    fn both_descriptors_and_the_news_arrive_and_commands_inherit_none() {
        let restarts = Restarts { deaths: 3, hangs: u64::MAX };
        let (listener, past, got) = handed_over(restarts, Some("died by signal 9 (SIGKILL)"));
        assert_eq!(got.past.restarts, restarts);
        assert_eq!(got.ended.as_deref(), Some("died by signal 9 (SIGKILL)"));
        assert_eq!(got.listener.local_addr().unwrap(), listener.local_addr().unwrap());
        past.memory.write_all_at(b"known", 0).unwrap();
        let mut known = [0; 5];
        got.past.memory.read_exact_at(&mut known, 0).unwrap();
        assert_eq!(&known, b"known");
        for descriptor in [got.listener.as_fd(), got.past.memory.as_fd()] {
            assert!(fcntl_getfd(descriptor).unwrap().contains(FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn the_first_worker_has_no_news_and_long_ones_are_cut() {
        let none = Restarts::default();
        assert_eq!(handed_over(none, None).2.ended, None);
        let long = "a".repeat(2 * MAX_ENDED);
        assert_eq!(handed_over(none, Some(&long)).2.ended.as_deref(), Some(&long[..MAX_ENDED]));
    }

    #[test]
    fn signs_of_life_never_wait_and_are_taken_once() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).unwrap();
        }
        assert!(!has_beaten(&ours));
        for _ in 0..10_000 {
            beat(&theirs);
        }
        assert!(has_beaten(&ours));
        assert!(!has_beaten(&ours));
        drop(theirs);
        assert!(!has_beaten(&ours));
    }

    #[test]
    fn what_the_supervisor_did_not_send_is_refused() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        for bytes in [&[][..], &[0; 16]] {
            ours.send(bytes).unwrap();
            let error = receive(&theirs).unwrap_err();
            assert_eq!(error.to_string(), "standard input is not the supervisor's line");
        }
    }
}
