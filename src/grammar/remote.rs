//! Targets that are asked over a connection: `[USER:PASS@]HOST:PORT[/PATH]`, or a unix socket in place of the host.

use std::fmt;

use super::path::Path;
use super::url::{Authority, Scheme, Url, percent_decoded};

/// Whom to ask, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// `USER:PASS`.
    pub user: Option<User>,
    /// Its address.
    pub at: At,
    /// The rest, the slash included: the path and the query, or a service.
    pub path: String,
}

/// `USER:PASS` with the escapes of a URL; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct User(pub String);

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user and a password without the escapes of a URL.
pub struct Login {
    /// May be empty.
    pub user: Vec<u8>,
    /// The text after the first colon.
    pub password: Option<Vec<u8>>,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A host and its port.
    Host(Authority),
    /// A unix socket.
    Socket(Path),
}

impl Remote {
    /// Reads what follows `http://` or `https://`.
    pub(super) fn http(scheme: Scheme, rest: &str) -> Result<Self, String> {
        let (user, rest) = split_user(rest);
        let Url { authority, path_and_query, .. } = Url::parse(scheme, rest, None)?;
        Ok(Self { scheme, user, at: At::Host(authority), path: path_and_query })
    }

    /// Reads what follows `http+unix://`: the socket's path with `%2F` for `/`, and the path to ask for.
    pub(super) fn http_unix(rest: &str) -> Result<Self, String> {
        let (user, rest) = split_user(rest);
        let (socket, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let Url { path_and_query, .. } = Url::parse(Scheme::Http, &format!(":80{path}"), None)?;
        Ok(Self { scheme: Scheme::Http, user, at: At::encoded_socket(socket)?, path: path_and_query })
    }

    /// Reads `HOST:PORT`, where TLS is spoken for [`Scheme::Https`].
    pub(super) fn port(scheme: Scheme, rest: &str) -> Result<Self, String> {
        let at = At::Host(Authority::parse(rest, None)?);
        Ok(Self { scheme, user: None, at, path: String::new() })
    }

    /// Reads what follows `redis://`: a user and a password may stand before the host.
    pub(super) fn session(rest: &str) -> Result<Self, String> {
        let (user, rest) = split_user(rest);
        Ok(Self { user, ..Self::port(Scheme::Http, rest.strip_suffix('/').unwrap_or(rest))? })
    }

    /// Reads what follows `grpc://`, or `grpcs://` for [`Scheme::Https`].
    pub(super) fn grpc(scheme: Scheme, rest: &str) -> Result<Self, String> {
        let (authority, path) = split_service(rest);
        Ok(Self { scheme, user: None, at: At::Host(Authority::parse(authority, None)?), path })
    }

    /// Reads what follows `grpc+unix://`: the socket's path with `%2F` for `/`, and a service.
    pub(super) fn grpc_unix(rest: &str) -> Result<Self, String> {
        let (socket, path) = split_service(rest);
        Ok(Self { scheme: Scheme::Http, user: None, at: At::encoded_socket(socket)?, path })
    }

    /// Returns the host and the port; for a unix socket, what stands for them in a request.
    pub fn authority(&self) -> Authority {
        match &self.at {
            At::Host(authority) => authority.clone(),
            At::Socket(_) => Authority { host: "localhost".to_owned(), address: None, port: 80 },
        }
    }

    /// Returns what an HTTP client asks for.
    pub fn url(&self) -> Url {
        Url { scheme: self.scheme, authority: self.authority(), path_and_query: self.path.clone() }
    }

    /// Returns who is to log in.
    ///
    /// # Errors
    /// A broken escape.
    pub fn login(&self) -> Result<Option<Login>, String> {
        let Some(User(user)) = &self.user else { return Ok(None) };
        let decoded = |part: &str| {
            percent_decoded(part).ok_or_else(|| "the user or the password has a broken %-escape".to_owned())
        };
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (user.as_str(), None),
        };
        Ok(Some(Login { user: decoded(user)?, password }))
    }

    /// Returns the path without its slash, as gRPC's services are called.
    pub fn service(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }
}

impl At {
    /// Reads the path of a socket with `%2F` for `/`.
    fn encoded_socket(socket: &str) -> Result<Self, String> {
        if socket.is_empty() {
            return Err(
                "accepted: the socket's path with %2F for each /, such as %2Frun%2Fapp.sock".to_owned()
            );
        }
        let path = percent_decoded(socket).and_then(|bytes| String::from_utf8(bytes).ok());
        let path = path.ok_or("the socket's path has a broken %-escape")?;
        Path::socket(&path).map(Self::Socket)
    }

    pub(super) fn written(&self) -> String {
        match self {
            Self::Host(authority) if authority.host.is_empty() => format!(":{}", authority.port),
            Self::Host(_) | Self::Socket(_) => self.shown(),
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Host(authority) => authority.shown(),
            Self::Socket(path) => percent_encoded(&path.0),
        }
    }
}

/// Separates `USER:PASS@` from what follows.
fn split_user(rest: &str) -> (Option<User>, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => (Some(User(rest[..at].to_owned())), &rest[at + 1..]),
        None => (None, rest),
    }
}

/// Separates the place from the service, which keeps its slash where there is one.
fn split_service(rest: &str) -> (&str, String) {
    let (place, service) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if service.is_empty() { "" } else { "/" };
    (place, format!("{slash}{service}"))
}

/// Returns a text in which only unreserved signs are not %-encoded (RFC 3986, section 2.3).
pub(super) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}
