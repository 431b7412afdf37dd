//! Targets that are an absolute path.

/// The room of `sun_path` (unix(7)) in bytes, without the one that ends it.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// The end of the name that a socket has until everybody may use it.
pub const UNREADY_SUFFIX: &str = ".new";

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub String);

impl Path {
    /// Reads the path of a unix socket.
    pub(super) fn socket(path: &str) -> Result<Self, String> {
        Self::short(path, MAX_SOCKET_PATH_BYTES)
    }

    /// Reads the path of a unix socket that is made here, at first under a longer name.
    pub(super) fn own_socket(path: &str) -> Result<Self, String> {
        Self::short(path, MAX_SOCKET_PATH_BYTES - UNREADY_SUFFIX.len())
    }

    fn short(path: &str, max: usize) -> Result<Self, String> {
        let accepted = || format!("accepted: an absolute path of at most {max} bytes, such as /run/app.sock");
        Self::read(path).filter(|path| path.0.len() <= max).ok_or_else(accepted)
    }

    /// Reads the path of a file.
    pub(super) fn file(path: &str) -> Result<Self, String> {
        Self::read(path).ok_or_else(|| "accepted: an absolute path, such as file:/var/ready".to_owned())
    }

    fn read(path: &str) -> Option<Self> {
        (path.starts_with('/') && !path.contains('\0')).then(|| Self(path.to_owned()))
    }
}
