//! Our client certificate, for servers that ask; and that they asked, since some refuse us without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_rustls::rustls;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// Our certificate, if we have one.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: Option<Arc<CertifiedKey>>,
    /// Whether the server asked for it.
    was_asked: AtomicBool,
}

impl Identity {
    pub(super) const fn new(key: Option<Arc<CertifiedKey>>) -> Self {
        Self { key, was_asked: AtomicBool::new(false) }
    }

    /// Forgets that an earlier server asked.
    pub(super) fn begin(&self) {
        self.was_asked.store(false, Ordering::Relaxed);
    }

    /// Returns what a server may mean that hangs up after the handshake.
    pub(super) fn suspicion(&self) -> Option<&'static str> {
        let was_asked = self.was_asked.load(Ordering::Relaxed);
        was_asked.then_some(match self.key {
            None => "the server asked for a client certificate (_TLS_CERT_FILE, _TLS_KEY_FILE) and hung up",
            Some(_) => "the server asked for our client certificate and hung up",
        })
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
