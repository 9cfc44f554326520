//! TLS for protocols other than HTTP, with the trust of [`http_client`](crate::http_client): the certificates
//! of this machine, of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or Mozilla's where there are none.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use ureq::tls::RootCerts;

use crate::http_client::{self, RootsError};

/// Why a TLS client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates that the environment names cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The file of a private authority cannot be used.
    #[error("cannot read a certificate in PEM form from {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// The library refuses the settings.
    #[error("TLS: {0}")]
    Settings(#[from] rustls::Error),
}

/// A TLS client that verifies the peer's certificate and name. It trusts the certificates in `root_cert`
/// alone, if given.
///
/// # Errors
/// The certificates cannot be read.
pub fn client_config(root_cert: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match root_cert {
        Some(path) => {
            let wrong = |reason: String| TlsError::File { path: path.to_owned(), reason };
            let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
            for cert in CertificateDer::pem_reader_iter(BufReader::new(file)) {
                let cert = cert.map_err(|error| wrong(error.to_string()))?;
                roots.add(cert).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
        None => match http_client::roots()? {
            RootCerts::Specific(certs) => {
                let certs = certs.iter().map(|cert| CertificateDer::from_slice(cert.der()));
                // A machine's store may hold certificates that the library cannot read.
                let (_added, _ignored) = roots.add_parsable_certificates(certs);
            }
            _ => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        },
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_private_authority_must_be_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let refused = |text: &str| {
            fs::write(&path, text).unwrap();
            client_config(Some(&path)).unwrap_err().to_string()
        };
        assert!(refused("").contains("holds no certificate"));
        assert!(refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("ca.pem"));
        let absent = client_config(Some(&dir.path().join("absent.pem"))).unwrap_err().to_string();
        assert!(absent.contains("absent.pem"), "{absent}");
    }

    #[test]
    fn without_a_file_there_are_roots() {
        assert!(client_config(None).is_ok());
    }
}
