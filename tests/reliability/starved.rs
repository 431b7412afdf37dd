//! A sidecar that lacks something it is used to: it goes on, or says what it lacks.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Scale;
use crate::hostile;
use crate::process::{self, scratch};
use crate::sidecar::{Plan, Sidecar, eventually, program, signal, within};
use crate::table::Tally;

/// Returns a good app, and a plan that watches it in every way.
fn plan(name: &str) -> Plan {
    let port = hostile::start(&hostile::kinds()[..1])[0];
    Plan::new(name)
        .set("LIVENESS_PERIOD_SECONDS", "0.2")
        .set("READINESS_PERIOD_SECONDS", "0.2")
        .set("LIVENESS_WEB", format!("http://localhost:{port}/"))
        .set("READINESS_DB", format!("tcp://127.0.0.1:{port}"))
        .set("READINESS_COMMAND", "exec:true")
}

fn runs(sidecar: &Sidecar, result: &str) -> f64 {
    sidecar.metric("health_proxy_check_runs_total", result)
}

/// Expects of a sidecar whose app is well what must hold: it runs checks, they pass, and it says so.
fn expect_well(sidecar: &Sidecar, tally: &mut Tally) {
    let before = runs(sidecar, "result=\"success\"");
    let goes_on = within(Duration::from_secs(20), || {
        (runs(sidecar, "result=\"success\"") >= before + 9.0).then_some(())
    });
    tally.check(goes_on.is_some(), || "the checks do not pass any more".to_owned());
    for path in ["/livez", "/readyz", "/-/healthy"] {
        let well = within(Duration::from_secs(20), || (sidecar.get(path).status == 200).then_some(()));
        tally.check(well.is_some(), || format!("{path}: {:?}", sidecar.get(path)));
    }
}

/// Expects of a sidecar that lacked something, and was not to blame, that its worker is the one that it was.
fn expect_same_worker(sidecar: &Sidecar, worker: i32, tally: &mut Tally) {
    let replaced = sidecar.metric("health_proxy_worker_restarts_total", "");
    let is_same = sidecar.worker() == worker && replaced == 0.0;
    tally.check(is_same, || format!("the worker was replaced {replaced} times: {}", sidecar.log()));
}

/// Returns a shell that prepares, and then becomes the sidecar.
fn shell(script: &str) -> Vec<String> {
    vec!["sh".into(), "-c".into(), format!("{script}\nexec \"$@\""), "sh".into()]
}

/// Tries thirty-two descriptors, and callers who would take them all.
pub fn descriptors(_: &Scale) -> Tally {
    let sidecar = plan("descriptors").through(["prlimit", "--nofile=32"]).start();
    let mut tally = Tally::default();
    expect_well(&sidecar, &mut tally);
    let idle: Vec<_> = (0..100).filter_map(|_| TcpStream::connect(sidecar.address).ok()).collect();
    let failed = runs(&sidecar, "result=\"failure\"");
    for _ in 0..50 {
        let began = Instant::now();
        tally.check(sidecar.get("/livez").status == 200, || "the kubelet is not answered".to_owned());
        let took = began.elapsed();
        tally.check(took < Duration::from_secs(1), || format!("an answer took {took:?}"));
    }
    expect_well(&sidecar, &mut tally);
    let more = runs(&sidecar, "result=\"failure\"") - failed;
    tally.check(more == 0.0, || format!("{more} checks failed for want of descriptors"));
    tally.figure(format!(
        "{} idle callers, {} descriptors",
        idle.len(),
        process::descriptors(sidecar.worker())
    ));
    tally
}

/// A control group of this case's own, gone with this value. Version 1 or 2, whichever the machine has.
struct Group(PathBuf);

impl Group {
    fn new(controller: &str, limits: &[(&str, &str)]) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let versioned = root.join(controller);
        let parent = if versioned.is_dir() { versioned } else { root.to_owned() };
        let path = parent.join(format!("health-proxy-{}-{controller}", std::process::id()));
        fs::create_dir_all(&path).expect("a control group");
        let set = limits.iter().filter(|(file, value)| fs::write(path.join(file), value).is_ok()).count();
        assert!(set > 0, "no limit of {controller} can be set");
        Self(path)
    }

    /// Takes limits away while it runs.
    fn lift(&self, limits: &[(&str, &str)]) {
        let lifted =
            limits.iter().filter(|(file, value)| fs::write(self.0.join(file), value).is_ok()).count();
        assert!(lifted > 0, "no limit can be lifted");
    }

    /// Returns whether a process is confined by it.
    fn holds(&self, id: i32) -> bool {
        let ids = fs::read_to_string(self.0.join("cgroup.procs")).expect("the group's processes");
        ids.lines().any(|line| line == id.to_string())
    }

    /// Returns for how long its processes had to wait for their share to come round.
    fn throttled(&self) -> Duration {
        let stat = fs::read_to_string(self.0.join("cpu.stat")).expect("the group's figures");
        let field = |name| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let nanos = field("throttled_time ").map(Duration::from_nanos);
        nanos.or_else(|| field("throttled_usec ").map(Duration::from_micros)).expect("a time")
    }

    fn script(&self) -> String {
        format!("echo $$ > {}/cgroup.procs || exit 9", self.0.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may still be on its way out.
        let gone = within(Duration::from_secs(5), || fs::remove_dir(&self.0).ok());
        if gone.is_none() {
            println!("  {} stays behind", self.0.display());
        }
    }
}

/// Tries sixteen MiB for both processes and the commands, with callers who ask for much.
pub fn memory(_: &Scale) -> Tally {
    let limit = (16 * 1024 * 1024).to_string();
    let group = Group::new("memory", &[("memory.limit_in_bytes", &limit), ("memory.max", &limit)]);
    let mut tally = Tally::default();
    {
        let sidecar = plan("memory").through(shell(&group.script())).start();
        let worker = sidecar.worker();
        expect_well(&sidecar, &mut tally);
        let idle: Vec<_> = (0..500).filter_map(|_| TcpStream::connect(sidecar.address).ok()).collect();
        for _ in 0..500 {
            tally.check(sidecar.get("/status").status == 200, || "no status".to_owned());
        }
        drop(idle);
        expect_well(&sidecar, &mut tally);
        expect_same_worker(&sidecar, worker, &mut tally);
        tally.figure(format!("{} KiB resident", process::resident_kib(worker)));
    }
    drop(group);
    tally
}

/// Tries a hundredth of a processor, and work for thirty times as much: everything is late, nothing is wrong.
pub fn cpu(scale: &Scale) -> Tally {
    let limits = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "1000"), ("cpu.max", "1000 100000")];
    let group = Group::new("cpu", &limits);
    let port = hostile::start(&hostile::kinds()[..1])[0];
    let mut plan = Plan::new("cpu").set("LIVENESS_WEB", format!("http://127.0.0.1:{port}/"));
    for number in 0..300 {
        plan = plan.set(format!("READINESS_C{number}"), format!("http://127.0.0.1:{port}/"));
    }
    for probe in ["LIVENESS", "READINESS"] {
        plan =
            plan.set(format!("{probe}_PERIOD_SECONDS"), "0.2").set(format!("{probe}_TIMEOUT_SECONDS"), "0.5");
    }
    let mut tally = Tally::default();
    {
        let sidecar = plan.through(shell(&group.script())).start();
        let worker = sidecar.worker();
        for id in [sidecar.supervisor(), worker] {
            tally.check(group.holds(id), || format!("process {id} is outside the group"));
        }
        let (before, began) = (group.throttled(), Instant::now());
        while began.elapsed() < Duration::from_secs(scale.pick(15, 60)) {
            expect_truth(&sidecar, &mut tally);
        }
        let (throttled, elapsed) = (group.throttled().saturating_sub(before), began.elapsed());
        tally.check(throttled > elapsed / 2, || format!("throttled for {throttled:?} of {elapsed:?}"));
        tally.figure(format!("throttled for {throttled:.1?} of {elapsed:.1?}"));
        group.lift(&[("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")]);
        for path in ["/readyz", "/-/healthy"] {
            let answers = format!("code=\"503\",path=\"{path}\"");
            let failed = sidecar.metric("health_proxy_http_requests_total", &answers);
            tally.check(failed > 0.0, || format!("{path} has never failed"));
        }
        // The app is well, and a run that nobody could look at says nothing else of it.
        let [passed, failed, timed_out] =
            ["success", "failure", "timeout"].map(|result| runs(&sidecar, &format!("result=\"{result}\"")));
        let wrong = failed + timed_out;
        tally.check(passed > 0.0 && wrong == 0.0, || format!("{wrong} runs failed, {passed} passed"));
        expect_well(&sidecar, &mut tally);
        expect_same_worker(&sidecar, worker, &mut tally);
        tally.figure(format!("{passed} runs passed, {wrong} failed"));
    }
    drop(group);
    tally
}

/// Expects late answers, and each of them true: the app is well, and what has not been looked at in time says so.
fn expect_truth(sidecar: &Sidecar, tally: &mut Tally) {
    let live = sidecar.get("/livez");
    tally.check(live.status == 200, || format!("/livez: {live:?}"));
    for path in ["/readyz", "/-/healthy"] {
        let answer = sidecar.get(path);
        let failing = || answer.body.lines().filter(|line| line.starts_with("[-]"));
        let is_true = failing().all(|line| line.contains("no result for ") || line.contains("no result yet"));
        let is_whole = answer.status == 200 || failing().count() > 0;
        tally.check(is_true && is_whole, || format!("{path}: {answer:?}"));
    }
}

/// Tries both processes stopped, for longer than a hang is waited for: callers wait, no run is made up for, no state is
/// invented.
pub fn stopped(scale: &Scale) -> Tally {
    let sidecar = plan("stopped").start();
    let (supervisor, worker) = (sidecar.supervisor(), sidecar.worker());
    let mut tally = Tally::default();
    expect_well(&sidecar, &mut tally);
    let failed = || runs(&sidecar, "result=\"failure\"") + runs(&sidecar, "result=\"timeout\"");
    let (before, failed_before) = (runs(&sidecar, ""), failed());
    for id in [worker, supervisor] {
        signal(id, Signal::SIGSTOP);
    }
    let waiting = TcpStream::connect(sidecar.address);
    tally.check(waiting.is_ok(), || format!("a caller was refused: {waiting:?}"));
    sleep(Duration::from_secs(scale.pick(8, 30)));
    for id in [supervisor, worker] {
        signal(id, Signal::SIGCONT);
    }
    let continued = Instant::now();
    // The first answer may say that the checks are stale, since they are; liveness stands.
    let live = sidecar.get("/livez");
    tally.check(live.status == 200, || format!("/livez: {live:?}"));
    let well = within(Duration::from_secs(5), || (sidecar.get("/-/healthy").status == 200).then_some(()));
    tally.check(well.is_some(), || "it stays stale".to_owned());
    let after = runs(&sidecar, "");
    // Three checks at five runs a second, one run each that was due, and one that was under way.
    let allowed = 15.0 * continued.elapsed().as_secs_f64() + 12.0;
    tally.check(after - before <= allowed, || format!("a burst of {} runs", after - before));
    let wrong = failed() - failed_before;
    tally.check(wrong == 0.0, || format!("{wrong} runs of a good app failed"));
    expect_well(&sidecar, &mut tally);
    expect_same_worker(&sidecar, worker, &mut tally);
    tally
}

/// Sets the wall clock a day ahead and two back: nothing but what is shown depends on it.
pub fn clock(_: &Scale) -> Tally {
    let file = scratch("clock-offset").join("offset");
    fs::write(&file, "+0").expect("an offset");
    // Only a program that is linked dynamically can be told another time.
    let sidecar = plan("clock")
        .program(env!("CARGO_BIN_EXE_health-proxy"))
        .set("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
        .set("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("a path"))
        .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .set("FAKETIME_NO_CACHE", "1")
        .start();
    let now = || sidecar.status()["now"].as_f64().expect("a time");
    let mut tally = Tally::default();
    expect_well(&sidecar, &mut tally);
    let start = now();
    for (offset, jump) in [("+86400", 86_400.0), ("-86400", -86_400.0), ("+0", 0.0)] {
        let (failed, began) = (runs(&sidecar, "result=\"failure\""), Instant::now());
        fs::write(&file, offset).expect("an offset");
        eventually("the clock jumps", || ((now() - start - jump).abs() < 600.0).then_some(()));
        expect_well(&sidecar, &mut tally);
        let more = runs(&sidecar, "result=\"failure\"") - failed;
        tally.check(more == 0.0, || format!("{more} runs failed after {offset}"));
        let took = began.elapsed();
        tally.check(took < Duration::from_secs(10), || format!("the checks paused for {took:?}"));
    }
    tally
}

/// Tries outputs that nobody reads, or whose reader has gone.
pub fn outputs(_: &Scale) -> Tally {
    let mut tally = Tally::default();
    for is_closed in [false, true] {
        let (out, stdout) = std::io::pipe().expect("a pipe");
        let (err, stderr) = std::io::pipe().expect("a pipe");
        // A pipe that is full from the beginning is the worst reader.
        fill(&stderr);
        let verbose = plan("outputs").set("HEALTH_PROXY_LOG", "trace");
        let mut sidecar = verbose.start_with(stdout.into(), stderr.into());
        let readers = (!is_closed).then_some((out, err));
        sidecar.wait_until_it_answers();
        expect_well(&sidecar, &mut tally);
        let worker = sidecar.worker();
        // Enough for the pipe to be full.
        for _ in 0..300 {
            let _ = sidecar.get("/metrics");
        }
        signal(worker, Signal::SIGKILL);
        let next = within(Duration::from_secs(5), || Some(sidecar.worker()).filter(|id| *id != worker));
        tally.check(next.is_some(), || "no worker follows the dead one".to_owned());
        expect_well(&sidecar, &mut tally);
        let supervisor = sidecar.supervisor();
        let began = Instant::now();
        signal(supervisor, Signal::SIGTERM);
        let status = sidecar.wait();
        let took = began.elapsed();
        tally.check(status.code() == Some(0), || format!("closed {is_closed}: it ended with {status}"));
        tally.check(took < Duration::from_secs(3), || format!("its end took {took:?}"));
        drop(readers);
    }
    tally
}

fn fill(pipe: &std::io::PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let set = |flags| fcntl(pipe, FcntlArg::F_SETFL(flags)).expect("a mode");
    set(OFlag::O_NONBLOCK);
    let mut writer = pipe;
    while std::io::Write::write(&mut writer, &[b'.'; 4096]).is_ok() {}
    set(OFlag::empty());
}

/// Tries a root that holds nothing but the program and cannot be written: no `/proc`, no `/etc`, no resolver.
pub fn empty_root(_: &Scale) -> Tally {
    let root = scratch("empty-root");
    fs::copy(program(), root.join("health-proxy")).expect("a copy");
    let script = format!("mount --bind {0} {0} && mount -o remount,bind,ro {0} || exit 9", root.display());
    let mut wrapper: Vec<String> = ["unshare", "--mount"].map(str::to_owned).into();
    wrapper.extend(shell(&script));
    wrapper.extend(["chroot".to_owned(), root.display().to_string()]);
    let port = hostile::start(&hostile::kinds()[..1])[0];
    let sidecar = Plan::new("empty-root-log")
        .set("LIVENESS_WEB", format!("http://localhost:{port}/"))
        .set("LIVENESS_WEB_PERIOD_SECONDS", "0.2")
        .set("READINESS_NAME", format!("http://app.example:{port}/"))
        .set("READINESS_NAME_PERIOD_SECONDS", "0.2")
        .set("READINESS_COMMAND", "exec:true")
        .set("READINESS_FILE", "file:/var/ready")
        .set("READINESS_INSIDE", "file:/var/ready")
        .set("READINESS_INSIDE_IN_PROCESS", "app")
        // It would look for a new container by who listens on its port.
        .set("LIVENESS_GONE", "tcp://127.0.0.1:1")
        .set("LIVENESS_GONE_PERIOD_SECONDS", "0.2")
        .set("LIVENESS_GONE_REQUIRED", "false")
        .program("/health-proxy")
        .through(wrapper)
        .start();
    let mut tally = Tally::default();
    for round in 0..2 {
        let passes = within(Duration::from_secs(10), || {
            (runs(&sidecar, "check=\"web\",probe=\"liveness\",result=\"success\"") > 3.0).then_some(())
        });
        tally.check(passes.is_some(), || "localhost is not found".to_owned());
        let ready = eventually("a reason of each", || {
            let body = sidecar.get("/readyz").body;
            (!body.contains("no result yet")).then_some(body)
        });
        for reason in
            ["name failed: ", "command failed: cannot ", "file failed: /var/ready: ", "inside failed: "]
        {
            tally.check(ready.contains(reason), || format!("{reason:?} is not in {ready:?}"));
        }
        let incarnations = sidecar.metric("health_proxy_incarnations_total", "");
        tally.check(incarnations < 2.0, || format!("{incarnations} incarnations of one app"));
        for path in ["/livez", "/-/healthy", "/metrics", "/status"] {
            tally.check(sidecar.get(path).status == 200, || format!("{path}: {:?}", sidecar.get(path)));
        }
        if round == 0 {
            let worker = sidecar.worker();
            signal(worker, Signal::SIGKILL);
            eventually("another worker", || Some(sidecar.worker()).filter(|id| *id != worker));
        }
    }
    tally
}

/// Tries a machine without IPv6, by a setting of the network or because the kernel has none.
pub fn no_ipv6(_: &Scale) -> Tally {
    let mut tally = Tally::default();
    let setting = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || exit 9";
    let without: &[&str] = &[];
    let refused = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=socket",
        "-e",
        "inject=socket:error=EAFNOSUPPORT:when=1",
    ];
    for (name, tracer) in [("a setting", without), ("the kernel", &refused)] {
        let mut wrapper: Vec<String> = ["unshare", "--net"].map(str::to_owned).into();
        wrapper.extend(shell(setting));
        wrapper.extend(tracer.iter().map(|&word| word.to_owned()));
        let plan = Plan::new("no-ipv6")
            .on_default_address()
            .set("LIVENESS_WEB", "tcp://:9809")
            .set("READINESS_GONE", "tcp://:1")
            .set("READINESS_GONE_FAILURE_THRESHOLD", "1")
            .through(wrapper);
        let mut sidecar = plan.start_with(Stdio::null(), Stdio::null());
        let answer = within(Duration::from_secs(10), || {
            ask_inside(&sidecar, "livez").filter(|text| text.contains("ok"))
        });
        tally.check(answer.is_some(), || format!("{name}: no answer, it runs: {}", sidecar.is_running()));
        let reason = within(Duration::from_secs(10), || {
            ask_inside(&sidecar, "readyz").filter(|text| text.contains("connection refused"))
        });
        tally.check(reason.is_some(), || format!("{name}: {:?}", ask_inside(&sidecar, "readyz")));
    }
    tally
}

/// Runs `health-proxy get` inside the sidecar's network.
fn ask_inside(sidecar: &Sidecar, what: &str) -> Option<String> {
    let id = sidecar.id().to_string();
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &id]).arg(program()).args(["get", what]).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    let _ = child.wait();
    Some(text)
}
