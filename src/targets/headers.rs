//! The headers of our requests, of HTTP and as metadata of gRPC.

use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use hyper::http::{HeaderName, HeaderValue};

use crate::grammar::url::percent_decoded;
use crate::targets::PROBE_AGENT;

/// Headers in the order in which they were configured; a name may repeat.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// Headers that say how a body is sent (RFC 9112, section 6).
const FRAMING: [HeaderName; 2] = [CONTENT_LENGTH, TRANSFER_ENCODING];

/// Reads `Name: value`, one a line. A name may repeat; a value may be empty.
pub fn parse(value: &str) -> Result<Headers, String> {
    let mut headers = Headers::new();
    for (index, line) in value.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim()).ok()?;
            Some((name, HeaderValue::try_from(value.trim()).ok()?))
        });
        let wrong = |what: &str| format!("line {}: {what}", index + 1);
        let (name, value) = header.ok_or_else(|| wrong("accepted: Name: value, one a line"))?;
        if FRAMING.contains(&name) {
            return Err(wrong(&format!("{name} is made of the body that is sent, and cannot be set")));
        }
        if line.contains("\\n") {
            return Err(wrong("accepted: a line break between headers, and not \\n"));
        }
        headers.push((name, value));
    }
    Ok(headers)
}

/// Reads the headers that stand in a file.
pub fn parse_bytes(value: &[u8]) -> Result<Headers, String> {
    parse(str::from_utf8(value).map_err(|_| "it is not UTF-8")?)
}

/// The headers of a request as they are sent, but for the length of its body.
#[derive(Clone)]
pub struct Lines {
    /// The configured `Host`, which is not among the rest.
    pub host: Option<Box<str>>,
    /// `Name: value` for each, in order.
    pub text: Box<str>,
}

impl Lines {
    pub fn new(headers: &Headers) -> Self {
        let (mut host, mut text) = (None, String::new());
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            if *name == HOST {
                host.get_or_insert_with(|| value.into());
            } else {
                text.extend([&canonical(name.as_str()), ": ", &value, "\r\n"]);
            }
        }
        Self { host, text: text.into() }
    }
}

/// Returns a name as Go writes it (`textproto.CanonicalMIMEHeaderKey`): some servers know no other spelling.
fn canonical(name: &str) -> String {
    let mut begins = true;
    let spell = |letter: char| {
        let spelt = if begins { letter.to_ascii_uppercase() } else { letter };
        begins = letter == '-';
        spelt
    };
    name.chars().map(spell).collect()
}

/// Adds what the kubelet adds (`pkg/probe/http/request.go`; a header that is configured empty is not sent), and `user`
/// unless an `Authorization` is configured.
pub fn complete(headers: &mut Headers, user: Headers) {
    if !contains(headers, &AUTHORIZATION) {
        headers.extend(user);
    }
    for (name, value) in [(USER_AGENT, PROBE_AGENT), (ACCEPT, "*/*")] {
        if contains(headers, &name) {
            headers.retain(|(other, value)| *other != name || !value.is_empty());
        } else {
            headers.push((name, HeaderValue::from_static(value)));
        }
    }
    headers.retain(|(name, _)| *name != CONNECTION);
    headers.push((CONNECTION, HeaderValue::from_static("close")));
}

/// Returns `Authorization: Basic` for `USER:PASS` from a URL.
pub fn basic_auth(user: &str) -> Result<Headers, String> {
    let decoded = percent_decoded(user).ok_or("the user or password has a broken %-escape")?;
    let value = HeaderValue::try_from(format!("Basic {}", base64(&decoded)));
    let mut value = value.map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(vec![(AUTHORIZATION, value)])
}

/// Returns whether a header is configured.
fn contains(headers: &Headers, name: &HeaderName) -> bool {
    headers.iter().any(|(other, _)| other == name)
}

/// Returns standard base64 with padding (RFC 4648, section 4): too little code to pay for a crate in every pod.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let octet = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 0x3f;
            text.push(if place <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_as_in_rfc_7617() {
        let headers = basic_auth("Aladdin:open%20sesame").unwrap();
        assert_eq!(headers[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for broken in ["%", "%2", "%zz", "%+1"] {
            assert!(basic_auth(broken).is_err(), "{broken}");
        }
        let mut configured = parse("Authorization: Bearer x").unwrap();
        complete(&mut configured, headers);
        assert_eq!(configured[0].1, "Bearer x");
        assert_eq!(configured.iter().filter(|(name, _)| *name == AUTHORIZATION).count(), 1);
    }

    #[test]
    fn base64_vectors_of_rfc_4648() {
        let vectors = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn names_repeat_and_empty_ones_suppress_a_default() {
        let mut headers =
            parse("x-a: 1\n\nX-A: 2\r\nUser-Agent:\nAccept: text/plain\nhost: a\nConnection: keep-alive")
                .unwrap();
        complete(&mut headers, Headers::new());
        let lines = Lines::new(&headers);
        assert_eq!(&*lines.text, "X-A: 1\r\nX-A: 2\r\nAccept: text/plain\r\nConnection: close\r\n");
        assert_eq!(lines.host.as_deref(), Some("a"));
    }

    #[test]
    fn what_frames_a_request_and_what_hides_a_second_header_are_refused() {
        for (wrong, expected) in [
            (
                "A: b\ncontent-length: 0",
                "line 2: content-length is made of the body that is sent, and cannot be set",
            ),
            (
                "Transfer-Encoding: chunked",
                "line 1: transfer-encoding is made of the body that is sent, and cannot be set",
            ),
            (r"A: b\nC: d", r"line 1: accepted: a line break between headers, and not \n"),
        ] {
            assert_eq!(parse(wrong).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_broken_line_is_counted_and_not_repeated() {
        assert_eq!(parse("A: b\nsecret").unwrap_err(), "line 2: accepted: Name: value, one a line");
        assert!(parse("A b: c").is_err() && parse(": c").is_err() && parse("A: \u{1}").is_err());
    }
}
