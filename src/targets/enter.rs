//! The hidden commands that become the command of a check, here or in the container of another process.
//!
//! Both are this same binary, started again: its own file always answers, and what may not, the file of the command, is
//! then asked for by a process that nobody waits for. (With the C library of the image, a process that hangs in
//! `execve` would keep every other from being started.) `chroot` changes a whole process anyway. There the command runs
//! as the user of that process, and gets no capability that the process itself has not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, chroot, fchdir, geteuid, setgid, setgroups, setuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::place::denial;
use super::process::{Process, read_whole};
use super::reason::io_reason;
use crate::proc_stat::ProcStat;
use crate::program;

/// The hidden command: `start COMMAND ARG…`.
pub const START: &str = "start";

/// The hidden command: `enter NAME ID START COMMAND ARG…`.
pub const ENTER: &str = "enter";

/// The search path in a container that names none (runc's default).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The exit status of a command that could not be started, as of other programs that start programs (env(1)).
pub const NOT_STARTED: u8 = 125;

/// The advice about a program that is missing.
const MISSING_HERE: &str = " in the sidecar's image, where exec checks run: put it there, or run it in the app's \
                            container (_IN_PROCESS)";

const NOT_FOR_PEOPLE: &str = "this command is for health-proxy itself";

/// Returns a command that becomes `words` here.
pub fn here<'a>(words: impl Iterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program::own());
    command.arg(START).args(words);
    command
}

/// Returns a command that becomes `words` in the container of `process`, called `name`.
pub fn inside<'a>(name: &str, process: Process, words: impl Iterator<Item = &'a str>) -> Command {
    let mut command = Command::new(program::own());
    let (id, start) = (process.id.to_string(), process.start().to_string());
    command.args([ENTER, name, id.as_str(), start.as_str()]).args(words).env_clear();
    command
}

/// Returns whether the process `id` is one of ours that has not become its command yet.
pub fn is_on_the_way(id: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let own = program::own().file_name().unwrap_or_default().to_string_lossy();
    ProcStat::parse(&stat).is_some_and(|stat| !stat.name.is_empty() && own.starts_with(stat.name))
}

/// Becomes a command. Where it goes well it does not return.
///
/// # Errors
/// Always: why it cannot be done.
pub fn start(words: &[&str]) -> String {
    let [program, arguments @ ..] = words else { return NOT_FOR_PEOPLE.to_owned() };
    let error = Command::new(program).args(arguments).exec();
    cannot_start(program, &error, "", MISSING_HERE)
}

/// Goes into a container and becomes a command there. Where it goes well it does not return.
///
/// # Errors
/// Always: why it cannot be done.
pub fn enter(arguments: &[&str]) -> String {
    let [name, id, start, program, arguments @ ..] = arguments else {
        return NOT_FOR_PEOPLE.to_owned();
    };
    let (Ok(id), Ok(start)) = (id.parse(), start.parse()) else { return NOT_FOR_PEOPLE.to_owned() };
    let environment = match go_in(name, Process::new(id, start)) {
        Ok(environment) => environment,
        Err(reason) => return reason,
    };
    let mut command = Command::new(program);
    let error = command.args(arguments).env_clear().envs(environment).exec();
    cannot_start(program, &error, &format!(" in the container of {name:?}"), "")
}

/// Returns why a program cannot be started `at` a place. Linux returns the same error for a script whose interpreter is
/// missing and for a program that does not exist (execve(2)).
fn cannot_start(program: &str, error: &io::Error, at: &str, remedy: &str) -> String {
    let reason = io_reason(error);
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let is_there = is_missing && places(program).any(|place| place.exists());
    let more = match (is_missing, is_there) {
        (true, true) => ": it is there, but the interpreter in its first line, or its loader, is not",
        (true, false) => remedy,
        _ => "",
    };
    format!("cannot start {program:?}{at}: {reason}{more}")
}

/// Returns where a program may be.
fn places(program: &str) -> impl Iterator<Item = PathBuf> + use<'_> {
    let path = std::env::var_os("PATH").filter(|_| !program.contains('/')).unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().map(move |folder| folder.join(program))
}

/// Enters the container and returns the environment there.
fn go_in(name: &str, process: Process) -> Result<Vec<(OsString, OsString)>, String> {
    let denied = |error: Errno| denial(name, process, &error.into());
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let of_process =
        open(format!("/proc/{}", process.id).as_str(), directory, Mode::empty()).map_err(denied)?;
    let root = openat(&of_process, "root", directory, Mode::empty()).map_err(denied)?;
    let working = openat(&of_process, "cwd", directory, Mode::empty()).map_err(denied)?;
    let status = read(&of_process, "status").map_err(denied)?;
    let app = Credentials::read(&String::from_utf8_lossy(&status)).ok_or_else(|| denied(Errno::ESRCH))?;
    // All of it was of this process only if it is still there.
    if !process.lives() {
        return Err(denied(Errno::ESRCH));
    }
    let environment = read(&of_process, "environ");
    fchdir(&root).and_then(|()| chroot(".")).and_then(|()| fchdir(&working)).map_err(|error| match error {
        Errno::EPERM => format!(
            "no permission to run commands in the container of {name:?}: add the capability SYS_CHROOT in the \
             sidecar's securityContext (the sidecar has to run as root for it)"
        ),
        other => denied(other),
    })?;
    app.take_on().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "no permission to run commands as user {}, as {name:?} does: add the capabilities KILL, SETGID and \
             SETUID in the sidecar's securityContext",
            app.user
        ),
        _ => format!("cannot run as the user of {name:?}: {}", io_reason(&error)),
    })?;
    // Its environment is for its own user's eyes, who we are by now.
    let environment = environment.or_else(|_| read(&of_process, "environ")).map_err(denied)?;
    Ok(variables(&environment))
}

/// Reads a file of `/proc/PID`, whatever our root is by now.
fn read(of_process: &OwnedFd, name: &str) -> Result<Vec<u8>, Errno> {
    let file = openat(of_process, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    read_whole(File::from(file)).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

/// The identity of a process.
#[derive(Debug, PartialEq, Eq)]
struct Credentials {
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
    capabilities: u64,
}

impl Credentials {
    /// Reads the effective ones from `/proc/PID/status`.
    fn read(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse().ok();
        let groups = field("Groups:")?.split_whitespace().map(|id| id.parse().ok().map(Gid::from_raw));
        Some(Self {
            user: Uid::from_raw(effective("Uid:")?),
            group: Gid::from_raw(effective("Gid:")?),
            groups: groups.collect::<Option<_>>()?,
            capabilities: u64::from_str_radix(field("CapPrm:")?.trim(), 16).ok()?,
        })
    }

    /// Becomes it. A command as another user that we could not kill is not begun, or each that hangs would stay.
    fn take_on(&self) -> io::Result<()> {
        if self.user != geteuid() {
            if !capabilities(None)?.effective.contains(CapabilitySet::KILL) {
                return Err(Errno::EPERM.into());
            }
            setgroups(&self.groups)?;
            setgid(self.group)?;
            setuid(self.user)?;
        }
        self.limit_capabilities()
    }

    /// Keeps of our capabilities those that the process has too, and never the one with which a command could
    /// leave its root again.
    fn limit_capabilities(&self) -> io::Result<()> {
        let own = capabilities(None)?;
        if own.permitted.is_empty() {
            return Ok(());
        }
        let allowed = CapabilitySet::from_bits_retain(self.capabilities) - CapabilitySet::SYS_CHROOT;
        let kept = own.permitted & allowed;
        // Or root would be given them all again when it becomes the command (capabilities(7)).
        set_no_new_privs()?;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        Ok(set_capabilities(None, sets)?)
    }
}

/// Returns the variables in `/proc/PID/environ`. A process may have written over them, so only what looks like one is
/// taken.
fn variables(environment: &[u8]) -> Vec<(OsString, OsString)> {
    let pairs = environment.split(|&byte| byte == 0).filter_map(|pair| {
        let end = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..end], &pair[end + 1..]);
        let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        is_name.then(|| (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
    });
    let mut variables: Vec<_> = pairs.collect();
    if !variables.iter().any(|(name, _)| name == OsStr::from_bytes(b"PATH")) {
        variables.push(("PATH".into(), DEFAULT_PATH.into()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_the_effective_ones() {
        let status =
            "Name:\tx\nUid:\t0\t1000\t0\t0\nGid:\t0\t1001\t0\t0\nGroups:\t5 6 \nCapPrm:\t00000000000000ff\n";
        let expected = Credentials {
            user: Uid::from_raw(1000),
            group: Gid::from_raw(1001),
            groups: vec![Gid::from_raw(5), Gid::from_raw(6)],
            capabilities: 0xff,
        };
        assert_eq!(Credentials::read(status), Some(expected));
        assert_eq!(Credentials::read(""), None);
        let own = std::fs::read_to_string("/proc/self/status").unwrap();
        assert_eq!(Credentials::read(&own).unwrap().user, geteuid());
    }

    #[test]
    fn only_variables_are_taken_from_an_environment() {
        let pairs = |bytes: &[u8]| -> Vec<String> {
            let text =
                |(name, value): &(OsString, OsString)| format!("{}={}", name.display(), value.display());
            variables(bytes).iter().map(text).collect()
        };
        assert_eq!(pairs(b"A=1\0PATH=/bin\0B=x=y\0"), ["A=1", "PATH=/bin", "B=x=y"]);
        let default = format!("PATH={DEFAULT_PATH}");
        assert_eq!(pairs(b"nginx: master process\0\0=x\0 \0"), [default.as_str()]);
    }

    #[test]
    fn it_takes_words_that_it_was_not_meant_for() {
        let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
        for wrong in ["app", "app 1 2", "app x 2 ls", "app 1 x ls"] {
            assert_eq!(enter(&words(wrong)), NOT_FOR_PEOPLE, "{wrong}");
        }
        let own = std::process::id().to_string();
        assert!(enter(&["app", &own, "1", "ls"]).ends_with("ended just now"));
    }
}
