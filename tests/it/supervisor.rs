//! Two processes: no caller is refused, whatever becomes of the worker.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::app::{App, response};
use crate::attempt::Directory;
use crate::sidecar::{BINARY, Sidecar, command, eventually, raw};

/// The kills that a container survives: the fifth death within a minute would end it.
const KILLS_PER_LIFE: usize = 4;

/// So many sidecars make a thousand kills.
const LIVES: usize = 250;

#[test]
fn a_thousand_kills_of_the_worker_refuse_no_request_and_change_no_answer() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let (mut kills, mut answers) = (0, 0);
    for _ in 0..LIVES {
        let sidecar = Sidecar::start(&[
            ("LIVENESS_WEB", &app.url("/")),
            ("READINESS_WEB", &app.url("/")),
            ("READINESS_DB", "tcp://:1"),
            ("READINESS_DB_REQUIRED", "false"),
        ]);
        let expected = eventually("both checks have run", || {
            let answer = sidecar.get("/readyz?verbose");
            (answer.status == 200 && !answer.body.contains("no result yet")).then_some(answer.body)
        });
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count, address) = (Arc::clone(&stop), Arc::clone(&answered), sidecar.address);
        let caller = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let question = b"GET /readyz?verbose HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                // A connection that the dead worker had accepted is reset; one that is refused is the fault.
                match raw(address, question) {
                    Ok(answer) if answer.ends_with(&expected) => drop(count.fetch_add(1, Ordering::SeqCst)),
                    Ok(answer) => assert!(answer.is_empty(), "{answer}"),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
                }
            }
        });
        let mut last = None;
        for _ in 0..KILLS_PER_LIFE {
            let worker = eventually("a new worker", || sidecar.worker().filter(|id| last != Some(*id)));
            let before = answered.load(Ordering::SeqCst);
            eventually("an answer", || (answered.load(Ordering::SeqCst) > before).then_some(()));
            kill(worker, Signal::SIGKILL).unwrap();
            last = Some(worker);
            kills += 1;
        }
        stop.store(true, Ordering::SeqCst);
        caller.join().expect("no request was refused, and no answer was a different one");
        answers += answered.load(Ordering::SeqCst);
    }
    assert_eq!(kills, 1000);
    assert!(answers >= 1000);
}

#[test]
fn five_deaths_within_a_minute_end_the_container_with_the_reason() {
    let mut sidecar = Sidecar::start(&[("LIVENESS_A", "tcp://:1")]);
    let mut last = None;
    for _ in 0..5 {
        let worker = eventually("a new worker", || sidecar.worker().filter(|id| last != Some(*id)));
        kill(worker, Signal::SIGKILL).unwrap();
        last = Some(worker);
    }
    assert_eq!(sidecar.wait().code(), Some(1));
    let expected =
        "health-proxy: 5 workers had to be replaced within a minute; the last one died by signal 9 (SIGKILL)";
    eventually("the last line", || (sidecar.errors().last()? == expected).then_some(()));
}

/// The words about a worker that was stopped.
const STOPPED: &str = "hung: its loop did not turn for more than 5 s, it was stopped by a signal (state T)";

#[test]
fn a_worker_that_hangs_is_replaced_and_who_asked_meanwhile_is_answered() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = Sidecar::start(&[("LIVENESS_WEB", &app.url("/"))]);
    let worker = eventually("a worker", || sidecar.worker());
    let stopped = Instant::now();
    kill(worker, Signal::SIGSTOP).unwrap();
    assert_eq!(sidecar.get("/livez").status, 200);
    let took = stopped.elapsed();
    // The sixth tick after its last sign, and some time for a busy machine.
    assert!(Duration::from_secs(4) < took && took < Duration::from_secs(9), "{took:?}");
    sidecar.wait_for_log(&format!("the worker {STOPPED}; this is another"));
    assert_ne!(sidecar.worker(), Some(worker));
    for (cause, count) in [("hang", 1.0), ("death", 0.0)] {
        let series = format!("health_proxy_worker_restarts_total{{cause=\"{cause}\"}}");
        assert_eq!(sidecar.metric(&series), Some(count), "{cause}");
    }
}

#[test]
fn a_hang_counts_like_a_death_and_ends_what_is_ending() {
    let start =
        || Sidecar::start(&[("LIVENESS_A", "tcp://:1"), ("HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS", "3600")]);
    let (mut tired, mut ending) = (start(), start());
    ending.signal(Signal::SIGTERM);
    ending.wait_for_log("shutting down");
    kill(ending.worker().unwrap(), Signal::SIGSTOP).unwrap();
    let mut last = None;
    for signal in [[Signal::SIGKILL; 4].as_slice(), &[Signal::SIGSTOP]].concat() {
        let worker = eventually("a new worker", || tired.worker().filter(|id| last != Some(*id)));
        // One that is stopped before it has become this program would stop its supervisor too.
        assert_eq!(tired.get("/livez").status, 200);
        kill(worker, signal).unwrap();
        last = Some(worker);
    }
    assert_eq!(tired.wait().code(), Some(1));
    let expected =
        format!("health-proxy: 5 workers had to be replaced within a minute; the last one {STOPPED}");
    eventually("the last line", || (*tired.errors().last()? == expected).then_some(()));
    assert_eq!(ending.wait().code(), Some(128 + 9));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long nothing happens is what is tried")]
fn a_container_that_is_suspended_keeps_its_worker() {
    let sidecar = Sidecar::start(&[("LIVENESS_A", "tcp://:1")]);
    let worker = eventually("a worker", || sidecar.worker());
    let send = |signal| [worker, sidecar.id()].map(|id| kill(id, signal).unwrap());
    send(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(10));
    send(Signal::SIGCONT);
    assert_eq!(sidecar.get("/-/healthy").status, 200);
    // Longer than a hang is waited for.
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(sidecar.get("/livez").status, 200);
    assert_eq!(sidecar.worker(), Some(worker));
}

#[test]
fn a_new_worker_knows_what_the_one_before_knew() {
    let app = App::answering(|number, _| response(if number > 3 { "500 Error" } else { "200 OK" }, ""));
    let sidecar = Sidecar::start(&[
        ("STARTUP_WEB", &app.url("/")),
        ("LIVENESS_WEB", &app.url("/")),
        ("LIVENESS_WEB_PERIOD_SECONDS", "0.1"),
        ("READINESS_SLOW", "exec:true"),
        ("READINESS_SLOW_INITIAL_DELAY_SECONDS", "3600"),
    ]);
    sidecar.wait_for("/startupz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    sidecar.wait_for("/livez", 503);
    assert_eq!(
        command(&["drain"], &[("HEALTH_PROXY_LISTEN", &sidecar.address.to_string())])
            .status()
            .unwrap()
            .code(),
        Some(0)
    );
    let before = ["/livez", "/readyz", "/startupz"].map(|path| sidecar.get(path).body);
    kill(sidecar.worker().unwrap(), Signal::SIGKILL).unwrap();
    sidecar.wait_for_log("the worker died by signal 9 (SIGKILL)");
    assert_eq!(["/livez", "/readyz", "/startupz"].map(|path| sidecar.get(path).body), before);
    assert!(before[1].contains("[-]drain failed: draining since "), "{}", before[1]);
    assert_eq!(sidecar.kubelet("/startupz").status, 200, "the kubelet was told, and the socket is the same");
    assert_eq!(sidecar.metric("health_proxy_incarnations_total"), Some(1.0));
}

#[test]
fn sigterm_turns_readiness_red_at_once_and_ends_after_the_delay() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let url = app.url("/");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut sidecar = Sidecar::start(&[
            ("LIVENESS_WEB", &url),
            ("READINESS_WEB", &url),
            ("HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS", "1"),
        ]);
        sidecar.wait_for("/readyz", 200);
        sidecar.signal(signal);
        let red = sidecar.wait_for("/readyz", 503);
        assert_eq!(red, "[-]shutdown failed: shutting down\n[+]web ok\nreadyz check failed\n");
        assert_eq!(sidecar.get("/livez").status, 200);
        assert_eq!(sidecar.wait().code(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut sidecar =
        Sidecar::start(&[("LIVENESS_A", "tcp://:1"), ("HEALTH_PROXY_SHUTDOWN_DELAY_SECONDS", "3600")]);
    sidecar.signal(Signal::SIGTERM);
    sidecar.wait_for_log("shutting down");
    sidecar.signal(Signal::SIGTERM);
    assert_eq!(sidecar.wait().code(), Some(1));
}

#[test]
fn a_dead_worker_takes_its_commands_along_and_no_orphan_stays_a_zombie() {
    let sidecar =
        Sidecar::start(&[("LIVENESS_SLEEP", "exec:sleep 600"), ("LIVENESS_SLEEP_TIMEOUT_SECONDS", "600")]);
    let worker = eventually("a worker", || sidecar.worker());
    let sleep = eventually("a command", || {
        let children = std::fs::read_to_string(format!("/proc/{worker}/task/{worker}/children")).ok()?;
        children.trim().parse().ok().map(Pid::from_raw)
    });
    kill(worker, Signal::SIGKILL).unwrap();
    eventually("the command has ended and is reaped", || kill(sleep, None).err());
}

#[test]
fn a_worker_goes_with_its_supervisor() {
    let mut sidecar = Sidecar::start(&[("LIVENESS_A", "tcp://:1")]);
    let worker = eventually("a worker", || sidecar.worker());
    sidecar.signal(Signal::SIGKILL);
    sidecar.wait();
    eventually("the worker has gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z')).then_some(())
    });
}

#[test]
#[ignore = "needs root"]
fn every_ipv6_address_is_every_ipv4_address_too_whatever_the_node_says() {
    const SCRIPT: &str = "echo 1 > /proc/sys/net/ipv6/bindv6only && exec \"$0\"";
    for listen in ["[::]:9809", ""] {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", SCRIPT, BINARY]).env_clear().env("LIVENESS_A", "tcp://:1");
        command.env("PATH", std::env::var_os("PATH").unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs((!listen.is_empty()).then_some(("HEALTH_PROXY_LISTEN", listen)));
        let sidecar = Sidecar::spawn(&mut command);
        assert_eq!(sidecar.address, "[::]:9809".parse().unwrap());
        let network = File::open(format!("/proc/{}/ns/net", sidecar.id())).unwrap();
        // No interface is up there, but a port that is taken can be told from one that is free.
        let free = std::thread::spawn(|| {
            setns(network, CloneFlags::CLONE_NEWNET).expect("root may enter a network");
            [9809, 9810].map(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok())
        });
        assert_eq!(free.join().unwrap(), [false, true]);
    }
}

/// Returns a command of the user nobody, or of this one where that is not root.
fn as_nobody(program: &str) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
    command
}

#[test]
fn the_environment_is_shut_for_others_of_the_same_user() {
    // A copy that everybody may start, wherever this tree stands.
    let directory = Directory::new();
    let program = directory.path().join("health-proxy");
    std::fs::copy(BINARY, &program).unwrap();
    let program = program.to_str().unwrap();
    let mut sidecar = Sidecar::spawn(
        as_nobody(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HEALTH_PROXY_LISTEN", "127.0.0.1:0")
            .env("LIVENESS_A", "tcp://:1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    sidecar.wait_for("/livez", 200);
    for id in [sidecar.id(), sidecar.worker().unwrap()] {
        let output = as_nobody("cat").arg(format!("/proc/{id}/environ")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("Permission denied"), "{said}{:?}", output.stdout);
    }
    // And nothing that it needs is shut for itself.
    assert!(sidecar.metric("process_open_fds").unwrap() > 0.0);
    sidecar.signal(Signal::SIGTERM);
    assert!(sidecar.wait().success());
}
