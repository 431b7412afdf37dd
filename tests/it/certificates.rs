//! Authorities, certificates and TLS servers of the tests' own.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, crypto::ring, version};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::servers::serve;

/// An authority that signs for others.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: Certificate,
}

/// A certificate chain and its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    pub chain: String,
    pub key: String,
}

pub fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
    parameters
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = parameters(&[]);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (key, parameters) = (KeyPair::generate().unwrap(), authority_parameters(name));
        let certificate = parameters.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    /// Returns an authority below this one, whose certificate ends with 2060.
    pub fn intermediate(&self, name: &str) -> Self {
        let (key, mut parameters) = (KeyPair::generate().unwrap(), authority_parameters(name));
        parameters.not_after = date_time_ymd(2060, 1, 1);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn sign(&self, parameters: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let chain = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { chain, key: key.serialize_pem() }
    }

    /// Returns a certificate for `names`.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.sign(&parameters(names))
    }
}

/// A TLS server of the tests.
#[derive(Clone)]
pub struct Server {
    pub identity: Identity,
    /// Whose client certificates are wanted.
    pub clients: Option<String>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub protocols: Vec<Vec<u8>>,
}

impl Server {
    pub fn with(identity: Identity) -> Self {
        Self {
            identity,
            clients: None,
            versions: vec![&version::TLS12, &version::TLS13],
            protocols: Vec::new(),
        }
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.identity.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key).unwrap();
        config.alpn_protocols.clone_from(&self.protocols);
        TlsAcceptor::from(Arc::new(config))
    }

    /// Answers every request with `answer`, and closes without a word of TLS. The port.
    pub async fn serve(self, answer: impl Into<String>) -> u16 {
        let answer = answer.into();
        self.serve_with(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = exchange(&mut stream, &answer).await;
            }
        })
        .await
    }

    /// Treats each connection that has shaken hands with `treat`, and returns the port.
    pub async fn serve_with<F: Future<Output = ()> + Send + 'static>(
        self,
        treat: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
    ) -> u16 {
        let acceptor = self.acceptor();
        serve(move |stream| {
            let (acceptor, treat) = (acceptor.clone(), treat.clone());
            async move {
                // A client that refuses us is what some tests are about.
                if let Ok(stream) = acceptor.accept(stream).await {
                    treat(stream).await;
                }
            }
        })
        .await
    }
}

async fn exchange(stream: &mut TlsStream<tokio::net::TcpStream>, answer: &str) -> std::io::Result<()> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await
}
