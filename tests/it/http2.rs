//! `http://` and `https://` targets of servers that speak HTTP/2.

use bytes::Bytes;
use health_proxy::outcome::Outcome;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::attempt::{failure, problems, run, target};
use crate::certificates::{Authority, Server};
use crate::servers::serve;

/// Returns what a server of HTTP/2 answers: what it was asked, 200 KiB where that is `/long`, and a redirect from
/// `/away`.
fn answer(request: &Request<h2::RecvStream>) -> (Response<()>, Bytes) {
    let (status, body) = match request.uri().path() {
        "/away" => {
            return (
                Response::builder().status(302).header("location", "/here").body(()).unwrap(),
                Bytes::new(),
            );
        }
        "/down" => (503, "not yet".to_owned()),
        "/long" => (200, "x".repeat(200_000) + "end"),
        _ => (200, format!("{:?} {} {:?}", request.method(), request.uri(), request.headers())),
    };
    (Response::builder().status(status).body(()).unwrap(), body.into())
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, body) = answer(&request);
        let mut sender = respond.send_response(head, body.is_empty()).unwrap();
        if !body.is_empty() {
            sender.send_data(body, true).unwrap();
        }
    }
}

/// Starts a server that speaks HTTP/2 only, in TLS.
async fn secure() -> u16 {
    let identity = Authority::new("a").issue(&["localhost"]);
    Server { protocols: vec![b"h2".to_vec()], ..Server::with(identity) }.serve_with(converse).await
}

#[tokio::test]
async fn an_app_that_speaks_http_2_only_passes_as_it_does_natively() {
    let (secure, plain) = (secure().await, serve(converse).await);
    let two = ("HTTP_VERSION", "2");
    let asked = ("BODY_MATCHES", r#"^GET http.*/a\?b .*"x-token": "secret", "user-agent": "kube-probe/"#);
    let options = [("HTTP_HEADERS", "X-Token: secret\nConnection: close"), asked];
    assert_eq!(run(&target(&format!("https://:{secure}/a?b"), &options)).await, Outcome::Success);
    assert_eq!(
        run(&target(&format!("https://:{secure}/a?b"), &[two, options[0], asked])).await,
        Outcome::Success
    );
    assert_eq!(
        run(&target(&format!("http://:{plain}/a?b"), &[two, options[0], asked])).await,
        Outcome::Success
    );
    let reason = failure(&target(&format!("http://:{plain}/"), &[])).await;
    assert_eq!(reason, "the server speaks only HTTP/2 here; set _HTTP_VERSION=2");
    let reason = failure(&target(&format!("https://:{secure}/"), &[("HTTP_VERSION", "1.1")])).await;
    assert!(reason.contains("the version of HTTP that is offered"), "{reason}");
}

#[tokio::test]
async fn methods_bodies_redirects_and_long_answers() {
    let url = |path: &str, port: u16| format!("http://:{port}{path}");
    let (port, two) = (serve(converse).await, ("HTTP_VERSION", "2"));
    let check = |path: &str, options: &[(&str, &str)]| target(&url(path, port), &[&[two], options].concat());
    let posted = check(
        "/",
        &[("METHOD", "POST"), ("BODY", "12345"), ("BODY_MATCHES", r#"^POST .*"content-length": "5""#)],
    );
    assert_eq!(run(&posted).await, Outcome::Success);
    assert_eq!(run(&check("/", &[("METHOD", "HEAD")])).await, Outcome::Success);
    assert_eq!(run(&check("/away", &[("BODY_MATCHES", "/here")])).await, Outcome::Success);
    assert_eq!(run(&check("/long", &[("BODY_MATCHES", "xend$")])).await, Outcome::Success);
    assert_eq!(failure(&check("/down", &[])).await, "HTTP probe failed with statuscode: 503");
}

#[tokio::test]
async fn a_server_that_speaks_http_1_says_so_by_its_bytes() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ =
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let reason = failure(&target(&format!("http://:{port}/"), &[("HTTP_VERSION", "2")])).await;
    assert!(reason.starts_with("the server does not speak HTTP/2 ("), "{reason}");
}

#[test]
fn what_is_accepted() {
    let wrong = problems("http://:1/", &[("HTTP_VERSION", "3")]);
    assert_eq!(wrong, ["LIVENESS_T_HTTP_VERSION=\"3\": accepted: 1.1 or 2"]);
    let wrong = problems("tcp://:1", &[("HTTP_VERSION", "2")]);
    assert_eq!(wrong, ["LIVENESS_T_HTTP_VERSION=\"2\": a tcp target has no such option"]);
}
