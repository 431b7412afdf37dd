//! The files of `_TLS_CA_FILE`, `_TLS_CERT_FILE` and `_TLS_KEY_FILE`, and what is made of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::grammar::options::{self, OptionName};
use crate::grammar::{OptionReader, values};
use crate::targets::reason::io_reason;
use crate::targets::small_file;

use super::verify::Authorities;

/// The longest file that is read, in bytes: several times the authorities of a whole distribution.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The files of a target, in PEM.
#[derive(Debug, Default)]
pub(super) struct Files {
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// The marks that change with a file, also when a link on the way to it leads elsewhere: device, inode, length and
/// modification time.
pub(super) type Stamps = [Option<(u64, u64, u64, i64, i64)>; 3];

impl Files {
    /// Takes the three options.
    pub(super) fn parse(reader: &mut OptionReader) -> Self {
        let files = Self {
            authorities: reader.take(options::TLS_CA_FILE, values::path),
            certificate: reader.take(options::TLS_CERT_FILE, values::path),
            key: reader.take(options::TLS_KEY_FILE, values::path),
        };
        let half = |reader: &mut OptionReader,
                    name: OptionName,
                    set: &Option<PathBuf>,
                    missing: OptionName| {
            if let Some(path) = set {
                reader.reject(name, &path.to_string_lossy(), format!("needs _{} as well", missing.suffix));
            }
        };
        match (&files.certificate, &files.key) {
            (set, None) => half(reader, options::TLS_CERT_FILE, set, options::TLS_KEY_FILE),
            (None, set) => half(reader, options::TLS_KEY_FILE, set, options::TLS_CERT_FILE),
            _ => {}
        }
        files
    }

    /// Returns whether no file is configured.
    pub(super) fn are_none(&self) -> bool {
        self.all().all(|file| file.is_none())
    }

    fn all(&self) -> impl Iterator<Item = Option<&PathBuf>> {
        [&self.authorities, &self.certificate, &self.key].into_iter().map(Option::as_ref)
    }

    /// Returns their names, for the reason of a run that waits for them.
    pub(super) fn shown(&self) -> String {
        let names: Vec<_> = self.all().flatten().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }

    /// Tells of their present state.
    pub(super) fn stamps(&self) -> Result<Stamps, String> {
        let stamp = |path: &Option<PathBuf>| path.as_deref().map(stamp).transpose();
        Ok([stamp(&self.authorities)?, stamp(&self.certificate)?, stamp(&self.key)?])
    }

    /// Returns the authorities that are trusted, where that is configured.
    pub(super) fn authorities(&self, provider: &Arc<CryptoProvider>) -> Result<Option<Authorities>, String> {
        let Some(path) = &self.authorities else { return Ok(None) };
        let trusted = Authorities::new(certificates(path)?, Arc::clone(provider));
        trusted.map(Some).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Returns our certificate with its key, which must belong together.
    pub(super) fn key(&self, provider: &CryptoProvider) -> Result<Option<Arc<CertifiedKey>>, String> {
        let Some((certificate, key)) = self.certificate.as_ref().zip(self.key.as_ref()) else {
            return Ok(None);
        };
        let private = PrivateKeyDer::from_pem_slice(&small_file::read(key, MAX_FILE_BYTES)?);
        let private =
            private.map_err(|_| format!("{} holds no unencrypted private key in PEM", key.display()))?;
        let certified = CertifiedKey::from_der(certificates(certificate)?, private, provider);
        let (certificate, key) = (certificate.display(), key.display());
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("the key in {key} does not belong to the certificate in {certificate}")
            }
            other => format!("cannot use {certificate} with {key}: {other}"),
        })?;
        Ok(Some(Arc::new(certified)))
    }
}

fn stamp(path: &Path) -> Result<(u64, u64, u64, i64, i64), String> {
    let file = fs::metadata(path);
    let file = file.map_err(|error| format!("cannot read {}: {}", path.display(), io_reason(&error)))?;
    Ok((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = small_file::read(path, MAX_FILE_BYTES)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| format!("{} holds no certificate in PEM", path.display()))
}
