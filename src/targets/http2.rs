//! A conversation over HTTP/2 (RFC 9113): one request and its answer, over a connection that is then dropped.

use std::pin::pin;

use h2::client::{Builder, SendRequest};
use hyper::body::Bytes;

use super::dial::{Limited, Stream};
use super::reason::http2_reason;

/// The bounds of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The name of the protocol that a server which speaks something else is told to lack: "HTTP/2".
    pub protocol: &'static str,
    /// The most bytes that are read of the connection: a peer that floods must not cost other checks their time.
    pub read_limit: usize,
    /// The largest header list that is taken, in bytes.
    pub header_limit: u32,
}

/// Opens the connection over `stream` and runs `ask`; both ends of the exchange run in this one future.
///
/// # Errors
/// The fault of the connection, or the one that `ask` found.
pub async fn converse<T, Asking>(
    stream: Stream,
    terms: Terms,
    ask: impl FnOnce(SendRequest<Bytes>) -> Asking,
) -> Result<T, String>
where
    Asking: Future<Output = Result<T, String>>,
{
    let failed = |error: &h2::Error| http2_reason(error, terms.protocol);
    let mut client = Builder::new();
    client.enable_push(false).max_header_list_size(terms.header_limit);
    let stream = Limited::new(stream, terms.read_limit);
    let (sender, connection) = client.handshake(stream).await.map_err(|error| failed(&error))?;
    let mut answer = pin!(ask(sender));
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // What the connection has read before it ended is still to be judged. Of two errors, its own is the cause.
        ended = connection => match (answer.await, ended) {
            (Err(_), Err(cause)) => Err(failed(&cause)),
            (answer, _) => answer,
        },
    }
}
