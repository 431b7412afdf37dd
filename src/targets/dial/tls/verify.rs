//! Looks at the server's certificates: notes when they end, and accepts them or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio_rustls::rustls;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::der;

/// Without authorities any certificate will do, as for the kubelet (`pkg/probe/http/http.go`).
#[derive(Debug)]
pub(super) struct Verifier {
    authorities: Option<Authorities>,
    expiry: Arc<AtomicI64>,
}

/// The certificates of `_TLS_CA_FILE`.
#[derive(Debug)]
pub(super) struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Authorities {
    /// Takes those that can be understood, as Go does.
    pub(super) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        Ok(Self { certificates, verifier: verifier.map_err(|error| error.to_string())? })
    }

    /// Trusts a server's own certificate in the file as it is. webpki would reject it where it says that it is an
    /// authority, as those that `openssl req -x509` makes do.
    fn verify_listed(
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let validity = der::validity(certificate).ok_or(CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < *validity.start() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > *validity.end() {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl Verifier {
    /// Returns a verifier that notes in `expiry` when the first certificate of a presented chain ends.
    pub(super) const fn new(authorities: Option<Authorities>, expiry: Arc<AtomicI64>) -> Self {
        Self { authorities, expiry }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(certificate).chain(intermediates);
        if let Some(first) = chain.filter_map(|one| der::validity(one)).map(|valid| *valid.end()).min() {
            self.expiry.store(first, Ordering::Relaxed);
        }
        match &self.authorities {
            None => Ok(ServerCertVerified::assertion()),
            Some(trusted) if trusted.certificates.contains(certificate) => {
                Authorities::verify_listed(certificate, name, now)
            }
            Some(trusted) => trusted.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.authorities {
            // Whose key it is was not asked, so there is nothing that the signature could prove.
            None => Ok(HandshakeSignatureValid::assertion()),
            Some(trusted) => trusted.verifier.verify_tls12_signature(message, certificate, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.authorities {
            None => Ok(HandshakeSignatureValid::assertion()),
            Some(trusted) => trusted.verifier.verify_tls13_signature(message, certificate, signed),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.authorities {
            None => UNVERIFIED.to_vec(),
            Some(trusted) => trusted.verifier.supported_verify_schemes(),
        }
    }
}

/// The signatures of a server that nobody verifies: all that there are, so that no server is refused.
const UNVERIFIED: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];
