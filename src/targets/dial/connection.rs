//! A TCP connection that the reactor watches only once there is something to wait for: on loopback, connecting and
//! sending end within their system calls, so a check that only connects costs no more than that.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most pieces of a kilobyte that are taken of bytes that nobody will read.
const MAX_DISCARDED_PIECES: usize = 64;

/// An open connection.
#[derive(Debug)]
pub struct Connection(State);

#[derive(Debug)]
enum State {
    Unwatched {
        socket: Socket,
        has_spoken: bool,
    },
    Watched(TcpStream),
    /// It could not be watched, and is closed.
    Lost,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        // The last packet of the handshake goes along with the first that we send, or with the farewell.
        socket.set_tcp_quickack(false)?;
        let address = address.into();
        let mut connected = socket.connect(&address);
        if is(&connected, Errno::EINPROGRESS) {
            // Asked once more, the kernel tells what became of it: on loopback the handshake is over by now.
            connected = socket.connect(&address);
        }
        if is(&connected, Errno::EALREADY) {
            socket.set_tcp_quickack(true)?;
            let stream = TcpStream::from_std(socket.into())?;
            stream.writable().await?;
            return stream.take_error()?.map_or(Ok(Self(State::Watched(stream))), Err);
        }
        connected.map(|()| Self(State::Unwatched { socket, has_spoken: false }))
    }

    /// Returns the stream, watched from now on.
    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Unwatched { .. } = self.0
            && let State::Unwatched { socket, .. } = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Watched(TcpStream::from_std(socket.into())?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(Pin::new(stream)),
            State::Unwatched { .. } | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Connection {
    /// Takes what has come and nobody will read: a connection that is closed over it is reset, and a goodbye is lost.
    pub fn discard(&mut self) {
        let mut scratch = [0; 1024];
        for _ in 0..MAX_DISCARDED_PIECES {
            let read = match &self.0 {
                State::Unwatched { socket, .. } => io::Read::read(&mut &*socket, &mut scratch),
                // Not `try_read`, which knows only what the reactor has told already.
                State::Watched(stream) => io::Read::read(&mut &*SockRef::from(stream), &mut scratch),
                State::Lost => return,
            };
            if !matches!(read, Ok(1..)) {
                return;
            }
        }
    }
}

/// Sends what can be sent without waiting.
impl io::Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            State::Unwatched { socket, .. } => socket.send(bytes),
            State::Watched(stream) => SockRef::from(stream).send(bytes),
            State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is(result: &io::Result<()>, errno: Errno) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(errno as i32))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Unwatched { socket, has_spoken: false } = &self.0 {
            // The peer is to speak first, and waits for the end of the handshake.
            socket.set_tcp_quickack(true)?;
        }
        self.watched()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Unwatched { socket, has_spoken } = &mut self.0 {
            let sent = socket.send(bytes);
            *has_spoken = true;
            if !sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(sent);
            }
        }
        self.watched()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            State::Unwatched { socket, .. } => Poll::Ready(socket.shutdown(Shutdown::Write)),
            _ => self.watched()?.poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn listener(backlog: i32) -> TcpListener {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket2::SockRef::from(&listener).listen(backlog).unwrap();
        listener
    }

    #[tokio::test]
    async fn a_connection_is_watched_only_once_it_is_read() {
        let listener = listener(1);
        let mut near = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        near.write_all(b"ask").await.unwrap();
        assert!(matches!(near.0, State::Unwatched { .. }), "{near:?}");
        let (mut far, _) = listener.accept().unwrap();
        io::Read::read_exact(&mut far, &mut [0; 3]).unwrap();
        io::Write::write_all(&mut far, b"answer").unwrap();
        drop(far);
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
        assert!(matches!(near.0, State::Watched(_)), "{near:?}");
    }

    #[tokio::test]
    async fn a_peer_that_speaks_first_is_not_kept_waiting() {
        let listener = listener(1);
        listener.set_nonblocking(true).unwrap();
        let mut near = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        // Nobody has been told yet that the handshake is over.
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let mut nothing = [0];
        let read = near.read(&mut nothing);
        let accepted = async { listener.accept() };
        let accepted = tokio::select! { biased; _ = read => unreachable!("nobody speaks"), accepted = accepted => accepted };
        accepted.expect("it is over");
    }

    #[tokio::test]
    async fn nobody_listens() {
        let address = listener(1).local_addr().unwrap();
        let error = Connection::open(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_listener_with_a_full_backlog_is_waited_for() {
        let listener = listener(0);
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // Each one that fits into the backlog is connected at once.
        let late = loop {
            let mut late = Box::pin(Connection::open(address));
            match std::future::poll_fn(|context| Poll::Ready(late.as_mut().poll(context))).await {
                Poll::Ready(connected) => {
                    let mut connected = connected.unwrap();
                    // Once it is read, the backlog has it.
                    let mut nothing = [0];
                    let mut read = Box::pin(connected.read(&mut nothing));
                    std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending()))
                        .await;
                    drop(read);
                    waiting.push(connected);
                }
                Poll::Pending => break late,
            }
        };
        assert!(!waiting.is_empty());
        let accepting = std::thread::spawn(move || {
            for _ in 0..=waiting.len() {
                listener.accept().unwrap();
            }
        });
        let connected = late.await.unwrap();
        assert!(matches!(connected.0, State::Watched(_)), "{connected:?}");
        accepting.join().unwrap();
    }
}
