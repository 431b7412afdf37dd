//! `target ADDRESS`: what all are measured against: answers `ok` over HTTP, counts connections, and tells
//! their number under `/count`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Enough that one slow client does not keep the others waiting.
const THREADS: usize = 8;

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let listener = TcpListener::bind(address)?;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| listener.incoming().flatten().for_each(|stream| drop(answer(stream))));
        }
    });
    Ok(())
}

/// Answers one request; a client that only connects sends none.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let count = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let mut request = [0; 1024];
    let mut length = 0;
    while !request[..length].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[length..])? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    let body = if request.starts_with(b"GET /count") { count.to_string() } else { "ok".to_owned() };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
