//! Callers: what they are told, and what they cannot do.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::app::{App, response};
use crate::sidecar::{Sidecar, command, eventually, raw, raw_in_pieces};

fn sidecar() -> (App, Sidecar) {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("READINESS_DB", "tcp://127.0.0.1:1"),
        ("READINESS_OPTIONAL", "tcp://127.0.0.1:1"),
        ("READINESS_OPTIONAL_REQUIRED", "false"),
        ("READINESS_FAILURE_THRESHOLD", "1"),
    ]);
    sidecar.wait_for_log("Readiness probe failed");
    (app, sidecar)
}

#[test]
fn answers_have_the_form_of_the_apiserver() {
    let (_app, sidecar) = sidecar();
    let plain = sidecar.get("/livez");
    assert_eq!((plain.status, plain.body.as_str()), (200, "ok"));
    for header in [
        "content-type: text/plain; charset=utf-8",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(plain.head.contains(header), "{header} in {}", plain.head);
    }
    let failing = eventually("both have run", || {
        let body = sidecar.get("/readyz").body;
        (!body.contains("no result yet")).then_some(body)
    });
    let expected = "[-]db failed: connection refused by 127.0.0.1:1\n\
                    [+]optional ok (not required, failing: connection refused by 127.0.0.1:1)\n\
                    readyz check failed\n";
    assert_eq!(failing, expected);
    let excluded = sidecar.get("/readyz?verbose&exclude=db&exclude=a&exclude=b");
    let expected = "[+]db excluded: ok\n\
                    [+]optional ok (not required, failing: connection refused by 127.0.0.1:1)\n\
                    warn: some health checks cannot be excluded: no matches for \"a\",\"b\"\n\
                    readyz check passed\n";
    assert_eq!((excluded.status, excluded.body.as_str()), (200, expected));
    assert_eq!(sidecar.get("/readyz?exclude=db").body, "ok");
    assert_eq!(sidecar.get("/readyz/db").body, "connection refused by 127.0.0.1:1\n");
    assert_eq!(sidecar.get("/readyz/optional").body, "ok");
    assert_eq!(sidecar.get("/readyz/web").status, 404);
    assert_eq!(sidecar.get("/-/healthy").body, "ok");
}

/// Returns the lines of an answer whose order and date say nothing.
fn lines(answer: &str) -> Vec<&str> {
    let mut lines: Vec<_> = answer.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let (_app, sidecar) = sidecar();
    for path in ["/livez", "/-/healthy"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let whole = raw(sidecar.address, request.as_bytes()).unwrap();
        for end in 1..request.len() {
            let (first, second) = request.as_bytes().split_at(end);
            assert_eq!(
                lines(&raw_in_pieces(sidecar.address, &[first, second]).unwrap()),
                lines(&whole),
                "{path}, {end} bytes first"
            );
        }
    }
}

#[test]
fn one_connection_takes_all_kinds_of_requests() {
    let (_app, sidecar) = sidecar();
    let kept = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let last = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(sidecar.address).unwrap();
    let mut read = [0; 4096];
    for path in ["/livez", "/livez", "/readyz/optional", "/livez"] {
        stream.write_all(&kept(path)).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let size = stream.read(&mut read).unwrap();
            assert!(size > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&read[..size]);
        }
    }
    stream.write_all(&[&kept("/livez")[..], &kept("/livez"), last].concat()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{rest}");
    assert_eq!(sidecar.metric("health_proxy_http_requests_total{code=\"200\",path=\"/livez\"}"), Some(6.0));
}

#[test]
fn the_page_brings_its_policy() {
    let (_app, sidecar) = sidecar();
    for (method, is_whole) in [("GET", true), ("HEAD", false)] {
        let page = sidecar.request(method, "/", "");
        assert_eq!((page.status, page.body.contains("<!doctype html>")), (200, is_whole), "{method}");
        for header in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none'; style-src 'sha256-",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(page.head.contains(header), "{method}: {header} in {}", page.head);
        }
    }
}

#[test]
fn only_get_and_head_and_only_known_paths() {
    let (_app, sidecar) = sidecar();
    let posted = sidecar.request("POST", "/livez", "Content-Length: 0\r\n");
    assert_eq!(posted.status, 405);
    assert!(posted.head.contains("allow: get,head"), "{}", posted.head);
    let head = sidecar.request("HEAD", "/livez", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let drain = sidecar.get("/drain");
    assert!(drain.status == 405 && drain.head.contains("allow: post"), "{}", drain.head);
    for unknown in ["/nope", "/livez/", "/livez/web/x", "/LIVEZ", "//livez"] {
        assert_eq!(sidecar.get(unknown).status, 404, "{unknown}");
    }
    assert_eq!(sidecar.metric("health_proxy_http_requests_total{code=\"404\",path=\"other\"}"), Some(5.0));
}

#[test]
fn drain_turns_readiness_red_and_leaves_liveness() {
    let (_app, sidecar) = sidecar();
    let address = sidecar.address.to_string();
    let drained = command(&["drain"], &[("HEALTH_PROXY_LISTEN", &address)]).output().unwrap();
    assert_eq!((drained.status.code(), drained.stdout.as_slice()), (Some(0), b"draining\n".as_slice()));
    assert!(sidecar.get("/readyz").body.contains(" UTC; it ends with the pod\n"));
    assert_eq!(sidecar.get("/livez").status, 200);
}

#[test]
fn nobody_else_can_drain() {
    let (_app, sidecar) = sidecar();
    let refused = |headers: &str| {
        let request =
            format!("POST /drain HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n");
        raw(sidecar.address, request.as_bytes()).unwrap().starts_with("HTTP/1.1 403")
    };
    assert!(refused("Host: evil.example\r\n"), "a rebound name");
    assert!(refused("Host: localhost\r\nOrigin: http://evil.example\r\n"), "a web page");
    assert!(refused("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), "a form in a web page");
    assert!(!sidecar.get("/readyz").body.contains("drain"));
}

/// Returns the address of this machine's own interface, if it has one besides loopback.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(ip) if !ip.is_loopback() => Some(ip),
        _ => None,
    }
}

#[test]
fn drain_is_refused_from_the_network() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let ip = own_address().expect("an interface besides loopback");
    let mut started = command(&[], &[("HEALTH_PROXY_LISTEN", "0.0.0.0:0"), ("LIVENESS_WEB", &app.url("/"))]);
    let sidecar = Sidecar::spawn(started.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let forged = "POST /drain HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n\
                  Connection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = raw((ip, sidecar.address.port()).into(), forged.as_bytes()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn the_status_can_be_kept_to_the_pod() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let ip = own_address().expect("an interface besides loopback");
    let mut started = command(
        &[],
        &[
            ("HEALTH_PROXY_LISTEN", "0.0.0.0:0"),
            ("LIVENESS_WEB", &app.url("/")),
            ("HEALTH_PROXY_STATUS", "loopback"),
        ],
    );
    let sidecar = Sidecar::spawn(started.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let answer = |path: &str, ip: std::net::IpAddr| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw((ip, sidecar.address.port()).into(), request.as_bytes()).unwrap();
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    for path in ["/", "/status"] {
        assert_eq!((answer(path, ip.into()), answer(path, Ipv4Addr::LOCALHOST.into())), (403, 200), "{path}");
    }
    assert_eq!(answer("/livez", ip.into()), 200);
}

/// As a mesh hands on what came from the network: by loopback, and by an address of its own.
#[test]
fn drain_is_refused_from_another_address_of_loopback() {
    let (_app, sidecar) = sidecar();
    let answer_to = |from: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&sidecar.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream
            .write_all(
                b"POST /drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            )
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = answer_to([127, 0, 0, 6]);
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let answer = answer_to([127, 0, 0, 1]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn reasons_can_be_withheld_everywhere() {
    let sidecar = Sidecar::start(&[
        ("READINESS_X", "exec:sh -c 'echo canary-output; exit 1'"),
        ("READINESS_X_FAILURE_THRESHOLD", "1"),
        ("HEALTH_PROXY_DETAILS", "false"),
    ]);
    sidecar.wait_for_log("Readiness probe failed: canary-output");
    assert_eq!(sidecar.get("/readyz").body, "[-]x failed: reason withheld\nreadyz check failed\n");
    assert_eq!(sidecar.get("/readyz/x").body, "reason withheld\n");
    let status = sidecar.get("/status").body.replace("echo canary-output", "");
    assert!(!status.contains("canary-output"), "{status}");
}

#[test]
fn garbage_is_answered_or_cut_and_harms_nobody() {
    let (_app, sidecar) = sidecar();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let garbage: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"\0\xff\xfe\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        long.as_bytes(),
    ];
    for bytes in garbage {
        let answer = raw(sidecar.address, bytes).unwrap_or_default();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(sidecar.get("/livez").status, 200);
}

#[test]
fn the_kubelet_is_answered_among_ten_thousand_idle_connections() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let (_app, sidecar) = sidecar();
    let mut idle = std::collections::VecDeque::new();
    for number in 0..10_000 {
        let mut stream = TcpStream::connect(sidecar.address).expect("nobody is refused");
        // Half of them have begun a request.
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost");
        }
        idle.push_back(stream);
        // This side has a limit of descriptors too.
        if idle.len() > 3_000 {
            idle.pop_front();
        }
        if number % 500 == 0 {
            assert_eq!(sidecar.kubelet("/livez").status, 200);
        }
    }
    assert_eq!(sidecar.kubelet("/livez").status, 200);
}

#[test]
fn a_half_sent_request_does_not_hold_up_the_end() {
    let (_app, mut sidecar) = sidecar();
    let mut stream = TcpStream::connect(sidecar.address).unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost").unwrap();
    assert_eq!(sidecar.get("/livez").status, 200);
    sidecar.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(sidecar.wait().code(), Some(0));
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.read(&mut [0]);
}

#[test]
fn of_a_group_one_line_tells() {
    let sidecar = Sidecar::start(&[
        ("READINESS_PRIMARY", "exec:true"),
        ("READINESS_PRIMARY_ANY_OF", "db"),
        ("READINESS_REPLICA", "exec:false"),
        ("READINESS_REPLICA_ANY_OF", "db"),
    ]);
    sidecar.wait_for("/readyz", 200);
    assert_eq!(sidecar.get("/readyz?verbose").body, "[+]db ok (1 of 2: primary)\nreadyz check passed\n");
    assert_eq!(sidecar.get("/readyz/replica").status, 503);
}

#[test]
fn the_log_tells_of_each_change_of_an_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", listener.local_addr().unwrap());
    let sidecar = Sidecar::start(&[
        ("READINESS_DB", &target),
        ("READINESS_DB_PERIOD_SECONDS", "0.05"),
        ("READINESS_DB_FAILURE_THRESHOLD", "1"),
    ]);
    let up = sidecar.wait_for_log("/readyz 503 -> 200");
    assert!(up.contains("\"probe\":\"readiness\""), "{up}");
    drop(listener);
    let down = sidecar.wait_for_log("/readyz 200 -> 503: db: ");
    assert!(down.contains("\"level\":\"WARN\"") && down.contains("\"reason\":\"db: "), "{down}");
}

/// By these fields people query their logs.
#[test]
fn a_change_of_state_is_one_line_with_all_that_is_known() {
    let sidecar = Sidecar::start(&[
        ("READINESS_DB", "tcp://127.0.0.1:1"),
        ("READINESS_DB_CONTAINER", "front"),
        ("READINESS_DB_FAILURE_THRESHOLD", "1"),
    ]);
    let line = sidecar.wait_for_log("Readiness probe failed");
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let duration = line["duration_seconds"].take();
    assert!(duration.as_f64().is_some_and(|seconds| seconds < 1.0), "{duration}");
    line["timestamp"].take();
    let reason = "connection refused by 127.0.0.1:1";
    let expected = serde_json::json!({
        "timestamp": null, "level": "WARN", "message": format!("Readiness probe failed: {reason}"),
        "probe": "readiness", "check": "db", "app_container": "front", "target": "tcp://127.0.0.1:1",
        "state": "unhealthy", "result": "failure", "reason": reason, "duration_seconds": null,
        "consecutive": 1, "threshold": 1,
    });
    assert_eq!(line, expected);
}
