//! Whatever a check asks may never answer: that is the check's own trouble and nobody else's.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Scale;
use crate::dead_mount::DeadMount;
use crate::hostile;
use crate::process::{Process, Starvation, scratch};
use crate::sidecar::{Plan, Sidecar, within};
use crate::table::{Tally, percentile};

const PERIOD: f64 = 0.2;

/// The number of the worker's calls that hang at a time at most (`blocking::MAX_HELPERS`).
const HELPERS: usize = 64;

/// The threads of a worker beside those: its own, and the one that writes the log.
const OTHER_THREADS: usize = 3;

/// A process in whose container nothing answers.
struct App(Child);

impl App {
    fn start(directory: &Path) -> Self {
        let program = directory.join("hung-app");
        fs::copy("/bin/sleep", &program).expect("a program");
        Self(Command::new(program).arg("600").spawn().expect("an app"))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way to hang: the name of the check, its target, its options, and the reason of its timeout.
type Way = (&'static str, String, Vec<(&'static str, String)>, String);

fn ways(mount: &str, port: u16) -> Vec<Way> {
    let silent =
        |what: &str| format!("timeout: the file system did not answer for {mount}/{what} within 200ms");
    let in_app = ("IN_PROCESS", "hung-app".to_owned());
    let escaped = mount.replace('/', "%2F");
    vec![
        ("file", format!("file:{mount}/ready"), vec![], silent("ready")),
        ("file-inside", format!("file:{mount}/in"), vec![in_app.clone()], silent("in")),
        ("unix", format!("unix:{mount}/app.sock"), vec![], silent("app.sock")),
        ("unix-inside", format!("unix:{mount}/in.sock"), vec![in_app.clone()], silent("in.sock")),
        ("http-unix", format!("http+unix://{escaped}%2Fhttp.sock/"), vec![], silent("http.sock")),
        ("ca-file", format!("https://:{port}/"), vec![("TLS_CA_FILE", format!("{mount}/ca"))], silent("ca")),
        ("program", format!("exec:{mount}/program"), vec![], silent("program")),
        ("program-inside", format!("exec:{mount}/in-program"), vec![in_app], silent("in-program")),
        (
            "name",
            "tcp://no-answer.example:1".to_owned(),
            vec![],
            "timeout: the name no-answer.example was not resolved within 200ms".to_owned(),
        ),
    ]
}

/// Starts a resolver that hears and says nothing, and a wrapper that has the sidecar ask it.
fn with_a_silent_resolver(directory: &Path) -> (UdpSocket, Vec<String>) {
    // Another address of loopback, where no resolver of this machine is.
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, 9, 9), 53)).expect("port 53");
    let file = directory.join("resolv.conf");
    fs::write(&file, "nameserver 127.9.9.9\n").expect("a file");
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", file.display());
    (socket, ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec())
}

/// Tries every way to hang at once, beside checks that are well.
pub fn ways_to_hang(scale: &Scale) -> Tally {
    let directory = scratch("dead-ways");
    let mount_at = directory.join("mount");
    fs::create_dir(&mount_at).expect("a directory");
    let (app, (_resolver, wrapper)) = (App::start(&directory), with_a_silent_resolver(&directory));
    let port = hostile::start(&hostile::kinds()[..1])[0];
    let ways = ways(mount_at.to_str().expect("a plain path"), port);
    let mut plan = well(Plan::new("ways-to-hang"), port).through(wrapper);
    for (name, target, options, _) in &ways {
        let variable = format!("READINESS_{}", name.to_uppercase().replace('-', "_"));
        plan = options.iter().fold(plan.set(&variable, target), |plan, (option, value)| {
            plan.set(format!("{variable}_{option}"), value)
        });
    }
    let mount = DeadMount::at(&mount_at);
    let sidecar = plan.start();
    let mut tally = Tally::default();
    for (name, .., expected) in &ways {
        let told = within(Duration::from_secs(20), || (text(&sidecar, name) == *expected).then_some(()));
        tally.check(told.is_some(), || format!("{name}: {:?} instead of {expected:?}", text(&sidecar, name)));
    }
    watch(&sidecar, scale.pick(5, 60), ways.len(), &mut tally);
    let hung = Process::children_of(sidecar.worker()).len();
    tally
        .check(hung <= 2 + 1, || format!("{hung} processes of two commands that hang and one that does not"));
    drop(mount);
    recover(&sidecar, &mut tally);
    drop(app);
    tally
}

/// Tries more checks that hang than there are helpers for.
pub fn more_than_there_are_helpers(scale: &Scale) -> Tally {
    let directory = scratch("dead-helpers");
    let port = hostile::start(&hostile::kinds()[..1])[0];
    let mut plan = well(Plan::new("more-than-helpers"), port);
    for number in 0..2 * HELPERS {
        plan = plan.set(format!("READINESS_H{number}"), format!("file:{}/{number}", directory.display()));
    }
    let mount = DeadMount::at(&directory);
    let sidecar = plan.start();
    let mut tally = Tally::default();
    let full =
        "timeout: all 64 helpers wait for files or names that do not answer: none was free within 200ms";
    let told = within(Duration::from_secs(20), || {
        let all = checks(&sidecar);
        let texts = || all.iter().filter_map(|check| check["last"]["text"].as_str());
        let without = texts().filter(|text| *text == full).count();
        let hung = texts().filter(|text| text.contains("the file system did not answer")).count();
        (without == HELPERS && hung == HELPERS).then_some(())
    });
    tally.check(told.is_some(), || format!("not {HELPERS} of each: {}", sidecar.status()["checks"]));
    watch(&sidecar, scale.pick(5, 60), HELPERS, &mut tally);
    drop(mount);
    recover(&sidecar, &mut tally);
    tally
}

/// Checks that need no file: they are to notice nothing.
fn well(plan: Plan, port: u16) -> Plan {
    plan.set("LIVENESS_WEB", format!("http://127.0.0.1:{port}/"))
        .set("LIVENESS_PORT", format!("tcp://127.0.0.1:{port}"))
        .set("LIVENESS_COMMAND", "exec:true")
        .set("LIVENESS_PERIOD_SECONDS", PERIOD.to_string())
        .set("READINESS_PERIOD_SECONDS", PERIOD.to_string())
        .set("READINESS_TIMEOUT_SECONDS", "0.2")
        .set("READINESS_FAILURE_THRESHOLD", "1")
        .set("HEALTH_PROXY_LOG", "error")
}

/// Looks for some seconds: answers come at once, well checks keep their period, and no more threads are there than
/// calls that hang.
fn watch(sidecar: &Sidecar, seconds: u32, hanging: usize, tally: &mut Tally) {
    let worker = sidecar.worker();
    let starvation = Starvation::of(worker);
    let (runs, began) =
        (sidecar.metric("health_proxy_check_runs_total", "probe=\"liveness\""), Instant::now());
    let mut answers = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds.into()) {
        let asked = Instant::now();
        tally.check(sidecar.get("/livez").status == 200, || "/livez is red".to_owned());
        answers.push(asked.elapsed().as_secs_f64());
        let threads = fs::read_dir(format!("/proc/{worker}/task")).map_or(0, Iterator::count);
        tally.check(threads <= hanging + OTHER_THREADS, || format!("{threads} threads for {hanging} calls"));
        sleep(Duration::from_millis(10));
    }
    let more = sidecar.metric("health_proxy_check_runs_total", "probe=\"liveness\"") - runs;
    let expected = 3.0 * began.elapsed().as_secs_f64() / PERIOD;
    let patience = if starvation.is_quiet() { 1.0 } else { 20.0 };
    tally.check(more >= expected - 3.0 * patience, || {
        format!("{more} runs of {expected:.0} beside those that hang")
    });
    let p99 = percentile(&mut answers, 0.99) * 1000.0;
    tally.check(p99 <= 20.0 * patience, || format!("the 99th percentile of /livez took {p99:.1} ms"));
    let failed = sidecar.metric("health_proxy_check_runs_total", "probe=\"liveness\",result=\"failure\"");
    tally.check(failed == 0.0, || format!("{failed} runs that need no file failed"));
    tally.check(sidecar.worker() == worker, || "the worker was replaced".to_owned());
    tally.figure(format!(
        "{hanging} calls hang; /livez p99 {p99:.1} ms; {more:.0} of {expected:.0} runs beside them"
    ));
}

/// Waits until every call has returned: they do when the file system is gone.
fn recover(sidecar: &Sidecar, tally: &mut Tally) {
    let released = within(Duration::from_secs(20), || {
        let texts = checks(sidecar).into_iter().filter(|check| check["probe"] == "readiness");
        texts
            .filter_map(|check| Some(check["last"]["text"].as_str()?.to_owned()))
            .all(|text| !text.contains("did not answer"))
            .then_some(())
    });
    tally.check(released.is_some(), || format!("somebody still waits: {}", sidecar.status()["checks"]));
}

fn checks(sidecar: &Sidecar) -> Vec<Value> {
    sidecar.status()["checks"].as_array().expect("checks").clone()
}

/// Returns the reason of a check's last run.
fn text(sidecar: &Sidecar, name: &str) -> String {
    let found = checks(sidecar).into_iter().find(|check| check["name"] == name);
    found.and_then(|check| Some(check["last"]["text"].as_str()?.to_owned())).unwrap_or_default()
}
