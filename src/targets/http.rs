//! `http://`, `https://` and `http+unix://`: one request as the kubelet makes it (`pkg/probe/http/http.go`),
//! over a fresh connection.

pub mod exchange;
mod headers;
mod status;

use std::borrow::Cow;
use std::time::Duration;

use super::dial::{Dial, Tls};
use super::pattern::Pattern;
use super::place::Inside;
use super::{Attempt, LocalPort, Stage};
use crate::blocking::Place;
use crate::grammar::remote::Remote;
use crate::grammar::url::{Scheme, Url};
use crate::grammar::{Given, options};
use crate::outcome::Outcome;
use hyper::Method;

use exchange::{Answer, Limits, exchange};
use headers::Lines;
use status::StatusRanges;

/// The redirect that fails, as Go's clients count: no more requests than this are made.
const MAX_REQUESTS: usize = 10;

/// Of a body the kubelet reads as much (`pkg/probe/http/http.go`, `maxRespBodyLength`).
const LIMITS: Limits = Limits { read: 128 * 1024, pieces: 1024, body: 10 * 1024 };

/// How much of a body a warning shows, in bytes.
const WARNING_BODY: usize = 512;

/// An HTTP request and what its answer has to be.
#[derive(Debug)]
pub struct Http {
    url: Url,
    dial: Dial,
    method: Method,
    headers: Lines,
    status: StatusRanges,
    body: Option<Box<Pattern>>,
}

impl Http {
    /// Takes the options of a request, of a place for a unix socket, and of TLS for [`Scheme::Https`].
    ///
    /// # Errors
    /// What is wrong with the user or the password.
    pub fn new(remote: &Remote, given: &mut Given) -> Result<Self, String> {
        let tls = (remote.scheme == Scheme::Https).then(|| Tls::parse(given, None));
        let method = given.take(options::METHOD, method).unwrap_or(Method::GET);
        let mut headers = given.take(options::HTTP_HEADERS, headers::parse).unwrap_or_default();
        let status = given.take(options::STATUS, StatusRanges::parse).unwrap_or_default();
        let body = given.take(options::BODY_MATCHES, Pattern::read).map(Box::new);
        let dial = Dial::new(remote, tls, given);
        if let Some(user) = &remote.user {
            headers::add_basic_auth(&mut headers, &user.0)?;
        }
        headers::add_defaults(&mut headers, &method);
        Ok(Self { url: remote.url(), dial, method, headers: Lines::new(&headers), status, body })
    }

    async fn follow(&self, stage: &Stage) -> Result<Outcome, String> {
        let (mut moved, mut method) = (None, Cow::Borrowed(&self.method));
        for _ in 0..MAX_REQUESTS {
            let url = moved.as_ref().unwrap_or(&self.url);
            let answer = self.ask(url, &method, stage).await?;
            match redirect(url, &answer).filter(|_| !self.status.names(answer.status)) {
                Some(next) if next.has_host_of(&self.url) => {
                    method = redirected_method(method, answer.status);
                    moved = Some(next);
                }
                _ => return self.judge(&answer).await,
            }
        }
        Err(format!("stopped after {MAX_REQUESTS} redirects"))
    }

    async fn ask(&self, url: &Url, method: &Method, stage: &Stage) -> Result<Answer, String> {
        let stream = if self.is_own(url) {
            self.dial.open().await?
        } else {
            self.dial.open_to(&url.authority, url.scheme == Scheme::Https).await?
        };
        stage.connected();
        let request = self.request(url, method);
        exchange(stream, request.as_bytes(), *method == Method::HEAD, LIMITS).await
    }

    /// Whether `url` is where the target itself leads, and not only a redirect.
    fn is_own(&self, url: &Url) -> bool {
        url.scheme == self.url.scheme && url.authority == self.url.authority
    }

    /// `Host` first, as in Go, then what is configured, in order. A configured `Host` wins.
    fn request(&self, url: &Url, method: &Method) -> String {
        let host = match &self.headers.host {
            Some(configured) => Cow::Borrowed(&**configured),
            None if self.is_own(url) => Cow::Owned(self.dial.host()),
            None => Cow::Owned(url.authority.shown()),
        };
        let parts = [
            method.as_str(),
            " ",
            &url.path_and_query,
            " HTTP/1.1\r\nHost: ",
            &host,
            "\r\n",
            &self.headers.text,
        ];
        parts.concat()
    }

    async fn judge(&self, answer: &Answer) -> Result<Outcome, String> {
        let status = answer.status;
        if !self.status.accepts(status) {
            return Err(format!("HTTP probe failed with statuscode: {status}"));
        }
        if let Some(expected) = &self.body
            && !expected.is_match(&answer.body, self.dial.place()).await?
        {
            return Err(format!("the body does not match {:?}", expected.as_str()));
        }
        if (300..400).contains(&status) && !self.status.names(status) {
            let shown = String::from_utf8_lossy(&answer.body[..answer.body.len().min(WARNING_BODY)]);
            let warning = format!("Probe terminated redirects, Response body: {shown}");
            return Ok(Outcome::Warning(warning.into()));
        }
        Ok(Outcome::Success)
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

    fn local_port(&self) -> Option<LocalPort> {
        self.dial.local_port()
    }

    fn inside(&self) -> Option<&Inside> {
        self.dial.inside()
    }

    fn certificate_expiry(&self) -> Option<i64> {
        self.dial.certificate_expiry()
    }

    fn place(&self) -> Option<&Place> {
        Some(self.dial.place())
    }
}

fn method(value: &str) -> Result<Method, String> {
    let method = Method::from_bytes(value.as_bytes()).ok();
    let upper = method.filter(|_| !value.bytes().any(|b| b.is_ascii_lowercase()) && value != "CONNECT");
    upper.ok_or_else(|| "accepted: a request method in capitals, such as GET, HEAD or POST".to_owned())
}

/// Where a redirect leads, if it is one that Go's client would follow.
fn redirect(from: &Url, answer: &Answer) -> Option<Url> {
    matches!(answer.status, 301 | 302 | 303 | 307 | 308).then_some(())?;
    from.join(answer.location.as_deref()?)
}

/// As Go's `redirectBehavior`: 301, 302 and 303 turn anything but `HEAD` into `GET`.
fn redirected_method(method: Cow<'_, Method>, status: u16) -> Cow<'_, Method> {
    match status {
        301..=303 if *method != Method::HEAD => Cow::Owned(Method::GET),
        _ => method,
    }
}
