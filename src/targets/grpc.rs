//! `grpc://`, `grpcs://` and `grpc+unix://`: the standard health protocol (`grpc.health.v1`), in the kubelet's words
//! (`pkg/probe/grpc/grpc.go`), or any unary method with an empty message.

mod accepted;
mod call;
mod message;

use std::borrow::Cow;
use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, TE, USER_AGENT};

use super::dial::{Dial, Tls};
use super::headers::{self, Headers};
use super::source::Source;
use super::{Attempt, PROBE_AGENT, Progress, Stage};
use crate::grammar::remote::Remote;
use crate::grammar::url::Scheme;
use crate::grammar::{OptionReader, options};
use crate::outcome::Outcome;

use accepted::{Accepted, CODES, STATUSES};
use call::{Refusal, call};
use message::Message;

/// The method of the health protocol.
const CHECK: &str = "grpc.health.v1.Health/Check";

/// A call of a gRPC server.
#[derive(Debug)]
pub struct Grpc {
    dial: Dial,
    question: Question,
    accepted: Accepted,
    metadata: Option<Source<Headers>>,
}

/// The method that is called.
#[derive(Debug)]
enum Question {
    /// Whether a service serves; an empty name is the server as a whole.
    Health { service: String },
    /// Any unary method with an empty message, by its full name.
    Method(String),
}

impl Grpc {
    /// Takes `_METHOD`, `_STATUS`, `_HTTP_HEADERS`, and the options of TLS for [`Scheme::Https`].
    pub fn new(remote: &Remote, reader: &mut OptionReader) -> Self {
        let tls = (remote.scheme == Scheme::Https).then(|| Tls::parse(reader, &["h2"]));
        let question = match reader.take(options::METHOD, method) {
            Some(method) => {
                if !remote.service().is_empty() {
                    reader.reject(
                        options::METHOD,
                        &method,
                        "a method is called without a service in the target",
                    );
                }
                Question::Method(method)
            }
            None => Question::Health { service: remote.service().to_owned() },
        };
        let accepted = reader.take(options::STATUS, Accepted::read).unwrap_or_default();
        let metadata = reader.take(options::HTTP_HEADERS, metadata);
        for (_, value) in metadata.iter().flatten() {
            reader.confide(value.as_bytes());
        }
        let metadata = Source::take(metadata, options::HTTP_HEADERS_FILE, metadata_bytes, reader);
        Self { dial: Dial::new(remote, tls, reader), question, accepted, metadata }
    }

    async fn ask(&self, stage: &Stage<'_>) -> Result<Outcome, String> {
        let failed = |reason| format!("error: health rpc probe failed: {reason}");
        let head = self.head(stage).await.map_err(failed)?;
        let unconnected =
            |reason| format!("error: failed to connect service at {:?}: {reason}", self.dial.host());
        let stream = self.dial.open(stage).await.map_err(unconnected)?;
        let service = if let Question::Health { service } = &self.question { service } else { "" };
        let reply = call(stream, head, Bytes::from(message::request(service))).await.map_err(failed)?;
        Ok(reply.and_then(|answer| self.judge(&answer)).unwrap_or_else(|refusal| self.refused(&refusal)))
    }

    async fn head(&self, stage: &Stage<'_>) -> Result<Request<()>, String> {
        let scheme = if self.dial.is_tls() { Scheme::Https } else { Scheme::Http }.as_str();
        let method = if let Question::Method(method) = &self.question { method } else { CHECK };
        let head = Request::post(format!("{scheme}://{}/{method}", self.dial.host()))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT, PROBE_AGENT);
        let mut head = head.body(()).map_err(|error| error.to_string())?;
        if let Some(metadata) = &self.metadata {
            let metadata = metadata.get(self.dial.place()).await?;
            if let Cow::Owned(fresh) = &metadata {
                for (_, value) in fresh {
                    stage.confide(value.as_bytes());
                }
            }
            head.headers_mut().extend(metadata.into_owned());
        }
        Ok(head)
    }

    /// Returns what an answer comes to; one that is broken counts as a refusal.
    fn judge(&self, answer: &Message) -> Result<Outcome, Refusal> {
        if matches!(self.question, Question::Method(_)) {
            return Ok(if self.accepted.codes.contains(&0) {
                Outcome::Success
            } else {
                Outcome::failure("the method answered OK, which _STATUS does not list")
            });
        }
        let status = answer.status().map_err(Refusal::unknown)?;
        if self.accepted.statuses.contains(&status) {
            return Ok(Outcome::Success);
        }
        let name = usize::try_from(status).ok().and_then(|number| STATUSES.get(number));
        let name = name.map_or_else(|| status.to_string(), |&name| name.to_owned());
        Ok(Outcome::failure(format!("service unhealthy (responded with {name:?})")))
    }

    fn refused(&self, refusal: &Refusal) -> Outcome {
        if self.accepted.codes.contains(&refusal.code) {
            return Outcome::Success;
        }
        Outcome::failure(self.refusal(refusal))
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        let Refusal { code, message } = refusal;
        match (*code, &self.question) {
            (Refusal::UNIMPLEMENTED, Question::Health { .. }) => format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
            ),
            (Refusal::NOT_FOUND, Question::Health { service }) if !service.is_empty() => {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                format!("the server knows no service {service:?} (code = NotFound){said}")
            }
            (code, question) => {
                let name =
                    CODES.get(usize::from(code)).map_or_else(|| code.to_string(), |&name| name.to_owned());
                let what = match question {
                    Question::Health { .. } => "health rpc probe",
                    Question::Method(method) => method,
                };
                format!("error: {what} failed: rpc error: code = {name} desc = {message}")
            }
        }
    }
}

impl Attempt for Grpc {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.ask(stage).await.unwrap_or_else(Outcome::failure)
    }

    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        let reason = if stage.has_reached(Progress::Greeted) {
            format!("timeout: health rpc did not complete within {timeout:?}")
        } else {
            format!("timeout: failed to connect service {:?} within {timeout:?}", self.dial.host())
        };
        Outcome::timeout(reason)
    }

    fn dial(&self) -> Option<&Dial> {
        Some(&self.dial)
    }
}

/// Reads `_METHOD`: the full name of a method.
fn method(name: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte))
    };
    let (service, method) = name.split_once('/').unwrap_or_default();
    let accepted = || "accepted: the full name of a unary method, such as csi.v1.Identity/Probe".to_owned();
    if is_name(service) && is_name(method) { Ok(name.to_owned()) } else { Err(accepted()) }
}

/// Reads `_HTTP_HEADERS`: metadata, without what belongs to the protocol.
fn metadata(value: &str) -> Result<Headers, String> {
    without_own(headers::parse(value)?)
}

fn metadata_bytes(value: &[u8]) -> Result<Headers, String> {
    without_own(headers::parse_bytes(value)?)
}

fn without_own(metadata: Headers) -> Result<Headers, String> {
    let is_own = |name: &HeaderName| {
        name.as_str().starts_with("grpc-") || [CONTENT_TYPE, TE, CONNECTION, HOST].contains(name)
    };
    match metadata.iter().find(|(name, _)| is_own(name)) {
        Some((name, _)) => Err(format!("{name} belongs to the protocol and cannot be set")),
        None => Ok(metadata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_has_its_full_name_and_metadata_is_not_the_protocols() {
        assert_eq!(method("csi.v1.Identity/Probe").as_deref(), Ok("csi.v1.Identity/Probe"));
        for wrong in ["", "GET", "/x", "a/", "a/b/c", "a b/c"] {
            assert!(method(wrong).is_err(), "{wrong}");
        }
        assert_eq!(metadata("Authorization: Bearer x\nX-A: b").map(|all| all.len()), Ok(2));
        for wrong in ["grpc-timeout: 1S", "Content-Type: text/html", "TE: x", "x"] {
            assert!(metadata(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn refusals_read_as_in_the_kubelet_or_say_more() {
        let text = |service: &str, code, message: &str| {
            let spec = format!("grpc://:1/{service}");
            let Ok(crate::grammar::Kind::Grpc(remote)) =
                crate::grammar::TargetSpec::read(&spec).map(|spec| spec.kind)
            else {
                panic!("a grpc target");
            };
            let grpc = Grpc::new(&remote, &mut OptionReader::new("LIVENESS_A", options::Options::default()));
            grpc.refusal(&Refusal { code, message: message.to_owned() })
        };
        let rpc = "error: health rpc probe failed: rpc error: code =";
        for (service, code, message, expected) in [
            ("my.Service", 5, "unknown service", "the server knows no service \"my.Service\" (code = NotFound): unknown service".to_owned()),
            ("my.Service", 5, "", "the server knows no service \"my.Service\" (code = NotFound)".to_owned()),
            ("", 5, "gone", format!("{rpc} NotFound desc = gone")),
            ("", 12, "unknown service grpc.health.v1.Health", "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health".to_owned()),
            ("", 99, "x", format!("{rpc} 99 desc = x")),
        ] {
            assert_eq!(text(service, code, message), expected);
        }
    }
}
