//! `http://`, `https://` and `http+unix://`: one request as the kubelet makes it (`pkg/probe/http/http.go`),
//! over a fresh connection.

pub mod exchange;
mod headers;
mod status;

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use hyper::Method;
use regex_lite::Regex;

use super::net::{self, BoxStream};
use super::place::Inside;
use super::tls::Tls;
use super::unix::Socket;
use super::{Attempt, LocalPort, Stage, pattern};
use crate::grammar::remote::{At, Remote};
use crate::grammar::url::{Authority, Scheme, Url};
use crate::grammar::{Given, options};
use crate::outcome::Outcome;

use exchange::{Answer, Limits, exchange};
use headers::Lines;
use status::StatusRanges;

/// How many redirects are followed; the next one fails.
const MAX_REDIRECTS: usize = 10;

/// Of a body the kubelet reads as much (`pkg/probe/http/http.go`, `maxRespBodyLength`).
const LIMITS: Limits = Limits { read: 128 * 1024, pieces: 1024, body: 10 * 1024 };

/// How much of a body a warning shows, in bytes.
const WARNING_BODY: usize = 512;

/// An HTTP request and what its answer has to be.
#[derive(Debug)]
pub struct Http {
    url: Url,
    /// Where the URL's authority is reached, if that is no host.
    socket: Option<Box<Socket>>,
    /// For `https`, and for redirects to it once there is one.
    tls: OnceLock<Box<Tls>>,
    method: Method,
    headers: Lines,
    status: StatusRanges,
    body: Option<Box<Regex>>,
}

impl Http {
    /// Takes the options of a request, of a place for a unix socket, and of TLS for [`Scheme::Https`].
    ///
    /// # Errors
    /// What is wrong with the user or the password.
    pub fn new(remote: &Remote, given: &mut Given) -> Result<Self, String> {
        let tls = (remote.scheme == Scheme::Https).then(|| Box::new(Tls::parse(given, None)));
        let method = given.take(options::METHOD, method).unwrap_or(Method::GET);
        let mut headers = given.take(options::HTTP_HEADERS, headers::parse).unwrap_or_default();
        let status = given.take(options::STATUS, StatusRanges::parse).unwrap_or_default();
        let body = given.take(options::BODY_MATCHES, pattern::read).map(Box::new);
        let socket = match &remote.at {
            At::Host(_) => None,
            At::Socket(path) => Some(Box::new(Socket::new(path, given))),
        };
        if let Some(user) = &remote.user {
            headers::add_basic_auth(&mut headers, &user.0)?;
        }
        headers::add_defaults(&mut headers, &method);
        let (url, headers, tls) = (remote.url(), Lines::new(&headers), tls.map(OnceLock::from));
        Ok(Self { url, socket, tls: tls.unwrap_or_default(), method, headers, status, body })
    }

    async fn follow(&self, stage: &Stage) -> Result<Outcome, String> {
        let (mut moved, mut method) = (None, Cow::Borrowed(&self.method));
        for _ in 0..=MAX_REDIRECTS {
            let url = moved.as_ref().unwrap_or(&self.url);
            let answer = self.ask(url, &method, stage).await?;
            match redirect(url, &answer) {
                Some(next) if next.has_host_of(&self.url) => {
                    method = redirected_method(method, answer.status);
                    moved = Some(next);
                }
                _ => return Ok(self.judge(&answer)),
            }
        }
        Err(format!("stopped after {MAX_REDIRECTS} redirects"))
    }

    async fn ask(&self, url: &Url, method: &Method, stage: &Stage) -> Result<Answer, String> {
        let stream = self.connect(url).await?;
        stage.connected();
        let request = self.request(url, method);
        exchange(stream, request.as_bytes(), *method == Method::HEAD, LIMITS).await
    }

    async fn connect(&self, url: &Url) -> Result<BoxStream, String> {
        let Authority { host, port } = &url.authority;
        if let Some(socket) = self.socket_of(url) {
            return Ok(Box::new(socket.connect().await?));
        }
        let stream = net::connect(host, *port).await?;
        match url.scheme {
            Scheme::Http => Ok(Box::new(stream)),
            Scheme::Https => self.tls.get_or_init(Box::default).connect(stream, host).await,
        }
    }

    /// The socket, for all URLs but those that a redirect leads away to.
    fn socket_of(&self, url: &Url) -> Option<&Socket> {
        let is_ours = url.scheme == self.url.scheme && url.authority == self.url.authority;
        self.socket.as_deref().filter(|_| is_ours)
    }

    /// `Host` first, as in Go, then what is configured, in order. A configured `Host` wins.
    fn request(&self, url: &Url, method: &Method) -> String {
        let host = match (&self.headers.host, self.socket_of(url)) {
            (Some(configured), _) => Cow::Borrowed(&**configured),
            (None, Some(_)) => Cow::Borrowed("localhost"),
            (None, None) => Cow::Owned(url.authority.shown()),
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

    fn judge(&self, answer: &Answer) -> Outcome {
        let status = answer.status;
        if !self.status.accepts(status) {
            return Outcome::failure(format!("HTTP probe failed with statuscode: {status}"));
        }
        let body = || String::from_utf8_lossy(&answer.body);
        if let Some(expected) = &self.body
            && !expected.is_match(&body())
        {
            return Outcome::failure(format!("the body does not match {:?}", expected.as_str()));
        }
        if (300..400).contains(&status) {
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

    fn local_port(&self) -> Option<LocalPort> {
        self.url.authority.local_port().filter(|_| self.socket.is_none())
    }

    fn inside(&self) -> Option<&Inside> {
        self.socket.as_ref()?.inside.as_ref()
    }

    fn certificate_expiry(&self) -> Option<i64> {
        let tls = self.tls.get().filter(|_| self.url.scheme == Scheme::Https);
        tls.map(|tls| tls.expiry())
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
