//! TLS for the targets that speak it: who is trusted, who we are, and when the peer's certificate ends.

mod der;
mod identity;
mod lenient;
mod reason;
mod verify;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::{TlsConnector, rustls};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use super::connection::Connection;
use super::net::{BoxStream, io_reason};
use crate::grammar::Given;
use crate::grammar::options::{self, OptionName};

use identity::Identity;
use lenient::Lenient;
use verify::{Authorities, Verifier};

pub use reason::of as reason;

/// How a target speaks TLS.
#[derive(Debug, Default)]
pub struct Tls {
    files: Files,
    server_name: Option<ServerName<'static>>,
    /// What is offered by ALPN; nothing for HTTP/1, as the kubelet does.
    protocol: Option<&'static str>,
    /// When the first certificate of the chain ends that was presented last; 0 before.
    expiry: Arc<AtomicI64>,
    loaded: Mutex<Option<Loaded>>,
}

/// A configuration and the state of the files that it was made from.
#[derive(Debug)]
struct Loaded {
    stamps: Stamps,
    config: Config,
}

/// What a connection needs.
#[derive(Clone, Debug)]
struct Config {
    client: Arc<ClientConfig>,
    identity: Arc<Identity>,
}

impl Tls {
    /// Takes the four `_TLS_…` options; `protocol` is offered by ALPN.
    pub fn parse(given: &mut Given, protocol: Option<&'static str>) -> Self {
        let files = Files {
            authorities: given.take(options::TLS_CA_FILE, path),
            certificate: given.take(options::TLS_CERT_FILE, path),
            key: given.take(options::TLS_KEY_FILE, path),
        };
        let half = |given: &mut Given, name: OptionName, set: &Option<PathBuf>, missing: OptionName| {
            if let Some(path) = set {
                given.reject(name, &path.to_string_lossy(), format!("needs _{} as well", missing.suffix));
            }
        };
        match (&files.certificate, &files.key) {
            (set, None) => half(given, options::TLS_CERT_FILE, set, options::TLS_KEY_FILE),
            (None, set) => half(given, options::TLS_KEY_FILE, set, options::TLS_CERT_FILE),
            _ => {}
        }
        Self {
            files,
            protocol,
            server_name: given.take(options::TLS_SERVER_NAME, server_name),
            ..Self::default()
        }
    }

    /// When the first certificate of the chain ends that was presented last, in seconds since 1970; 0 before.
    pub fn expiry(&self) -> i64 {
        self.expiry.load(Ordering::Relaxed)
    }

    /// Speaks TLS over `stream` with `host`.
    ///
    /// # Errors
    /// What is wrong with our files, their certificate, or the handshake.
    pub async fn connect(&self, stream: Connection, host: &str) -> Result<BoxStream, String> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(if host.is_empty() { "localhost" } else { host })
                .map_err(|_| format!("{host} is no name for TLS: set _TLS_SERVER_NAME"))?,
        };
        let config = self.config()?;
        config.identity.begin();
        let connector = TlsConnector::from(config.client);
        let stream = connector.connect(name, stream).await.map_err(|error| reason::of_handshake(&error))?;
        Ok(Box::new(Lenient::new(stream, config.identity.suspicion())))
    }

    /// The configuration of the files as they are now. They are small and in memory (a Secret is a tmpfs), so
    /// they are looked at in place.
    fn config(&self) -> Result<Config, String> {
        let stamps = self.files.stamps()?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(loaded.config.clone());
        }
        *loaded = None;
        let config = self.load()?;
        // The state from before the files were read: what changed meanwhile is read again by the next run.
        *loaded = Some(Loaded { stamps, config: config.clone() });
        Ok(config)
    }

    fn load(&self) -> Result<Config, String> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let authorities = match self.files.authorities.as_ref().map(certificates).transpose()? {
            Some(certificates) => {
                let wrong = |error| format!("{}: {error}", shown(self.files.authorities.as_ref()));
                Some(Authorities::new(certificates, provider.clone()).map_err(wrong)?)
            }
            None => None,
        };
        let builder =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let verifier = Arc::new(Verifier::new(authorities, self.expiry.clone()));
        let identity = Arc::new(Identity::new(self.key(&provider)?));
        let mut client = builder
            .map_err(|error| reason(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(identity.clone());
        // A resumed session would hide a certificate that has changed.
        client.resumption = Resumption::disabled();
        client.alpn_protocols = self.protocol.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Config { client: Arc::new(client), identity })
    }

    /// Our certificate with its key, which must belong together.
    fn key(&self, provider: &CryptoProvider) -> Result<Option<Arc<CertifiedKey>>, String> {
        let Some((chain, key)) = self.files.identity()? else { return Ok(None) };
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| self.unfit(&error))?;
        Ok(Some(Arc::new(key)))
    }

    /// Why the client certificate and its key cannot be used.
    fn unfit(&self, error: &rustls::Error) -> String {
        let (certificate, key) = (shown(self.files.certificate.as_ref()), shown(self.files.key.as_ref()));
        match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("the key in {key} does not belong to the certificate in {certificate}")
            }
            other => format!("cannot use {certificate} with {key}: {other}"),
        }
    }
}

/// The files of a target, in PEM.
#[derive(Debug, Default)]
struct Files {
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// What changes when a file does, also when a link on the way to it leads elsewhere: device, inode, length and
/// modification time.
type Stamps = [Option<(u64, u64, u64, i64, i64)>; 3];

impl Files {
    fn stamps(&self) -> Result<Stamps, String> {
        let stamp = |path: &Option<PathBuf>| path.as_ref().map(stamp).transpose();
        Ok([stamp(&self.authorities)?, stamp(&self.certificate)?, stamp(&self.key)?])
    }

    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, String> {
        let Some((certificate, key)) = self.certificate.as_ref().zip(self.key.as_ref()) else {
            return Ok(None);
        };
        let found = PrivateKeyDer::from_pem_slice(&read(key)?);
        let found =
            found.map_err(|_| format!("{} holds no unencrypted private key in PEM", key.display()))?;
        Ok(Some((certificates(certificate)?, found)))
    }
}

fn stamp(path: &PathBuf) -> Result<(u64, u64, u64, i64, i64), String> {
    let file = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !file.is_file() {
        // Reading a named pipe, say, would never end.
        return Err(format!("cannot read {}: not a file", path.display()));
    }
    Ok((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("{} holds no certificate in PEM", path.display()))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> String {
    format!("cannot read {}: {}", path.display(), io_reason(error))
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

fn path(value: &str) -> Result<PathBuf, String> {
    let path = Some(value).filter(|value| value.starts_with('/') && !value.contains('\0')).map(PathBuf::from);
    path.ok_or_else(|| "accepted: an absolute path, such as /etc/tls/ca.crt".to_owned())
}

fn server_name(value: &str) -> Result<ServerName<'static>, String> {
    let name = ServerName::try_from(value.to_owned());
    name.map_err(|_| "accepted: a DNS name or an IP address".to_owned())
}
