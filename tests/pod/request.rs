//! The kubelet's HTTP probe: a fresh connection, one request, one timeout over all.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Asks a path and returns the status and the body, or why there is none.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<(u16, String), String> {
    let deadline = Instant::now() + timeout;
    exchange(address, path, deadline).map_err(|error| format!("Get \"http://{address}{path}\": {error}"))
}

/// Judges as the kubelet does, which follows no redirect of ours since there is none.
pub fn probe(address: SocketAddr, path: &str, timeout: Duration) -> Result<(), String> {
    match get(address, path, timeout)? {
        (200..=399, _) => Ok(()),
        (status, _) => Err(format!("HTTP probe failed with statuscode: {status}")),
    }
}

fn exchange(address: SocketAddr, path: &str, deadline: Instant) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    // In one piece: a server may well answer and close after the first one that it gets.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece)? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("malformed HTTP response"))?;
    Ok((status, body.to_owned()))
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| std::io::ErrorKind::TimedOut.into())
}
