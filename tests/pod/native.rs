//! The probes that only apps without a sidecar have here: a connection, HTTPS, and a call of gRPC.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::request::{Question, judge};

/// Connects and hangs up.
pub fn connect(address: SocketAddr, timeout: Duration) -> Result<(), String> {
    TcpStream::connect_timeout(&address, timeout).map(drop).map_err(|error| error.to_string())
}

/// Asks over TLS and believes every certificate.
pub fn get_over_tls(address: SocketAddr, question: &Question, timeout: Duration) -> Result<(), String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--insecure", "--http1.1", "--output", "/dev/null"]);
    command.args(["--write-out", "%{http_code}", "--user-agent", question.agent]);
    command.args(["--max-time", &timeout.as_secs().to_string()]);
    for (name, value) in &question.headers {
        // This is how curl is told to send an empty one.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        command.args(["--header", &header]);
    }
    let output = command.arg(format!("https://{address}{}", question.path)).output().expect("curl runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    judge(String::from_utf8_lossy(&output.stdout).parse().expect("a status"))
}

/// Asks a health service in plaintext.
pub fn call(address: SocketAddr, service: &str, timeout: Duration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let asked = runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let asked = async {
            let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(channel).check(request).await;
            answer.map_err(|status| status.to_string()).map(|answer| answer.into_inner().status())
        };
        tokio::time::timeout(timeout, asked).await
    });
    match asked {
        Ok(Ok(ServingStatus::Serving)) => Ok(()),
        Ok(Ok(status)) => Err(format!("service unhealthy (responded with {:?})", status.as_str_name())),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(format!("timeout: failed to connect service {address:?} within {timeout:?}")),
    }
}
