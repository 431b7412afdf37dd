//! What a check tries: one variant and one file for each kind of target.

mod connection;
pub mod enter;
mod exec;
mod file;
mod grpc;
pub mod http;
pub mod net;
mod pattern;
pub mod place;
pub mod process;
mod tcp;
mod tls;
mod unix;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

pub use crate::grammar::url::LocalPort;
use crate::grammar::{Given, Kind, TargetSpec};
use crate::outcome::Outcome;

use exec::Exec;
use file::FileTarget;
use grpc::Grpc;
use http::Http;
use place::Inside;
use tcp::Tcp;
use unix::Unix;

/// Something that a check can try once: a real target, or a scripted one in tests.
pub trait Attempt: Send + Sync {
    /// Tries once. The caller drops the future at the timeout, so whatever it holds must clean up on drop.
    fn attempt(&self, stage: &Stage) -> impl Future<Output = Outcome> + Send;

    /// The reason of a run that was at `stage` when `timeout` had passed.
    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String;

    /// Where a socket listens that may be a witness of the target's container, if the target has such a place.
    fn local_port(&self) -> Option<LocalPort> {
        None
    }

    /// The container that the target looks or runs in, where that is not the sidecar.
    fn inside(&self) -> Option<&Inside> {
        None
    }

    /// When the first certificate of the chain ends that a TLS target presented last, in seconds since 1970;
    /// 0 before the first, `None` for all other targets.
    fn certificate_expiry(&self) -> Option<i64> {
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

/// A configured target, in a box, so that each takes what its own kind needs.
#[derive(Debug)]
pub enum Target {
    /// `http://`, `https://` and `http+unix://`
    Http(Box<Http>),
    /// `tcp://`
    Tcp(Box<Tcp>),
    /// `unix:`
    Unix(Box<Unix>),
    /// `grpc://` and `grpcs://`
    Grpc(Box<Grpc>),
    /// `exec:`
    Exec(Box<Exec>),
    /// `file:`
    File(Box<FileTarget>),
}

impl Target {
    /// Makes a target of its data and the options that it understands.
    ///
    /// # Errors
    /// What would be accepted instead.
    pub fn new(spec: &TargetSpec, given: &mut Given) -> Result<Self, String> {
        Ok(match &spec.kind {
            Kind::Http(remote) => Self::Http(Box::new(Http::new(remote, given)?)),
            Kind::Tcp(remote) => Self::Tcp(Box::new(Tcp::new(remote, given))),
            Kind::Unix(path) => Self::Unix(Box::new(Unix::new(path, given))),
            Kind::Grpc(remote) => Self::Grpc(Box::new(Grpc::new(remote, given))),
            Kind::Exec(command) => Self::Exec(Box::new(Exec::new(command, given))),
            Kind::File(path) => Self::File(Box::new(FileTarget::new(path, given))),
        })
    }
}

impl Attempt for Target {
    async fn attempt(&self, stage: &Stage) -> Outcome {
        match self {
            Self::Http(http) => http.attempt(stage).await,
            Self::Tcp(tcp) => tcp.attempt(stage).await,
            Self::Unix(unix) => unix.attempt(stage).await,
            Self::Grpc(grpc) => grpc.attempt(stage).await,
            Self::Exec(exec) => exec.attempt(stage).await,
            Self::File(file) => file.attempt(stage).await,
        }
    }

    fn timed_out(&self, stage: &Stage, timeout: Duration) -> String {
        match self {
            Self::Http(http) => http.timed_out(stage, timeout),
            Self::Tcp(tcp) => tcp.timed_out(stage, timeout),
            Self::Unix(unix) => unix.timed_out(stage, timeout),
            Self::Grpc(grpc) => grpc.timed_out(stage, timeout),
            Self::Exec(exec) => exec.timed_out(stage, timeout),
            Self::File(file) => file.timed_out(stage, timeout),
        }
    }

    fn certificate_expiry(&self) -> Option<i64> {
        match self {
            Self::Http(http) => http.certificate_expiry(),
            Self::Grpc(grpc) => grpc.certificate_expiry(),
            Self::Tcp(_) | Self::Unix(_) | Self::Exec(_) | Self::File(_) => None,
        }
    }

    fn local_port(&self) -> Option<LocalPort> {
        match self {
            Self::Http(http) => http.local_port(),
            Self::Tcp(tcp) => tcp.local_port(),
            Self::Grpc(grpc) => grpc.local_port(),
            Self::Unix(_) | Self::Exec(_) | Self::File(_) => None,
        }
    }

    fn inside(&self) -> Option<&Inside> {
        match self {
            Self::Http(http) => http.inside(),
            Self::Unix(unix) => unix.inside(),
            Self::Exec(exec) => exec.inside(),
            Self::File(file) => file.inside(),
            Self::Tcp(_) | Self::Grpc(_) => None,
        }
    }
}
