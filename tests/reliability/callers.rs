//! Hostile callers: a prober like the kubelet is answered in time whatever the others do.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream as BlockingStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::Scale;
use crate::hostile;
use crate::process::{Starvation, resident_kib};
use crate::sidecar::{Plan, Sidecar, exchange, parse};
use crate::table::{Tally, percentile};

const IDLE: u64 = 5000;
const SCRAPERS: u64 = 16;
/// The pace of all scrapers together; what the machine reaches is printed.
const SCRAPES_PER_SECOND: u64 = 10_000;
/// The time after which a caller that was sent away comes again.
const COME_AGAIN: Duration = Duration::from_secs(4);

fn watched(name: &str, checks: usize) -> Sidecar {
    let kinds = hostile::kinds();
    let port = hostile::start(&kinds[..1])[0];
    let mut plan = Plan::new(name).set("READINESS_PERIOD_SECONDS", "1");
    for number in 0..checks {
        plan = plan.set(format!("READINESS_C{number}"), format!("http://127.0.0.1:{port}/"));
    }
    plan.set("LIVENESS_WEB", format!("http://127.0.0.1:{port}/")).start()
}

/// Thousands of idle and trickling connections and a flood of scrapes, and the kubelet among them.
pub fn flood(scale: &Scale) -> Tally {
    let sidecar = watched("callers", 3);
    let (address, worker) = (sidecar.address, sidecar.worker());
    let (stop, scrapes, held) = (Arc::default(), Arc::default(), Arc::default());
    let crowd = {
        let (stop, scrapes, held) = (Arc::clone(&stop), Arc::clone(&scrapes), Arc::clone(&held));
        thread::spawn(move || crowd(address, &stop, &scrapes, &held))
    };
    // The crowd has to gather first.
    crate::sidecar::eventually("a crowd", || (held.load(Ordering::Relaxed) > IDLE / 2).then_some(()));
    let before = (resident_kib(worker), scrapes.load(Ordering::Relaxed), sidecar.log().lines().count());
    let (seconds, starvation) = (scale.pick(10, 60), Starvation::of(worker));
    let (mut times, mut lost) = (Vec::new(), Vec::new());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let began = Instant::now();
        match ask_as_kubelet(address) {
            Ok(()) => times.push(began.elapsed().as_secs_f64()),
            Err(error) => lost.push(error),
        }
        thread::sleep(Duration::from_millis(10));
    }
    let starved = starvation.figure();
    let rate = (scrapes.load(Ordering::Relaxed) - before.1) / seconds;
    let growth = resident_kib(worker).saturating_sub(before.0);
    let lines = sidecar.log().lines().count() - before.2;
    stop.store(true, Ordering::Relaxed);
    crowd.join().expect("the crowd leaves");
    let mut tally = Tally::default();
    tally.many((times.len() + lost.len()) as u64, lost.len() as u64, || format!("the kubelet: {lost:?}"));
    let p99 = percentile(&mut times, 0.99) * 1000.0;
    let limit = if starvation.is_quiet() { 100.0 } else { 500.0 };
    tally.check(p99 <= limit, || format!("the 99th percentile of the kubelet's answers took {p99:.0} ms"));
    tally.check(rate > 100, || format!("no flood: {rate} scrapes a second"));
    tally.check(growth < 4096, || format!("memory grew by {growth} KiB"));
    tally.check(lines < 10, || format!("{lines} lines were logged"));
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    tally.check(sidecar.get("/-/healthy").status == 200, || "a check is stale".to_owned());
    tally.figure(format!("{IDLE} idle and slow, {rate} scrapes/s; kubelet {p99:.1} ms at p99"));
    tally.figure(starved);
    tally
}

/// Asks over a fresh connection, as the kubelet does.
fn ask_as_kubelet(address: SocketAddr) -> Result<(), String> {
    let request =
        b"GET /livez HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.36\r\nConnection: close\r\n\r\n";
    let answer = exchange(address, request, Duration::from_secs(2)).map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
}

fn crowd(address: SocketAddr, stop: &Arc<AtomicBool>, scrapes: &Arc<AtomicU64>, held: &Arc<AtomicU64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for number in 0..IDLE {
            tokio::spawn(idle(address, number, Arc::clone(held)));
        }
        for _ in 0..SCRAPERS {
            tokio::spawn(scrape(address, Arc::clone(scrapes)));
        }
        while !stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20)).await;
        }
    });
}

/// Connects again and again; half of the callers send a head byte by byte, the others nothing.
async fn idle(address: SocketAddr, number: u64, held: Arc<AtomicU64>) {
    sleep(Duration::from_micros(number * 800)).await;
    held.fetch_add(1, Ordering::Relaxed);
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let mut trickles = number.is_multiple_of(2);
            loop {
                if trickles {
                    trickles = stream.write_all(b"G").await.is_ok();
                }
                let ended = timeout(Duration::from_secs(2), stream.read(&mut [0; 256])).await;
                if ended.is_ok() {
                    break;
                }
            }
        }
        sleep(COME_AGAIN).await;
    }
}

/// Scrapes over one connection for as long as it lasts, at its share of the rate.
async fn scrape(address: SocketAddr, scrapes: Arc<AtomicU64>) {
    let pause = Duration::from_micros(1_000_000 * SCRAPERS / SCRAPES_PER_SECOND);
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let mut buffer = Vec::with_capacity(64 * 1024);
        let mut due = Instant::now();
        while take_one(&mut stream, &mut buffer).await.is_some() {
            scrapes.fetch_add(1, Ordering::Relaxed);
            due += pause;
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                sleep(early).await;
            }
        }
    }
}

/// Sends one request and reads its whole answer, which is chunked, since it is made while it is sent.
async fn take_one(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.ok()?;
    buffer.clear();
    while !buffer.ends_with(b"\r\n0\r\n\r\n") {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}

/// Requests that nobody should send: a clean refusal or a close, no line in the log, and no state changed.
pub fn garbage(_: &Scale) -> Tally {
    let sidecar = watched("garbage", 1);
    let worker = sidecar.worker();
    let mut tally = Tally::default();
    crate::sidecar::eventually("it is ready", || (sidecar.get("/readyz").status == 200).then_some(()));
    let lines = sidecar.log().lines().count();
    for (name, request) in bad_requests() {
        let answer = exchange(sidecar.address, &request, Duration::from_secs(12));
        let status = answer.as_ref().ok().and_then(|text| Some(parse(text)?.status));
        let is_clean = match &answer {
            Ok(text) => text.is_empty() || status.is_some_and(|status| (400..500).contains(&status)),
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        };
        tally.check(is_clean, || format!("{name}: {answer:?}"));
        tally.check(!is_shared(&answer.unwrap_or_default()), || format!("{name}: any page may read it"));
    }
    for (name, expected, request) in odd_requests() {
        let answer = exchange(sidecar.address, &request, Duration::from_secs(12)).unwrap_or_default();
        let status = parse(&answer).map(|answer| answer.status);
        tally.check(status == Some(expected), || format!("{name}: {answer:?}"));
        tally.check(!is_shared(&answer), || format!("{name}: any page may read it"));
        let answers = request.windows(4).filter(|bytes| bytes == b"GET ").count();
        let came = answer.matches("HTTP/1.").count();
        tally.check(came == answers, || format!("{name}: {came} answers to {answers} requests"));
    }
    let more = sidecar.log().lines().count() - lines;
    tally.check(more == 0, || format!("{more} lines were logged: {}", sidecar.log()));
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    tally.check(sidecar.get("/readyz").status == 200, || "the state has changed".to_owned());
    tally
}

/// Returns whether an answer lets web pages of other origins read it.
fn is_shared(answer: &str) -> bool {
    answer.to_ascii_lowercase().contains("access-control-")
}

fn post(what: &str, headers: &str) -> Vec<u8> {
    format!("{what} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n\r\n").into_bytes()
}

fn bad_requests() -> Vec<(&'static str, Vec<u8>)> {
    let get = |rest: &str| format!("GET /livez HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes();
    let drain = |headers: &str| post("POST /drain", headers);
    let to_loopback = |what: &str, headers: &str| post(what, &format!("Host: localhost\r\n{headers}"));
    let hello = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &[7; 517]].concat();
    vec![
        ("a megabyte of header", get(&format!("X-A: {}", "x".repeat(1_000_000)))),
        ("ten thousand headers", get("X-A: b\r\n".repeat(10_000).trim_end())),
        ("an endless path", line(&format!("GET /{} HTTP/1.1", "x".repeat(100_000)))),
        ("http/0.9", b"GET /livez\r\n\r\n".to_vec()),
        ("http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec()),
        ("a tls hello", hello),
        ("random bytes", (0..4096_u32).map(|n| u8::try_from((n * n * 31 + 7) % 251).unwrap_or(0)).collect()),
        ("nothing but line breaks", b"\r\n".repeat(10_000)),
        ("a nul in the head", get("X-A: \0")),
        ("two lengths", get("Content-Length: 1\r\nContent-Length: 2")),
        ("a negative length", get("Content-Length: -1")),
        ("no such version", line("GET /livez HTTP/9.9")),
        ("an unknown method", line("BREW /livez HTTP/1.1")),
        ("post to a probe", line("POST /livez HTTP/1.1")),
        ("connect", line("CONNECT example.invalid:443 HTTP/1.1")),
        ("an encoded path", line("GET /%6civez HTTP/1.1")),
        ("a path with dots", line("GET /x/../livez HTTP/1.1")),
        ("a double slash", line("GET //livez HTTP/1.1")),
        ("an encoded slash", line("GET /livez%2fweb HTTP/1.1")),
        ("a name with a traversal", line("GET /livez/..%2f..%2fetc HTTP/1.1")),
        ("a name that is no text", line("GET /livez/%ff%fe HTTP/1.1")),
        ("drain by get", line("GET /drain HTTP/1.1")),
        ("drain without a host", drain("X-A: b")),
        ("drain with a rebound host", drain("Host: evil.example:9809")),
        ("drain with a host that begins well", drain("Host: localhost.evil.example")),
        ("drain with a host that begins like an address", drain("Host: 127.0.0.1.evil.example")),
        ("drain from a page", drain("Host: localhost\r\nOrigin: http://localhost:9809")),
        ("drain from a page without an origin", drain("Host: localhost\r\nSec-Fetch-Site: same-origin")),
        ("drain from an opaque page", drain("Host: 127.0.0.1\r\nOrigin: null")),
        (
            "drain by a forged address",
            drain("Host: evil.example\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1"),
        ),
        ("drain through a proxy of the pod", drain("Host: localhost\r\nX-Forwarded-For: 127.0.0.1")),
        ("drain through a gateway", drain("Host: localhost\r\nVia: 1.1 mesh")),
        ("drain for somebody", drain("Host: localhost\r\nForwarded: for=127.0.0.1")),
        ("drain with two hosts", drain("Host: localhost\r\nHost: evil.example")),
        ("drain with a host for a port", drain("Host: localhost:evil.example")),
        ("drain with a host behind a name", drain("Host: localhost:1@evil.example")),
        ("drain by an absolute uri", to_loopback("POST http://evil.example/drain", "X-A: b")),
        ("drain by an encoded path", to_loopback("POST /%64rain", "X-A: b")),
        (
            "a preflight for drain",
            to_loopback(
                "OPTIONS /drain",
                "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST",
            ),
        ),
        ("options for everything", line("OPTIONS * HTTP/1.1")),
        ("trace", line("TRACE /livez HTTP/1.1")),
    ]
}

/// Requests that are odd and still deserve an answer.
fn odd_requests() -> Vec<(&'static str, u16, Vec<u8>)> {
    let line = |line: &str, headers: &str| {
        format!("{line}\r\nHost: a\r\nConnection: close\r\n{headers}\r\n").into_bytes()
    };
    vec![
        ("an absolute uri", 200, line("GET http://evil.example/livez HTTP/1.1", "")),
        ("http/1.0", 200, line("GET /livez HTTP/1.0", "")),
        ("a body nobody wants", 200, line("GET /livez HTTP/1.1", "Content-Length: 2\r\n\r\nab")),
        // The chunks count and the connection closes after it (RFC 9112, section 6.3).
        (
            "length and chunks",
            200,
            line("GET /livez HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
        ),
        ("a strange query", 200, line("GET /livez?%00&=&exclude=&&verbose HTTP/1.1", "")),
        (
            "pipelined",
            200,
            [b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50), line("GET /livez HTTP/1.1", "")].concat(),
        ),
        ("a forwarded kubelet", 200, line("GET /livez HTTP/1.1", "X-Forwarded-For: 127.0.0.1\r\n")),
    ]
}

/// Callers from the network: they may read, and nothing that they say of themselves lets them drain.
pub fn outside(_: &Scale) -> Tally {
    // With both families, so that callers by IPv4 come with a mapped address.
    let sidecar = Plan::new("outside").on_every_address().set("LIVENESS_FILE", "file:/etc/passwd").start();
    let port = sidecar.address.port();
    let mut tally = Tally::default();
    let network = own_address().expect("an address besides loopback");
    for name in ["localhost".to_owned(), network.to_string()] {
        for headers in
            ["", "X-Forwarded-For: 127.0.0.1\r\n", "Forwarded: for=127.0.0.1\r\n", "X-Real-IP: ::1\r\n"]
        {
            let request = post("POST /drain", &format!("{headers}Host: {name}:{port}"));
            let answer =
                exchange((network, port).into(), &request, Duration::from_secs(5)).unwrap_or_default();
            let status = parse(&answer).map(|answer| answer.status);
            tally.check(status == Some(403), || format!("{name}, {headers:?}: {answer:?}"));
        }
    }
    tally.check(!sidecar.get("/readyz").body.contains("drain"), || "it drains".to_owned());
    tally.check(ask_as_kubelet((network, port).into()).is_ok(), || "the kubelet is not answered".to_owned());
    let own = exchange(sidecar.address, &post("POST /drain", "Host: localhost"), Duration::from_secs(5));
    tally.check(own.is_ok_and(|text| text.contains("draining")), || "the pod itself cannot drain".to_owned());
    tally
}

/// Returns the address of this machine's own interface, by which it reaches itself as the network would.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback())
}

/// Readers who ask for the largest answers and never read them.
pub fn slow_readers(scale: &Scale) -> Tally {
    // So many that no answer fits into the buffers of its connection.
    const CHECKS: usize = 1500;
    let readers = scale.pick(100, 200);
    let sidecar = watched("slow-readers", CHECKS);
    let worker = sidecar.worker();
    let mut tally = Tally::default();
    let size = sidecar.get("/status").body.len() / 1024;
    let before = resident_kib(worker);
    let held: Vec<_> = (0..readers).filter_map(|_| open(sidecar.address)).collect();
    thread::sleep(Duration::from_secs(scale.pick(3, 60)));
    let growth = resident_kib(worker).saturating_sub(before);
    let bound = 8 * size as u64 + 6 * 1024;
    tally.many(readers as u64, (readers - held.len()) as u64, || "connections were refused".to_owned());
    tally.check(growth <= bound, || format!("memory grew by {growth} KiB, {bound} are allowed"));
    tally.check(ask_as_kubelet(sidecar.address).is_ok(), || "the kubelet is not answered".to_owned());
    let began = Instant::now();
    let answer = exchange(sidecar.address, STATUS, Duration::from_secs(60)).unwrap_or_default();
    let waited = began.elapsed().as_secs_f64();
    tally.check(answer.len() / 1024 >= size, || format!("a reader who reads got {} bytes", answer.len()));
    tally.check(sidecar.worker() == worker, || "the worker has died".to_owned());
    drop(held);
    tally.check(sidecar.get("/metrics").status == 200, || "the places are not given back".to_owned());
    tally.figure(format!("{readers} readers of {size} KiB each: {growth} KiB growth"));
    tally.figure(format!("one who reads waited for {waited:.1} s"));
    tally
}

const STATUS: &[u8] = b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn open(address: SocketAddr) -> Option<BlockingStream> {
    let mut stream = BlockingStream::connect(address).ok()?;
    stream.write_all(STATUS).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
    let _ = stream.read(&mut [0; 16]);
    Some(stream)
}

/// Tries a caller that pretends to be the kubelet: it cannot make the checks run at its own pace.
pub fn forged_kubelet(_: &Scale) -> Tally {
    let sidecar = watched("forged-kubelet", 1);
    let mut tally = Tally::default();
    let began = Instant::now();
    let lines = sidecar.log().lines().count();
    for _ in 0..2000 {
        let _ = sidecar.ask("GET", "/startupz", "User-Agent: kube-probe/1.36\r\n");
    }
    let seconds = began.elapsed().as_secs_f64();
    let (incarnations, allowed) = (sidecar.metric("health_proxy_incarnations_total", ""), 12.0 + seconds);
    tally.many(2000, u64::from(incarnations > allowed), || {
        format!("{incarnations} incarnations in {seconds:.1} s")
    });
    let more = sidecar.log().lines().count() - lines;
    tally.check(more < 40, || format!("{more} lines were logged"));
    tally.figure(format!("2000 questions in {seconds:.1} s began {incarnations} incarnations"));
    tally
}
