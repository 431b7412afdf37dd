//! `http://`, `https://` and `http+unix://`: one request as the kubelet makes it (`pkg/probe/http/http.go`),
//! over a fresh connection.

pub(crate) mod exchange;
mod http2;
mod request;
mod status;

use std::borrow::Cow;
use std::time::Duration;

use super::content::{Content, MAX_CONTENT_BYTES};
use super::dial::{Dial, Tls};
use super::{Attempt, Progress, Stage};
use crate::grammar::remote::Remote;
use crate::grammar::url::{Scheme, Url};
use crate::grammar::{OptionReader, options};
use crate::outcome::Outcome;
use bytes::Bytes;
use hyper::Method;

use exchange::{Answer, Body, Limits, exchange};
use request::{Prepared, Request};
use status::StatusRanges;

/// The redirect that fails, as Go's clients count: no more requests than this are made.
const MAX_REQUESTS: usize = 10;

/// The limits of an answer; of a body the kubelet reads as much (`pkg/probe/http/http.go`, `maxRespBodyLength`).
const LIMITS: Limits = Limits { read: 128 * 1024, pieces: 1024, body: 10 * 1024 };

/// The same where the body is judged: it may come in small chunks, with a length before each.
const CONTENT_LIMITS: Limits =
    Limits { read: 3 * MAX_CONTENT_BYTES, pieces: 16 * 1024, body: MAX_CONTENT_BYTES };

/// The part of a body that a warning shows, in bytes.
const WARNING_BODY: usize = 512;

/// An HTTP request and what its answer has to be.
#[derive(Debug)]
pub struct Http {
    url: Url,
    /// The `Host` of the request, unless a redirect leads elsewhere.
    host: String,
    dial: Dial,
    request: Request,
    status: StatusRanges,
    content: Option<Box<Content>>,
    /// Whether HTTP/2 is spoken without asking: by prior knowledge (RFC 9113, section 3.3).
    is_http2: bool,
}

impl Http {
    /// Takes the options of a request, of a place for a unix socket, and of TLS for [`Scheme::Https`].
    ///
    /// # Errors
    /// The fault of the user or the password.
    pub fn new(remote: &Remote, reader: &mut OptionReader) -> Result<Self, String> {
        let version = reader.take(options::HTTP_VERSION, Version::read);
        let tls = (remote.scheme == Scheme::Https).then(|| Tls::parse(reader, Version::offered(version)));
        let request = Request::new(remote, reader)?;
        let status = reader.take(options::STATUS, StatusRanges::parse).unwrap_or_default();
        let content = Content::take(reader);
        let is_http2 = version == Some(Version::Two);
        let dial = Dial::new(remote, tls, reader);
        Ok(Self { url: remote.url(), host: dial.host(), dial, request, status, content, is_http2 })
    }

    async fn follow(&self, stage: &Stage<'_>) -> Result<Outcome, String> {
        let prepared = self.request.prepare(self.dial.place(), stage).await?;
        let (mut moved, mut method) = (None, Cow::Borrowed(self.request.method()));
        for _ in 0..MAX_REQUESTS {
            let url = moved.as_ref().unwrap_or(&self.url);
            let answer = self.ask(&prepared, url, &method, stage).await?;
            match redirect(url, &answer).filter(|_| !self.status.names(answer.status)) {
                Some(next) if next.has_host_of(&self.url) => {
                    method = redirected_method(method, answer.status);
                    moved = Some(next);
                }
                _ => return self.judge(answer, stage).await,
            }
        }
        Err(format!("stopped after {MAX_REQUESTS} redirects"))
    }

    async fn ask(
        &self,
        prepared: &Prepared,
        url: &Url,
        method: &Method,
        stage: &Stage<'_>,
    ) -> Result<Answer, String> {
        stage.reach(Progress::Begun);
        let is_own = self.is_own(url);
        let (stream, host) = if is_own {
            (self.dial.open(stage).await, Cow::Borrowed(&*self.host))
        } else {
            let is_tls = url.scheme == Scheme::Https;
            (self.dial.open_to(&url.authority, is_tls, stage).await, Cow::Owned(url.authority.shown()))
        };
        let led = |reason| if is_own { reason } else { format!("redirected to {}: {reason}", url.shown()) };
        let stream = stream.map_err(led)?;
        let keeps_body = method == self.request.method();
        let limits = if self.content.is_some() { CONTENT_LIMITS } else { LIMITS };
        let on_head = || stage.reach(Progress::Answered);
        if self.is_http2 || stream.is_http2() {
            let (head, body) = prepared.asking(method, url, &host, keeps_body).map_err(led)?;
            return http2::exchange(stream, head, body, limits, on_head).await.map_err(led);
        }
        let request = prepared.written(method, &url.path_and_query, &host, keeps_body);
        exchange(stream, &request, *method == Method::HEAD, limits, on_head).await.map_err(led)
    }

    /// Returns whether `url` is where the target itself leads, and not only a redirect.
    fn is_own(&self, url: &Url) -> bool {
        url.scheme == self.url.scheme && url.authority == self.url.authority
    }

    async fn judge(&self, answer: Answer, stage: &Stage<'_>) -> Result<Outcome, String> {
        let status = answer.status;
        if !self.status.accepts(status) {
            stage.hear(&answer.body.bytes);
            return Err(format!("HTTP probe failed with statuscode: {status}"));
        }
        let is_redirect = (300..400).contains(&status) && !self.status.names(status);
        let Body { bytes, room: _room } = answer.body;
        let body = Bytes::from(bytes);
        if let Some(content) = &self.content {
            content.judge("the body", &body, self.dial.place(), stage).await?;
        }
        if is_redirect {
            let shown = String::from_utf8_lossy(&body[..body.len().min(WARNING_BODY)]);
            let warning = format!("Probe terminated redirects, Response body: {shown}");
            return Ok(Outcome::Warning(warning.into()));
        }
        Ok(Outcome::Success)
    }
}

/// `_HTTP_VERSION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn read(value: &str) -> Result<Self, String> {
        match value {
            "1.1" => Ok(Self::One),
            "2" => Ok(Self::Two),
            _ => Err("accepted: 1.1 or 2".to_owned()),
        }
    }

    /// Returns what TLS offers; without the option both, as the kubelet does.
    const fn offered(version: Option<Self>) -> &'static [&'static str] {
        match version {
            None => &["h2", "http/1.1"],
            Some(Self::One) => &["http/1.1"],
            Some(Self::Two) => &["h2"],
        }
    }
}

impl Attempt for Http {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.follow(stage).await.unwrap_or_else(Outcome::failure)
    }

    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        let has_head = stage.has_reached(Progress::Answered);
        let missing =
            if has_head { "headers, but the body was not complete" } else { "connected, but no headers" };
        let unanswered = || format!("timeout: {missing} within {timeout:?}");
        Outcome::timeout(stage.unconnected(timeout).unwrap_or_else(unanswered))
    }

    fn dial(&self) -> Option<&Dial> {
        Some(&self.dial)
    }
}

/// Returns where a redirect leads, if it is one that Go's client would follow.
fn redirect(from: &Url, answer: &Answer) -> Option<Url> {
    matches!(answer.status, 301 | 302 | 303 | 307 | 308).then_some(())?;
    from.join(answer.location.as_deref()?)
}

/// Returns the method after a redirect, as Go's `redirectBehavior` does: 301, 302 and 303 turn anything but `HEAD` into
/// `GET`.
fn redirected_method(method: Cow<'_, Method>, status: u16) -> Cow<'_, Method> {
    match status {
        301..=303 if *method != Method::HEAD => Cow::Owned(Method::GET),
        _ => method,
    }
}
