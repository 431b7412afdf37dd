//! What an exec check costs beside the bare spawn and wait of the same command, in CPU time: all in one run,
//! turn by turn, so that each meets the same machine. It has to be root, for `chroot`.
//!
//! `cargo bench --bench exec [--target x86_64-unknown-linux-musl]`; it fails above 1.5 times the bare cost.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use health_proxy::grammar::options::{IN_PROCESS, OptionName};
use health_proxy::grammar::{OptionReader, Secrets, TargetSpec};
use health_proxy::outcome::Outcome;
use health_proxy::targets::enter::{ENTER, START, enter, start};
use health_proxy::targets::{Attempt, Stage, Target};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const COMMAND: [&str; 2] = ["ls", "/run"];
const ROUNDS: usize = 40;
const RUNS: u32 = 25;
const LIMIT: f64 = 1.5;

/// The name of a process that is not our child, as an app would be.
const APP: &str = "bench-app";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let failed = match arguments.as_slice() {
        [START, arguments @ ..] => Some(start(arguments)),
        [ENTER, arguments @ ..] => Some(enter(arguments)),
        _ => None,
    };
    if let Some(reason) = failed {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    let app = App::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let here = target(&[]);
    let inside = target(&[(IN_PROCESS, APP)]);
    let (mut bare, mut sidecar, mut container) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(cost(|| {
            let mut command = Command::new(COMMAND[0]);
            command.arg(COMMAND[1]).stdin(Stdio::null()).stdout(Stdio::null());
            assert!(command.status().expect("ls").success());
        }));
        sidecar.push(cost(|| run(&runtime, &here)));
        container.push(cost(|| run(&runtime, &inside)));
    }
    drop(app);
    let bare = median(&mut bare);
    println!("{:<34} {:>9}", COMMAND.join(" "), "CPU");
    println!("{:<34} {bare:>7.0} us", "bare spawn and wait");
    let mut passed = true;
    for (name, costs) in
        [("exec check in the sidecar", sidecar), ("exec check in the app's container", container)]
    {
        let (mut costs, name) = (costs, name);
        let cost = median(&mut costs);
        println!("{name:<34} {cost:>7.0} us, {:.2} times", cost / bare);
        passed &= cost <= bare * LIMIT;
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A process that outlives the shell that started it, so that it is no child of ours.
struct App(Pid);

impl App {
    fn start() -> Self {
        let script = format!("cp /bin/sleep /tmp/{APP} && (/tmp/{APP} 600 >/dev/null 2>&1 & echo $!) ");
        let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
        let id = String::from_utf8_lossy(&output.stdout).trim().parse().expect("an id");
        Self(Pid::from_raw(id))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = std::fs::remove_file(format!("/tmp/{APP}"));
    }
}

fn target(options: &[(OptionName, &str)]) -> Target {
    let mut reader = OptionReader::new("READINESS_X", options.iter().copied().collect());
    let spec = TargetSpec::read(&format!("exec:{}", COMMAND.join(" "))).expect("a command");
    Target::new(&spec, &mut reader).expect("a target")
}

fn run(runtime: &tokio::runtime::Runtime, target: &Target) {
    let outcome = runtime.block_on(target.attempt(&Stage::new(&Secrets::default())));
    assert_eq!(outcome, Outcome::Success);
}

/// Returns the CPU time of one run in microseconds: ours and that of all children.
fn cost(mut run: impl FnMut()) -> f64 {
    let before = used();
    for _ in 0..RUNS {
        run();
    }
    (used().saturating_sub(before) / RUNS).as_secs_f64() * 1e6
}

fn used() -> Duration {
    [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN]
        .into_iter()
        .map(|who| getrusage(who).expect("getrusage"))
        .flat_map(|usage| [usage.user_time(), usage.system_time()])
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            Duration::from_secs(seconds)
                + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or_default())
        })
        .sum()
}

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
}
