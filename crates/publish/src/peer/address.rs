//! The addresses that the command talks to: https, or http on this machine.
//!
//! What the command reads from an origin gets signed, and what it sends to a Worker or to Cloudflare carries
//! a token. A network that could read or change either would speak for the publisher. The rule is the
//! Worker's own ([`check_url`]), and every request passes through it: addresses come from arguments and
//! variables, but also from other peers, such as the `jwks_uri` of an issuer.

use std::sync::atomic::{AtomicBool, Ordering};

use admit_token::check_url;

/// Whether `--insecure-http` was given. It applies to the whole run, like an environment variable.
static INSECURE_HTTP: AtomicBool = AtomicBool::new(false);

/// The option that allows http to other machines.
pub const INSECURE_HTTP_OPTION: &str = "--insecure-http";

/// An address that the command refuses to talk to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: the address {problem}{hint}")]
pub struct AddressError {
    url: String,
    problem: &'static str,
    hint: String,
}

/// Allows http to other machines for the rest of the run, and warns of the consequences.
pub fn allow_insecure_http() {
    eprintln!(
        "warning: {INSECURE_HTTP_OPTION}: over http, anyone on the network can read the tokens that are sent and change \
         the records that are published"
    );
    INSECURE_HTTP.store(true, Ordering::Relaxed);
}

/// Whether connections to other machines may do without TLS.
pub fn is_insecure_allowed() -> bool {
    INSECURE_HTTP.load(Ordering::Relaxed)
}

/// Checks that a request may be sent to `url`.
///
/// # Errors
/// The address is not https, not http on this machine, and not allowed by `--insecure-http`.
pub fn check(url: &str) -> Result<(), AddressError> {
    judge(url, is_insecure_allowed())
}

fn judge(url: &str, is_insecure_allowed: bool) -> Result<(), AddressError> {
    let Err(problem) = check_url(url) else { return Ok(()) };
    // Judge the same address over https, to find out whether the scheme is the only problem.
    let rest = url.strip_prefix("http://");
    let is_only_insecure = rest.is_some_and(|rest| check_url(&format!("https://{rest}")).is_ok());
    if is_only_insecure && is_insecure_allowed {
        return Ok(());
    }
    let hint = match is_only_insecure {
        true => {
            format!("; {INSECURE_HTTP_OPTION} allows http, which anyone on the network can read and change")
        }
        false => String::new(),
    };
    // The query and the user information before the host may be secrets.
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    let shown = shown.rsplit_once('@').map_or(shown, |(_, host)| host);
    Err(AddressError { url: shown.to_owned(), problem, hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_for_this_machine_only() {
        for url in [
            "https://origin.example/export",
            "https://192.0.2.1:8443",
            "http://localhost:8787",
            "http://127.0.0.1/export?a=1",
            "http://[::1]:8790",
        ] {
            assert_eq!(judge(url, false), Ok(()), "{url}");
        }
        for url in [
            "http://192.0.2.1/export",
            "http://origin.example",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "http://10.0.0.7:8787/snapshot",
            "http://0.0.0.0:8790",
            "http://[::2]/",
        ] {
            let error = judge(url, false).unwrap_err().to_string();
            assert!(error.starts_with(url) && error.contains("must be an https URL"), "{error}");
            assert!(error.contains(INSECURE_HTTP_OPTION), "{error}");
            assert_eq!(judge(url, true), Ok(()), "{url}");
        }
    }

    /// http is not the only reason for a refusal, and the option allows only http.
    #[test]
    fn other_addresses_are_refused_whatever_is_allowed() {
        for url in [
            "ftp://origin.example",
            "https://",
            "http://",
            "https://user:hunter2@origin.example",
            "http://localhost@192.0.2.1/",
            "http://127.0.0.1\\@192.0.2.1/",
            "https://origin.example/#a",
            "origin.example/export",
        ] {
            for is_allowed in [false, true] {
                let error = judge(url, is_allowed).unwrap_err().to_string();
                assert!(!error.contains(INSECURE_HTTP_OPTION) && !error.contains("hunter2"), "{error}");
            }
        }
        let error = judge("http://192.0.2.1/export?token=hunter2", false).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
