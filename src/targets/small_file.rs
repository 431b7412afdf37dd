//! Reads files that somebody else writes: whatever stands in the place of one, reading it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_NONBLOCK;

use super::reason::io_reason;

/// Returns the content of the file at `path`, of at most `limit` bytes. The file system may still not answer.
///
/// # Errors
/// It cannot be read, is no file, or is longer.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let wrong = |what: String| format!("cannot read {}: {what}", path.display());
    let content = open(path).and_then(|file| read_beginning(file, limit + 1));
    match content.map_err(|error| wrong(io_reason(&error)))? {
        content if content.len() > limit => Err(wrong(format!("it is longer than {limit} bytes"))),
        content => Ok(content),
    }
}

/// Opens a file to read it.
///
/// # Errors
/// It cannot be opened, or is no file.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening a named pipe would wait for its writer, and reading a device might never end.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
    }
    Ok(file)
}

/// Returns the first `limit` bytes of a file.
///
/// # Errors
/// Those of read(2).
pub fn read_beginning(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit as u64).read_to_end(&mut content).map(|_| content)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let directory = std::env::temp_dir().join(format!("health-proxy-small-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (plain, pipe) = (directory.join("plain"), directory.join("pipe"));
        std::fs::write(&plain, "12345").unwrap();
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let reason = |path: &Path, limit| {
            let reason = read(path, limit).unwrap_err();
            reason.replace(&path.display().to_string(), "it")
        };
        assert_eq!(read(&plain, 5), Ok(b"12345".to_vec()));
        assert_eq!(reason(&plain, 4), "cannot read it: it is longer than 4 bytes");
        assert_eq!(reason(&pipe, 5), "cannot read it: not a file");
        assert_eq!(reason(&directory, 5), "cannot read it: not a file");
        assert_eq!(reason(Path::new("/dev/zero"), 5), "cannot read it: not a file");
        assert_eq!(reason(&directory.join("none"), 5), "cannot read it: no such file or directory");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
