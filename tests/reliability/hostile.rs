//! Servers of every bad kind, each on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::sidecar::free_port;

/// A kind of server: what it does with a connection, and what a run against it must come to.
pub struct Kind {
    pub name: &'static str,
    pub result: &'static str,
    /// A part of the reason, or nothing where the result says it all.
    pub reason: &'static str,
    does: Does,
}

/// The deed of a server that has read the head of a request.
#[derive(Clone)]
enum Does {
    /// Nothing, and keeps the connection.
    Stall,
    /// Sends bytes, and stalls.
    SendAndStall(Vec<u8>),
    /// Sends bytes, and closes.
    SendAndClose(Vec<u8>),
    /// Sends bytes, and resets the connection.
    SendAndReset(Vec<u8>),
    /// Resets the connection before anything is read.
    ResetAtOnce,
    /// Sends bytes, one at a time with a pause between them.
    Drip(Vec<u8>, Duration),
    /// Sends some bytes, and others for ever.
    Flood(Vec<u8>, Vec<u8>),
    /// Answers well, a little late.
    Late(Duration),
    /// Redirects to the same path on the next port, or answers well on the last.
    Chain(Option<u16>),
    /// Nobody listens.
    Absent,
}

fn kind(name: &'static str, result: &'static str, reason: &'static str, does: Does) -> Kind {
    Kind { name, result, reason, does }
}

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Bytes that nobody means, the same on each run.
fn noise() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..4096).map(|_| next()).collect()
}

/// Returns every kind of answer that goes wrong over HTTP, and a few that do not.
#[expect(clippy::too_many_lines, reason = "a list, one line a kind")]
pub fn kinds() -> Vec<Kind> {
    use Does::{Chain, Drip, Flood, Late, SendAndClose, SendAndReset, SendAndStall, Stall};
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}");
    let long_line = head(&format!("X-Long: {}\r\n\r\n", "x".repeat(1_000_000)));
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100) + WELL;
    let tls_alert = b"\x15\x03\x01\x00\x02\x02\x46".to_vec();
    let settings = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    let redirect = |to: &str| bytes(&format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n"));
    let second = Duration::from_secs(1);
    vec![
        kind("well", "success", "", SendAndClose(bytes(WELL))),
        kind("late", "success", "", Late(Duration::from_millis(200))),
        kind("absent", "failure", "connection refused", Does::Absent),
        kind("silent", "timeout", "connected, but no headers", Stall),
        kind("head-stalls", "timeout", "", SendAndStall(bytes(&head("Content-Length: 2\r\n")))),
        kind(
            "body-stalls",
            "timeout",
            "the body was not complete",
            SendAndStall(bytes(&head("Content-Length: 2\r\n\r\no"))),
        ),
        kind("drips", "timeout", "", Drip(bytes(WELL), second)),
        kind("endless-body", "success", "", Flood(bytes(&head("\r\n")), vec![b'x'; 65536])),
        kind("endless-headers", "failure", "", Flood(bytes(&head("")), b"X-A: b\r\n".repeat(1000))),
        kind("megabyte-line", "failure", "", SendAndClose(bytes(&long_line))),
        kind(
            "endless-chunks",
            "success",
            "",
            Flood(bytes(&head("Transfer-Encoding: chunked\r\n\r\n")), bytes("1\r\nx\r\n").repeat(1000)),
        ),
        kind(
            "endless-interim",
            "failure",
            "",
            Flood(Vec::new(), bytes("HTTP/1.1 102 Processing\r\n\r\n").repeat(100)),
        ),
        kind("length-too-long", "failure", "", SendAndClose(bytes(&head("Content-Length: 9\r\n\r\nok")))),
        kind("length-too-short", "success", "", SendAndClose(bytes(&head("Content-Length: 1\r\n\r\nok")))),
        kind("length-garbage", "failure", "", SendAndClose(bytes(&head("Content-Length: -1\r\n\r\nok")))),
        kind(
            "lengths-differ",
            "failure",
            "",
            SendAndClose(bytes(&head("Content-Length: 1\r\nContent-Length: 2\r\n\r\nok"))),
        ),
        kind(
            "chunk-garbage",
            "failure",
            "",
            SendAndClose(bytes(&head("Transfer-Encoding: chunked\r\n\r\nzz\r\nok"))),
        ),
        kind(
            "chunk-huge",
            "failure",
            "",
            SendAndClose(bytes(&head("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nok"))),
        ),
        kind("hundred-interim", "success", "", SendAndClose(bytes(&interim))),
        kind(
            "switches",
            "failure",
            "statuscode: 101",
            SendAndStall(bytes(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            )),
        ),
        kind("redirect-loop", "failure", "stopped after 10 redirects", SendAndClose(redirect("/again"))),
        kind("redirect-chain", "success", "", Chain(None)),
        kind(
            "redirect-away",
            "success",
            "Probe terminated redirects",
            SendAndClose(redirect("http://example.invalid/")),
        ),
        kind("redirect-garbage", "success", "", SendAndClose(redirect("http://[:\u{fffd}"))),
        kind("closes", "failure", "", SendAndClose(Vec::new())),
        kind("resets-at-once", "failure", "", Does::ResetAtOnce),
        kind("resets-first", "failure", "", SendAndReset(Vec::new())),
        kind("resets-in-head", "failure", "", SendAndReset(bytes(&head("X-A: b")))),
        kind("resets-in-body", "failure", "", SendAndReset(bytes(&head("Content-Length: 9\r\n\r\nok")))),
        kind("speaks-http2", "failure", "", SendAndStall(settings)),
        kind("speaks-tls", "failure", "speaks TLS", SendAndClose(tls_alert)),
        kind("noise", "failure", "", SendAndStall(noise())),
        kind("status-garbage", "failure", "", SendAndClose(bytes("HTTP/1.1 20x OK\r\n\r\n"))),
        kind(
            "status-unknown",
            "failure",
            "statuscode: 999",
            SendAndClose(bytes("HTTP/1.1 999 What\r\n\r\n")),
        ),
        kind("http-0.9", "failure", "", SendAndClose(bytes("<html>ok</html>"))),
        kind("nul-in-head", "failure", "", SendAndClose(bytes(&head("X-A: \0\r\n\r\n")))),
    ]
}

/// Returns a server that answers with `text`.
pub fn answering(text: &str) -> Kind {
    kind("answering", "success", "", Does::SendAndClose(bytes(text)))
}

/// Starts a server for each kind, and gives the port of each.
pub fn start(kinds: &[Kind]) -> Vec<u16> {
    let all: Vec<Does> = kinds.iter().map(|kind| kind.does.clone()).collect();
    let (ports, started) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            for does in all {
                ports.send(open(does)).expect("somebody waits");
            }
            drop(ports);
            std::future::pending::<()>().await;
        });
    });
    started.into_iter().collect()
}

fn open(does: Does) -> u16 {
    match does {
        Does::Absent => free_port(),
        Does::Chain(_) => {
            let mut port = listen(Does::SendAndClose(bytes(WELL)));
            for _ in 0..9 {
                port = listen(Does::Chain(Some(port)));
            }
            port
        }
        other => listen(other),
    }
}

fn listen(does: Does) -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let socket = SockRef::from(&listener);
    socket.listen(4096).expect("a backlog");
    // So that floods cost the machine no more than they must.
    socket.set_send_buffer_size(16 * 1024).expect("a buffer");
    listener.set_nonblocking(true).expect("a mode");
    let listener = TcpListener::from_std(listener).expect("a listener");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let does = Arc::new(does);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let does = Arc::clone(&does);
            tokio::spawn(async move { drop(treat(stream, &does).await) });
        }
    });
    address.port()
}

/// Treats one connection.
async fn treat(mut stream: TcpStream, does: &Does) -> std::io::Result<()> {
    if matches!(does, Does::ResetAtOnce) {
        return reset(&stream);
    }
    read_head(&mut stream).await?;
    match does {
        Does::SendAndClose(bytes) | Does::SendAndStall(bytes) | Does::SendAndReset(bytes) => {
            stream.write_all(bytes).await?;
        }
        Does::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[*byte]).await?;
                sleep(*pause).await;
            }
        }
        Does::Flood(first, then) => {
            stream.write_all(first).await?;
            while stream.write_all(then).await.is_ok() {}
        }
        Does::Late(pause) => {
            sleep(*pause).await;
            stream.write_all(WELL.as_bytes()).await?;
        }
        Does::Chain(next) => {
            let next = next.unwrap_or_default();
            let answer = format!("HTTP/1.1 307 Next\r\nLocation: http://127.0.0.1:{next}/\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
        }
        Does::Stall | Does::ResetAtOnce | Does::Absent => {}
    }
    match does {
        Does::Stall | Does::SendAndStall(_) => wait_for_close(&mut stream).await,
        Does::SendAndReset(_) => reset(&stream),
        _ => Ok(()),
    }
}

fn reset(stream: &TcpStream) -> std::io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

async fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn wait_for_close(stream: &mut TcpStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 64]).await? > 0 {}
    Ok(())
}
