//! `get` and `drain`: a question to the sidecar that runs in this pod.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CliError, print};

/// After which a sidecar that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who asks, unless somebody else is played.
pub(super) const AGENT: &str = concat!("health-proxy/", env!("CARGO_PKG_VERSION"));

/// The variable that says where the sidecar listens.
const LISTEN: &str = "HEALTH_PROXY_LISTEN";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("unknown question {0:?}; accepted: livez, readyz, startupz, status, metrics, healthy")]
    Question(String),
    #[error("{LISTEN}={0:?}: accepted: ADDRESS:PORT, such as [::]:9809")]
    Listen(OsString),
    #[error("no sidecar answers on {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("the sidecar does not answer: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the sidecar does not answer within {PATIENCE:?}")]
    Patience,
    #[error("request: {0}")]
    Request(#[from] hyper::http::Error),
}

/// `health-proxy get WHAT`: prints the answer; exit status 0 for 200.
pub(super) fn get(what: &str, verbose: bool) -> Result<ExitCode, CliError> {
    let path = match what {
        "livez" | "readyz" | "startupz" if verbose => format!("/{what}?verbose"),
        "livez" | "readyz" | "startupz" | "status" | "metrics" => format!("/{what}"),
        "healthy" => "/-/healthy".to_owned(),
        other => return Err(AskError::Question(other.to_owned()).into()),
    };
    run(Method::GET, &path)
}

/// `health-proxy drain`
pub(super) fn drain() -> Result<ExitCode, CliError> {
    run(Method::POST, "/drain")
}

fn run(method: Method, path: &str) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = address(std::env::var_os(LISTEN))?;
    let answer = async {
        timeout(PATIENCE, ask(&address, method, path, AGENT)).await.map_err(|_| AskError::Patience)?
    };
    let (status, body) = runtime.block_on(answer)?;
    let text = String::from_utf8_lossy(&body);
    print(&text);
    if !text.ends_with('\n') {
        print("\n");
    }
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the sidecar of this pod is: on loopback, unless it listens on one address alone.
fn address(listen: Option<OsString>) -> Result<Vec<SocketAddr>, AskError> {
    let Some(listen) = listen else {
        return Ok(vec![(Ipv4Addr::LOCALHOST, 9809).into(), (Ipv6Addr::LOCALHOST, 9809).into()]);
    };
    let parsed = listen.to_str().and_then(|text| text.parse().ok());
    let address: SocketAddr = parsed.ok_or(AskError::Listen(listen))?;
    Ok(match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![(Ipv4Addr::LOCALHOST, address.port()).into()],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![(Ipv4Addr::LOCALHOST, address.port()).into(), (Ipv6Addr::LOCALHOST, address.port()).into()]
        }
        _ => vec![address],
    })
}

/// One question to the first of `addresses` that accepts a connection; `agent` says who asks.
pub(super) async fn ask(
    addresses: &[SocketAddr],
    method: Method,
    path: &str,
    agent: &'static str,
) -> Result<(StatusCode, Bytes), AskError> {
    let stream = connect(addresses).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(USER_AGENT, agent)
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, AskError> {
    let mut last = AskError::Patience;
    for &address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = AskError::Connect(address, error),
        }
    }
    Err(last)
}
