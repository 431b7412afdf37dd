//! What `/proc` says of processes: the suite looks from outside, as an operator would.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    pub id: i32,
    pub parent: i32,
    pub name: String,
    pub state: char,
    /// When it began, in ticks since the boot.
    pub began: u64,
}

impl Process {
    /// Reads `/proc/ID/stat`; `None` once the process has gone.
    pub fn read(id: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split(' ').collect();
        Some(Self {
            id,
            parent: fields.get(1)?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
            state: fields.first()?.chars().next()?,
            began: fields.get(19)?.parse().ok()?,
        })
    }

    /// Returns every process of the machine.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// Returns the direct children of a process.
    pub fn children_of(id: i32) -> Vec<Self> {
        Self::all().into_iter().filter(|process| process.parent == id).collect()
    }

    /// Returns every process in the PID namespace of `id`.
    pub fn in_namespace_of(id: i32) -> Vec<Self> {
        let namespace = |id: i32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
        let Some(wanted) = namespace(id) else { return Vec::new() };
        // A zombie has no namespace link any more, but a parent that has one.
        let is_inside = |process: &Process| {
            let own = namespace(process.id);
            own.or_else(|| namespace(process.parent)).is_some_and(|own| own == wanted)
        };
        Self::all().into_iter().filter(is_inside).collect()
    }

    /// Returns whether it has ended and nobody has waited for it.
    pub const fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
}

/// Returns how many descriptors a process has open.
pub fn descriptors(id: i32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Returns the resident memory of a process in KiB.
pub fn resident_kib(id: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The share of the time in which a process wanted a processor and had none: what the machine, and not the process, is
/// to answer for. Others may be building on the same two cores.
#[derive(Debug)]
pub struct Starvation {
    id: i32,
    began: Instant,
    waited: f64,
}

impl Starvation {
    pub fn of(id: i32) -> Self {
        Self { id, began: Instant::now(), waited: Self::waited(id) }
    }

    /// Returns its share of the time since then, from 0 to 1.
    pub fn share(&self) -> f64 {
        ((Self::waited(self.id) - self.waited) / self.began.elapsed().as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Returns whether times that were measured since then say much about the process.
    pub fn is_quiet(&self) -> bool {
        self.share() < 0.05
    }

    /// Returns the figure for the table.
    pub fn figure(&self) -> String {
        format!("{:.0} % of the time without a processor", self.share() * 100.0)
    }

    /// Returns the seconds for which it waited, from the scheduler's own statistics.
    fn waited(id: i32) -> f64 {
        let text = fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap_or_default();
        let nanos = text.split(' ').nth(1).and_then(|field| field.parse::<f64>().ok());
        nanos.unwrap_or_default() / 1e9
    }
}

/// Returns the ids of processes that are the same in both lists: what stays, and not what merely passes by.
pub fn stayed(before: &[Process], after: &[Process]) -> Vec<Process> {
    let known: BTreeSet<(i32, u64)> = before.iter().map(|process| (process.id, process.began)).collect();
    after.iter().filter(|process| known.contains(&(process.id, process.began))).cloned().collect()
}

/// Makes a directory of the suite's own, empty, under the build's target folder.
pub fn scratch(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reliability").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a scratch directory");
    directory
}
