//! `https://` targets against real TLS servers with certificates of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use health_proxy::outcome::Outcome;
use health_proxy::targets::{Attempt, Target};
use rcgen::{BasicConstraints, IsCa, KeyPair, date_time_ymd};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::rustls::version;

use crate::attempt::{Directory, failure, problems, run, run_within, target};
use crate::certificates::{Authority, Identity, Server, parameters};
use crate::servers::serve;
use crate::sidecar::{Sidecar, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const IN_2090: i64 = 3_786_912_000;
const IN_2060: i64 = 2_840_140_800;
const IN_2021: i64 = 1_609_459_200;

fn https(port: u16, options: &[(&str, &str)]) -> Target {
    target(&format!("https://:{port}/"), options)
}

/// Returns a certificate that signs itself and calls itself an authority, as `openssl req -x509` makes them.
fn self_signed(names: &[&str]) -> Identity {
    let (mut parameters, key) = (parameters(names), KeyPair::generate().unwrap());
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Identity { chain: parameters.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn expired(authority: &Authority) -> Identity {
    let mut parameters = parameters(&["localhost"]);
    parameters.not_after = date_time_ymd(2021, 1, 1);
    authority.sign(&parameters)
}

#[tokio::test]
async fn without_authorities_any_certificate_will_do_and_its_end_is_noted() {
    let authority = Authority::new("ca");
    for (identity, end) in [
        (self_signed(&["elsewhere"]), IN_2090),
        (expired(&authority), IN_2021),
        (authority.issue(&["elsewhere"]), IN_2090),
    ] {
        let check = https(Server::with(identity).serve(OK).await, &[]);
        assert_eq!(check.certificate_expiry(), Some(0));
        assert_eq!(run(&check).await, Outcome::Success);
        assert_eq!(check.certificate_expiry(), Some(end));
    }
    assert_eq!(target("http://:1/", &[]).certificate_expiry(), None);
}

#[tokio::test]
async fn with_authorities_the_certificate_is_verified() {
    let (directory, authority) = (Directory::new(), Authority::new("ca"));
    let file = directory.write("ca.crt", Authority::new("other").pem() + &authority.pem());
    let trusted = [("TLS_CA_FILE", file.as_str())];

    let good = Server::with(authority.issue(&["localhost", "127.0.0.1"])).serve(OK).await;
    assert_eq!(run(&https(good, &trusted)).await, Outcome::Success);
    let by_address = target(&format!("https://127.0.0.1:{good}/"), &trusted);
    assert_eq!(run(&by_address).await, Outcome::Success);

    let wrong_name = Server::with(authority.issue(&["app.example"])).serve(OK).await;
    assert_eq!(
        failure(&https(wrong_name, &trusted)).await,
        "the server's certificate is for app.example, not for \"localhost\" \
         (see _TLS_SERVER_NAME)"
    );
    let named = [trusted[0], ("TLS_SERVER_NAME", "app.example")];
    assert_eq!(run(&https(wrong_name, &named)).await, Outcome::Success);

    let old = https(Server::with(expired(&authority)).serve(OK).await, &trusted);
    let reason = failure(&old).await;
    assert!(
        reason.starts_with("the server's certificate expired ") && reason.ends_with(" days ago"),
        "{reason}"
    );
    assert_eq!(old.certificate_expiry(), Some(IN_2021));

    let mut early = parameters(&["localhost"]);
    early.not_before = date_time_ymd(2089, 1, 1);
    let early = Server::with(authority.sign(&early)).serve(OK).await;
    assert_eq!(failure(&https(early, &trusted)).await, "the server's certificate is not valid yet");

    for (stranger, reason) in [
        (self_signed(&["localhost"]), "signs itself and is not in _TLS_CA_FILE"),
        (
            Authority::new("unknown").issue(&["localhost"]),
            "is signed by none of the authorities in _TLS_CA_FILE",
        ),
        (Authority::new("ca").issue(&["localhost"]), "is signed by none of the authorities in _TLS_CA_FILE"),
    ] {
        let port = Server::with(stranger).serve(OK).await;
        assert_eq!(failure(&https(port, &trusted)).await, format!("the server's certificate {reason}"));
    }
}

#[tokio::test]
async fn a_certificate_in_the_file_itself_is_trusted_but_not_for_other_names_and_times() {
    let directory = Directory::new();
    let (right, wrong) = (self_signed(&["localhost"]), self_signed(&["elsewhere"]));
    let trusted = directory.write("ca.crt", right.chain.clone() + &wrong.chain);
    let trusted = [("TLS_CA_FILE", trusted.as_str())];
    assert_eq!(run(&https(Server::with(right).serve(OK).await, &trusted)).await, Outcome::Success);
    let reason = failure(&https(Server::with(wrong).serve(OK).await, &trusted)).await;
    assert!(reason.starts_with("the server's certificate is for elsewhere, not for"), "{reason}");

    let mut old = parameters(&["localhost"]);
    old.not_after = date_time_ymd(2021, 1, 1);
    let key = KeyPair::generate().unwrap();
    let old = Identity { chain: old.self_signed(&key).unwrap().pem(), key: key.serialize_pem() };
    let file = directory.write("old.crt", &old.chain);
    let old = https(Server::with(old).serve(OK).await, &[("TLS_CA_FILE", &file)]);
    assert_eq!(failure(&old).await, "the server's certificate has expired");
}

#[tokio::test]
async fn the_first_end_of_a_chain_counts() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let mut identity = between.issue(&["localhost"]);
    identity.chain += &between.pem();
    let directory = Directory::new();
    let file = directory.write("ca.crt", root.pem());
    let check = https(Server::with(identity).serve(OK).await, &[("TLS_CA_FILE", &file)]);
    assert_eq!(run(&check).await, Outcome::Success);
    assert_eq!(check.certificate_expiry(), Some(IN_2060));
}

#[tokio::test]
async fn both_versions_of_tls() {
    let authority = Authority::new("ca");
    let directory = Directory::new();
    let file = directory.write("ca.crt", authority.pem());
    for versions in [vec![&version::TLS12], vec![&version::TLS13]] {
        let server = Server { versions, ..Server::with(authority.issue(&["localhost"])) };
        let port = server.serve(OK).await;
        assert_eq!(run(&https(port, &[])).await, Outcome::Success);
        assert_eq!(run(&https(port, &[("TLS_CA_FILE", &file)])).await, Outcome::Success);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let (directory, authority) = (Directory::new(), Authority::new("ca"));
    let (client, stranger) = (authority.issue(&["client"]), Authority::new("other").issue(&["client"]));
    let (certificate, key) =
        (directory.write("tls.crt", &client.chain), directory.write("tls.key", &client.key));
    let strange = directory.write("strange.crt", &stranger.chain);
    let strange_key = directory.write("strange.key", &stranger.key);
    for versions in [vec![&version::TLS12], vec![&version::TLS13]] {
        let server = Server::with(authority.issue(&["localhost"]));
        let server = Server { clients: Some(authority.pem()), versions, ..server };
        let port = server.serve(OK).await;
        let with = |certificate, key| https(port, &[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)]);
        assert_eq!(run(&with(&certificate, &key)).await, Outcome::Success);

        let reason = failure(&https(port, &[])).await;
        assert!(reason.contains("wants") && reason.contains("client certificate"), "{reason}");
        let reason = failure(&with(&strange, &strange_key)).await;
        assert!(reason.contains("refuses our client certificate"), "{reason}");
        assert_eq!(
            failure(&with(&certificate, &strange_key)).await,
            format!("the key in {strange_key} does not belong to the certificate in {certificate}")
        );
    }
}

#[tokio::test]
async fn files_are_read_again_when_they_change_as_a_secret_does() {
    let (directory, authority) = (Directory::new(), Authority::new("ca"));
    let server = Server::with(authority.issue(&["localhost"]));
    let port = Server { clients: Some(authority.pem()), ..server }.serve(OK).await;
    // As the kubelet lays out a volume: files lead through ..data, which is swapped as a whole.
    let version = |name: &str, authority: &Authority| {
        let client = authority.issue(&["client"]);
        fs::create_dir(directory.at(name)).unwrap();
        directory.write(&format!("{name}/ca.crt"), authority.pem());
        directory.write(&format!("{name}/tls.crt"), client.chain);
        directory.write(&format!("{name}/tls.key"), client.key);
        symlink(name, directory.at("..data_tmp")).unwrap();
        fs::rename(directory.at("..data_tmp"), directory.at("..data")).unwrap();
    };
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        symlink(format!("..data/{name}"), directory.at(name)).unwrap();
    }
    let (ca, certificate, key) = (directory.at("ca.crt"), directory.at("tls.crt"), directory.at("tls.key"));
    let options = [
        ("TLS_CA_FILE", ca.as_str()),
        ("TLS_CERT_FILE", certificate.as_str()),
        ("TLS_KEY_FILE", key.as_str()),
    ];
    let check = https(port, &options);

    assert_eq!(failure(&check).await, format!("cannot read {ca}: no such file or directory"));
    version("..1", &Authority::new("other"));
    assert!(failure(&check).await.contains("signed by none of the authorities"));
    version("..2", &authority);
    assert_eq!(run(&check).await, Outcome::Success);
    version("..3", &Authority::new("another"));
    assert!(failure(&check).await.contains("signed by none of the authorities"));
    fs::remove_file(directory.at("..data")).unwrap();
    assert_eq!(failure(&check).await, format!("cannot read {ca}: no such file or directory"));
}

#[tokio::test]
async fn files_that_hold_something_else() {
    let directory = Directory::new();
    let port = Server::with(self_signed(&["localhost"])).serve(OK).await;
    let empty = directory.write("empty", "");
    let garbage = directory.write("garbage", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
    for file in [&empty, &garbage] {
        let reason = failure(&https(port, &[("TLS_CA_FILE", file)])).await;
        assert_eq!(reason, format!("{file} holds no certificate in PEM"));
    }
    let nonsense = directory.write("n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let reason = failure(&https(port, &[("TLS_CA_FILE", &nonsense)])).await;
    assert_eq!(reason, format!("{nonsense}: no root trust anchors were provided"));

    let certificate = directory.write("tls.crt", self_signed(&["x"]).chain);
    let pair = |certificate, key| https(port, &[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)]);
    let reason = failure(&pair(&certificate, &certificate)).await;
    assert_eq!(reason, format!("{certificate} holds no unencrypted private key in PEM"));
    let folder = directory.path().to_str().unwrap();
    assert_eq!(failure(&pair(&certificate, folder)).await, format!("cannot read {folder}: not a file"));

    let pipe = directory.at("pipe");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for options in [
        [("TLS_CA_FILE", pipe.as_str())].as_slice(),
        &[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &pipe)],
    ] {
        assert_eq!(failure(&https(port, options)).await, format!("cannot read {pipe}: not a file"));
    }
    let long = directory.write("long", vec![b'x'; 1024 * 1024 + 1]);
    let reason = failure(&https(port, &[("TLS_CA_FILE", &long)])).await;
    assert_eq!(reason, format!("cannot read {long}: it is longer than 1048576 bytes"));
}

#[tokio::test]
async fn tls_against_a_plain_port_and_plain_against_tls() {
    let plain = plain("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(failure(&https(plain, &[])).await, "the server does not speak TLS");
    let port = Server::with(self_signed(&["localhost"])).serve(OK).await;
    let reason = failure(&target(&format!("http://:{port}/"), &[])).await;
    assert_eq!(reason, "the server speaks TLS here; the target has to be https://");
    let refused = failure(&https(1, &[])).await;
    assert_eq!(refused, "connection refused by localhost:1 (127.0.0.1 and ::1)");
}

/// Starts a plain server that says `answer` to whatever comes, and closes.
async fn plain(answer: impl Into<String>) -> u16 {
    let answer = answer.into();
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut asked = [0; 4096];
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut asked);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_and_one_that_hangs_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let check = https(silent.local_addr().unwrap().port(), &[]);
    let outcome = run_within(&check, Duration::from_millis(100)).await;
    assert_eq!(
        outcome,
        Outcome::Timeout(
            "timeout: connected, but the TLS handshake was not over within 100ms; does it speak TLS?".into()
        )
    );
    drop(silent);

    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let check = https(rude.local_addr().unwrap().port(), &[]);
    let hang_up = async {
        let (stream, _) = rude.accept().await.unwrap();
        stream.readable().await.unwrap();
        let mut hello = [0; 4096];
        let _ = stream.try_read(&mut hello);
    };
    let (reason, ()) = tokio::join!(failure(&check), hang_up);
    assert_eq!(reason, "the server closed the connection during the TLS handshake");
}

#[tokio::test]
async fn redirects_lead_to_tls_and_back() {
    let identity = self_signed(&["localhost"]);
    let end = plain(OK).await;
    let moved = |url: String| format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
    let second = Server::with(identity).serve(moved(format!("http://localhost:{end}/"))).await;
    let first = plain(moved(format!("https://localhost:{second}/"))).await;
    let check = target(&format!("http://:{first}/"), &[("BODY_MATCHES", "^ok$")]);
    assert_eq!(run(&check).await, Outcome::Success);
    assert_eq!(check.certificate_expiry(), None);
    let check = https(second, &[("BODY_MATCHES", "^ok$")]);
    assert_eq!(run(&check).await, Outcome::Success);
    assert_eq!(check.certificate_expiry(), Some(IN_2090));
}

#[tokio::test]
async fn a_body_may_end_with_the_connection_but_not_before_its_length() {
    let identity = self_signed(&["localhost"]);
    let open = Server::with(identity.clone()).serve("HTTP/1.1 200 OK\r\n\r\nwhole").await;
    assert_eq!(run(&https(open, &[("BODY_MATCHES", "^whole$")])).await, Outcome::Success);
    let cut = Server::with(identity).serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    let reason = failure(&https(cut, &[("BODY_MATCHES", "half")])).await;
    assert!(reason.contains("the connection was closed before the end of the body"), "{reason}");
}

#[tokio::test]
async fn a_dialogue_inside_tls_has_every_option_of_tls() {
    let authority = Authority::new("a");
    let directory = Directory::new();
    let ca = directory.write("ca.crt", authority.pem());
    let port = Server::with(authority.issue(&["smtp"])).serve("+OK\r\n").await;
    let value = format!("tls://:{port}");
    let named = [("TLS_CA_FILE", ca.as_str()), ("TLS_SERVER_NAME", "smtp")];
    let check = target(&value, &named);
    assert_eq!(run(&check).await, Outcome::Success);
    assert_eq!(check.certificate_expiry(), Some(IN_2090));
    let spoken = [named[0], named[1], ("SEND", r"PING\r\n\r\n"), ("EXPECT", r"^\+OK\r\n")];
    assert_eq!(run(&target(&value, &spoken)).await, Outcome::Success);
    let reason = failure(&target(&value, &[named[0]])).await;
    assert_eq!(reason, "the server's certificate is for smtp, not for \"localhost\" (see _TLS_SERVER_NAME)");
}

#[test]
fn what_is_accepted() {
    let wrong = [("TLS_CA_FILE", "ca.crt"), ("TLS_CERT_FILE", "/tls.crt"), ("TLS_SERVER_NAME", "a b")];
    assert_eq!(
        problems("https://:1/", &wrong),
        [
            "LIVENESS_T_TLS_CA_FILE=\"ca.crt\": accepted: an absolute path, such as /etc/tls/ca.crt",
            "LIVENESS_T_TLS_CERT_FILE=\"/tls.crt\": needs _TLS_KEY_FILE as well",
            "LIVENESS_T_TLS_SERVER_NAME=\"a b\": accepted: a DNS name or an IP address",
        ]
    );
    assert_eq!(
        problems("http://:1/", &[("TLS_CA_FILE", "/ca.crt")]),
        ["LIVENESS_T_TLS_CA_FILE=\"/ca.crt\": an http target has no such option"]
    );
}

#[tokio::test]
async fn the_end_of_a_certificate_is_a_metric_of_the_checks_with_tls_alone() {
    let port = Server::with(self_signed(&["localhost"])).serve(OK).await;
    let look = move || {
        let (https, plain) = (format!("https://:{port}/"), format!("http://:{port}/"));
        let sidecar = Sidecar::start(&[("LIVENESS_TLS", &https), ("LIVENESS_PLAIN", &plain)]);
        let family = "health_proxy_check_tls_certificate_expiry_timestamp_seconds";
        eventually("it is noted", || {
            let metrics = sidecar.get("/metrics").body;
            let series: Vec<_> = metrics.lines().filter(|line| line.starts_with(family)).collect();
            (series == [format!("{family}{{check=\"tls\",probe=\"liveness\"}} {IN_2090}")]).then_some(())
        });
    };
    tokio::task::spawn_blocking(look).await.unwrap();
}
