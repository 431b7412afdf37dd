//! The head of an answer: status, and what the headers say of the body.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig, Response, Status};

use super::body::Framing;
use super::reader::Reader;

/// The most headers that are taken; Go counts their bytes only, and so does [`Limits`](super::Limits) beside this.
const MAX_HEADERS: usize = 512;

/// The parts of a head that are needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) framing: Framing,
}

/// Reads the head of the final answer, past interim ones (RFC 9110, section 15.2).
pub(super) async fn read_head(reader: &mut Reader, is_head: bool) -> Result<Head, String> {
    loop {
        let (head, length) = read_next(reader, is_head).await?;
        reader.use_up(length);
        if !is_interim(head.status) {
            return Ok(head);
        }
    }
}

/// Returns whether another head follows. 101 is no interim answer: nothing follows that we would understand.
const fn is_interim(status: u16) -> bool {
    status >= 100 && status < 200 && status != 101
}

async fn read_next(reader: &mut Reader, is_head: bool) -> Result<(Head, usize), String> {
    // What has not doubled is not looked at again, so that many small pieces cost no more than a large one.
    let mut looked_at = 0;
    loop {
        let rest = reader.rest();
        let is_worth_it = rest.len() >= 2 * looked_at || ends_here(&rest[looked_at.saturating_sub(3)..]);
        if !rest.is_empty() && is_worth_it {
            if let Some(found) = parse(rest, is_head)? {
                return Ok(found);
            }
            looked_at = rest.len();
        }
        if !reader.more().await? {
            return Err("the connection was closed before the end of the answer's head".to_owned());
        }
    }
}

/// Returns whether an empty line is among the bytes.
fn ends_here(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// Reads a head and returns it with its length in bytes, or nothing where it is not whole.
fn parse(bytes: &[u8], is_head: bool) -> Result<Option<(Head, usize)>, String> {
    let not_http = |error: Error| match other_protocol(bytes) {
        Some(protocol) => format!("the server speaks {protocol}"),
        None => format!("the answer is not HTTP/1: {error}"),
    };
    // Not written to before they are needed: most answers have ten.
    let mut headers = [MaybeUninit::uninit(); MAX_HEADERS];
    let mut response = Response::new(&mut []);
    let mut parser = ParserConfig::default();
    parser.allow_obsolete_multiline_headers_in_responses(true);
    let parsed = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    let Status::Complete(length) = parsed.map_err(not_http)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let framing = framing(status, is_head, response.headers)?;
    let location = values(response.headers, "location").next();
    let location = location.and_then(|value| Some(str::from_utf8(value).ok()?.to_owned()));
    Ok(Some((Head { status, location, framing }, length)))
}

/// Returns which other protocol the first bytes of an answer look like: an alert of TLS (RFC 8446, section 5.1), or the
/// settings with which HTTP/2 begins (RFC 9113, section 3.4).
fn other_protocol(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x15, 0x03, ..] => Some("TLS here; the target has to be https://"),
        [0, _, _, 0x04, 0, 0, 0, 0, 0, ..] => Some("only HTTP/2 here; set _HTTP_VERSION=2"),
        _ => None,
    }
}

/// Returns how the body is delimited (RFC 9112, section 6.3).
fn framing(status: u16, is_head: bool, headers: &[Header]) -> Result<Framing, String> {
    if is_head || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(codings) = values(headers, "transfer-encoding").last() {
        let last = codings.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut lengths = values(headers, "content-length");
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    if lengths.any(|other| other != first) {
        return Err("the answer is not HTTP/1: it has two different lengths".to_owned());
    }
    let digits = str::from_utf8(first).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    length.map(Framing::Length).ok_or_else(|| "the answer is not HTTP/1: invalid content-length".to_owned())
}

fn values<'a>(headers: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}
