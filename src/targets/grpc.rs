//! `grpc://` and `grpcs://`: the standard health protocol (`grpc.health.v1`), in the kubelet's words
//! (`pkg/probe/grpc/grpc.go`).

mod call;
mod message;

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};

use super::dial::{Dial, Tls};
use super::{AGENT, Attempt, LocalPort, Stage};
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

    async fn ask(&self, stage: &Stage) -> Result<Outcome, String> {
        let unconnected =
            |reason| format!("error: failed to connect service at {:?}: {reason}", self.dial.host());
        let stream = self.dial.open().await.map_err(unconnected)?;
        stage.connected();
        let failed = |reason| format!("error: health rpc probe failed: {reason}");
        let message = Bytes::from(message::request(&self.service));
        let reply = call(stream, self.head().map_err(failed)?, message).await.map_err(failed)?;
        Ok(reply.map_or_else(|refusal| Outcome::failure(refused(&refusal)), |status| self.judge(status)))
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
}

impl Attempt for Grpc {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        self.ask(stage).await.unwrap_or_else(Outcome::failure)
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        if stage.is_connected() {
            format!("timeout: health rpc did not complete within {timeout:?}")
        } else {
            format!("timeout: failed to connect service {:?} within {timeout:?}", self.dial.host())
        }
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

fn refused(refusal: &Refusal) -> String {
    let Refusal { code, message } = refusal;
    if *code == Refusal::UNIMPLEMENTED {
        return format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        );
    }
    let name = CODES.get(usize::from(*code)).map_or_else(|| code.to_string(), |&name| name.to_owned());
    format!("error: health rpc probe failed: rpc error: code = {name} desc = {message}")
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
    fn refusals_read_as_in_the_kubelet() {
        let text = |code, message: &str| refused(&Refusal { code, message: message.to_owned() });
        assert_eq!(
            text(5, "unknown service"),
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
        );
        assert_eq!(
            text(12, "unknown service grpc.health.v1.Health"),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): \
             unknown service grpc.health.v1.Health"
        );
        assert_eq!(text(99, "x"), "error: health rpc probe failed: rpc error: code = 99 desc = x");
    }
}
