//! One request and one answer over a connection that is then dropped (RFC 9112): as much of HTTP/1 as a client needs
//! that never keeps a connection.

mod body;
mod head;
mod reader;

use tokio::io::AsyncWriteExt;

use crate::targets::dial::Stream;
use crate::targets::reason::io_reason;
use body::read_body;
use head::read_head;
use reader::Reader;

pub use body::Body;

/// The most that is read, so that a peer that floods costs other checks no time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all that the peer sends, in bytes; an answer that has not ended by then fails.
    pub read: usize,
    /// In how many pieces, since each costs its time: an answer of single bytes is not for probes.
    pub pieces: u32,
    /// Of the body, in bytes; the rest is ignored.
    pub body: usize,
}

/// An answer, its body cut at [`Limits::body`].
#[derive(Debug)]
pub struct Answer {
    /// The status code, from 0 to 999.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body, decoded.
    pub body: Body,
}

/// Sends `request`, whose method is `HEAD` where `is_head`, and reads the answer; calls `on_head` when its head has come.
///
/// # Errors
/// The fault of the answer or the connection.
pub async fn exchange(
    mut stream: Stream,
    request: &[u8],
    is_head: bool,
    limits: Limits,
    on_head: impl FnOnce(),
) -> Result<Answer, String> {
    let sent = match stream.write_all(request).await {
        Ok(()) => stream.flush().await,
        error => error,
    };
    let mut reader = Reader::new(stream, limits);
    // A server may answer and close before it has read everything: what it said is still to be judged.
    let head = read_head(&mut reader, is_head).await.map_err(|reason| match &sent {
        Ok(()) => reason,
        Err(error) => format!("sending failed: {}", io_reason(error)),
    })?;
    on_head();
    let body = read_body(&mut reader, head.framing, limits.body).await?;
    Ok(Answer { status: head.status, location: head.location, body })
}

#[cfg(test)]
mod tests;
