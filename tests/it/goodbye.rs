//! How connections end: a server that is checked at every period must have nothing to complain of.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use health_proxy::outcome::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::attempt::{Directory, run, run_within, target};
use crate::certificates::{Authority, Server};
use crate::sidecar::eventually;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Returns what comes of a run, and what its server sees of the end, which answers a request with `answer` if that is
/// not empty.
async fn ends(
    check: &str,
    answer: &str,
    options: &[(&str, &str)],
    limit: Duration,
) -> (Outcome, io::Result<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let value = check.replace("PORT", &listener.local_addr().unwrap().port().to_string());
    let acceptor = Server::with(Authority::new("a").issue(&["localhost"])).acceptor();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        if !answer.is_empty() {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
        }
        loop {
            match stream.read(&mut [0; 4096]).await {
                Ok(1..) => {}
                end => return end,
            }
        }
    };
    let check = target(&value, options);
    tokio::join!(run_within(&check, limit), serve)
}

#[tokio::test]
async fn a_connection_of_tls_ends_with_a_goodbye_whatever_became_of_the_run() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n{}", "x".repeat(15_000));
    let (patient, brief) = (Duration::from_secs(20), Duration::from_millis(100));
    let hello = [("SEND", "HELO"), ("EXPECT", "^220 ")];
    for (check, answer, options, limit, passes) in [
        ("https://:PORT/", OK, [].as_slice(), patient, true),
        ("https://:PORT/", &long, &[], patient, true),
        ("https://:PORT/", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", &[], patient, false),
        ("https://:PORT/", "noise, and not a word of HTTP", &[], patient, false),
        ("https://:PORT/", "", &[], brief, false),
        ("tls://:PORT", "", &[], patient, true),
        ("tls://:PORT", "220 ready", &hello, patient, true),
        ("tls://:PORT", "", &hello, brief, false),
    ] {
        let (outcome, end) = ends(check, answer, options, limit).await;
        assert_eq!(outcome.passed(), passes, "{check} {answer:.20}: {outcome:?}");
        assert_eq!(end.map_err(|error| error.to_string()), Ok(0), "{check} {answer:.20}");
    }
}

/// `GnuTLS` prints an error for each connection that ends without a goodbye.
#[tokio::test]
#[ignore = "needs gnutls-bin"]
async fn a_real_gnutls_has_nothing_to_complain_of() {
    let directory = Directory::new();
    let identity = Authority::new("a").issue(&["localhost"]);
    let (chain, key) = (directory.write("crt", identity.chain), directory.write("key", identity.key));
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port().to_string();
    let arguments =
        ["-o0", "gnutls-serv", "--http", "-p", &port, "--x509certfile", &chain, "--x509keyfile", &key];
    let (said, output) = (directory.at("said"), std::fs::File::create(directory.at("said")).unwrap());
    let mut server = Command::new("stdbuf");
    server.args(arguments).stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let mut server = server.spawn().expect("gnutls-serv is needed");
    let (https, tls) = (format!("https://:{port}/"), format!("tls://:{port}"));
    while run(&target(&https, &[])).await != Outcome::Success {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(server.try_wait().unwrap().is_none(), "gnutls-serv goes on");
    }
    for check in [&https, &tls, &https, &tls] {
        assert_eq!(run(&target(check, &[])).await, Outcome::Success);
    }
    let said = eventually("it has seen all of them", || {
        let said = std::fs::read_to_string(&said).unwrap();
        (said.matches("Channel bindings").count() >= 5).then_some(said)
    });
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(!said.contains("Error"), "{said}");
}
