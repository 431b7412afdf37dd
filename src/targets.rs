//! The targets of checks: one file for each kind.

mod content;
mod database;
pub(crate) mod dial;
mod dialogue;
pub mod enter;
mod exec;
mod file;
mod grpc;
mod headers;
pub(crate) mod http;
mod http2;
mod listen;
mod notify;
mod pattern;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod reason;
mod room;
mod running;
mod small_file;
mod source;
mod stage;

use std::time::Duration;

use crate::blocking::Place;
pub use crate::grammar::url::LocalPort;
use crate::grammar::{Kind, OptionReader, TargetSpec};
use crate::life::Incarnation;
use crate::outcome::Outcome;
use crate::witness::{Listeners, Sight, Witness, is_of_this_pod};

use database::{Database, Protocol};
use dial::Dial;
use dialogue::Dialogue;
use exec::Exec;
use file::File;
use grpc::Grpc;
use http::Http;
use listen::Listen;
use notify::Notify;
use place::Inside;
use running::Running;

pub use stage::{MAX_SAID_BYTES, Progress, Stage};

/// The name of our requests: apps and meshes treat `kube-probe/` specially, so it comes first.
const PROBE_AGENT: &str = concat!("kube-probe/1.36 health-proxy/", env!("CARGO_PKG_VERSION"));

/// Something that a check can try once: a real target, or a scripted one in tests.
pub trait Attempt: Send + Sync {
    /// Tries once. The caller drops the future at the timeout, so whatever it holds must clean up on drop.
    fn attempt(&self, stage: &Stage<'_>) -> impl Future<Output = Outcome> + Send;

    /// Returns what a run comes to that was at `stage` when `timeout` had passed.
    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome;

    /// Notices a life of its container, before the first attempt in it.
    fn begin(&self, _: Incarnation) {}

    /// Completes when an attempt would come to something else than the last one; never where only an attempt can tell.
    fn news(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Returns how the target connects, if it does.
    fn dial(&self) -> Option<&Dial> {
        None
    }

    /// Returns where a socket listens that may be a witness of the target's container, if the target has such a place.
    fn local_port(&self) -> Option<LocalPort> {
        self.dial()?.local_port()
    }

    /// Looks for the witness of the target's container: its process, or who listens on its port.
    fn sight(&self, listeners: &Listeners) -> Sight {
        match (self.inside(), self.local_port()) {
            (Some(inside), _) => {
                inside.process().map_or(Sight::Missing, |process| Sight::There(Witness::Process(process)))
            }
            (None, Some(place)) if place.address.is_none_or(is_of_this_pod) => listeners.on(place.port),
            (None, _) => Sight::Unwitnessed,
        }
    }

    /// Returns the container that the target looks or runs in, where that is not the sidecar.
    fn inside(&self) -> Option<&Inside> {
        self.dial()?.inside()
    }

    /// Returns where the target makes its calls that may hang, if it has any.
    fn place(&self) -> Option<&Place> {
        self.dial().map(Dial::place)
    }

    /// Returns when the first certificate of the chain ends that a TLS target presented last, in seconds since 1970;
    /// 0 before the first, `None` for all other targets.
    fn certificate_expiry(&self) -> Option<i64> {
        self.dial()?.certificate_expiry()
    }
}

/// Makes the enum of all kinds, each of them in a box, so that a check takes what its own kind needs.
macro_rules! kinds {
    ($($kind:ident $meaning:literal,)*) => {
        /// A configured target.
        #[derive(Debug)]
        pub enum Target {
            $(#[doc = $meaning] $kind(Box<$kind>),)*
        }

        $(impl From<$kind> for Target {
            fn from(target: $kind) -> Self {
                Self::$kind(Box::new(target))
            }
        })*

        /// Evaluates an expression for the target of whatever kind it is.
        macro_rules! of_kind {
            ($target:expr, $name:ident => $use:expr) => {
                match $target { $(Target::$kind($name) => $use,)* }
            };
        }
    };
}

kinds! {
    Http "`http://`, `https://` and `http+unix://`",
    Dialogue "`tcp://`, `tls://` and `unix:`",
    Grpc "`grpc://`, `grpcs://` and `grpc+unix://`",
    Database "`postgres://`, `mysql://` and `redis://`",
    Listen "`listen://`",
    Running "`process:`",
    Exec "`exec:`",
    File "`file:`",
    Notify "`notify:`",
}

impl Target {
    /// Makes a target of its data and the options that it understands.
    ///
    /// # Errors
    /// The targets that would be accepted instead.
    pub fn new(spec: &TargetSpec, reader: &mut OptionReader) -> Result<Self, String> {
        Ok(match &spec.kind {
            Kind::Http(remote) => Http::new(remote, reader)?.into(),
            Kind::Tcp(remote) => Dialogue::tcp(remote, reader).into(),
            Kind::Unix(path) => Dialogue::unix(path, reader).into(),
            Kind::Grpc(remote) => Grpc::new(remote, reader).into(),
            Kind::Postgres(remote) => Database::new(Protocol::Postgres, remote, reader)?.into(),
            Kind::Mysql(remote) => Database::new(Protocol::Mysql, remote, reader)?.into(),
            Kind::Redis(remote) => Database::new(Protocol::Redis, remote, reader)?.into(),
            Kind::Listen(port) => Listen::new(*port, reader).into(),
            Kind::Process(name) => Running::new(name).into(),
            Kind::Exec(command) => Exec::new(command, reader).into(),
            Kind::File(path) => File::new(path, reader).into(),
            Kind::Notify(path) => Notify::new(path, reader).into(),
        })
    }
}

impl Attempt for Target {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        of_kind!(self, target => target.attempt(stage).await)
    }

    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        match self.place().and_then(Place::waits_for) {
            Some(silence) => Outcome::timeout(format!("timeout: {silence} within {timeout:?}")),
            None => of_kind!(self, target => target.timed_out(stage, timeout)),
        }
    }

    fn begin(&self, incarnation: Incarnation) {
        of_kind!(self, target => target.begin(incarnation));
    }

    async fn news(&self) {
        of_kind!(self, target => target.news().await);
    }

    fn dial(&self) -> Option<&Dial> {
        of_kind!(self, target => target.dial())
    }

    fn place(&self) -> Option<&Place> {
        of_kind!(self, target => target.place())
    }

    fn certificate_expiry(&self) -> Option<i64> {
        of_kind!(self, target => target.certificate_expiry())
    }

    fn local_port(&self) -> Option<LocalPort> {
        of_kind!(self, target => target.local_port())
    }

    fn sight(&self, listeners: &Listeners) -> Sight {
        of_kind!(self, target => target.sight(listeners))
    }

    fn inside(&self) -> Option<&Inside> {
        of_kind!(self, target => target.inside())
    }
}
