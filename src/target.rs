//! What a check tries: one variant and one file for each kind of target.

mod exec;
mod http;
mod net;
mod tcp;
mod url;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::options::Given;
use crate::outcome::Outcome;

use exec::Exec;
use http::Http;
use tcp::Tcp;

/// Something that a check can try once: a real target, or a scripted one in tests.
pub trait Attempt: Send + Sync {
    /// Tries once. The caller drops the future at the timeout, so whatever it holds must clean up on drop.
    fn attempt(&self, stage: &Stage) -> impl Future<Output = Outcome> + Send;

    /// The reason of a run that was at `stage` when `timeout` had passed.
    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String;

    /// The port of this pod's loopback on which the target has to listen, if it is of that kind.
    fn loopback_port(&self) -> Option<u16> {
        None
    }
}

/// How far a run has come, for the reason of a timeout.
#[derive(Debug, Default)]
pub struct Stage(AtomicU8);

impl Stage {
    const CONNECTED: u8 = 1;

    /// Notes that the connection stands.
    pub fn connected(&self) {
        self.0.store(Self::CONNECTED, Ordering::Relaxed);
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::CONNECTED
    }
}

/// A configured target.
#[derive(Debug)]
pub enum Target {
    /// `http://`
    Http(Http),
    /// `tcp://`
    Tcp(Tcp),
    /// `exec:`
    Exec(Exec),
}

impl Target {
    /// How every target begins and what it is called, in the contract's order.
    const FORMS: [(&str, &str); 9] = [
        ("http://", "an http target"),
        ("https://", "an https target"),
        ("http+unix://", "an http+unix target"),
        ("tcp://", "a tcp target"),
        ("unix:", "a unix target"),
        ("grpc://", "a grpc target"),
        ("grpcs://", "a grpcs target"),
        ("exec:", "an exec target"),
        ("file:", "a file target"),
    ];

    /// What kind of target `value` means to be, if it begins like one.
    pub fn kind(value: &str) -> Option<&'static str> {
        Self::FORMS.iter().find(|(form, _)| value.starts_with(form)).map(|(_, kind)| *kind)
    }

    /// The accepted forms, for errors.
    pub fn accepted() -> String {
        Self::FORMS.map(|(form, _)| format!("{form}…")).join(", ")
    }

    /// Reads a target and the options that it understands.
    ///
    /// # Errors
    /// What would be accepted instead.
    pub fn parse(value: &str, given: &mut Given) -> Result<Self, String> {
        let form = Self::FORMS.into_iter().find(|(form, _)| value.starts_with(form));
        match form.map(|(form, _)| (form, &value[form.len()..])) {
            Some(("http://", rest)) => Http::parse(rest, given).map(Self::Http),
            Some(("tcp://", rest)) => Tcp::parse(rest, given).map(Self::Tcp),
            Some(("exec:", rest)) => Exec::parse(rest).map(Self::Exec),
            Some((form, _)) => Err(format!("{form} targets are not supported by this version")),
            None => Err(format!("not a target; accepted: {}", Self::accepted())),
        }
    }

    /// The target as it may be shown to anybody: without a secret.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(http) => http.shown(),
            Self::Tcp(tcp) => tcp.shown(),
            Self::Exec(exec) => exec.shown(),
        }
    }
}

impl Attempt for Target {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        match self {
            Self::Http(http) => http.attempt(stage).await,
            Self::Tcp(tcp) => tcp.attempt(stage).await,
            Self::Exec(exec) => exec.attempt(stage).await,
        }
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        match self {
            Self::Http(http) => http.timed_out(stage, timeout),
            Self::Tcp(tcp) => tcp.timed_out(stage, timeout),
            Self::Exec(exec) => exec.timed_out(stage, timeout),
        }
    }

    fn loopback_port(&self) -> Option<u16> {
        match self {
            Self::Http(http) => http.loopback_port(),
            Self::Tcp(tcp) => tcp.loopback_port(),
            Self::Exec(exec) => exec.loopback_port(),
        }
    }
}
