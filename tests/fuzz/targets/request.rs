//! Any bytes as a request to the sidecar, which answers or closes, and goes on; and answers `ok` alike, whether it
//! read a head at once or in two pieces, which is answered by the router.
#![no_main]

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use health_proxy::handover::Past;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::timeout;

/// The size of the sidecar's reads, in bytes.
const READ: usize = 1024;

struct Sidecar {
    runtime: Runtime,
    address: SocketAddr,
}

thread_local! {
    static SIDECAR: Sidecar = start();
}

fn start() -> Sidecar {
    let file = "file:/proc/self/stat";
    let config = health_proxy_fuzz::read(&[("READINESS_A", file), ("LIVENESS_A", file)]);
    let config = config.expect("a configuration");
    let runtime = health_proxy_fuzz::runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let past = Past::empty().expect("memory");
    runtime.spawn(async move {
        let ended = health_proxy::app::run(config, listener, past, pending()).await;
        panic!("the worker ended: {ended:?}");
    });
    let ready = b"GET /readyz HTTP/1.1\r\n\r\n";
    while !runtime.block_on(ask(address, [ready, b""])).is_ok_and(|answer| lines(&answer).is_some()) {}
    Sidecar { runtime, address }
}

async fn ask(address: SocketAddr, pieces: [&[u8]; 2]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    for piece in pieces {
        stream.write_all(piece).await?;
        // The sidecar, on the same thread, reads before there is more.
        for _ in 0..16 {
            yield_now().await;
        }
    }
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Returns the lines of an answer `ok`, whose order and date say nothing.
fn lines(answer: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(answer).ok().filter(|text| text.ends_with("\r\n\r\nok"))?;
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    Some(lines)
}

fuzz_target!(|bytes: &[u8]| SIDECAR.with(|Sidecar { runtime, address }| {
    runtime.block_on(async {
        let patience = Duration::from_secs(5);
        let ask =
            async |pieces| timeout(patience, ask(*address, pieces)).await.expect("an answer or a close");
        let (first, rest) = bytes.split_at(bytes.len().min(1));
        let (whole, pieces) = (ask([bytes, b""]).await, ask([first, rest]).await);
        for answer in [&whole, &pieces].into_iter().flatten() {
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "no HTTP");
        }
        // What is longer comes in pieces both times, and what follows a head may be answered or not.
        if let (Ok(whole), Ok(pieces), ..READ) = (whole, pieces, bytes.len()) {
            assert_eq!(lines(&whole), lines(&pieces));
        }
    });
}));
