//! `http://`, `https://` and `http+unix://`: one request as the kubelet makes it (`pkg/probe/http/http.go`),
//! over a fresh connection.

mod exchange;
mod headers;
mod status;

use std::time::Duration;

use hyper::header::{HOST, LOCATION};
use hyper::http::{HeaderMap, HeaderValue, request, response};
use hyper::{Method, Request, StatusCode};
use regex_lite::Regex;

use super::net::{self, BoxStream};
use super::place::Inside;
use super::tls::Tls;
use super::unix::Socket;
use super::url::{Authority, Scheme, Url, percent_decoded};
use super::{Attempt, Stage};
use crate::options::{self, Given};
use crate::outcome::Outcome;

use exchange::{Answer, exchange};
use headers::Headers;
use status::StatusRanges;

/// How many redirects are followed; the next one fails.
const MAX_REDIRECTS: usize = 10;

/// How much of a body a warning shows, in bytes.
const WARNING_BODY: usize = 512;

/// An HTTP request and what its answer has to be.
#[derive(Debug)]
pub struct Http {
    url: Url,
    /// Where the URL's authority is reached, if that is no host.
    socket: Option<Socket>,
    /// For `https` and for redirects to it.
    tls: Tls,
    has_credentials: bool,
    method: Method,
    headers: Headers,
    status: StatusRanges,
    body: Option<Regex>,
}

impl Http {
    /// Reads what follows `http://` or `https://`.
    pub fn parse(scheme: Scheme, rest: &str, given: &mut Given) -> Result<Self, String> {
        let tls = if scheme == Scheme::Https { Tls::parse(given, None) } else { Tls::default() };
        Ok(Self { tls, ..Self::parse_request(scheme, rest, given)? })
    }

    /// Reads what follows `http+unix://`: the socket's path with `%2F` for `/`, and the path to ask for.
    pub fn parse_unix(rest: &str, given: &mut Given) -> Result<Self, String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let (user, socket) = host.rsplit_once('@').map_or(("", host), |(user, socket)| (user, socket));
        let at = if user.is_empty() { "" } else { "@" };
        let http = Self::parse_request(Scheme::Http, &format!("{user}{at}localhost:80{path}"), given)?;
        let socket = percent_decoded(socket).and_then(|bytes| String::from_utf8(bytes).ok());
        let socket = socket.ok_or("the socket's path has a broken %-escape")?;
        Ok(Self { socket: Some(Socket::parse(&socket, given)?), ..http })
    }

    fn parse_request(scheme: Scheme, rest: &str, given: &mut Given) -> Result<Self, String> {
        let method = given.take(options::METHOD, method).unwrap_or(Method::GET);
        let mut headers = given.take(options::HTTP_HEADERS, headers::parse).unwrap_or_default();
        let status = given.take(options::STATUS, StatusRanges::parse).unwrap_or_default();
        let body = given.take(options::BODY_MATCHES, options::regex);
        let (credentials, rest) = split_credentials(rest);
        if let Some(credentials) = credentials {
            headers::add_basic_auth(&mut headers, credentials)?;
        }
        headers::add_defaults(&mut headers);
        let url = Url::parse(scheme, rest, None)?;
        let has_credentials = credentials.is_some();
        Ok(Self { url, socket: None, tls: Tls::default(), has_credentials, method, headers, status, body })
    }

    pub fn shown(&self) -> String {
        let shown = match &self.socket {
            Some(socket) => {
                format!("http+unix://{}{}", escaped(&socket.path), self.url.path_and_query)
            }
            None => self.url.shown(),
        };
        if self.has_credentials { shown.replacen("://", "://***@", 1) } else { shown }
    }

    async fn follow(&self, stage: &Stage) -> Result<Outcome, String> {
        let mut url = self.url.clone();
        let mut method = self.method.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.ask(&url, method.clone(), stage).await?;
            match redirect(&url, &answer.head) {
                Some(next) if next.has_host_of(&self.url) => {
                    method = redirected_method(method, answer.head.status);
                    url = next;
                }
                _ => return Ok(self.judge(&answer)),
            }
        }
        Err(format!("stopped after {MAX_REDIRECTS} redirects"))
    }

    async fn ask(&self, url: &Url, method: Method, stage: &Stage) -> Result<Answer, String> {
        let stream = self.connect(url).await?;
        stage.connected();
        exchange(stream, self.request(url, method)?).await
    }

    async fn connect(&self, url: &Url) -> Result<BoxStream, String> {
        let Authority { host, port } = &url.authority;
        if let Some(socket) = self.socket_of(url) {
            return Ok(Box::new(socket.connect().await?));
        }
        let stream = net::connect(host, *port).await?;
        match url.scheme {
            Scheme::Http => Ok(Box::new(stream)),
            Scheme::Https => self.tls.connect(stream, host).await,
        }
    }

    /// The socket, for all URLs but those that a redirect leads away to.
    fn socket_of(&self, url: &Url) -> Option<&Socket> {
        let is_ours = url.scheme == self.url.scheme && url.authority == self.url.authority;
        self.socket.as_ref().filter(|_| is_ours)
    }

    fn request(&self, url: &Url, method: Method) -> Result<Request<exchange::NoBody>, String> {
        let mut request = Request::builder().method(method).uri(url.path_and_query.as_str());
        if let Some(headers) = request.headers_mut() {
            let host = self.socket_of(url).map_or_else(|| url.authority.shown(), |_| "localhost".to_owned());
            set_headers(headers, &self.headers, &host)?;
        }
        finish(request)
    }

    fn judge(&self, answer: &Answer) -> Outcome {
        let status = answer.head.status;
        if !self.status.accepts(status) {
            return Outcome::failure(format!("HTTP probe failed with statuscode: {}", status.as_u16()));
        }
        let body = || String::from_utf8_lossy(&answer.body);
        if let Some(expected) = &self.body
            && !expected.is_match(&body())
        {
            return Outcome::failure(format!("the body does not match {:?}", expected.as_str()));
        }
        if status.is_redirection() {
            let shown = String::from_utf8_lossy(&answer.body[..answer.body.len().min(WARNING_BODY)]);
            return Outcome::Warning(format!("Probe terminated redirects, Response body: {shown}").into());
        }
        Outcome::Success
    }
}

impl Attempt for Http {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        self.follow(stage).await.unwrap_or_else(Outcome::failure)
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        if stage.is_connected() {
            format!("timeout: no complete answer within {timeout:?}")
        } else {
            format!("timeout: no connection within {timeout:?}")
        }
    }

    fn loopback_port(&self) -> Option<u16> {
        self.url.authority.loopback_port().filter(|_| self.socket.is_none())
    }

    fn inside(&self) -> Option<&Inside> {
        self.socket.as_ref()?.inside.as_ref()
    }

    fn certificate_expiry(&self) -> Option<i64> {
        (self.url.scheme == Scheme::Https).then(|| self.tls.expiry())
    }
}

/// A socket's path as it stands in place of a host.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(escaped).collect()
}

/// Separates `USER:PASS@` from what follows.
fn split_credentials(rest: &str) -> (Option<&str>, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    }
}

fn method(value: &str) -> Result<Method, String> {
    let method = Method::from_bytes(value.as_bytes()).ok();
    let upper = method.filter(|_| !value.bytes().any(|b| b.is_ascii_lowercase()) && value != "CONNECT");
    upper.ok_or_else(|| "accepted: a request method in capitals, such as GET, HEAD or POST".to_owned())
}

/// Our own request: `Host` first, then what is configured, in order. A configured `Host` wins.
fn set_headers(headers: &mut HeaderMap, configured: &Headers, host: &str) -> Result<(), String> {
    if !headers::contains(configured, &HOST) {
        let host = HeaderValue::try_from(host).map_err(|error| error.to_string())?;
        headers.insert(HOST, host);
    }
    for (name, value) in configured {
        headers.append(name, value.clone());
    }
    Ok(())
}

fn finish(request: request::Builder) -> Result<Request<exchange::NoBody>, String> {
    request.body(exchange::NoBody::new()).map_err(|error| format!("request: {error}"))
}

/// Where a redirect leads, if it is one that Go's client would follow.
fn redirect(from: &Url, head: &response::Parts) -> Option<Url> {
    matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308).then_some(())?;
    from.join(head.headers.get(LOCATION)?.to_str().ok()?)
}

/// As Go's `redirectBehavior`: 301, 302 and 303 turn anything but `HEAD` into `GET`.
fn redirected_method(method: Method, status: StatusCode) -> Method {
    match status.as_u16() {
        301..=303 if method != Method::HEAD => Method::GET,
        _ => method,
    }
}
