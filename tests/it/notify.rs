//! `notify:` by a whole sidecar: with systemd's own client, with a real server, and with worse ones. The periods are so
//! long that only messages can have changed a state in time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use health_proxy::grammar::TargetSpec;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::attempt::{Directory, problems};
use crate::servers::{Server, free_port};
use crate::sidecar::{Sidecar, eventually};

const ALL: [&str; 3] = ["STARTUP", "READINESS", "LIVENESS"];

/// Starts a sidecar with a check of `probes` on the socket of a directory, which is never due again.
fn start(directory: &Directory, probes: &[&str], more: &[(&str, &str)]) -> Sidecar {
    let target = format!("notify:{}", directory.at("notify"));
    let checks: Vec<_> = probes
        .iter()
        .flat_map(|probe| {
            [(format!("{probe}_APP"), target.clone()), (format!("{probe}_PERIOD_SECONDS"), "3600".to_owned())]
        })
        .collect();
    let checks = checks.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables: Vec<_> =
        checks.chain([("HEALTH_PROXY_LIVENESS_HOLD_SECONDS", "0")]).chain(more.iter().copied()).collect();
    let sidecar = Sidecar::start(&variables);
    eventually("the socket is there", || fs::metadata(directory.at("notify")).ok());
    sidecar
}

/// Says something with systemd's own client, which waits until it was heard.
fn systemd_notify(directory: &Directory, words: &[&str]) {
    let mut command = Command::new("systemd-notify");
    let status = command.args(words).env("NOTIFY_SOCKET", directory.at("notify")).status();
    assert!(status.expect("systemd is needed, for its systemd-notify").success(), "{words:?}");
}

/// Says something as it is.
fn say(directory: &Directory, message: &str) {
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(message.as_bytes(), directory.at("notify")).unwrap();
}

/// Says something once the socket is there.
fn say_as_soon_as_possible(directory: &Directory, message: &str) {
    let socket = UnixDatagram::unbound().unwrap();
    eventually("somebody hears it", || socket.send_to(message.as_bytes(), directory.at("notify")).ok());
}

fn says(sidecar: &Sidecar, path: &str, status: u16, reason: &str) {
    eventually(&format!("{path} says {reason:?}"), || {
        let answer = sidecar.get(path);
        (answer.status == status && answer.body.contains(reason)).then_some(())
    });
}

#[test]
#[ignore = "needs systemd-notify"]
fn readiness_follows_the_words_of_systemds_client() {
    let directory = Directory::new();
    let sidecar = start(&directory, &ALL, &[]);
    says(&sidecar, "/startupz", 503, "the app has not said READY=1 yet");
    sidecar.wait_for("/readyz", 503);
    systemd_notify(&directory, &["--status=loading the model"]);
    says(&sidecar, "/startupz", 503, "the app has not said READY=1 yet: loading the model");
    systemd_notify(&directory, &["--ready", "--status=serving"]);
    for path in ["/startupz", "/readyz", "/livez"] {
        sidecar.wait_for(path, 200);
    }
    systemd_notify(&directory, &["RELOADING=1"]);
    says(&sidecar, "/readyz", 503, "the app said RELOADING=1: serving");
    assert_eq!(sidecar.get("/startupz").status, 200, "what has started has started");
    systemd_notify(&directory, &["READY=1"]);
    sidecar.wait_for("/readyz", 200);
    systemd_notify(&directory, &["STOPPING=1"]);
    says(&sidecar, "/readyz", 503, "the app said STOPPING=1");
}

#[test]
fn liveness_needs_a_sign_of_life() {
    let directory = Directory::new();
    let sidecar = start(&directory, &["LIVENESS"], &[("LIVENESS_APP_MAX_AGE_SECONDS", "1")]);
    sidecar.wait_for("/livez", 200);
    says(&sidecar, "/livez", 503, "the app has not said WATCHDOG=1 for 1.0 s, 1s is allowed");
    say(&directory, "WATCHDOG=1");
    sidecar.wait_for("/livez", 200);
    say(&directory, "WATCHDOG=trigger");
    says(&sidecar, "/livez", 503, "the app said WATCHDOG=trigger");
}

#[test]
#[ignore = "needs redis-server"]
fn a_real_server_says_when_it_takes_sessions() {
    let directory = Directory::new();
    let sidecar = start(&directory, &["READINESS"], &[]);
    sidecar.wait_for("/readyz", 503);
    let port = free_port().to_string();
    let arguments = ["--port", &port, "--save", "", "--supervised", "systemd", "--dir"];
    let mut redis = Command::new("redis-server");
    redis.args(arguments).arg(directory.path()).env("NOTIFY_SOCKET", directory.at("notify"));
    let mut redis = Server::spawn(&mut redis);
    sidecar.wait_for("/readyz", 200);
    kill(Pid::from_raw(redis.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    says(&sidecar, "/readyz", 503, "the app said STOPPING=1");
    redis.0.wait().unwrap();
}

#[test]
fn an_app_says_only_once_that_it_is_ready() {
    let directory = Directory::new();
    let mut sidecar = start(&directory, &ALL, &[]);
    say(&directory, "READY=1");
    sidecar.wait_for("/readyz", 200);
    eventually("it is kept", || fs::metadata(directory.at("notify.state")).ok());
    let worker = sidecar.worker().unwrap();
    kill(worker, Signal::SIGKILL).unwrap();
    eventually("another worker", || sidecar.worker().filter(|other| *other != worker));
    for _ in 0..20 {
        assert_eq!(sidecar.get("/readyz").status, 200, "while the next worker begins");
    }
    sidecar.signal(Signal::SIGTERM);
    sidecar.wait();
    let sidecar = start(&directory, &ALL, &[]);
    sidecar.wait_for("/readyz", 200);
    say(&directory, "STOPPING=1");
    sidecar.wait_for("/readyz", 503);
    eventually("it is forgotten", || fs::metadata(directory.at("notify.state")).err());
    drop(sidecar);
    let sidecar = start(&directory, &ALL, &[]);
    says(&sidecar, "/startupz", 503, "the app has not said READY=1 yet");
}

#[test]
fn a_new_life_of_the_container_needs_a_new_word() {
    let directory = Directory::new();
    let sidecar = start(&directory, &ALL, &[]);
    assert_eq!(sidecar.kubelet("/startupz").status, 503);
    say(&directory, "READY=1");
    sidecar.wait_for("/readyz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    // It asks again only about another container; this one has not spoken yet.
    assert_eq!(sidecar.kubelet("/startupz").status, 503);
    says(&sidecar, "/startupz", 503, "the app has not said READY=1 yet");
    eventually("what the other said is forgotten", || fs::metadata(directory.at("notify.state")).err());
    say(&directory, "READY=1");
    sidecar.wait_for("/readyz", 200);
    assert_eq!(sidecar.kubelet("/startupz").status, 200);
    // And this one has spoken before the kubelet asks.
    say(&directory, "READY=1");
    let kept =
        || fs::read_to_string(directory.at("notify.state")).ok().filter(|kept| kept.ends_with("ready anew"));
    eventually("it is heard", kept);
    sidecar.kubelet("/startupz");
    sidecar.wait_for_log("\"incarnation\":3");
    sidecar.wait_for("/readyz", 200);
}

#[test]
fn a_socket_that_is_removed_is_made_again() {
    let directory = Directory::new();
    let sidecar = start(&directory, &["READINESS"], &[]);
    fs::remove_file(directory.at("notify")).unwrap();
    sidecar.wait_for_log("the socket was removed and is made again");
    say_as_soon_as_possible(&directory, "READY=1");
    sidecar.wait_for("/readyz", 200);
}

#[test]
fn an_app_of_any_user_may_speak_as_soon_as_the_socket_is_there() {
    for _ in 0..20 {
        let directory = Directory::new();
        // Left by a sidecar that was killed in between.
        drop(UnixDatagram::bind(directory.at("notify.new")).unwrap());
        let path = directory.at("notify");
        let watch = std::thread::spawn(move || {
            loop {
                if let Ok(about) = fs::metadata(&path) {
                    break about.permissions().mode() & 0o777;
                }
            }
        });
        let _sidecar = start(&directory, &["READINESS"], &[]);
        assert_eq!(watch.join().unwrap(), 0o666, "when it was first seen");
    }
}

#[test]
fn what_an_app_puts_in_the_place_of_our_own_file_is_neither_read_nor_written() {
    let directory = Directory::new();
    let (state, victim) = (directory.at("notify.state"), directory.write("victim", "mine"));
    for link in ["/dev/zero", &victim] {
        std::os::unix::fs::symlink(link, &state).unwrap();
        let sidecar = start(&directory, &["READINESS"], &[]);
        say_as_soon_as_possible(&directory, "READY=1");
        sidecar.wait_for("/readyz", 200);
        eventually("a file of our own", || fs::symlink_metadata(&state).ok()?.is_file().then_some(()));
        drop(sidecar);
        fs::remove_file(&state).unwrap();
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "mine");
}

#[test]
fn an_app_that_is_silent_is_well_until_its_initial_delay_is_over() {
    let directory = Directory::new();
    let delay = [
        ("LIVENESS_APP_INITIAL_DELAY_SECONDS", "3600"),
        ("LIVENESS_APP_MAX_AGE_SECONDS", "0.2"),
        ("HEALTH_PROXY_LOG", "debug"),
    ];
    let sidecar = start(&directory, &["LIVENESS"], &delay);
    sidecar.wait_for_log("the app has not said WATCHDOG=1 for");
    assert_eq!(sidecar.get("/livez").status, 200);
    say(&directory, "WATCHDOG=1");
    assert_eq!(sidecar.get("/livez").status, 200);
}

#[test]
fn what_is_in_the_way_is_left_there() {
    let directory = Directory::new();
    directory.write("notify", "somebody's");
    let sidecar = start(&directory, &["READINESS"], &[]);
    says(
        &sidecar,
        "/readyz",
        503,
        &format!("cannot make the socket {}: something else is there", directory.at("notify")),
    );
    assert_eq!(fs::read_to_string(directory.at("notify")).unwrap(), "somebody's");
    fs::remove_file(directory.at("notify")).unwrap();
    say_as_soon_as_possible(&directory, "READY=1");
    sidecar.wait_for("/readyz", 200);
}

#[test]
fn a_flood_holds_nobody_else_up() {
    let directory = Directory::new();
    let sidecar = start(&directory, &["READINESS"], &[]);
    let socket = UnixDatagram::unbound().unwrap();
    for number in 0..2_000 {
        socket.send_to(format!("STATUS={number}\nWATCHDOG=1").as_bytes(), directory.at("notify")).unwrap();
    }
    say(&directory, &"x".repeat(8_000));
    say(&directory, &format!("READY=1\nSTATUS={}", "y".repeat(5_000)));
    says(&sidecar, "/readyz", 503, "the app has not said READY=1 yet: 1999");
    say(&directory, "\u{0}\u{1b}[2J\nREADY=1\r\nREADY=1");
    sidecar.wait_for("/readyz", 200);
}

#[test]
fn what_is_accepted() {
    // The room of a socket's name is 107 bytes, and until everybody may use it the name is longer by four.
    let path = |length: usize| format!("notify:/{}", "x".repeat(length - 1));
    assert!(TargetSpec::read(&path(103)).is_ok());
    for wrong in ["notify:", "notify:app", &path(104)] {
        assert!(TargetSpec::read(wrong).is_err(), "{wrong}");
    }
    assert_eq!(problems("notify:/a", &[("MAX_AGE_SECONDS", "5")]), Vec::<String>::new());
    let refused = problems("notify:/a", &[("ABSENT", "true")]);
    assert_eq!(refused, ["LIVENESS_T_ABSENT=\"true\": a notify target has no such option"]);
}
