//! Processes that commands leave behind outside their process group, such as daemons. The supervisor adopts them, and
//! kills them as soon as every run that may have started them is over.

use std::fs;
use std::sync::{Mutex, OnceLock};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};

use crate::lock::lock;
use crate::proc_stat::ProcStat;

/// The process that adopts what our commands leave behind (`PR_SET_CHILD_SUBREAPER`); unset where that is not our supervisor, as in `check`.
static REAPER: OnceLock<Pid> = OnceLock::new();

/// The leaders of the runs that go on. One for the process, as its children are.
static LEADERS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Sets the process to which the kernel gives what commands leave behind: `supervisor`.
pub fn set_reaper(supervisor: Pid) {
    let _ = REAPER.set(supervisor);
}

/// Notes that a run has begun whose command is `leader`.
pub fn run_began(leader: Pid) {
    leaders(|leaders| leaders.push(leader));
}

/// Notes that the run of `leader` is over.
pub fn run_ended(leader: Pid) {
    leaders(|leaders| leaders.retain(|other| *other != leader));
}

/// Kills every adopted process that is older than the oldest run that goes on: none of them can need it.
///
/// Its age decides, since nothing else tells whose it was: a daemon leaves group, session and parent.
/// Without `/proc` it is not found, and lives on.
pub fn kill_leftovers() {
    let Some(&reaper) = REAPER.get() else { return };
    let orphans = children_of(reaper).into_iter().filter(|&child| child != getpid());
    let mut oldest_run = None;
    for orphan in orphans {
        let oldest_run = *oldest_run.get_or_insert_with(oldest_run_began);
        if began(orphan).is_some_and(|began| began < oldest_run) {
            kill_process(orphan);
        }
    }
}

/// Kills all children of `parent`, with the groups that they lead.
pub fn kill_children(parent: Pid) {
    children_of(parent).into_iter().for_each(kill_process);
}

fn leaders<T>(act: impl FnOnce(&mut Vec<Pid>) -> T) -> T {
    act(&mut lock(&LEADERS))
}

fn oldest_run_began() -> u64 {
    leaders(|leaders| leaders.iter().filter_map(|&leader| began(leader)).min()).unwrap_or(u64::MAX)
}

/// Returns the children of a process's first thread: most processes have one thread, and the children of a worker and a
/// supervisor belong to their first.
fn children_of(parent: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_ascii_whitespace().flat_map(str::parse).map(Pid::from_raw).collect()
}

/// Returns when a process began, in clock ticks since the boot.
fn began(id: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    ProcStat::parse(&stat)?.field(22)
}

fn kill_process(id: Pid) {
    let _ = killpg(id, Signal::SIGKILL);
    let _ = kill(id, Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_and_its_age_is_read() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let own_age = began(getpid()).unwrap();
        assert!(began(id).unwrap() >= own_age);
        // The harness runs each test on a thread of its own, and children are listed by the thread.
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let lists = threads.flat_map(|thread| fs::read_to_string(thread.unwrap().path().join("children")));
        assert!(lists.collect::<String>().split(' ').any(|child| child == id.to_string()));
        kill_process(id);
        assert!(!child.wait().unwrap().success());
        assert_eq!(began(id), None);
    }
}
