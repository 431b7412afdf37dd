//! The standard metrics of this process (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).
//!
//! The crate's collector takes thirty system calls and most of a small scrape.

use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{SysconfVar, sysconf};

use super::text::Lines;
use crate::proc_stat::ProcStat;
use crate::unix_time;

/// What does not change while the process lives.
#[derive(Debug)]
pub(super) struct Process {
    started: Duration,
    page_size: u64,
}

impl Process {
    /// This process, which has just started.
    pub(super) fn starting() -> Self {
        let page_size =
            sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
        Self { started: unix_time::now(), page_size: page_size.unwrap_or(4096) }
    }

    /// What is there to be had: without `/proc`, not all of it.
    pub(super) fn write(&self, lines: &mut Lines) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let cpu = duration(usage.user_time()) + duration(usage.system_time());
            lines.family(
                "process_cpu_seconds_total",
                "counter",
                "Total user and system CPU time spent in seconds.",
            );
            lines.line(["process_cpu_seconds_total "], cpu);
        }
        let mut gauge = |name: &str, help: &str, value: Option<u64>| {
            if let Some(value) = value {
                lines.family(name, "gauge", help);
                lines.line([name, " "], value);
            }
        };
        let limit = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft);
        gauge("process_max_fds", "Maximum number of open file descriptors.", limit);
        gauge("process_open_fds", "Number of open file descriptors.", open_descriptors());
        let stat = Stat::read();
        let of = |part: fn(&Stat) -> u64| stat.as_ref().map(part);
        let resident = of(|stat| stat.resident_pages).map(|pages| pages * self.page_size);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident);
        gauge("process_threads", "Number of OS threads in the process.", of(|stat| stat.threads));
        gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", of(|stat| stat.virtual_bytes));
        let name = "process_start_time_seconds";
        lines.family(name, "gauge", "Start time of the process since unix epoch in seconds.");
        lines.line([name, " "], self.started);
    }
}

fn duration(time: TimeVal) -> Duration {
    Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or_default())
}

const DESCRIPTORS: &str = "/proc/self/fd";

/// Since Linux 6.2 the size of their directory says how many there are (`proc_pid_fd(5)`); before, they are counted, but
/// for the one that this takes.
fn open_descriptors() -> Option<u64> {
    match fs::metadata(DESCRIPTORS).ok()?.len() {
        0 => count_descriptors(),
        size => Some(size),
    }
}

fn count_descriptors() -> Option<u64> {
    let all = fs::read_dir(DESCRIPTORS).ok()?.count();
    u64::try_from(all.saturating_sub(1)).ok()
}

/// The parts of `/proc/self/stat` that are shown.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        // More than the longest: 52 numbers and a name.
        let mut buffer = [0; 2048];
        let length = File::open("/proc/self/stat").ok()?.read(&mut buffer).ok()?;
        Self::parse(std::str::from_utf8(&buffer[..length]).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let stat = ProcStat::parse(text)?;
        Some(Self {
            threads: stat.field(20)?,
            virtual_bytes: stat.field(23)?,
            resident_pages: stat.field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest() {
        let stat =
            "7 (a) S 1 (b) ) S 1 7 7 0 -1 4194560 108 0 0 0 3 4 0 0 20 0 2 0 123456 5545984 492 184467 1 1\n";
        let expected = Stat { threads: 2, virtual_bytes: 5_545_984, resident_pages: 492 };
        assert_eq!(Stat::parse(stat), Some(expected));
        for broken in ["", "7 (a)", "7 (a) S 1", &stat.replace(" 492", " x")] {
            assert_eq!(Stat::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn descriptors_are_as_many_as_can_be_counted() {
        // Tests beside this one open some as well.
        let agree = || open_descriptors().zip(count_descriptors()).is_some_and(|(size, count)| size == count);
        let mut found = (0..1000).map(|_| agree());
        assert!(found.any(|agree| agree), "{:?} and {:?}", open_descriptors(), count_descriptors());
    }

    #[test]
    fn it_is_this_process() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        let stat = Stat::read().unwrap();
        assert!(stat.threads.abs_diff(of("Threads:")) < 16, "{stat:?}");
        assert!(stat.virtual_bytes.abs_diff(of("VmSize:") * 1024) < 64 << 20, "{stat:?}");
        let resident = stat.resident_pages * Process::starting().page_size;
        assert!(resident.abs_diff(of("VmRSS:") * 1024) < 8 << 20, "{resident}");
    }
}
