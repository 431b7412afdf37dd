//! The part of a URL that our targets need: strict for what a user writes, lenient for a redirect.

use std::net::IpAddr;

/// The scheme of a connection: plain or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// Returns the scheme's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the scheme of that name, in whatever letters (RFC 3986, section 3.1).
    fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host and a port, the host without brackets; an empty host is `localhost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name or an address.
    pub host: String,
    /// The host where it is an address; read once, since each run of a check connects to it.
    pub address: Option<IpAddr>,
    /// From 1 to 65535.
    pub port: u16,
}

/// The authorities that are accepted.
const AUTHORITY: &str = "accepted: HOST:PORT or :PORT with a port from 1 to 65535, such as :8080";

/// The reason for which a port has no name here.
const PORT_NAME: &str = "a port's name, which only the kubelet can look up in the container that it probes; accepted: \
                         HOST:PORT or :PORT with its number, such as :8080";

/// Returns whether `port` is a name as a container's ports have it (RFC 6335, section 5.1).
fn is_port_name(port: &str) -> bool {
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    port.len() <= 15 && port.bytes().all(is_label) && port.bytes().any(|byte| byte.is_ascii_lowercase())
}

impl Authority {
    /// Reads `HOST:PORT`, `[::1]:PORT`, `::1:PORT` or `:PORT`; without a port, `default_port` is taken.
    ///
    /// # Errors
    /// The authorities that are accepted.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) =
                    rest.split_once(']').filter(|(address, _)| is_ipv6(address)).ok_or(AUTHORITY)?;
                (address, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(AUTHORITY)?) })
            }
            None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        if host.contains(':') && !is_ipv6(host) {
            return Err(AUTHORITY.to_owned());
        }
        if port.is_some_and(is_port_name) {
            return Err(PORT_NAME.to_owned());
        }
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
            None => default_port,
        };
        let port = port.filter(|&port| port != 0).ok_or(AUTHORITY)?;
        let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
        if !is_name {
            return Err(AUTHORITY.to_owned());
        }
        Ok(Self { host: host.to_owned(), address: host.parse().ok(), port })
    }

    /// Returns the port, where the host is loopback or an address: a name is not looked up for it.
    pub fn local_port(&self) -> Option<LocalPort> {
        let port = self.port;
        if self.is_loopback() {
            return Some(LocalPort { address: None, port });
        }
        self.address.map(|address| LocalPort { address: Some(address), port })
    }

    fn is_loopback(&self) -> bool {
        is_localhost(&self.host) || self.address.is_some_and(|ip| ip.is_loopback())
    }

    /// Returns the authority as it stands in a URL or in a `Host` header.
    pub fn shown(&self) -> String {
        match self.host.as_str() {
            "" => format!("localhost:{}", self.port),
            host if host.contains(':') => format!("[{host}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

/// A port that may be one of this pod: what is left to find out is whether the pod has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// The address that the user wrote; `None`: this pod's loopback.
    pub address: Option<IpAddr>,
    /// From 1 to 65535.
    pub port: u16,
}

/// A URL without user information and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Whom to connect to.
    pub authority: Authority,
    /// Begins with `/`; the query included.
    pub path_and_query: String,
}

impl Url {
    /// Reads what follows `scheme://` and the user information; `default_port` applies without a port.
    ///
    /// # Errors
    /// The authorities and paths that are accepted.
    pub fn parse(scheme: Scheme, rest: &str, default_port: Option<u16>) -> Result<Self, String> {
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = Authority::parse(authority, default_port)?;
        Ok(Self { scheme, authority, path_and_query: escaped(path)? })
    }

    /// Returns where a `Location` header leads from here (RFC 3986, section 5.2), or `None` where we cannot follow.
    pub fn join(&self, location: &str) -> Option<Self> {
        if let Some((scheme, rest)) = location.split_once("://")
            && let Some(scheme) = Scheme::named(scheme)
        {
            return Self::absolute(scheme, rest);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::absolute(self.scheme, rest);
        }
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        let target = match location.as_bytes().first() {
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{path}{location}"),
            Some(b'#') | None => self.path_and_query.clone(),
            Some(_) if location.split(['/', '?']).next()?.contains(':') => return None,
            Some(_) => format!("{}/{location}", path.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        let target = target.split('#').next().unwrap_or_default();
        Some(Self { path_and_query: without_dots(&escaped(target).ok()?), ..self.clone() })
    }

    fn absolute(scheme: Scheme, rest: &str) -> Option<Self> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let user_end = rest[..end].rfind('@').map_or(0, |at| at + 1);
        Self::parse(scheme, &rest[user_end..], Some(scheme.default_port())).ok()
    }

    /// Returns whether both name the same host; all names of loopback are one (`kubelet.md`, section 3).
    pub fn has_host_of(&self, other: &Self) -> bool {
        let (a, b) = (&self.authority, &other.authority);
        a.host.eq_ignore_ascii_case(&b.host) || (a.is_loopback() && b.is_loopback())
    }

    /// Returns the URL as it may be shown.
    pub fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme.as_str(), self.authority.shown(), self.path_and_query)
    }
}

/// Returns whether `host` means this pod's loopback by name.
pub fn is_localhost(host: &str) -> bool {
    host.is_empty() || host.eq_ignore_ascii_case("localhost")
}

fn is_ipv6(host: &str) -> bool {
    host.parse::<std::net::Ipv6Addr>().is_ok()
}

/// Returns a path and query that can stand in a request line: begins with `/`, spaces and non-ASCII escaped.
fn escaped(path: &str) -> Result<String, String> {
    let mut escaped = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        escaped.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'\x21'..=b'\x7e' => escaped.push(char::from(byte)),
            b' ' | b'\x80'.. => escaped.extend(['%', hex(byte >> 4), hex(byte & 0xf)]),
            _ => return Err("a path cannot hold control characters".to_owned()),
        }
    }
    Ok(escaped)
}

fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit)])
}

/// Returns a text without its %-escapes; `None` where one is broken.
pub fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// Removes `.` and `..` segments (RFC 3986, section 5.2.4); the query is left alone.
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = path_and_query.split_at(path_and_query.find('?').unwrap_or(path_and_query.len()));
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for segment in &segments {
        match *segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    if matches!(segments.last(), Some(&("." | ".."))) {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(rest: &str) -> Url {
        Url::parse(Scheme::Http, rest, None).unwrap()
    }

    #[test]
    fn authorities() {
        for (text, shown) in [
            (":8080", "localhost:8080"),
            ("localhost:1", "localhost:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("[::1]:80", "[::1]:80"),
            ("::1:80", "[::1]:80"),
            ("fd00::a:b:8080", "[fd00::a:b]:8080"),
            ("my-db.ns.svc:5432", "my-db.ns.svc:5432"),
        ] {
            assert_eq!(Authority::parse(text, None).unwrap().shown(), shown);
        }
        for wrong in [
            "", ":", ":0", ":65536", ":+1", "host", "[::1]", "::1", "a:b:80", "1:2:3", "[::1:80", "[x]:1",
            "a b:1", "[::1]80",
        ] {
            assert!(Authority::parse(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_may_be_of_this_pod_where_the_host_is_loopback_or_an_address() {
        let address = |text: &str| {
            let found = Authority::parse(&format!("{text}:80"), None).unwrap().local_port();
            found.inspect(|found| assert_eq!(found.port, 80)).map(|found| found.address)
        };
        for loopback in ["", "localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert_eq!(address(loopback), Some(None), "{loopback}");
        }
        assert_eq!(address("10.1.2.3"), Some(Some([10, 1, 2, 3].into())));
        assert_eq!(address("[fd00::1]"), Some(Some([0xfd00, 0, 0, 0, 0, 0, 0, 1].into())));
        assert_eq!(address("db.ns.svc"), None);
    }

    #[test]
    fn a_path_is_made_fit_for_a_request_line() {
        assert_eq!(url(":80").path_and_query, "/");
        assert_eq!(url(":80?a=b").path_and_query, "/?a=b");
        assert_eq!(url(":80/a b/ü#f").path_and_query, "/a%20b/%C3%BC");
        assert!(Url::parse(Scheme::Http, ":80/a\nb", None).is_err());
    }

    #[test]
    fn redirects_resolve_as_in_rfc_3986() {
        let base = url("a:8080/x/y?q=1");
        for (location, expected) in [
            ("/z", "http://a:8080/z"),
            ("z?r=2", "http://a:8080/x/z?r=2"),
            ("../z", "http://a:8080/z"),
            ("./", "http://a:8080/x/"),
            ("?r=2", "http://a:8080/x/y?r=2"),
            ("", "http://a:8080/x/y?q=1"),
            ("//b:9/z", "http://b:9/z"),
            ("//b/z", "http://b:80/z"),
            ("https://b/z#f", "https://b:443/z"),
            ("http://user:pw@b:1/", "http://b:1/"),
            ("HTTP://b/z", "http://b:80/z"),
            ("Https://b/z", "https://b:443/z"),
            ("../../../z", "http://a:8080/z"),
        ] {
            assert_eq!(base.join(location).unwrap().shown(), expected, "{location}");
        }
        for unfollowable in ["ftp://a/", "mailto:x", "http://a:0/", "http://[/"] {
            assert_eq!(base.join(unfollowable), None, "{unfollowable}");
        }
    }

    #[test]
    fn every_name_of_loopback_is_the_same_host() {
        assert!(url(":80/").has_host_of(&url("127.0.0.1:90/")));
        assert!(url("LOCALHOST:80/").has_host_of(&url("[::1]:90/")));
        assert!(url("a:80/").has_host_of(&url("A:1/")));
        assert!(!url("a:80/").has_host_of(&url("b:80/")));
    }
}
