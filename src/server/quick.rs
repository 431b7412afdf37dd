//! `GET /livez` and `GET /readyz` where the answer is `ok`: what a kubelet asks all day takes one read and one write,
//! before hyper with its buffers is set up. It knows no more of HTTP than it must, and hands on all else unanswered.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue};
use hyper::body::Bytes;
use prometheus::IntCounter;
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::seats::Seat;
use super::{HEADER_TIMEOUT, Site, routes};
use crate::probe::Probe;

/// The probes whose questions change nothing, each with its path.
const QUESTIONS: [(&str, Probe); 2] = [("/livez", Probe::Liveness), ("/readyz", Probe::Readiness)];

/// How much is read at once, in bytes. Where that is full there may be more, so it is not looked at here.
const READ: usize = 1024;

/// Nor is one of more headers.
const MOST_HEADERS: usize = 16;

/// Nor one with a header that says what else is to come.
const OF_MORE: [HeaderName; 4] = [CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE];

/// What is left to another to answer: the beginning of a request.
pub(super) type Unanswered = Vec<u8>;

/// Gives the answer `ok`.
#[derive(Debug)]
pub(super) struct Quick {
    site: Arc<Site>,
    answered: [IntCounter; QUESTIONS.len()],
    answers: Mutex<Answers>,
}

/// The answer as hyper writes it, for the second of its `Date`.
#[derive(Debug)]
struct Answers {
    /// Since 1970.
    second: u64,
    kept: Bytes,
    last: Bytes,
}

/// What has been read from a connection.
enum Asked {
    Question(Question),
    Other(Unanswered),
    /// Nothing more will be.
    End,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Question {
    /// In [`QUESTIONS`].
    index: usize,
    /// Whether the connection ends with the answer.
    is_last: bool,
}

impl Quick {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let answered =
            QUESTIONS.map(|(path, _)| site.metrics.http_requests.with_label_values(&[path, "200"]));
        Self { site, answered, answers: Mutex::new(Answers::at(0)) }
    }

    /// Answers for as long as it can, or until `end` where nothing is asked. What it gives back is another's to
    /// answer; without that, the connection has ended.
    pub(super) async fn answer(
        &self,
        stream: &mut TcpStream,
        seat: &Seat,
        mut end: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<Option<Unanswered>> {
        // A first question may still be on its way when the end comes.
        let mut is_first = true;
        loop {
            let asked = tokio::select! {
                biased;
                () = end.as_mut(), if !is_first => return Ok(None),
                asked = timeout(HEADER_TIMEOUT, poll_fn(|context| self.poll_asked(stream, context))) => asked??,
            };
            let Question { index, is_last } = match asked {
                Asked::Question(question) => question,
                Asked::Other(begun) => return Ok(Some(begun)),
                Asked::End => return Ok(None),
            };
            seat.touch();
            self.answered[index].inc();
            if is_last {
                return self.say_last(stream).await.map(|()| None);
            }
            stream.write_all(&self.text(false)).await?;
            is_first = false;
        }
    }

    /// The answer and the end of the connection, in one packet.
    async fn say_last(&self, stream: &mut TcpStream) -> io::Result<()> {
        let text = self.text(true);
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let sent = stream.async_io(Interest::WRITABLE, || Ok(send(&*stream, &text, flags)?)).await?;
        stream.write_all(&text[sent..]).await?;
        stream.shutdown().await
    }

    /// Reads what is there, into the stack: a connection that waits holds no buffer.
    fn poll_asked(&self, stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<Asked>> {
        let mut head = [0; READ];
        let mut head = ReadBuf::new(&mut head);
        ready!(Pin::new(stream).poll_read(context, &mut head))?;
        Poll::Ready(Ok(self.asked(head.filled())))
    }

    fn asked(&self, read: &[u8]) -> Asked {
        match Question::parse(read) {
            _ if read.is_empty() => Asked::End,
            Some(question) if self.site.board.passes(QUESTIONS[question.index].1) => {
                Asked::Question(question)
            }
            _ => Asked::Other(read.to_vec()),
        }
    }

    fn text(&self, is_last: bool) -> Bytes {
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.second != second {
            *answers = Answers::at(second);
        }
        if is_last { answers.last.clone() } else { answers.kept.clone() }
    }
}

impl Answers {
    fn at(second: u64) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(routes::TEXT));
        routes::set_headers(&mut headers);
        let shown = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}\r\n", value.to_str().unwrap_or_default())
        };
        let headers: String = headers.iter().map(shown).collect();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        let text = |more| {
            format!("HTTP/1.1 200 OK\r\n{headers}{more}content-length: 2\r\ndate: {date}\r\n\r\nok").into()
        };
        Self { second, kept: text(""), last: text("connection: close\r\n") }
    }
}

impl Question {
    /// What `head` asks, if it is a whole head and nothing else, and of the plainest kind.
    fn parse(head: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let is_whole = head.len() < READ && request.parse(head) == Ok(httparse::Status::Complete(head.len()));
        let is_plain = is_whole && request.method == Some("GET") && request.version == Some(1);
        let index = QUESTIONS.iter().position(|(path, _)| request.path == Some(path));
        let mut question = Self { index: index.filter(|_| is_plain)?, is_last: false };
        for header in request.headers {
            let is = |name: &HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
            if OF_MORE.iter().any(is) {
                return None;
            }
            if is(&CONNECTION) {
                question.is_last |= header.value.eq_ignore_ascii_case(b"close");
                let is_known = question.is_last || header.value.eq_ignore_ascii_case(b"keep-alive");
                is_known.then_some(())?;
            }
        }
        Some(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_questions_of_kubelets_and_of_load_balancers() {
        let asked = |line: &str, headers: &str| {
            let question = Question::parse(format!("{line}\r\n{headers}\r\n").as_bytes());
            question.map(|Question { index, is_last }| (QUESTIONS[index].0, is_last))
        };
        let kubelet =
            "Host: 10.0.0.1:8080\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n";
        assert_eq!(asked("GET /livez HTTP/1.1", kubelet), Some(("/livez", true)));
        assert_eq!(asked("GET /readyz HTTP/1.1", kubelet), Some(("/readyz", true)));
        assert_eq!(asked("GET /readyz HTTP/1.1", "Host: a\r\n"), Some(("/readyz", false)));
        assert_eq!(asked("GET /livez HTTP/1.1", "connection: Keep-Alive\r\n"), Some(("/livez", false)));
        assert_eq!(asked("GET /livez HTTP/1.1", "CONNECTION: Close\r\n"), Some(("/livez", true)));
        for line in [
            "GET /startupz HTTP/1.1",
            "GET /livez/db HTTP/1.1",
            "GET /livez?verbose HTTP/1.1",
            "GET http://a/livez HTTP/1.1",
            "HEAD /livez HTTP/1.1",
            "POST /livez HTTP/1.1",
            "get /livez HTTP/1.1",
            "GET /livez HTTP/1.0",
            "GET /livez HTTP/2.0",
        ] {
            assert_eq!(asked(line, kubelet), None, "{line}");
        }
    }

    #[test]
    fn what_may_go_on_is_anothers() {
        let kept = "GET /livez HTTP/1.1\r\nHost: a\r\n";
        for headers in [
            "Content-Length: 0",
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "Connection: upgrade",
            "Connection: close, TE",
            "no colon",
            &"A: b\r\n".repeat(MOST_HEADERS),
        ] {
            assert_eq!(Question::parse(format!("{kept}{headers}\r\n\r\n").as_bytes()), None, "{headers}");
        }
        let whole = format!("{kept}\r\n");
        assert!(Question::parse(whole.as_bytes()).is_some());
        assert_eq!(Question::parse(format!("{whole}{whole}").as_bytes()), None, "two at once");
        let padded = |length: usize| format!("{kept}A: {}\r\n\r\n", "b".repeat(length - kept.len() - 7));
        assert!(Question::parse(padded(READ - 1).as_bytes()).is_some());
        assert_eq!(Question::parse(padded(READ).as_bytes()), None, "there may be more");
        for end in 0..whole.len() {
            assert_eq!(Question::parse(&whole.as_bytes()[..end]), None, "{end} bytes of it");
        }
    }
}
