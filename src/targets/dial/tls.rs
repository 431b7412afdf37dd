//! TLS for the targets that speak it: who is trusted, who we are, and when the peer's certificate ends.

mod der;
mod files;
mod identity;
mod stream;
mod verify;

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tokio_rustls::{TlsConnector, rustls};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;

use crate::blocking::Place;
use crate::grammar::{OptionReader, options};
use crate::lock::lock;
use crate::targets::reason::{io_reason, tls_reason};

use super::connection::Connection;
use super::stream::Stream;
use files::{Files, Stamps};
use identity::Identity;
use verify::Verifier;

pub use stream::TlsStream;

/// The TLS of a target.
#[derive(Debug, Default)]
pub struct Tls {
    server_name: Option<ServerName<'static>>,
    material: Arc<Material>,
}

/// One end of a connection to come.
pub(super) struct Client {
    name: ServerName<'static>,
    config: LoadedFiles,
}

/// The options of TLS connections.
#[derive(Debug, Default)]
struct Material {
    files: Files,
    /// The protocols that are offered by ALPN, the preferred first.
    protocols: &'static [&'static str],
    /// When the first certificate of the chain ends that was presented last; 0 before.
    expiry: Arc<AtomicI64>,
    loaded: Mutex<Option<Loaded>>,
}

/// A configuration and the state of the files that it was made from.
#[derive(Debug)]
struct Loaded {
    stamps: Stamps,
    config: LoadedFiles,
}

/// Everything that a connection needs.
#[derive(Clone, Debug)]
struct LoadedFiles {
    client: Arc<ClientConfig>,
    identity: Arc<Identity>,
}

impl Tls {
    /// Takes the four `_TLS_…` options; `protocols` are offered by ALPN.
    pub fn parse(reader: &mut OptionReader, protocols: &'static [&'static str]) -> Self {
        let material = Material { files: Files::parse(reader), protocols, ..Material::default() };
        Self { server_name: reader.take(options::TLS_SERVER_NAME, server_name), material: Arc::new(material) }
    }

    /// Returns when the first certificate of the chain ends that was presented last, in seconds since 1970; 0 before.
    pub fn expiry(&self) -> i64 {
        self.material.expiry.load(Ordering::Relaxed)
    }

    /// Returns what is needed to speak TLS with `host`.
    ///
    /// # Errors
    /// The fault of our files.
    pub(super) async fn client(&self, host: &str, place: &Place) -> Result<Client, String> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(if host.is_empty() { "localhost" } else { host })
                .map_err(|_| format!("{host} is no name for TLS: set _TLS_SERVER_NAME"))?,
        };
        Ok(Client { name, config: self.config(place).await? })
    }

    /// Returns the configuration of the files as they are now. Where they lie on a file system that does not answer,
    /// only this target waits.
    async fn config(&self, place: &Place) -> Result<LoadedFiles, String> {
        let material = Arc::clone(&self.material);
        if material.files.are_none() {
            return material.config();
        }
        let silence = format!("the file system did not answer for {}", material.files.shown());
        place.run(silence, move || material.config()).await?
    }
}

impl Client {
    /// Speaks TLS over `connection`.
    ///
    /// # Errors
    /// The fault of the server's certificate or the handshake.
    pub(super) async fn greet(self, connection: Connection) -> Result<Stream, String> {
        let LoadedFiles { client, identity } = self.config;
        identity.begin();
        let connected = TlsConnector::from(client).connect(self.name, connection).await;
        let stream = connected.map_err(|error| failed_handshake(&error))?;
        Ok(Stream::Tls(Box::new(TlsStream::new(stream, identity.suspicion()))))
    }
}

impl Material {
    fn config(&self) -> Result<LoadedFiles, String> {
        let stamps = self.files.stamps()?;
        let mut loaded = lock(&self.loaded);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.stamps == stamps) {
            return Ok(loaded.config.clone());
        }
        *loaded = None;
        let config = self.load()?;
        // The state from before the files were read: what changed meanwhile is read again by the next run.
        *loaded = Some(Loaded { stamps, config: config.clone() });
        Ok(config)
    }

    fn load(&self) -> Result<LoadedFiles, String> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let authorities = self.files.authorities(&provider)?;
        let identity = Arc::new(Identity::new(self.files.key(&provider)?));
        let verifier = Arc::new(Verifier::new(authorities, self.expiry.clone()));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut client = builder
            .map_err(|error| tls_reason(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(identity.clone());
        // A resumed session would hide a certificate that has changed.
        client.resumption = Resumption::disabled();
        client.alpn_protocols = self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(LoadedFiles { client: Arc::new(client), identity })
    }
}

fn failed_handshake(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the TLS handshake".to_owned()
        }
        _ => io_reason(error),
    }
}

fn server_name(value: &str) -> Result<ServerName<'static>, String> {
    let name = ServerName::try_from(value.to_owned());
    name.map_err(|_| "accepted: a DNS name or an IP address".to_owned())
}
