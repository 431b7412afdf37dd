//! One request and one answer over a connection that is then dropped.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::response;
use hyper_util::rt::TokioIo;

use crate::target::net::{BoxStream, Limited, io_reason};

/// How much of a body is read, in bytes; the rest is ignored (`pkg/probe/http/http.go`, `maxRespBodyLength`).
const BODY_LIMIT: usize = 10 * 1024;

/// In how many pieces, since each costs its time: a body of single bytes is not for probes.
const PIECES_LIMIT: usize = 1024;

/// Our requests have none.
pub(super) type NoBody = Empty<Bytes>;

/// An answer, its body cut at [`BODY_LIMIT`].
pub(super) struct Answer {
    pub(super) head: response::Parts,
    pub(super) body: Vec<u8>,
}

/// Asks over `stream` and reads the answer; both ends of the exchange run in this one future.
pub(super) async fn exchange(stream: BoxStream, request: Request<NoBody>) -> Result<Answer, String> {
    let mut client = http1::Builder::new();
    client.allow_obsolete_multiline_headers_in_responses(true);
    let (mut sender, mut connection) =
        client.handshake(TokioIo::new(Limited::new(stream))).await.map_err(|error| reason(&error))?;
    let mut answer = pin!(async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Answer { head, body: beginning(body).await? })
    });
    let result = tokio::select! {
        biased;
        result = &mut answer => result,
        // What the connection has read before it ended is still to be judged.
        _ = poll_fn(|context| connection.poll_without_shutdown(context)) => answer.await,
    };
    result.map_err(|error| reason(&error))
}

async fn beginning(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    for _ in 0..PIECES_LIMIT {
        let Some(frame) = body.frame().await.transpose()? else { break };
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(&data[..data.len().min(BODY_LIMIT - bytes.len())]);
        }
        if bytes.len() == BODY_LIMIT {
            break;
        }
    }
    Ok(bytes)
}

/// hyper's error with its cause, since the cause is what a person needs.
fn reason(error: &hyper::Error) -> String {
    if error.is_parse() {
        return format!("the answer is not HTTP/1: {error}");
    }
    match error.source() {
        Some(cause) => match cause.downcast_ref::<std::io::Error>() {
            Some(io) => format!("{error}: {}", io_reason(io)),
            None => format!("{error}: {cause}"),
        },
        None => error.to_string(),
    }
}
