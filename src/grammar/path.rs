//! Targets that are an absolute path.

/// The room of `sun_path` (unix(7)) in bytes, without the one that ends it.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub String);

impl Path {
    /// Reads the path of a unix socket.
    pub(super) fn socket(path: &str) -> Result<Self, String> {
        Self::read(path).filter(|path| path.0.len() <= MAX_SOCKET_PATH_BYTES).ok_or_else(|| {
            format!(
                "accepted: an absolute path of at most {MAX_SOCKET_PATH_BYTES} bytes, such as /run/app.sock"
            )
        })
    }

    /// Reads the path of a file.
    pub(super) fn file(path: &str) -> Result<Self, String> {
        Self::read(path).ok_or_else(|| "accepted: an absolute path, such as file:/var/ready".to_owned())
    }

    fn read(path: &str) -> Option<Self> {
        (path.starts_with('/') && !path.contains('\0')).then(|| Self(path.to_owned()))
    }
}
