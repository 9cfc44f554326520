//! The settings that every outgoing request of the native programs shares. Native only.
//!
//! [`config`] returns them as a builder of `ureq`, to which a caller adds its timeouts:
//!
//! - TLS trusts the certificates of this machine, so that a private CA or a proxy that inspects TLS works. Where the
//!   machine has none, as in an empty container, Mozilla's list is used, which is compiled in.
//! - Redirects are not followed: a bearer token is meant for the host that it was configured for.
//! - Any status is an answer, not an error.
//!
//! ```
//! use std::time::Duration;
//!
//! let config = admit_native::http_client::config("example/1.0")?;
//! let agent: ureq::Agent = config.timeout_connect(Some(Duration::from_secs(10))).build().into();
//! # Ok::<(), admit_native::http_client::RootsError>(())
//! ```

use std::{
    env,
    io::{self, Read as _},
    sync::{Arc, LazyLock},
};

use rustls_native_certs::CertificateResult;
use ureq::{
    Agent,
    config::ConfigBuilder,
    tls::{Certificate, RootCerts, TlsConfig},
    typestate::AgentScope,
};

/// The variables that name other certificates than the machine's own, as in OpenSSL.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Loaded once, because a store holds some hundred certificates.
static ROOTS: LazyLock<Result<RootCerts, RootsError>> = LazyLock::new(|| {
    let variable =
        VARIABLES.into_iter().find(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    choose(rustls_native_certs::load_native_certs(), variable)
});

/// The certificates that the environment names cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} names no usable certificate ({reason}): expected certificates in PEM form; \
     unset {variable} to trust those of this machine"
)]
pub struct RootsError {
    variable: &'static str,
    reason: String,
}

/// Client settings with `user_agent` as the `User-Agent` header.
///
/// # Errors
/// `SSL_CERT_FILE` or `SSL_CERT_DIR` is set but names no readable certificate.
pub fn config(user_agent: &str) -> Result<ConfigBuilder<AgentScope>, RootsError> {
    let tls = TlsConfig::builder().root_certs(roots()?).build();
    Ok(Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(user_agent)
        .tls_config(tls))
}

/// The certificates that this machine, or the environment, trusts.
pub(crate) fn roots() -> Result<RootCerts, RootsError> {
    ROOTS.clone()
}

/// Unpacks a body that a server compressed with gzip, which some servers do unasked. Gzip is recognised by
/// its first bytes (RFC 1952 §2.3.1). At most `limit_bytes + 1` bytes are unpacked: the extra byte tells the
/// caller that the body is too long.
///
/// # Errors
/// The gzip data is damaged or cut off.
pub fn unpacked(body: Vec<u8>, limit_bytes: usize) -> io::Result<Vec<u8>> {
    if !body.starts_with(b"\x1f\x8b") {
        return Ok(body);
    }
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    flate2::bufread::MultiGzDecoder::new(body.as_slice()).take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// Chooses the trusted certificates. Mozilla's list replaces a missing store of the machine, but never a
/// store that `variable` asks for.
fn choose(loaded: CertificateResult, variable: Option<&'static str>) -> Result<RootCerts, RootsError> {
    if !loaded.certs.is_empty() {
        let certs = loaded.certs.iter().map(|cert| Certificate::from_der(cert).to_owned());
        return Ok(RootCerts::Specific(Arc::new(certs.collect())));
    }
    let Some(variable) = variable else { return Ok(RootCerts::WebPki) };
    let reason =
        loaded.errors.first().map_or_else(|| "it holds no certificate".to_owned(), ToString::to_string);
    Err(RootsError { variable, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(certs: usize) -> CertificateResult {
        let mut loaded = CertificateResult::default();
        loaded.certs = vec![vec![0x30].into(); certs];
        loaded
    }

    #[test]
    fn a_compressed_body_is_unpacked_within_bounds() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        io::Write::write_all(&mut packed, &vec![b' '; 1_000_000]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(unpacked(packed.clone(), 1_000_000).unwrap().len(), 1_000_000);
        assert_eq!(unpacked(packed.clone(), 100).unwrap().len(), 101);
        assert!(unpacked(packed[..packed.len() - 9].to_vec(), 1_000_000).is_err());
        assert_eq!(unpacked(b"{}".to_vec(), 1).unwrap(), b"{}");
    }

    #[test]
    fn the_bundled_roots_stand_in_for_a_missing_store_only() {
        assert!(matches!(choose(loaded(2), None), Ok(RootCerts::Specific(certs)) if certs.len() == 2));
        assert!(matches!(choose(loaded(2), Some("SSL_CERT_FILE")), Ok(RootCerts::Specific(_))));
        assert!(matches!(choose(loaded(0), None), Ok(RootCerts::WebPki)));
        let error = choose(loaded(0), Some("SSL_CERT_DIR")).unwrap_err().to_string();
        assert!(
            error.starts_with("SSL_CERT_DIR names no usable certificate (it holds no certificate)"),
            "{error}"
        );
    }
}
