//! Targets as text: one row for each form, one variant for each kind.
//!
//! A row names the form's beginning, what errors call it, a target that is right, and the function that reads what
//! follows the beginning. The kind's data is one of the shapes of `remote`, `path` and `command`, which write
//! themselves as they are read.

use std::fmt;

use super::command::Command;
use super::local::{Name, Port};
use super::path::Path;
use super::references::{self, Variables};
use super::remote::Remote;
use super::secrets::Secrets;
use super::url::Scheme;
use crate::tracker::Thresholds;

/// Data of a target that is written as it is read.
trait Shape {
    /// Returns what follows the form's beginning.
    fn written(&self) -> String;

    /// Returns the target as anybody may see it: without a secret, and with the host that an empty one means.
    fn redacted(&self) -> String {
        self.written()
    }
}

/// The beginning of a target.
#[derive(Debug)]
pub struct Form {
    /// The beginning itself.
    pub prefix: &'static str,
    /// The name of such a target in errors.
    pub title: &'static str,
    /// An example of the text after the beginning.
    example: &'static str,
    read: fn(&str) -> Result<Kind, String>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($shape:ty) { $(($prefix:expr, $title:literal, $example:literal, $read:expr))+ })+) => {
        /// A target as data.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind($shape),)+
        }

        impl Kind {
            fn shape(&self) -> &dyn Shape {
                match self {
                    $(Self::$kind(shape) => shape,)+
                }
            }
        }

        /// Every form, in the contract's order.
        const FORMS: &[Form] = &[$($(Form {
            prefix: $prefix,
            title: $title,
            example: $example,
            read: |rest| ($read)(rest).map(Kind::$kind),
        },)+)+];
    };
}

kinds! {
    /// An HTTP request.
    Http(Remote) {
        ("http://", "an http target", ":80/", |rest| Remote::http(Scheme::Http, rest))
        ("https://", "an https target", ":443/", |rest| Remote::http(Scheme::Https, rest))
        ("http+unix://", "an http+unix target", "%2Fapp.sock/", Remote::http_unix)
    }
    /// A TCP port.
    Tcp(Remote) {
        ("tcp://", "a tcp target", ":1", |rest| Remote::port(Scheme::Http, rest))
        ("tls://", "a tls target", ":1", |rest| Remote::port(Scheme::Https, rest))
    }
    /// A unix socket.
    Unix(Path) {
        ("unix:", "a unix target", "/app.sock", Path::socket)
    }
    /// A service of a gRPC server.
    Grpc(Remote) {
        ("grpc://", "a grpc target", ":1", |rest| Remote::grpc(Scheme::Http, rest))
        ("grpcs://", "a grpcs target", ":1", |rest| Remote::grpc(Scheme::Https, rest))
        ("grpc+unix://", "a grpc+unix target", "%2Fapp.sock", Remote::grpc_unix)
    }
    /// A `PostgreSQL` server.
    Postgres(Remote) {
        ("postgres://", "a postgres target", ":5432", Remote::session)
    }
    /// A `MySQL` or `MariaDB` server.
    Mysql(Remote) {
        ("mysql://", "a mysql target", ":3306", |rest| Remote::port(Scheme::Http, rest))
    }
    /// A Redis or Valkey server.
    Redis(Remote) {
        ("redis://", "a redis target", ":6379", Remote::session)
    }
    /// A port of this pod that is looked at.
    Listen(Port) {
        ("listen://", "a listen target", ":1", Port::read)
    }
    /// A process.
    Process(Name) {
        ("process:", "a process target", "app", Name::read)
    }
    /// A command.
    Exec(Command) {
        (Command::PREFIX, "an exec target", "true", Command::read)
    }
    /// A file.
    File(Path) {
        ("file:", "a file target", "/ready", Path::file)
    }
    /// The socket for what the app itself says.
    Notify(Path) {
        ("notify:", "a notify target", "/app.sock", Path::own_socket)
    }
}

/// A target as the user means it.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// Its beginning.
    pub form: &'static Form,
    /// The rest, with what it refers to.
    pub kind: Kind,
    /// The whole as it was written, where it refers to other variables.
    referring: Option<String>,
    /// The values of those.
    secrets: Secrets,
}

impl TargetSpec {
    /// Reads a target that refers to no variable.
    ///
    /// # Errors
    /// The targets that would be accepted instead.
    pub fn read(value: &str) -> Result<Self, String> {
        Self::read_referring(value, &Variables::default())
    }

    /// Reads a target that may refer to `variables`.
    ///
    /// # Errors
    /// The targets that would be accepted instead.
    pub fn read_referring(value: &str, variables: &Variables) -> Result<Self, String> {
        let form = Self::form_of(value).ok_or_else(|| format!("not a target; accepted: {}", accepted()))?;
        let rest = &value[form.prefix.len()..];
        if form.prefix.ends_with("://") && rest.ends_with(|last: char| last.is_ascii_whitespace()) {
            return Err("a space or a line break at the end; accepted: the same without it".to_owned());
        }
        let mut resolver = variables.resolver();
        let kind = match form.prefix.strip_suffix("://") {
            Some(scheme) => (form.read)(&resolver.resolve_url(rest, scheme.ends_with("+unix"))?),
            // A command is taken apart before anything is put in, so that a value stays one word.
            None if form.prefix == Command::PREFIX => (form.read)(rest).and_then(|kind| match kind {
                Kind::Exec(command) => command.resolved(&mut resolver).map(Kind::Exec),
                other => Ok(other),
            }),
            None => (form.read)(&resolver.resolve(rest)?),
        };
        let referring = references::is_in(rest).then(|| value.to_owned());
        let kind = kind.map_err(|error| resolver.hidden(error))?;
        Ok(Self { form, kind, referring, secrets: resolver.into_secrets() })
    }

    /// Returns how `value` begins, if it begins like a target.
    pub fn form_of(value: &str) -> Option<&'static Form> {
        FORMS.iter().find(|form| value.starts_with(form.prefix))
    }

    /// Returns a right target that begins as `value` does.
    pub(super) fn stand_in(value: &str) -> Option<Self> {
        let form = Self::form_of(value)?;
        Some(Self {
            form,
            kind: (form.read)(form.example).ok()?,
            referring: None,
            secrets: Secrets::default(),
        })
    }

    /// Returns whether the app is asked, rather than says by itself how it is.
    pub const fn is_asked(&self) -> bool {
        !matches!(self.kind, Kind::Notify(_))
    }

    /// Returns how often results have to agree by default: what an app says itself holds at once.
    pub const fn thresholds(&self, of_probe: Thresholds) -> Thresholds {
        if self.is_asked() { of_probe } else { Thresholds { success: 1, failure: 1 } }
    }

    /// Returns whether it refers to other variables.
    pub const fn refers(&self) -> bool {
        self.referring.is_some()
    }

    /// Returns the values that references brought.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Returns the target as anybody may see it: without a secret, and with references as they were written.
    pub fn redacted(&self) -> String {
        match &self.referring {
            Some(written) => without_credentials(written),
            None => format!("{}{}", self.form.prefix, references::escaped(&self.kind.shape().redacted())),
        }
    }
}

impl PartialEq for TargetSpec {
    fn eq(&self, other: &Self) -> bool {
        let parts = |spec: &Self| (spec.form.prefix, spec.referring.clone());
        parts(self) == parts(other) && self.kind == other.kind
    }
}

impl Eq for TargetSpec {}

impl fmt::Display for TargetSpec {
    /// Writes the target as a variable's value, secrets included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.referring {
            Some(written) => f.write_str(written),
            None => {
                write!(f, "{}{}", self.form.prefix, references::escaped(&self.kind.shape().written()))
            }
        }
    }
}

/// Returns the accepted forms, for errors.
pub fn accepted() -> String {
    let forms: Vec<_> = FORMS.iter().map(|form| format!("{}…", form.prefix)).collect();
    forms.join(", ")
}

/// Returns a value that may be no target as it may be printed: what stands before an `@` may be a password.
pub fn without_credentials(value: &str) -> String {
    let is_url = !["exec:", "file:", "process:", "unix:"].iter().any(|form| value.starts_with(form));
    match value.rfind('@') {
        Some(at) if is_url => {
            let scheme_end = value[..at].find("://").map_or(0, |start| start + 3);
            format!("{}***{}", &value[..scheme_end], &value[at..])
        }
        _ if is_url => without_password(value),
        _ => value.to_owned(),
    }
}

/// Hides what would be the port, where that is none and stands after a name: it may be a password short of its `@`.
fn without_password(value: &str) -> String {
    let start = value.find("://").map_or(value.len(), |start| start + 3);
    let end = value[start..].find(['/', '?', '#']).map_or(value.len(), |end| start + end);
    match value[start..end].split_once(':') {
        Some((host, port)) if !host.is_empty() && !host.starts_with('[') && port.parse::<u16>().is_err() => {
            format!("{}{host}:***{}", &value[..start], &value[end..])
        }
        _ => value.to_owned(),
    }
}

/// Returns whether a value that is no target was nearly one, and may be shown.
pub(super) fn is_nearly_a_target(value: &str) -> bool {
    let scheme = value.split([':', '/']).next().unwrap_or_default();
    let known = |form: &Form| form.prefix.split(':').next().unwrap_or_default();
    let is_known = FORMS.iter().any(|form| strsim::osa_distance(known(form), scheme) <= 1);
    value.is_empty() || (is_known && value.contains(':') && !value.contains([' ', '\n']))
}

impl Shape for Remote {
    fn written(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{}@", user.0)).unwrap_or_default();
        format!("{user}{}{}", self.at.written(), self.path)
    }

    fn redacted(&self) -> String {
        let user = if self.user.is_some() { "***@" } else { "" };
        format!("{user}{}{}", self.at.shown(), self.path)
    }
}

impl Shape for Path {
    fn written(&self) -> String {
        self.0.clone()
    }
}

impl Shape for Port {
    fn written(&self) -> String {
        format!(":{}", self.0)
    }
}

impl Shape for Name {
    fn written(&self) -> String {
        self.0.clone()
    }
}

impl Shape for Command {
    fn written(&self) -> String {
        self.to_string()
    }
}
