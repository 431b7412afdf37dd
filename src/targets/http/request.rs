//! The request: its method, headers and body, some of which may stand in files.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use hyper::Method;
use hyper::header::CONTENT_LENGTH;
use hyper::http::{HeaderName, HeaderValue};

use crate::blocking::Place;
use crate::grammar::remote::Remote;
use crate::grammar::url::Url;
use crate::grammar::{OptionReader, options};
use crate::targets::Stage;
use crate::targets::headers::{self, Headers, Lines};
use crate::targets::source::Source;

/// A request, but for whom and what it asks.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    content: Template,
}

#[derive(Debug)]
enum Template {
    /// The same for every run.
    Fixed(Prepared),
    /// Made for each run.
    Varying(Box<Varying>),
}

#[derive(Debug)]
struct Varying {
    /// `Authorization`, where the target has a user.
    user: Headers,
    headers: Source<Headers>,
    body: Option<Source<Vec<u8>>>,
}

/// Headers and body as they are sent.
#[derive(Clone)]
pub(super) struct Prepared {
    lines: Lines,
    body: Option<Vec<u8>>,
}

impl Request {
    /// Takes the options of a request.
    ///
    /// # Errors
    /// The fault of the user or the password.
    pub(super) fn new(remote: &Remote, reader: &mut OptionReader) -> Result<Self, String> {
        let method = reader.take(options::METHOD, method).unwrap_or(Method::GET);
        let headers = reader.take(options::HTTP_HEADERS, headers::parse);
        let headers = Source::take(headers, options::HTTP_HEADERS_FILE, headers::parse_bytes, reader);
        let headers = headers.unwrap_or_else(|| Source::Value(Headers::new()));
        let body = reader.take(options::BODY, |body| Ok(body.as_bytes().to_vec()));
        let body = Source::take(body, options::BODY_FILE, |body| Ok(body.to_vec()), reader);
        let user = match &remote.user {
            Some(user) => headers::basic_auth(&user.0)?,
            None => Headers::new(),
        };
        if let Some(password) = remote.login()?.and_then(|login| login.password) {
            reader.confide(&password);
        }
        confidential(&user, None).for_each(|value| reader.confide(value));
        if let Source::Value(headers) = &headers {
            confidential(headers, None).for_each(|value| reader.confide(value));
        }
        if let Some(Source::Value(body)) = &body {
            reader.confide(body);
        }
        let content = match (headers, body) {
            (Source::Value(headers), None) => Template::Fixed(prepared(headers, user, None)),
            (Source::Value(headers), Some(Source::Value(body))) => {
                Template::Fixed(prepared(headers, user, Some(body)))
            }
            (headers, body) => Template::Varying(Box::new(Varying { user, headers, body })),
        };
        Ok(Self { method, content })
    }

    /// Returns the method of the first request.
    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    /// Returns what a run sends, and confides to `stage` what it read anew.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) async fn prepare(
        &self,
        place: &Place,
        stage: &Stage<'_>,
    ) -> Result<Cow<'_, Prepared>, String> {
        let varying = match &self.content {
            Template::Fixed(prepared) => return Ok(Cow::Borrowed(prepared)),
            Template::Varying(varying) => varying,
        };
        let headers = varying.headers.get(place).await?.into_owned();
        let body = match &varying.body {
            Some(body) => Some(body.get(place).await?.into_owned()),
            None => None,
        };
        confidential(&headers, body.as_deref()).for_each(|value| stage.confide(value));
        Ok(Cow::Owned(prepared(headers, varying.user.clone(), body)))
    }
}

/// Returns what is sent in confidence.
fn confidential<'h>(
    headers: impl IntoIterator<Item = &'h (HeaderName, HeaderValue)>,
    body: Option<&'h [u8]>,
) -> impl Iterator<Item = &'h [u8]> {
    headers.into_iter().map(|(_, value)| value.as_bytes()).chain(body)
}

fn prepared(mut headers: Headers, user: Headers, body: Option<Vec<u8>>) -> Prepared {
    headers::complete(&mut headers, user);
    Prepared { lines: Lines::new(&headers), body }
}

impl fmt::Debug for Prepared {
    /// Hides the request, which may hold a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Prepared {
    /// Returns the whole request for `path` at `host`, unless a `Host` is configured. A redirect may have taken the
    /// body from it by changing the method (`has_kept_method`).
    pub(super) fn written(&self, method: &Method, path: &str, host: &str, has_kept_method: bool) -> Vec<u8> {
        let body = self.body.as_deref().filter(|_| has_kept_method);
        let length = match body {
            Some(body) => Cow::Owned(format!("Content-Length: {}\r\n", body.len())),
            // A request that could have a body has to say that it has none (RFC 9110, section 8.6).
            None if may_have_body(method) => Cow::Borrowed("Content-Length: 0\r\n"),
            None => Cow::Borrowed(""),
        };
        let host = self.lines.host.as_deref().unwrap_or(host);
        let head = [
            method.as_str(),
            " ",
            path,
            " HTTP/1.1\r\nHost: ",
            host,
            "\r\n",
            &self.lines.text,
            &length,
            "\r\n",
        ];
        let mut request = head.concat().into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        request
    }

    /// Returns the same for HTTP/2: the head and the body.
    ///
    /// # Errors
    /// A URL that is none.
    pub(super) fn asking(
        &self,
        method: &Method,
        url: &Url,
        host: &str,
        has_kept_method: bool,
    ) -> Result<(hyper::Request<()>, Bytes), String> {
        let host = self.lines.host.as_deref().unwrap_or(host);
        let uri = format!("{}://{host}{}", url.scheme.as_str(), url.path_and_query);
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in self.lines.text.lines().filter_map(|line| line.split_once(": ")) {
            let name = name.to_ascii_lowercase();
            if !NOT_OF_HTTP2.contains(&name.as_str()) {
                request = request.header(name, value);
            }
        }
        let body = self.body.clone().filter(|_| has_kept_method).map(Bytes::from);
        if body.is_some() || may_have_body(method) {
            request = request.header(CONTENT_LENGTH, body.as_ref().map_or(0, Bytes::len));
        }
        let head = request.body(()).map_err(|error| error.to_string())?;
        Ok((head, body.unwrap_or_default()))
    }
}

/// Headers of a single connection, which HTTP/2 has not (RFC 9113, section 8.2.2); those that frame a body cannot be set.
const NOT_OF_HTTP2: [&str; 4] = ["connection", "keep-alive", "proxy-connection", "upgrade"];

fn may_have_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

fn method(value: &str) -> Result<Method, String> {
    let method = Method::from_bytes(value.as_bytes()).ok();
    let upper = method.filter(|_| !value.bytes().any(|b| b.is_ascii_lowercase()) && value != "CONNECT");
    upper.ok_or_else(|| "accepted: a request method in capitals, such as GET, HEAD or POST".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::TargetSpec;
    use crate::grammar::options::OptionName;

    fn written(options: &[(OptionName, &str)], method: &Method, has_kept_method: bool) -> String {
        let crate::grammar::Kind::Http(remote) = TargetSpec::read("http://:80/").unwrap().kind else {
            panic!("an http target");
        };
        let quiet = [(options::HTTP_HEADERS, "User-Agent:\nAccept:")];
        let mut reader = OptionReader::new("LIVENESS_A", quiet.iter().chain(options).copied().collect());
        let request = Request::new(&remote, &mut reader).unwrap();
        assert!(reader.finish(Some("a target")).is_empty());
        let Template::Fixed(prepared) = request.content else { panic!("no file") };
        String::from_utf8(prepared.written(method, "/", "h", has_kept_method)).unwrap()
    }

    #[test]
    fn a_body_is_sent_with_its_length() {
        let begin = "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
        let body = [(options::BODY, "{\"ä\": 1}")];
        let sent = format!("POST / {begin}Content-Length: 9\r\n\r\n{{\"ä\": 1}}");
        assert_eq!(written(&body, &Method::POST, true), sent);
        assert_eq!(written(&body, &Method::GET, false), format!("GET / {begin}\r\n"));
        assert_eq!(written(&[], &Method::PUT, true), format!("PUT / {begin}Content-Length: 0\r\n\r\n"));
        assert_eq!(written(&[], &Method::DELETE, true), format!("DELETE / {begin}\r\n"));
    }
}
