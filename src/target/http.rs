//! `http://`: one request as the kubelet makes it (`pkg/probe/http/http.go`), over a fresh connection.

mod exchange;
mod headers;
mod status;

use std::time::Duration;

use hyper::header::{HOST, LOCATION};
use hyper::http::{HeaderMap, HeaderValue, request, response};
use hyper::{Method, Request, StatusCode};
use regex_lite::Regex;

use super::url::{Scheme, Url};
use super::{Attempt, Stage, net};
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
    has_credentials: bool,
    method: Method,
    headers: Headers,
    status: StatusRanges,
    body: Option<Regex>,
}

impl Http {
    /// Reads what follows `http://`.
    pub fn parse(rest: &str, given: &mut Given) -> Result<Self, String> {
        let method = given.take(options::METHOD, method).unwrap_or(Method::GET);
        let mut headers = given.take(options::HTTP_HEADERS, headers::parse).unwrap_or_default();
        let status = given.take(options::STATUS, StatusRanges::parse).unwrap_or_default();
        let body = given.take(options::BODY_MATCHES, options::regex);
        let (credentials, rest) = split_credentials(rest);
        if let Some(credentials) = credentials {
            headers::add_basic_auth(&mut headers, credentials)?;
        }
        headers::add_defaults(&mut headers);
        let url = Url::parse(Scheme::Http, rest, None)?;
        Ok(Self { url, has_credentials: credentials.is_some(), method, headers, status, body })
    }

    pub fn shown(&self) -> String {
        let shown = self.url.shown();
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
        if url.scheme == Scheme::Https {
            return Err(format!("redirected to {}, and https is not supported by this version", url.shown()));
        }
        let stream = net::connect(&url.authority.host, url.authority.port).await?;
        stage.connected();
        exchange(stream, self.request(url, method)?).await
    }

    fn request(&self, url: &Url, method: Method) -> Result<Request<exchange::NoBody>, String> {
        let mut request = Request::builder().method(method).uri(url.path_and_query.as_str());
        if let Some(headers) = request.headers_mut() {
            set_headers(headers, &self.headers, url)?;
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
        self.url.authority.loopback_port()
    }
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
fn set_headers(headers: &mut HeaderMap, configured: &Headers, url: &Url) -> Result<(), String> {
    if !headers::contains(configured, &HOST) {
        let host = HeaderValue::try_from(url.authority.shown()).map_err(|error| error.to_string())?;
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
