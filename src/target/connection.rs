//! A TCP connection that the reactor watches only once there is something to wait for: on loopback, connecting and
//! sending end within their system calls, so a check that only connects costs no more than that.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub struct Connection(State);

#[derive(Debug)]
enum State {
    Unwatched(Socket),
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
        let address = address.into();
        // Asked once more, the kernel tells what became of the first call: on loopback the handshake is over by then.
        match socket.connect(&address).or_else(|_| socket.connect(&address)) {
            Err(error) if error.raw_os_error() == Some(Errno::EALREADY as i32) => {
                let stream = TcpStream::from_std(socket.into())?;
                stream.writable().await?;
                stream.take_error()?.map_or(Ok(Self(State::Watched(stream))), Err)
            }
            connected => connected.map(|()| Self(State::Unwatched(socket))),
        }
    }

    /// The stream, watched from now on.
    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Unwatched(_) = self.0
            && let State::Unwatched(socket) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Watched(TcpStream::from_std(socket.into())?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(Pin::new(stream)),
            State::Unwatched(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.watched()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Unwatched(socket) = &self.0 {
            let sent = socket.send(bytes);
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
            State::Unwatched(socket) => Poll::Ready(socket.shutdown(Shutdown::Write)),
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
        assert!(matches!(near.0, State::Unwatched(_)), "{near:?}");
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
                Poll::Ready(connected) => waiting.push(connected.unwrap()),
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
