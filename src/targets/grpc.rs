//! `grpc://` and `grpcs://`: the standard health protocol (`grpc.health.v1`), in the kubelet's words
//! (`pkg/probe/grpc/grpc.go`).

mod call;
mod message;

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};

use super::dial::{Dial, Tls};
use super::{AGENT, Attempt, LocalPort, Progress, Stage};
use crate::blocking::Place;
use crate::grammar::remote::Remote;
use crate::grammar::url::Scheme;
use crate::grammar::{Given, options};
use crate::outcome::Outcome;

use call::{Refusal, call};

/// `HealthCheckResponse.ServingStatus`, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// The codes of gRPC, by number, as Go writes them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A service of a gRPC server.
#[derive(Debug)]
pub struct Grpc {
    dial: Dial,
    /// Empty for the server as a whole.
    service: String,
    accepted: Vec<u64>,
}

impl Grpc {
    /// Takes `_STATUS`, and the options of TLS for [`Scheme::Https`].
    pub fn new(remote: &Remote, given: &mut Given) -> Self {
        let tls = (remote.scheme == Scheme::Https).then(|| Tls::parse(given, Some("h2")));
        let accepted = given.take(options::STATUS, statuses).unwrap_or_else(|| vec![SERVING]);
        Self { dial: Dial::new(remote, tls, given), service: remote.service().to_owned(), accepted }
    }

    async fn ask(&self, stage: &Stage<'_>) -> Result<Outcome, String> {
        let unconnected =
            |reason| format!("error: failed to connect service at {:?}: {reason}", self.dial.host());
        let stream = self.dial.open(stage).await.map_err(unconnected)?;
        let failed = |reason| format!("error: health rpc probe failed: {reason}");
        let message = Bytes::from(message::request(&self.service));
        let reply = call(stream, self.head().map_err(failed)?, message).await.map_err(failed)?;
        Ok(reply.map_or_else(|refusal| Outcome::failure(self.refused(&refusal)), |status| self.judge(status)))
    }

    fn head(&self) -> Result<Request<()>, String> {
        let scheme = if self.dial.is_tls() { Scheme::Https } else { Scheme::Http }.as_str();
        let uri = format!("{scheme}://{}/grpc.health.v1.Health/Check", self.dial.host());
        let head = Request::post(uri)
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .header(USER_AGENT, AGENT);
        head.body(()).map_err(|error| error.to_string())
    }

    fn judge(&self, status: u64) -> Outcome {
        if self.accepted.contains(&status) {
            return Outcome::Success;
        }
        let name = usize::try_from(status).ok().and_then(|number| STATUSES.get(number));
        let name = name.map_or_else(|| status.to_string(), |&name| name.to_owned());
        Outcome::failure(format!("service unhealthy (responded with {name:?})"))
    }

    fn refused(&self, refusal: &Refusal) -> String {
        let Refusal { code, message } = refusal;
        match *code {
            Refusal::UNIMPLEMENTED => format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
            ),
            Refusal::NOT_FOUND if !self.service.is_empty() => {
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                format!("the server knows no service {:?} (code = NotFound){said}", self.service)
            }
            code => {
                let name =
                    CODES.get(usize::from(code)).map_or_else(|| code.to_string(), |&name| name.to_owned());
                format!("error: health rpc probe failed: rpc error: code = {name} desc = {message}")
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

    fn local_port(&self) -> Option<LocalPort> {
        self.dial.local_port()
    }

    fn certificate_expiry(&self) -> Option<i64> {
        self.dial.certificate_expiry()
    }

    fn place(&self) -> Option<&Place> {
        Some(self.dial.place())
    }
}

/// `_STATUS`: a list of serving statuses.
fn statuses(list: &str) -> Result<Vec<u64>, String> {
    let number =
        |name: &str| (0..).zip(STATUSES).find(|(_, status)| *status == name).map(|(number, _)| number);
    let numbers: Option<Vec<u64>> = list.split(',').map(|name| number(name.trim())).collect();
    numbers.ok_or_else(|| format!("accepted: a list of {}, such as SERVING,NOT_SERVING", STATUSES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_statuses_are_a_list_of_names() {
        assert_eq!(statuses("SERVING, NOT_SERVING"), Ok(vec![1, 2]));
        for wrong in ["", "serving", "SERVING,", "1"] {
            assert!(statuses(wrong).is_err(), "{wrong}");
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
            let grpc = Grpc::new(&remote, &mut Given::new("LIVENESS_A", options::Options::default()));
            grpc.refused(&Refusal { code, message: message.to_owned() })
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
