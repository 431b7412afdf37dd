//! Commands of every bad kind, run by a sidecar that is PID 1: nothing of them stays behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use nix::sys::signal::Signal;

use crate::Scale;
use crate::process::{self, Process, Starvation, scratch, stayed};
use crate::sidecar::{Plan, Sidecar, eventually, past_runs, within};
use crate::table::{Tally, percentile};

/// One kind of command, and what a run of it must come to.
struct Kind {
    name: String,
    target: String,
    period: f64,
    timeout: f64,
    result: &'static str,
    reason: String,
}

fn kind(name: &str, script: &str, result: &'static str, reason: &str) -> Kind {
    let target = format!("exec:{}", serde_json::json!(["sh", "-c", script]));
    Kind { name: name.to_owned(), target, period: 0.5, timeout: 5.0, result, reason: reason.to_owned() }
}

fn kinds() -> Vec<Kind> {
    let directory = scratch("commands-files");
    let plain = directory.join("plain");
    fs::write(&plain, "exit 0\n").expect("a file");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("its mode");
    let direct =
        |name: &str, target: String, reason: &str| Kind { target, ..kind(name, "", "failure", reason) };
    let late = |kind: Kind| Kind { timeout: 0.3, ..kind };
    let rare = |kind: Kind| Kind { period: 5.0, timeout: 10.0, ..kind };
    let mut kinds = vec![
        late(kind(
            "ignores-term",
            "trap '' TERM INT HUP; sleep 300; sleep 300",
            "timeout",
            "command timed out",
        )),
        kind("daemon", "setsid sleep 300 & exit 0", "success", ""),
        kind("double-fork", "(setsid sh -c 'sleep 300 & sleep 300 & exit' &); exit 0", "success", ""),
        late(kind(
            "daemon-timeout",
            "(setsid sh -c 'sleep 300 & exit' &); sleep 300",
            "timeout",
            "timed out",
        )),
        kind("holds-stdout", "echo early; sleep 300 & exit 1", "failure", "early"),
        kind("daemon-holds-stdout", "echo early; setsid sleep 300 & exit 1", "failure", "early"),
        kind("closes-output", "exec >&- 2>&-; sleep 0.05; exit 3", "failure", "exit status 3"),
        rare(kind("floods", "head -c 1000000000 /dev/zero; exit 1", "failure", r"\u{0}\u{0}\u{0}")),
        rare(kind("tree", "for i in $$(seq 200); do sleep 300 & done; exit 0", "success", "")),
        rare(kind("deep-tree", "n=${1:-40}; [ $n = 0 ] || sh -c \"$0\" $$((n-1)) & exit 0", "success", "")),
        direct("not-executable", format!("exec:{}", plain.display()), "permission denied"),
        direct("directory", "exec:/usr".into(), "permission denied"),
        direct("missing", "exec:/no/such/command".into(), "no such file or directory"),
    ];
    // By default these four stop a process, and these four do nothing.
    let (stopping, harmless) = ([19, 20, 21, 22], [17, 18, 23, 28]);
    for number in 1..=31 {
        let name = format!("signal-{number}");
        let script = format!("kill -{number} $$; exit 0");
        kinds.push(match number {
            n if stopping.contains(&n) => late(kind(&name, &script, "timeout", "timed out")),
            n if harmless.contains(&n) => kind(&name, &script, "success", ""),
            n => {
                let signal = Signal::try_from(n).expect("a signal");
                kind(&name, &script, "failure", &format!("killed by {signal}"))
            }
        });
    }
    kinds
}

/// Runs them all until there were enough runs, and then looks for what they left.
pub fn run(scale: &Scale) -> Tally {
    let kinds = kinds();
    let mut plan = Plan::new("commands").set("HEALTH_PROXY_LOG", "error");
    for Kind { name, target, period, timeout, .. } in &kinds {
        let variable = format!("READINESS_{}", name.to_ascii_uppercase().replace('-', "_"));
        plan = plan
            .set(format!("{variable}_PERIOD_SECONDS"), period.to_string())
            .set(format!("{variable}_TIMEOUT_SECONDS"), timeout.to_string())
            .set(variable, target);
    }
    let namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];
    let sidecar = plan.through(namespace).start();
    let (supervisor, worker) = (sidecar.supervisor(), sidecar.worker());
    let mut tally = Tally::default();
    let (fewest, starvation) = (least_descriptors(supervisor, worker), Starvation::of(worker));
    let runs = wait_for_runs(&sidecar, scale.pick(1_000, 10_000));
    judge_results(&kinds, &sidecar.status(), &starvation, &mut tally);
    judge_remains(&sidecar, supervisor, worker, runs, &mut tally);
    let leaked = within(Duration::from_secs(10), || {
        (least_descriptors(supervisor, worker) <= fewest + 2).then_some(())
    });
    let now = least_descriptors(supervisor, worker);
    tally.check(leaked.is_some(), || format!("{now} descriptors after {runs} runs, {fewest} at first"));
    tally.figure(format!("{runs} runs of {} kinds", kinds.len()));
    tally
}

/// Returns the open descriptors of both processes, at a moment with the fewest commands running.
fn least_descriptors(supervisor: i32, worker: i32) -> usize {
    let sample = |_| {
        sleep(Duration::from_millis(10));
        process::descriptors(supervisor) + process::descriptors(worker)
    };
    (0..60).map(sample).min().unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that is small")]
fn wait_for_runs(sidecar: &Sidecar, wanted: u32) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(900);
    loop {
        let runs = sidecar.metric("health_proxy_check_runs_total", "");
        if runs >= f64::from(wanted) {
            return runs as u64;
        }
        assert!(Instant::now() < deadline, "only {runs} runs of {wanted}");
        sleep(Duration::from_millis(200));
    }
}

/// Judges that every remembered run has the right result, and the last one the right reason, and that timeouts come in
/// time.
fn judge_results(kinds: &[Kind], status: &Value, starvation: &Starvation, tally: &mut Tally) {
    let mut overruns = Vec::new();
    for Kind { name, timeout, result, reason, .. } in kinds {
        let check = status["checks"].as_array().into_iter().flatten().find(|check| check["name"] == **name);
        let check = check.unwrap_or_else(|| panic!("{name} is missing"));
        let runs = past_runs(check);
        let wrong = runs.iter().filter(|(_, came)| came != result).count() as u64;
        tally.many(runs.len() as u64, wrong, || {
            format!("{name}: {wrong} of {} runs were no {result}: {}", runs.len(), check["last"])
        });
        let text = check["last"]["text"].as_str().unwrap_or_default();
        tally.check(text.contains(reason), || format!("{name}: {text:?} does not say {reason:?}"));
        if *result == "timeout" {
            overruns.extend(runs.iter().map(|(seconds, _)| seconds - timeout));
        }
    }
    let late = percentile(&mut overruns, 0.99) * 1000.0;
    let limit = if starvation.is_quiet() { 50.0 } else { 500.0 };
    tally.check(late <= limit, || format!("the 99th percentile of runs ends {late:.0} ms after the timeout"));
    tally.figure(starvation.figure());
    tally.figure(format!("timeouts +{late:.0} ms at p99"));
}

/// Zombies, and processes of runs that have long ended.
fn judge_remains(sidecar: &Sidecar, supervisor: i32, worker: i32, runs: u64, tally: &mut Tally) {
    let strangers = || -> Vec<Process> {
        let all = Process::in_namespace_of(supervisor).into_iter();
        all.filter(|process| process.id != supervisor && process.id != worker).collect()
    };
    let before = strangers();
    // Longer than any run may last and two of the longest periods: what stays now would stay for ever.
    let enough = Instant::now() + Duration::from_secs(16);
    eventually("time passes", || (Instant::now() > enough).then_some(()));
    let left = stayed(&before, &strangers());
    let (zombies, survivors): (Vec<_>, Vec<_>) = left.into_iter().partition(Process::is_zombie);
    let names = |left: &[Process]| left.iter().map(|process| process.name.clone()).collect::<Vec<_>>();
    tally.many(runs, zombies.len() as u64, || format!("zombies: {:?}", names(&zombies)));
    tally.many(runs, survivors.len() as u64, || format!("survivors: {:?}", names(&survivors)));
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    tally.figure(format!("{} zombies, {} survivors", zombies.len(), survivors.len()));
}
