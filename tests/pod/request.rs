//! An HTTP request as the kubelet sends it: a fresh connection, one request, one timeout over all.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The kubelet's own name for itself.
pub const KUBELET: &str = "kube-probe/1.36";

/// A question, and who asks it.
pub struct Question<'a> {
    pub path: &'a str,
    pub agent: &'a str,
    pub headers: Vec<(String, String)>,
}

impl<'a> Question<'a> {
    /// Returns a question of somebody who is not the kubelet.
    pub fn visitor(path: &'a str) -> Self {
        Self { path, agent: "visitor", headers: Vec::new() }
    }
}

/// Asks, and returns the status and the body, or why there is none.
pub fn ask(address: SocketAddr, question: &Question, timeout: Duration) -> Result<(u16, String), String> {
    let deadline = Instant::now() + timeout;
    exchange(address, question, deadline).map_err(|error| {
        let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let why = if is_late { "context deadline exceeded".to_owned() } else { error.to_string() };
        format!("Get \"http://{address}{}\": {why}", question.path)
    })
}

/// Asks as a visitor, and judges as the kubelet does, which follows no redirect of ours since there is none.
pub fn visit(address: SocketAddr, path: &str, timeout: Duration) -> Result<(), String> {
    let (status, _) = ask(address, &Question::visitor(path), timeout)?;
    judge(status)
}

/// Returns what a status comes to, in the kubelet's words.
pub fn judge(status: u16) -> Result<(), String> {
    if is_success(status) { Ok(()) } else { Err(failure(status)) }
}

pub fn is_success(status: u16) -> bool {
    (200..=399).contains(&status)
}

/// Returns the kubelet's words for a status that is no success.
pub fn failure(status: u16) -> String {
    format!("HTTP probe failed with statuscode: {status}")
}

fn exchange(address: SocketAddr, question: &Question, deadline: Instant) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    // In one piece: a server may well answer and close after the first one that it gets.
    stream.write_all(head(address, question).as_bytes())?;
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
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("malformed HTTP response"))?;
    Ok((status, body.to_owned()))
}

fn head(address: SocketAddr, question: &Question) -> String {
    let mut head = format!("GET {} HTTP/1.1\r\n", question.path);
    if !question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let _ = write!(head, "Host: {address}\r\n");
    }
    let _ = write!(head, "User-Agent: {}\r\nAccept: */*\r\nConnection: close\r\n", question.agent);
    for (name, value) in &question.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| ErrorKind::TimedOut.into())
}
