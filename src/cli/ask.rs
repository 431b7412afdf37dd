//! `get` and `drain`: a question to the sidecar that runs in this pod.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CliError, print, status};
use crate::targets::dial::Stream;
use crate::targets::http::exchange::{Answer, Limits, exchange};

/// After which a sidecar that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer of our own is read whole.
const LIMITS: Limits = Limits { read: usize::MAX, pieces: u32::MAX, body: usize::MAX };

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
    Answer(String),
    #[error("the sidecar does not answer within {PATIENCE:?}")]
    Patience,
    #[error("the status cannot be read: {0}; health-proxy get status --json prints it as it is")]
    Document(serde_json::Error),
}

/// `health-proxy get status`: prints a table, or the document as it is; exit status 0 for 200.
pub(super) fn get_status(as_json: bool) -> Result<ExitCode, CliError> {
    if as_json {
        return run("GET", "/status", as_it_is);
    }
    run("GET", "/status", |body| {
        let document = serde_json::from_slice(body).map_err(AskError::Document)?;
        Ok(status::text(&document, status::is_colour_wanted()))
    })
}

/// `health-proxy get WHAT`: prints the answer; exit status 0 for 200.
pub(super) fn get(what: &str, verbose: bool) -> Result<ExitCode, CliError> {
    let path = match what {
        "livez" | "readyz" | "startupz" if verbose => format!("/{what}?verbose"),
        "livez" | "readyz" | "startupz" | "metrics" => format!("/{what}"),
        "healthy" => "/-/healthy".to_owned(),
        "status" => return get_status(false),
        other => return Err(AskError::Question(other.to_owned()).into()),
    };
    run("GET", &path, as_it_is)
}

/// `health-proxy drain`
pub(super) fn drain() -> Result<ExitCode, CliError> {
    run("POST", "/drain", as_it_is)
}

/// Asks, and prints the answer as `shown` makes it of its body.
fn run(
    method: &str,
    path: &str,
    shown: impl FnOnce(&[u8]) -> Result<String, AskError>,
) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = address(std::env::var_os(LISTEN))?;
    let answer = async {
        timeout(PATIENCE, ask(&address, method, path, AGENT)).await.map_err(|_| AskError::Patience)?
    };
    let answer = runtime.block_on(answer)?;
    let text = shown(&answer.body)?;
    print(&text);
    if !text.ends_with('\n') {
        print("\n");
    }
    Ok(if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::unnecessary_wraps, reason = "a way to show a body, like others that can fail")]
fn as_it_is(body: &[u8]) -> Result<String, AskError> {
    Ok(String::from_utf8_lossy(body).into_owned())
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
    method: &str,
    path: &str,
    agent: &str,
) -> Result<Answer, AskError> {
    let stream = Stream::Other(Box::new(connect(addresses).await?));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
    );
    exchange(stream, request.as_bytes(), false, LIMITS).await.map_err(AskError::Answer)
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
