//! The standard metrics of this process (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).
//!
//! The crate's collector takes thirty system calls and most of a small scrape.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{SysconfVar, sysconf};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};

use super::messages::{self, number};
use crate::proc_stat::ProcStat;
use crate::unix_time;

/// A collector of what is there to be had: without `/proc`, not all of it.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started: Duration,
    page_size: u64,
    descriptions: Vec<Desc>,
}

/// The result of one look at the process.
struct Seen<'a> {
    process: &'a ProcessCollector,
    stat: Option<Stat>,
}

/// A metric: its name, its help and how its value is found.
type Row = (&'static str, &'static str, fn(&Seen) -> Option<f64>);

const METRICS: [Row; 7] = [
    ("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", |_| {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        Some((duration(usage.user_time()) + duration(usage.system_time())).as_secs_f64())
    }),
    ("process_max_fds", "Maximum number of open file descriptors.", |_| {
        Some(number(getrlimit(Resource::RLIMIT_NOFILE).ok()?.0))
    }),
    ("process_open_fds", "Number of open file descriptors.", |_| Some(number(open_descriptors()?))),
    ("process_resident_memory_bytes", "Resident memory size in bytes.", |seen| {
        Some(number(seen.stat.as_ref()?.resident_pages * seen.process.page_size))
    }),
    ("process_threads", "Number of OS threads in the process.", |seen| {
        Some(number(seen.stat.as_ref()?.threads))
    }),
    ("process_virtual_memory_bytes", "Virtual memory size in bytes.", |seen| {
        Some(number(seen.stat.as_ref()?.virtual_bytes))
    }),
    ("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", |seen| {
        Some(seen.process.started.as_secs_f64())
    }),
];

impl ProcessCollector {
    /// Describes this process, which has just started.
    ///
    /// # Errors
    /// A metric is wrongly described, which is our fault.
    pub(super) fn starting() -> prometheus::Result<Self> {
        let page_size =
            sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok());
        let describe =
            |(name, help, _): Row| Desc::new(name.to_owned(), help.to_owned(), vec![], HashMap::new());
        let descriptions = METRICS.into_iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { started: unix_time::now(), page_size: page_size.unwrap_or(4096), descriptions })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let seen = Seen { process: self, stat: Stat::read() };
        let family = |(name, help, read): Row| {
            let value = read(&seen)?;
            Some(if name.ends_with("_total") {
                messages::family(name, help, MetricType::COUNTER, vec![messages::counter(vec![], value)])
            } else {
                messages::family(name, help, MetricType::GAUGE, vec![messages::gauge(vec![], value)])
            })
        };
        METRICS.into_iter().filter_map(family).collect()
    }
}

fn duration(time: TimeVal) -> Duration {
    Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or_default())
}

const DESCRIPTORS: &str = "/proc/self/fd";

/// Returns the number of open descriptors: since Linux 6.2 the size of their directory (`proc_pid_fd(5)`), before that
/// a count of its entries but for the one that this takes.
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
        let resident = stat.resident_pages * ProcessCollector::starting().unwrap().page_size;
        assert!(resident.abs_diff(of("VmRSS:") * 1024) < 8 << 20, "{resident}");
    }
}
