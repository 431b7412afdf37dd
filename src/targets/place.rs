//! The place where a target looks and runs: the sidecar, or the container of another process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use super::process::{self, Process};
use super::reason::io_reason;
use crate::grammar::{OptionReader, options};
use crate::lock::lock;

/// Flags to open a path only to look at it.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// The container of the process that `_IN_PROCESS` names.
#[derive(Debug)]
pub struct Inside {
    name: String,
    /// The process that was found last.
    found: Mutex<Option<Process>>,
}

impl Inside {
    /// Takes `_IN_PROCESS`.
    pub fn parse(reader: &mut OptionReader) -> Option<Self> {
        reader.take(options::IN_PROCESS, |name| {
            let is_name = !name.is_empty() && !name.contains(['/', '\0']);
            let inside = Self { name: name.to_owned(), found: Mutex::default() };
            is_name
                .then_some(inside)
                .ok_or_else(|| "accepted: the name of a process, such as nginx".to_owned())
        })
    }

    /// Returns the process's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process; it is looked for anew only when the last one has ended.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn process(&self) -> Result<Process, String> {
        let mut found = lock(&self.found);
        if let Some(process) = found.filter(|process| process.lives()) {
            return Ok(process);
        }
        *found = None;
        Ok(*found.insert(process::find(&self.name)?))
    }

    /// Opens `path` in the container, only to look at it. Links lead where they lead for the process, also
    /// absolute ones: `/proc/PID/root` before a path would follow those into our own file system. The inner error is the
    /// path's.
    ///
    /// # Errors
    /// There is no such process, or no permission to look into its container.
    pub fn open(&self, path: &Path) -> Result<io::Result<File>, String> {
        let process = self.process()?;
        let root = self.part(process, "root", OFlag::O_DIRECTORY)?;
        let how = OpenHow::new().flags(LOOK).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        Ok(openat2(root, path, how).map(File::from).map_err(io::Error::from))
    }

    /// Opens a part of `/proc/PID`.
    fn part(&self, process: Process, part: &str, flags: OFlag) -> Result<OwnedFd, String> {
        let opened = open(format!("/proc/{}/{part}", process.id).as_str(), LOOK | flags, Mode::empty());
        // The id may have been given away between the look at the process and this one.
        let opened = opened.and_then(|part| if process.lives() { Ok(part) } else { Err(Errno::ESRCH) });
        opened.map_err(|error| denial(&self.name, process, &error.into()))
    }
}

/// Returns why the container of a process cannot be looked into, and what helps.
pub fn denial(name: &str, process: Process, error: &io::Error) -> String {
    let subject = format!("the container of {name:?} (process {})", process.id);
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => {
            format!("no permission to look into {subject}: {}", remedy(process))
        }
        Some(Errno::ENOENT | Errno::ESRCH) => format!("{subject} ended just now"),
        _ => format!("cannot look into {subject}: {}", io_reason(error)),
    }
}

/// Returns which user may look into a process (ptrace(2), `PTRACE_MODE_READ_FSCREDS`).
fn remedy(process: Process) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id)).unwrap_or_default();
    let user: Option<u32> =
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse().ok());
    let own = nix::unistd::geteuid().as_raw();
    match user {
        Some(user) if user != own => format!(
            "it runs as user {user} and the sidecar as user {own}; set runAsUser: {user} in the sidecar's \
             securityContext, or add the capability SYS_PTRACE"
        ),
        _ => "it has capabilities that the sidecar has not, or hides itself; drop its capabilities, or give the \
              sidecar the same ones"
            .to_owned(),
    }
}
