//! Any bytes as a request to the sidecar, which answers or closes, and goes on.
#![no_main]

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

struct Sidecar {
    runtime: Runtime,
    address: SocketAddr,
}

thread_local! {
    static SIDECAR: Sidecar = start();
}

fn start() -> Sidecar {
    let config = health_proxy_fuzz::read(&[("READINESS_A", "file:/"), ("LIVENESS_A", "file:/")]);
    let config = config.expect("a configuration");
    let runtime = health_proxy_fuzz::runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        let ended = health_proxy::app::run(config, listener, false, pending()).await;
        panic!("the worker ended: {ended:?}");
    });
    Sidecar { runtime, address }
}

async fn ask(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fuzz_target!(|bytes: &[u8]| SIDECAR.with(|Sidecar { runtime, address }| {
    runtime.block_on(async {
        let patience = Duration::from_secs(5);
        let answer = timeout(patience, ask(*address, bytes)).await.expect("an answer or a close");
        if let Ok(answer) = answer {
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "no HTTP");
        }
    });
}));
