//! `unix:` and `http+unix://` targets, and conversations with real servers.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use health_proxy::outcome::Outcome;

use crate::attempt::{Directory, failure, run, target};
use crate::servers::{Server, free_port, postgres};

/// Starts a server of one connection after the other; what each was asked is handed to `answer`.
fn serve(path: &str, answer: impl Fn(&str) -> String + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).unwrap();
            let _ = stream.write_all(answer(&String::from_utf8_lossy(&asked[..length])).as_bytes());
        }
    });
}

#[tokio::test]
async fn a_socket_is_connected_to() {
    let directory = Directory::new();
    let check = target(&format!("unix:{}", directory.at("s")), &[]);
    assert_eq!(failure(&check).await, format!("{}: no such file or directory", directory.at("s")));
    directory.write("s", "");
    assert_eq!(failure(&check).await, format!("{}: connection refused", directory.at("s")));
    std::fs::remove_file(directory.at("s")).unwrap();
    serve(&directory.at("s"), |_| String::new());
    assert_eq!(run(&check).await, Outcome::Success);
}

#[tokio::test]
async fn a_server_that_does_not_accept_is_named() {
    let directory = Directory::new();
    let listener = UnixListener::bind(directory.at("s")).unwrap();
    // With a backlog of one, the kernel takes two connections that nobody accepts.
    let backlog = nix::sys::socket::Backlog::new(1).unwrap();
    nix::sys::socket::listen(&listener, backlog).unwrap();
    let _waiting = [(); 2].map(|()| std::os::unix::net::UnixStream::connect(directory.at("s")).unwrap());
    let check = target(&format!("unix:{}", directory.at("s")), &[]);
    assert_eq!(failure(&check).await, format!("{}: its backlog is full", directory.at("s")));
}

#[tokio::test]
async fn http_over_a_socket() {
    let directory = Directory::new();
    let socket = directory.at("app.sock");
    serve(&socket, |asked| {
        let body = asked.lines().next().unwrap_or_default();
        match asked.contains("\r\nHost: localhost\r\n") {
            _ if asked.starts_with("GET /old ") => {
                "HTTP/1.1 301 Moved\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            true => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            false => format!("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n{asked}"),
        }
    });
    let url = format!("http+unix://{}/old", socket.replace('/', "%2F"));
    let check = target(&url, &[("BODY_MATCHES", "^GET /new HTTP/1.1$")]);
    assert_eq!(run(&check).await, Outcome::Success);
}

/// Waits for a server to come up.
async fn until_success(check: &health_proxy::targets::Target) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let outcome = run(check).await;
        if outcome == Outcome::Success {
            return;
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_real_redis_says_pong() {
    let directory = Directory::new();
    let (socket, port) = (directory.at("redis.sock"), free_port().to_string());
    let _redis = Server::start(
        "redis-server",
        &[
            "--port",
            &port,
            "--unixsocket",
            &socket,
            "--save",
            "",
            "--dir",
            directory.path().to_str().unwrap(),
        ],
    );
    for value in [format!("tcp://:{port}"), format!("unix:{socket}")] {
        until_success(&target(&value, &[("SEND", r"PING\r\n"), ("EXPECT", r"\+PONG")])).await;
        let echo = target(&value, &[("SEND", r"ECHO \x68\x69\r\n"), ("EXPECT", r"\r\nhi\r\n")]);
        assert_eq!(run(&echo).await, Outcome::Success);
        let wrong = target(&value, &[("SEND", r"QUIT\r\n"), ("EXPECT", "PONG")]);
        assert_eq!(
            failure(&wrong).await,
            "answered \"+OK\\r\\n\", which does not match /PONG/, and closed the connection"
        );
    }
}

#[tokio::test]
#[ignore = "needs postgresql"]
async fn a_real_postgresql_answers_whether_it_speaks_tls() {
    let directory = Directory::new();
    let data = directory.at("data");
    std::fs::create_dir(&data).unwrap();
    let made =
        postgres("initdb", &directory).args(["--no-sync", "-A", "trust", "-D", &data]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (port, sockets) = (free_port().to_string(), directory.path().to_str().unwrap().to_owned());
    let mut command = postgres("postgres", &directory);
    command.args(["-D", &data, "-p", &port, "-k", &sockets, "-h", "127.0.0.1"]);
    let _postgres = Server::spawn(&mut command);
    // An SSLRequest, to which every server answers with one byte.
    let request = ("SEND", r"\x00\x00\x00\x08\x04\xd2\x16\x2f");
    for value in [format!("tcp://:{port}"), format!("unix:{sockets}/.s.PGSQL.{port}")] {
        until_success(&target(&value, &[request, ("EXPECT", "^[SN]$")])).await;
        let wrong = failure(&target(&value, &[("SEND", r"GET / HTTP/1.0\r\n\r\n"), ("EXPECT", "^S$")])).await;
        assert!(wrong.starts_with("the peer closed the connection"), "{wrong}");
    }
}
