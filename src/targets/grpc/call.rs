//! One unary call over a connection that is then dropped: gRPC over HTTP/2 as its own specification has it
//! (`grpc/doc/PROTOCOL-HTTP2.md`), for which h2 alone is enough.

use h2::client::SendRequest;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::response;

use super::message::Message;
use crate::targets::dial::Stream;
use crate::targets::http2::{Terms, converse};
use crate::targets::reason::http2_reason;

const PROTOCOL: &str = "HTTP/2 as gRPC needs it";

const TERMS: Terms = Terms { protocol: PROTOCOL, read_limit: 128 * 1024, header_limit: 16 * 1024 };

/// The status of a call that is not OK.
pub(super) struct Refusal {
    /// Such as 5 for `NOT_FOUND`; 2 (`UNKNOWN`) where the server gave none.
    pub(super) code: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) const UNKNOWN: u16 = 2;
    pub(super) const NOT_FOUND: u16 = 5;
    pub(super) const UNIMPLEMENTED: u16 = 12;

    pub(super) fn unknown(message: String) -> Self {
        Self { code: Self::UNKNOWN, message }
    }
}

/// The result of a call: its answer, or why there is none; the outer error is one of transport.
pub(super) type Reply = Result<Result<Message, Refusal>, String>;

/// Calls over `stream`.
pub(super) async fn call(stream: Stream, head: Request<()>, message: Bytes) -> Reply {
    let asking =
        |sender| async { ask(sender, head, message).await.map_err(|error| http2_reason(&error, PROTOCOL)) };
    converse(stream, TERMS, asking).await
}

async fn ask(
    sender: SendRequest<Bytes>,
    head: Request<()>,
    message: Bytes,
) -> Result<Result<Message, Refusal>, h2::Error> {
    let (response, mut request) = sender.ready().await?.send_request(head, false)?;
    request.send_data(message, true)?;
    let (head, mut body) = response.await?.into_parts();
    if let Some(refusal) = refused_by(&head) {
        return Ok(Err(refusal));
    }
    let mut answer = Message::default();
    while let Some(part) = body.data().await.transpose()? {
        if let Err(reason) = answer.push(&part) {
            return Ok(Err(Refusal::unknown(reason)));
        }
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(match status_in(&trailers) {
        Some(refusal) if refusal.code != 0 => Err(refusal),
        Some(_) => Ok(answer),
        None => Err(Refusal::unknown("the server ended the call without a status".to_owned())),
    })
}

/// Returns why an answer is refused by its head alone.
fn refused_by(head: &response::Parts) -> Option<Refusal> {
    let kind = head.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let is_grpc = kind.as_ref().is_some_and(|kind| kind.starts_with("application/grpc"));
    match head.status.as_u16() {
        404 => Some(Refusal {
            code: Refusal::UNIMPLEMENTED,
            message: "unexpected HTTP status code received from server: 404".to_owned(),
        }),
        200 if is_grpc => status_in(&head.headers).filter(|refusal| refusal.code != 0),
        200 => Some(Refusal::unknown(format!("unexpected content-type {:?}", kind.unwrap_or_default()))),
        code => Some(Refusal::unknown(format!("unexpected HTTP status code received from server: {code}"))),
    }
}

fn status_in(headers: &HeaderMap) -> Option<Refusal> {
    let code = headers.get("grpc-status")?;
    let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(Refusal::UNKNOWN);
    let message = headers.get("grpc-message").map(|message| unescaped(message.as_bytes()));
    Some(Refusal { code, message: message.unwrap_or_default() })
}

/// Returns a message without its %-escapes; what is broken stays as it is, since a message is not to be lost (the
/// specification's words on `Percent-Decoded`).
fn unescaped(message: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.split_at_checked(2).filter(|_| byte == b'%');
        let escaped = digits.and_then(|(digits, tail)| {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            Some((u8::try_from(digit(0)? * 16 + digit(1)?).ok()?, tail))
        });
        let (byte, tail) = escaped.unwrap_or((byte, tail));
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn a_message_is_never_lost() {
        for (message, expected) in [
            ("not%20you", "not you"),
            ("100%", "100%"),
            ("100% %4", "100% %4"),
            ("%zz%41%+1", "%zzA%+1"),
            ("%C3%A9", "\u{e9}"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(unescaped(message.as_bytes()), expected, "{message}");
        }
        assert_eq!(unescaped(b"caf\xc3\xa9 \xff"), "caf\u{e9} \u{fffd}");
    }
}
