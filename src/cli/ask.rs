//! `get` and `drain`: a question to the sidecar that runs in this pod.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::words::{Question, What};
use super::{CliError, print, status};
use crate::targets::dial::Stream;
use crate::targets::http::exchange::{Answer, Limits, exchange};
use crate::targets::reason::io_reason;

/// The time after which a sidecar that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most that is read of an answer of a sidecar: all of it.
const LIMITS: Limits = Limits { read: usize::MAX, pieces: u32::MAX, body: usize::MAX };

/// The name of the caller, unless somebody else is played.
pub(super) const CLI_AGENT: &str = concat!("health-proxy/", env!("CARGO_PKG_VERSION"));

/// The variable that says where the sidecar listens.
const LISTEN: &str = "HEALTH_PROXY_LISTEN";

/// Between the first two questions of those who wait; then it grows to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(10);

/// See [`MIN_PAUSE`].
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// The reason for which there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{LISTEN}={0:?}: accepted: ADDRESS:PORT, such as [::]:9809")]
    Listen(OsString),
    #[error(
        "the sidecar does not answer on {0}: {1}; see whether it runs, what its log says, and whether \
         {LISTEN} is the same there as here"
    )]
    NoAnswer(SocketAddr, String),
    #[error("the status cannot be read: {0}; health-proxy get status --json prints it as it is")]
    Document(#[from] serde_json::Error),
    #[error("no check is about a container {0:?}; health-proxy get status shows all checks")]
    Container(String),
}

/// Runs `health-proxy get`: prints the answer; exit status 0 for 200.
pub(super) fn get(question: &Question) -> Result<ExitCode, CliError> {
    let answer = run("GET", &path(question), question.wait)?;
    let text = if question.what == What::Status && answer.status == 200 {
        shown_status(&answer.body.bytes, question)?
    } else {
        as_it_is(&answer)
    };
    Ok(told(&answer, &text))
}

/// Runs `health-proxy drain`.
pub(super) fn drain() -> Result<ExitCode, CliError> {
    let answer = run("POST", "/drain", Duration::ZERO)?;
    Ok(told(&answer, &as_it_is(&answer)))
}

/// Returns where the question is answered, with its query.
fn path(question: &Question) -> String {
    let (path, has_query) = match question.what {
        What::Livez => ("/livez", true),
        What::Readyz => ("/readyz", true),
        What::Startupz => ("/startupz", true),
        What::Status => ("/status", false),
        What::Metrics => ("/metrics", false),
        What::Healthy => ("/-/healthy", false),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if question.verbose && has_query {
        query.append_key_only("verbose");
    }
    if let Some(container) = question.container.filter(|_| has_query) {
        query.append_pair("container", container);
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns a table, or the document as it is, of all checks or of those that are about a container and about the pod.
fn shown_status(body: &[u8], question: &Question) -> Result<String, AskError> {
    if question.json && question.container.is_none() {
        return Ok(String::from_utf8_lossy(body).into_owned());
    }
    let mut document: Value = serde_json::from_slice(body)?;
    if let Some(container) = question.container {
        narrow(&mut document, container)?;
    }
    if question.json {
        return Ok(document.to_string());
    }
    Ok(status::text(&serde_json::from_value(document)?, status::is_colour_wanted()))
}

fn narrow(document: &mut Value, container: &str) -> Result<(), AskError> {
    let checks = document.get_mut("checks").and_then(Value::as_array_mut);
    let checks = checks.ok_or_else(|| AskError::Container(container.to_owned()))?;
    let is_of = |check: &Value| check.get("container").and_then(Value::as_str).map(|of| of == container);
    if !checks.iter().any(|check| is_of(check) == Some(true)) {
        return Err(AskError::Container(container.to_owned()));
    }
    checks.retain(|check| is_of(check) != Some(false));
    Ok(())
}

fn as_it_is(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body.bytes).into_owned()
}

/// Prints `text`; the exit status is that of `answer`.
fn told(answer: &Answer, text: &str) -> ExitCode {
    print(text);
    if !text.ends_with('\n') {
        print("\n");
    }
    if answer.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Asks the sidecar of this pod, again and again for up to `wait`.
fn run(method: &str, path: &str, wait: Duration) -> Result<Answer, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let addresses = addresses(std::env::var_os(LISTEN))?;
    let silent = |patience| AskError::NoAnswer(addresses[0], format!("nothing came within {patience:?}"));
    let once = async || {
        let answer = timeout(PATIENCE, ask(&addresses, method, path, CLI_AGENT)).await;
        answer.unwrap_or_else(|_| Err(silent(PATIENCE)))
    };
    let answer = runtime.block_on(async {
        if wait.is_zero() {
            once().await
        } else {
            until_it_is_200(wait, once).await.unwrap_or_else(|| Err(silent(wait)))
        }
    });
    Ok(answer?)
}

/// Asks until the answer is 200, for up to `wait`; returns what came last, if anything did.
async fn until_it_is_200(
    wait: Duration,
    once: impl AsyncFn() -> Result<Answer, AskError>,
) -> Option<Result<Answer, AskError>> {
    let mut last = None;
    let asked = async {
        let mut pause = MIN_PAUSE;
        loop {
            let answer = once().await;
            let is_200 = answer.as_ref().is_ok_and(|answer| answer.status == 200);
            last = Some(answer);
            if is_200 {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    };
    let _ = timeout(wait, asked).await;
    last
}

/// Returns where the sidecar of this pod is: on loopback, unless it listens on only one address.
fn addresses(listen: Option<OsString>) -> Result<Vec<SocketAddr>, AskError> {
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

/// Asks one question of the first of `addresses` that accepts a connection; `agent` says who asks.
pub(super) async fn ask(
    addresses: &[SocketAddr],
    method: &str,
    path: &str,
    agent: &str,
) -> Result<Answer, AskError> {
    let (address, stream) = connect(addresses).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(Stream::Other(Box::new(stream)), request.as_bytes(), false, LIMITS, || ()).await;
    answer.map_err(|reason| AskError::NoAnswer(address, reason))
}

/// Connects to the first of `addresses` that accepts it; the first one's reason counts where none does.
async fn connect(addresses: &[SocketAddr]) -> Result<(SocketAddr, TcpStream), AskError> {
    let mut refusal = None;
    for &address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((address, stream)),
            Err(error) => refusal = refusal.or_else(|| Some(io_reason(&error))),
        }
    }
    Err(AskError::NoAnswer(addresses[0], refusal.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUESTION: Question =
        Question { what: What::Livez, verbose: false, json: false, container: None, wait: Duration::ZERO };

    #[test]
    fn options_go_into_the_query_of_what_can_use_them() {
        let paths = [
            (QUESTION, "/livez"),
            (Question { verbose: true, ..QUESTION }, "/livez?verbose"),
            (Question { what: What::Readyz, container: Some("a&b"), ..QUESTION }, "/readyz?container=a%26b"),
            (
                Question { what: What::Startupz, verbose: true, container: Some("app"), ..QUESTION },
                "/startupz?verbose&container=app",
            ),
            (Question { what: What::Status, container: Some("app"), ..QUESTION }, "/status"),
            (Question { what: What::Metrics, verbose: true, ..QUESTION }, "/metrics"),
            (Question { what: What::Healthy, ..QUESTION }, "/-/healthy"),
        ];
        for (question, expected) in paths {
            assert_eq!(path(&question), expected);
        }
    }

    #[test]
    fn the_status_of_a_container_has_its_checks_and_those_of_the_pod() {
        let [front, back] = ["front", "back"].map(|name| json!({"name": name, "container": name}));
        let [pod, old] = [json!({"name": "pod", "container": null}), json!({"name": "old"})];
        let mut document = json!({"checks": [front, pod, back, old]});
        let error = narrow(&mut document, "side").unwrap_err().to_string();
        assert_eq!(error, "no check is about a container \"side\"; health-proxy get status shows all checks");
        narrow(&mut document, "back").unwrap();
        assert_eq!(document, json!({"checks": [pod, back, old]}));
    }
}
