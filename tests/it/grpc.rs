//! `grpc://` and `grpcs://` targets against real health servers and against bad ones.

use std::time::Duration;

use health_proxy::outcome::Outcome;
use health_proxy::targets::Target;
use hyper::Response;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tonic_health::ServingStatus;

use crate::attempt::{Directory, failure, problems, run, run_within, target};
use crate::certificates::{Authority, Server};
use crate::servers::{self, python_server, serve};

const NOT_FOUND: &str = "the server knows no service \"my.own/Service\" (code = NotFound)";
const UNIMPLEMENTED: &str =
    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ";

fn grpc(port: u16, service: &str) -> Target {
    target(&format!("grpc://:{port}/{service}"), &[])
}

/// Starts grpcio's health server.
fn grpcio(arguments: &[&str]) -> (servers::Server, u16) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/grpc_server.py");
    python_server(&[&[script], arguments].concat())
}

/// Starts tonic's health server.
async fn tonic_health() -> u16 {
    let (reporter, service) = tonic_health::server::health_reporter();
    for (name, status) in
        [("up", ServingStatus::Serving), ("down", ServingStatus::NotServing), ("odd", ServingStatus::Unknown)]
    {
        reporter.set_service_status(name, status).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming));
    port
}

async fn tells_apart_every_status(port: u16) {
    for service in ["", "up"] {
        assert_eq!(run(&grpc(port, service)).await, Outcome::Success, "{service}");
    }
    assert_eq!(failure(&grpc(port, "down")).await, "service unhealthy (responded with \"NOT_SERVING\")");
    assert_eq!(failure(&grpc(port, "odd")).await, "service unhealthy (responded with \"UNKNOWN\")");
    let reason = failure(&grpc(port, "my.own/Service")).await;
    assert!(reason.starts_with(NOT_FOUND), "{reason}");
    let alive = target(&format!("grpc://:{port}/down"), &[("STATUS", "SERVING,NOT_SERVING")]);
    assert_eq!(run(&alive).await, Outcome::Success);
    let down = target(&format!("grpc://:{port}"), &[("STATUS", "NOT_SERVING")]);
    assert_eq!(failure(&down).await, "service unhealthy (responded with \"SERVING\")");
}

#[tokio::test]
async fn the_health_server_of_tonic() {
    tells_apart_every_status(tonic_health().await).await;
}

#[tokio::test]
#[ignore = "needs grpcio"]
async fn the_health_server_of_grpcio() {
    let (_server, port) = grpcio(&[]);
    tells_apart_every_status(port).await;
}

#[tokio::test]
#[ignore = "needs grpcio"]
async fn grpcio_without_a_health_service() {
    let (_server, port) = grpcio(&["bare"]);
    let reason = failure(&grpc(port, "")).await;
    assert!(reason.starts_with(UNIMPLEMENTED), "{reason}");
}

/// What the whole of CSI's livenessprobe is for, in one variable.
#[tokio::test]
#[ignore = "needs grpcio"]
async fn the_probe_of_a_csi_driver_over_its_socket() {
    let directory = Directory::new();
    let socket = directory.at("csi.sock");
    let _driver = grpcio(&["csi", &socket]);
    let value = format!("grpc+unix://{}", socket.replace('/', "%2F"));
    let probe = ("METHOD", "csi.v1.Identity/Probe");
    let token = directory.write("token", "Authorization: Bearer plugin-token");
    let check = target(&value, &[probe, ("HTTP_HEADERS_FILE", &token)]);
    let failed = "error: csi.v1.Identity/Probe failed: rpc error: code =";
    let unknown = failure(&target(&value, &[probe, ("HTTP_HEADERS", "Authorization: Bearer other")])).await;
    assert_eq!(unknown, format!("{failed} Unauthenticated desc = Bearer plugin-token is wanted"));
    assert_eq!(failure(&check).await, format!("{failed} FailedPrecondition desc = the driver starts"));
    assert_eq!(run(&check).await, Outcome::Success);
    let lenient = target(&value, &[probe, ("STATUS", "OK,UNAUTHENTICATED")]);
    assert_eq!(run(&lenient).await, Outcome::Success);
    let reason = failure(&target(&value, &[])).await;
    assert!(reason.starts_with(UNIMPLEMENTED), "{reason}");
    assert_eq!(run(&target(&value, &[("STATUS", "SERVING,UNIMPLEMENTED")])).await, Outcome::Success);
    let both = problems(&format!("{value}/a.B"), &[probe]);
    assert_eq!(
        both,
        ["LIVENESS_T_METHOD=\"csi.v1.Identity/Probe\": a method is called without a service in the target"]
    );
}

#[tokio::test]
#[ignore = "needs grpcio"]
async fn mutual_tls_with_grpcio() {
    let (directory, authority) = (Directory::new(), Authority::new("ca"));
    let (server, client) = (authority.issue(&["app"]), authority.issue(&["client"]));
    let file = |name, content: &str| directory.write(name, content);
    let ca = file("ca.crt", &authority.pem());
    let (certificate, key) = (file("tls.crt", &client.chain), file("tls.key", &client.key));
    let (_grpcio, port) = grpcio(&[&file("s.crt", &server.chain), &file("s.key", &server.key), &ca]);
    let all = [
        ("TLS_CA_FILE", ca.as_str()),
        ("TLS_CERT_FILE", certificate.as_str()),
        ("TLS_KEY_FILE", key.as_str()),
        ("TLS_SERVER_NAME", "app"),
    ];
    let with = |service: &str, options| target(&format!("grpcs://:{port}/{service}"), options);
    assert_eq!(run(&with("up", &all)).await, Outcome::Success);
    assert_eq!(failure(&with("down", &all)).await, "service unhealthy (responded with \"NOT_SERVING\")");
    let unnamed = failure(&with("", &all[..3])).await;
    let expected = format!("error: failed to connect service at \"localhost:{port}\": ");
    assert!(unnamed.starts_with(&expected) && unnamed.contains("not for \"localhost\""), "{unnamed}");
    let unknown = failure(&with("", &[])).await;
    assert!(unknown.contains("client certificate"), "{unknown}");
    let plain = failure(&grpc(port, "")).await;
    assert!(plain.starts_with("error: health rpc probe failed: "), "{plain}");
}

#[tokio::test]
async fn tls_in_front_of_tonic() {
    let (plain, authority) = (tonic_health().await, Authority::new("ca"));
    let server = Server { protocols: vec![b"h2".to_vec()], ..Server::with(authority.issue(&["localhost"])) };
    let in_front = server.serve_with(move |mut stream| async move {
        let mut behind = TcpStream::connect(("127.0.0.1", plain)).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut behind).await;
    });
    let port = in_front.await;
    let directory = Directory::new();
    let check = target(
        &format!("grpcs://:{port}/up"),
        &[("TLS_CA_FILE", &directory.write("ca.crt", authority.pem()))],
    );
    assert_eq!(run(&check).await, Outcome::Success);
    let reason = failure(&target(&format!("grpcs://:{plain}/up"), &[])).await;
    assert!(reason.ends_with("the server does not speak TLS"), "{reason}");
}

/// Starts an HTTP/2 server that begins its answer with `head`, repeats `part` every `pause`, and never ends.
async fn serve_http2(head: Response<()>, part: Bytes, pause: Duration) -> u16 {
    serve(move |stream| {
        let (head, part) = (head.clone(), part.clone());
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut body = respond.send_response(head.clone(), part.is_empty()).unwrap();
                let part = part.clone();
                tokio::spawn(async move {
                    while body.send_data(part.clone(), false).is_ok() {
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        }
    })
    .await
}

fn head(status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let response = Response::builder().status(status);
    headers.iter().fold(response, |response, (name, value)| response.header(*name, *value)).body(()).unwrap()
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const BRIEF: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_server_that_never_answers_or_trickles() {
    let silent = serve(|mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
    // Zeros are the beginning of an answer without content, again and again.
    let trickling = serve_http2(head(200, &[GRPC]), Bytes::from_static(b"\x00"), BRIEF / 10).await;
    for port in [silent, trickling] {
        let outcome = run_within(&grpc(port, ""), BRIEF).await;
        assert_eq!(outcome, Outcome::Timeout("timeout: health rpc did not complete within 200ms".into()));
    }
}

#[tokio::test]
async fn an_answer_of_ten_megabytes() {
    let ten = Bytes::from(vec![0; 10 << 20]);
    let announced = Bytes::from_static(b"\x00\x00\xa0\x00\x00");
    for (part, reason) in [
        (ten, "its answer is longer than 4096 bytes"),
        (announced, "its answer of 10485760 bytes is longer than 4096"),
    ] {
        let port = serve_http2(head(200, &[GRPC]), part, BRIEF).await;
        let expected = format!("error: health rpc probe failed: rpc error: code = Unknown desc = {reason}");
        assert_eq!(failure(&grpc(port, "")).await, expected);
    }
    let large = "x".repeat(100_000);
    let port = serve_http2(head(200, &[GRPC, ("x", &large)]), Bytes::new(), BRIEF).await;
    let reason = failure(&grpc(port, "")).await;
    assert!(reason.starts_with("error: health rpc probe failed: "), "{reason}");
}

#[tokio::test]
async fn answers_that_are_not_of_grpc() {
    let unknown = "error: health rpc probe failed: rpc error: code = Unknown desc = ";
    for (head, expected) in [
        (head(404, &[]), format!("{UNIMPLEMENTED}unexpected HTTP status code received from server: 404")),
        (head(503, &[]), format!("{unknown}unexpected HTTP status code received from server: 503")),
        (
            head(200, &[("content-type", "text/html")]),
            format!("{unknown}unexpected content-type \"text/html\""),
        ),
        (head(200, &[GRPC]), format!("{unknown}the server ended the call without a status")),
        (
            head(200, &[GRPC, ("grpc-status", "7"), ("grpc-message", "not%20you")]),
            "error: health rpc probe failed: rpc error: code = PermissionDenied desc = not you".to_owned(),
        ),
    ] {
        let port = serve_http2(head, Bytes::new(), BRIEF).await;
        assert_eq!(failure(&grpc(port, "")).await, expected);
    }
}

#[tokio::test]
async fn servers_that_do_not_speak_http_2() {
    let http1 = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec();
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n * 7919 % 251) as u8).collect();
    for answer in [http1, noise, vec![0; 4096], vec![255; 4096]] {
        let port = serve(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(&answer).await;
                while stream.read_u8().await.is_ok() {}
            }
        })
        .await;
        let reason = failure(&grpc(port, "")).await;
        let expected = "error: health rpc probe failed: the server does not speak HTTP/2 as gRPC needs it (";
        assert!(reason.starts_with(expected), "{reason}");
    }
    // Whether we hear him or find him gone is a question of who is faster.
    let hasty = serve(|mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    })
    .await;
    for _ in 0..50 {
        let reason = failure(&grpc(hasty, "")).await;
        assert!(reason.contains(" speak HTTP/2 as gRPC needs it"), "{reason}");
    }
    let port = serve(|stream| async move { drop(stream) }).await;
    let reason = failure(&grpc(port, "")).await;
    assert!(reason.starts_with("error: health rpc probe failed: "), "{reason}");
    assert_eq!(
        failure(&grpc(1, "")).await,
        "error: failed to connect service at \"localhost:1\": connection refused by localhost:1 (127.0.0.1 and ::1)"
    );
}

/// Every bad server at once, and a good one that must not feel them.
#[tokio::test]
async fn a_flood_does_not_hold_up_others() {
    let flood = serve(|mut stream| async move {
        let frames = [0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(4096);
        while stream.write_all(&frames).await.is_ok() {}
    })
    .await;
    let good = grpc(tonic_health().await, "");
    let bad = grpc(flood, "");
    let (bad, good) =
        tokio::join!(run_within(&bad, Duration::from_secs(1)), run_within(&good, Duration::from_secs(1)));
    assert!(!bad.passed());
    assert_eq!(good, Outcome::Success);
}

#[test]
fn what_is_accepted() {
    assert_eq!(
        problems("grpc://:1/a", &[("STATUS", "200"), ("TLS_CA_FILE", "/ca.crt")]),
        [
            "LIVENESS_T_STATUS=\"200\": accepted: a list of UNKNOWN, SERVING, NOT_SERVING and of gRPC's codes, such \
             as SERVING,UNIMPLEMENTED",
            "LIVENESS_T_TLS_CA_FILE=\"/ca.crt\": a grpc target has no such option",
        ]
    );
}
