//! Failures in the words of the person who has to mend them.

use std::io;

use tokio_rustls::rustls;

use rustls::{AlertDescription, CertificateError, Error};

/// Returns an I/O error in the words of `strerror`, in lower case, without Rust's `(os error 111)`; or what TLS says.
pub fn io_reason(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return tls_reason(error);
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Returns an error of HTTP/2 with a server that was to speak `what`.
pub fn http2_reason(error: &h2::Error, what: &str) -> String {
    match (error.get_io(), error.reason()) {
        // One that speaks something else has answered our first words and gone.
        (Some(io), _) if matches!(io.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            format!("{}: the server may not speak {what}", io_reason(io))
        }
        (Some(io), _) => io_reason(io),
        (None, Some(reason)) if error.is_library() => {
            format!("the server does not speak {what} ({})", reason.description())
        }
        (None, Some(reason)) if error.is_reset() => {
            format!("the server reset the call ({})", reason.description())
        }
        (None, Some(reason)) => format!("the server ended the connection ({})", reason.description()),
        (None, None) => error.to_string(),
    }
}

/// Returns an error of TLS itself.
pub fn tls_reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(_) => "the server does not speak TLS".to_owned(),
        Error::AlertReceived(alert) => refusal(*alert),
        Error::PeerIncompatible(what) => format!("no common TLS settings with the server: {what:?}"),
        other => format!("TLS: {other}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("the server's certificate expired {} ago", span(ago))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by none of the authorities in _TLS_CA_FILE".to_owned()
        }
        CertificateError::NotValidForName => {
            "the server's certificate is for another name (see _TLS_SERVER_NAME)".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() {
                "no name at all".to_owned()
            } else {
                presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")
            };
            let expected = expected.to_str();
            format!("the server's certificate is for {names}, not for {expected:?} (see _TLS_SERVER_NAME)")
        }
        // webpki's own error, which rustls has no word for.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "the server's certificate signs itself and is not in _TLS_CA_FILE".to_owned()
        }
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

/// Returns a name without the word for its kind, as in `DnsName("web")`.
fn bare(name: &str) -> &str {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name)
}

/// Returns what a server means with an alert.
fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a client certificate (_TLS_CERT_FILE, _TLS_KEY_FILE)".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => format!(
            "the server refuses our client certificate, or wants one (_TLS_CERT_FILE, _TLS_KEY_FILE): {alert:?}"
        ),
        AlertDescription::ProtocolVersion => "the server speaks neither TLS 1.2 nor TLS 1.3".to_owned(),
        AlertDescription::UnrecognisedName => {
            "the server does not know the name that it was asked for (see _TLS_SERVER_NAME)".to_owned()
        }
        AlertDescription::NoApplicationProtocol => "the server does not speak the version of HTTP that is offered (see _HTTP_VERSION; gRPC needs HTTP/2)".to_owned(),
        AlertDescription::HandshakeFailure => {
            "the server refuses the handshake: no common cipher, or it wants a client certificate".to_owned()
        }
        other => format!("the server refuses the TLS connection: {other:?}"),
    }
}

/// Returns a time span in its largest unit, at least two of it.
fn span(seconds: u64) -> String {
    match seconds {
        172_800.. => format!("{} days", seconds / 86_400),
        7_200.. => format!("{} hours", seconds / 3_600),
        120.. => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_in_the_kubelet() {
        assert_eq!(io_reason(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(io_reason(&io::Error::other("")), "");
    }
}
