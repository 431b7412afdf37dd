//! Targets that are looked for in this pod and not connected to: a port, or the name of a process.

use super::url::Authority;

/// A port of this pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Port {
    /// Reads `:PORT`.
    pub(super) fn read(rest: &str) -> Result<Self, String> {
        let authority = Authority::parse(rest, None).ok().filter(|authority| authority.host.is_empty());
        authority.map(|authority| Self(authority.port)).ok_or_else(|| {
            "accepted: a port of this pod from 1 to 65535 without a host, such as listen://:8080".to_owned()
        })
    }
}

/// The name of a process, or a part of its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Name {
    /// Reads a name.
    pub(super) fn read(rest: &str) -> Result<Self, String> {
        let is_name = !rest.trim().is_empty() && !rest.contains('\0');
        is_name.then(|| Self(rest.to_owned())).ok_or_else(|| {
            "accepted: the name of a process, such as process:nginx, or a part of its command line".to_owned()
        })
    }
}
