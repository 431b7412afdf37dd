//! The processes of the pod, as `/proc` shows them where its containers share their process namespace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::proc_stat::ProcStat;
pub use crate::witness::Process;

/// The kernel's limit of a name, in bytes (`TASK_COMM_LEN`).
const MAX_NAME_BYTES: usize = 15;

/// Finds the process called `name`: the topmost, where it has children of the same name in its container.
///
/// # Errors
/// There is none, or they are in different containers.
pub fn find(name: &str) -> Result<Process, String> {
    let proc = Path::new("/proc");
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let table = Table::read(proc);
    let family = table.family(own);
    let found = table.topmost(|entry| entry.is_called(proc, name) && !table.descends(entry, family));
    let container =
        |entry: &RunningProcess| fs::read_link(proc.join(entry.process.id.to_string()).join("ns/mnt")).ok();
    let Some(oldest) = found.iter().min_by_key(|entry| (entry.process.start(), entry.process.id)) else {
        return Err(format!("no process named {name:?}: {}", table.why_none(family)));
    };
    let is_elsewhere =
        |entry: &&RunningProcess| container(entry).is_none() || container(entry) != container(oldest);
    if found.len() > 1 && found.iter().any(is_elsewhere) {
        let mut ids: Vec<_> = found.iter().map(|entry| entry.process.id).collect();
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        return Err(format!(
            "several processes named {name:?} in different containers: {}; give _IN_PROCESS a name that is in \
             one of them alone",
            ids.join(", ")
        ));
    }
    Ok(oldest.process)
}

/// The text by which a process is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By its own name or its executable's, which the kernel always tells.
    ByName,
    /// Or, where that is an interpreter's, by a part of its command line, which a process that hangs may keep to itself.
    ByCommand,
}

/// Finds a process by `name`, in whatever container: the oldest, since a process stays and what it starts comes and goes.
///
/// # Errors
/// There is none.
pub fn find_running(name: &str, known: Known) -> Result<Process, String> {
    let proc = Path::new("/proc");
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let table = Table::read(proc);
    let family = table.family(own);
    let found = table.topmost(|entry| entry.is_known(proc, name, known) && !table.descends(entry, family));
    let oldest = found.iter().min_by_key(|entry| (entry.process.start(), entry.process.id));
    let none = || format!("no process named {name:?} runs: {}", table.why_none(family));
    oldest.map(|entry| entry.process).ok_or_else(none)
}

/// Returns whether a process that was found by `name` is still one that would be.
pub fn is_still(process: Process, name: &str) -> bool {
    let proc = Path::new("/proc");
    let entry = RunningProcess::read(proc, process.id).filter(|entry| entry.process == process);
    entry.is_some_and(|entry| entry.is_known(proc, name, Known::ByCommand))
}

/// Programs whose name says nothing of what runs; a version may follow.
const INTERPRETERS: [&str; 23] = [
    "ash", "bash", "beam.smp", "bun", "busybox", "dash", "deno", "dotnet", "java", "julia", "ksh", "lua",
    "mono", "node", "nodejs", "perl", "php", "php-fpm", "pypy", "python", "ruby", "sh", "zsh",
];

/// A process of a table.
#[derive(Debug)]
struct RunningProcess {
    process: Process,
    parent: i32,
    name: String,
}

impl RunningProcess {
    /// Reads a process; `None` for what is no process, or is dead already.
    fn read(proc: &Path, id: i32) -> Option<Self> {
        let text = read_whole(File::open(proc.join(id.to_string()).join("stat")).ok()?).ok()?;
        let text = String::from_utf8_lossy(&text);
        let stat = ProcStat::parse(&text)?;
        let is_alive = !matches!(stat.field(3)?, 'Z' | 'X');
        let (parent, began) = (stat.field(4)?, stat.field(22)?);
        is_alive.then(|| Self { process: Process::new(id, began), parent, name: stat.name.to_owned() })
    }

    /// Returns whether `name` is its own name, which the kernel cuts, or the base name of its executable.
    fn is_called(&self, proc: &Path, name: &str) -> bool {
        let cut = name.as_bytes().get(..MAX_NAME_BYTES).unwrap_or(name.as_bytes());
        if self.name.as_bytes() == cut {
            return true;
        }
        self.program(proc).is_some_and(|program| program == name)
    }

    /// Returns the base name of its executable, where we may see it.
    fn program(&self, proc: &Path) -> Option<String> {
        let executable = fs::read_link(proc.join(self.process.id.to_string()).join("exe")).ok()?;
        let base = executable.file_name()?.to_str()?;
        Some(base.trim_end_matches(" (deleted)").to_owned())
    }

    fn is_known(&self, proc: &Path, name: &str, known: Known) -> bool {
        if known == Known::ByName || self.is_called(proc, name) {
            return self.is_called(proc, name);
        }
        let program = self.program(proc);
        if !is_interpreter(&self.name) && !program.as_deref().is_some_and(is_interpreter) {
            return false;
        }
        let line = fs::read(proc.join(self.process.id.to_string()).join("cmdline")).unwrap_or_default();
        let arguments = line.split(|&byte| byte == 0).skip(1);
        arguments.map(String::from_utf8_lossy).any(|argument| argument.contains(name))
    }
}

fn is_interpreter(program: &str) -> bool {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&name) || INTERPRETERS.contains(&program)
}

/// Reads a file of `/proc`, which does not tell its length: room for most of them at once spares them being made again
/// for each small part.
pub fn read_whole(mut file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(3000);
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// All processes, by id.
struct Table(BTreeMap<i32, RunningProcess>);

impl Table {
    fn read(proc: &Path) -> Self {
        let ids = fs::read_dir(proc).into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(ids.filter_map(|id| Some((id, RunningProcess::read(proc, id)?))).collect())
    }

    /// Returns the head of our own: the supervisor above this process, or this process itself.
    fn family(&self, own: i32) -> i32 {
        let parent = self.0.get(&own).and_then(|entry| Some((entry, self.0.get(&entry.parent)?)));
        parent.filter(|(own, parent)| own.name == parent.name).map_or(own, |(_, parent)| parent.process.id)
    }

    /// Returns whether `entry` is `ancestor` or comes from it: what our own commands start is never the app.
    fn descends(&self, entry: &RunningProcess, ancestor: i32) -> bool {
        entry.process.id == ancestor || self.ancestors(entry).any(|other| other.process.id == ancestor)
    }

    fn ancestors<'a>(&'a self, entry: &'a RunningProcess) -> impl Iterator<Item = &'a RunningProcess> {
        // The bound is for a table that was read while ids were given away again.
        let parent = |entry: &&'a RunningProcess| self.0.get(&entry.parent);
        std::iter::successors(parent(&entry), parent).take(self.0.len())
    }

    /// Returns the processes that are wanted and have no ancestor that is.
    fn topmost(&self, is_wanted: impl Fn(&RunningProcess) -> bool) -> Vec<&RunningProcess> {
        let wanted: BTreeMap<i32, &RunningProcess> =
            self.0.iter().filter(|(_, entry)| is_wanted(entry)).map(|(&id, entry)| (id, entry)).collect();
        let is_top = |entry: &&RunningProcess| {
            !self.ancestors(entry).any(|ancestor| wanted.contains_key(&ancestor.process.id))
        };
        wanted.values().copied().filter(is_top).collect()
    }

    fn why_none(&self, family: i32) -> &'static str {
        if self.0.values().all(|entry| self.descends(entry, family)) {
            "the sidecar sees its own processes alone; set shareProcessNamespace: true in the pod's spec"
        } else {
            "it has ended, or has not started yet"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a `/proc` of processes (id, parent, name).
    fn table(processes: &[(i32, i32, &str)]) -> Table {
        let entry = |&(id, parent, name): &(i32, i32, &str)| {
            (id, RunningProcess { process: Process::new(id, 0), parent, name: name.to_owned() })
        };
        Table(processes.iter().map(entry).collect())
    }

    fn topmost(table: &Table, name: &str) -> Vec<i32> {
        let family = table.family(21);
        let proc = Path::new("/nonexistent");
        let found = table.topmost(|entry| entry.is_called(proc, name) && !table.descends(entry, family));
        found.iter().map(|entry| entry.process.id).collect()
    }

    #[test]
    fn the_topmost_of_a_name_that_is_not_ours() {
        let pod = table(&[
            (1, 0, "pause"),
            (7, 0, "nginx"),
            (8, 7, "nginx"),
            (9, 7, "nginx"),
            (20, 0, "health-proxy"),
            (21, 20, "health-proxy"),
            (22, 21, "sh"),
            (23, 20, "sh"),
            (30, 0, "sh"),
            (31, 30, "python3"),
            (32, 31, "sh"),
        ]);
        assert_eq!(topmost(&pod, "nginx"), [7]);
        assert_eq!(topmost(&pod, "sh"), [30]);
        assert_eq!(topmost(&pod, "python3"), [31]);
        assert!(topmost(&pod, "health-proxy").is_empty());
        assert!(pod.why_none(20).starts_with("it has ended"));
        let alone = table(&[(20, 0, "health-proxy"), (21, 20, "health-proxy"), (22, 21, "sh")]);
        assert!(alone.why_none(20).contains("shareProcessNamespace"));
    }

    #[test]
    fn a_long_name_is_known_by_what_the_kernel_keeps_of_it() {
        let pod = table(&[(7, 0, "a-very-long-nam"), (21, 0, "x")]);
        assert_eq!(topmost(&pod, "a-very-long-name-indeed"), [7]);
        assert_eq!(topmost(&pod, "a-very-long"), [0; 0]);
    }

    #[test]
    fn interpreters_are_known_with_their_versions() {
        for program in
            ["java", "python", "python3", "python3.11", "pypy3", "ruby2.7", "php-fpm8.2", "beam.smp", "node"]
        {
            assert!(is_interpreter(program), "{program}");
        }
        for program in ["javac", "nginx", "3", "pythonista", ""] {
            assert!(!is_interpreter(program), "{program}");
        }
    }

    #[test]
    fn a_table_in_a_circle_ends() {
        let odd = table(&[(1, 2, "a"), (2, 1, "b"), (21, 0, "x")]);
        assert_eq!(topmost(&odd, "a"), [0; 0]);
        assert_eq!(topmost(&odd, "c"), [0; 0]);
    }

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let directory = std::env::temp_dir().join(format!("health-proxy-proc-{}", std::process::id()));
        fs::create_dir_all(directory.join("7")).unwrap();
        let numbers = (5..=22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let stat = |name: &str, state: &str| format!("7 ({name}) {state} 3 {numbers}\n");
        fs::write(directory.join("7/stat"), stat("a) R (b c", "S")).unwrap();
        let entry = RunningProcess::read(&directory, 7).unwrap();
        assert_eq!((entry.name.as_str(), entry.parent, entry.process.start()), ("a) R (b c", 3, 22));
        fs::write(directory.join("7/stat"), stat("dead", "Z")).unwrap();
        assert!(RunningProcess::read(&directory, 7).is_none());
        fs::write(directory.join("7/stat"), "7 (").unwrap();
        assert!(RunningProcess::read(&directory, 7).is_none());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn this_process_lives() {
        let own =
            RunningProcess::read(Path::new("/proc"), i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.process.lives());
        assert!(!Process::new(own.process.id, own.process.start() + 1).lives());
    }
}
