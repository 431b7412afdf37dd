//! Reads a small file that somebody else writes: whatever stands in its place, reading it ends.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_NONBLOCK;

use super::reason::io_reason;

/// The content of the file at `path`, of at most `limit` bytes. The file system may still not answer.
///
/// # Errors
/// It cannot be read, is no file, or is longer.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let wrong = |what: String| format!("cannot read {}: {what}", path.display());
    // Opening a named pipe would wait for its writer, and reading a device might never end.
    let opened = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    let file = opened.map_err(|error| wrong(io_reason(&error)))?;
    let about = file.metadata().map_err(|error| wrong(io_reason(&error)))?;
    if !about.is_file() {
        return Err(wrong("not a file".to_owned()));
    }
    let mut content = Vec::new();
    let read = file.take(limit as u64 + 1).read_to_end(&mut content);
    match read.map_err(|error| wrong(io_reason(&error)))? {
        length if length > limit => Err(wrong(format!("it is longer than {limit} bytes"))),
        _ => Ok(content),
    }
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
