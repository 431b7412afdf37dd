//! One request and one answer over HTTP/2 (RFC 9113), over a connection that is then dropped.

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::http::header::LOCATION;
use hyper::{Method, Request};

use super::exchange::{Answer, Body, Limits};
use crate::targets::dial::Stream;
use crate::targets::http2::{Terms, converse};
use crate::targets::reason::http2_reason;

/// The name of the protocol that a server without it is told to lack.
const PROTOCOL: &str = "HTTP/2";

/// The largest header list that is taken, in bytes.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Sends a request and reads the answer; calls `on_head` when its head has come.
///
/// # Errors
/// The fault of the answer or the connection.
pub(super) async fn exchange(
    stream: Stream,
    head: Request<()>,
    body: Bytes,
    limits: Limits,
    on_head: impl FnOnce(),
) -> Result<Answer, String> {
    let terms = Terms { protocol: PROTOCOL, read_limit: limits.read, header_limit: MAX_HEADER_BYTES };
    converse(stream, terms, |sender| ask(sender, head, body, limits, on_head)).await
}

async fn ask(
    sender: SendRequest<Bytes>,
    head: Request<()>,
    body: Bytes,
    limits: Limits,
    on_head: impl FnOnce(),
) -> Result<Answer, String> {
    let failed = |error| http2_reason(&error, PROTOCOL);
    let is_head = *head.method() == Method::HEAD;
    let mut sender = sender.ready().await.map_err(failed)?;
    let (answer, mut request) = sender.send_request(head, body.is_empty()).map_err(failed)?;
    if !body.is_empty() {
        request.send_data(body, true).map_err(failed)?;
    }
    let (head, mut parts) = answer.await.map_err(failed)?.into_parts();
    on_head();
    let mut body = Body::default();
    while !is_head && body.bytes.len() < limits.body {
        let Some(part) = parts.data().await.transpose().map_err(failed)? else { break };
        body.push(&part[..part.len().min(limits.body - body.bytes.len())]).await?;
        // A server sends no more than what it knows to be taken.
        parts.flow_control().release_capacity(part.len()).map_err(failed)?;
    }
    let location = head.headers.get(LOCATION).and_then(|value| Some(value.to_str().ok()?.to_owned()));
    Ok(Answer { status: head.status.as_u16(), location, body })
}
