//! From an `Authorization` header to a [`Principal`]: parses tokens and checks their signatures and claims.
//!
//! ```text
//! header ─ bearer ─► text ─ jws ─► header, claims ─ keys ─► signature ─ claims ─► VerifiedToken
//!                     └── cache: a token that was verified before only has its times checked again
//! ```
//!
//! The module does no I/O and reads no clock: callers pass `now` in unix seconds. When keys must be fetched
//! first, [`TokenVerifier::verify`] returns [`VerifyError::NeedKeys`], and the caller asks again after it has
//! handed the keys in. The *key* decides the algorithm, never the token's header. jwt-compact computes HS*;
//! the platform's [`SignatureVerifier`](crate::ports::SignatureVerifier) verifies the other algorithms.
//!
//! ```
//! use admit_token::{NativeVerifier, TokenVerifier, VerifyError, parse_issuers, ports::Entropy};
//!
//! struct Fixed;
//!
//! impl Entropy for Fixed {
//!     fn random(&self) -> [u8; 16] {
//!         [7; 16] // a real program draws random bytes
//!     }
//! }
//!
//! let issuers = r#"[{
//!     "issuer": "https://issuer.example",
//!     "namespace": "shop",
//!     "audience": {"any_of": ["admit"]},
//!     "keys": {"secret": "SHOP_SECRET", "alg": "HS256"}
//! }]"#;
//! let secret = |name: &str| (name == "SHOP_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned());
//! let mut verifier = TokenVerifier::new(parse_issuers(issuers, &secret)?, &NativeVerifier)?;
//!
//! // {"iss": "https://issuer.example", "sub": "42", "aud": "admit", "exp": 2000000000}
//! let header = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoiNDIiLCJhdWQiOiJhZG1pdCIsImV4cCI6MjAwMDAwMDAwMH0.JZIR79whDG7yG1hDb-9IccZex64tTqeaPjMaH6qJTSs";
//! let token = verifier.verify(header, 1_900_000_000, &NativeVerifier, &Fixed)?;
//! assert_eq!(token.principal.subject, "42");
//!
//! let expired = verifier.verify(header, 2_000_000_060, &NativeVerifier, &Fixed);
//! let Err(VerifyError::Rejected(rejection)) = expired else { panic!("it has expired") };
//! assert_eq!(rejection.error.code(), "expired");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod algorithm;
mod bearer;
mod cache;
mod capability;
mod claims;
mod config;
mod der;
mod error;
mod fetched;
mod jwk;
mod jwks;
mod jws;
mod keys;
mod left_out;
pub mod limits;
mod lists;
#[cfg(feature = "native")]
mod native;
mod pending;
pub mod ports;
mod principal;
mod raw_issuer;
mod redirect;
mod rejected;
mod rule;
mod unique;
mod verify;

pub use algorithm::{HmacAlgorithm, JoseAlgorithm};
pub use bearer::BearerToken;
pub use capability::{Capabilities, Capability, Scope, Scopes};
pub use config::{AudienceRule, IssuerConfig, IssuersError, KeysConfig, Secret, check_url, parse_issuers};
pub use der::ecdsa_der;
pub use error::{
    BearerError, ClaimsError, JwsError, Rejection, TokenError, Undecided, UndecidedCause, VerifyError,
};
pub use fetched::SentFetch;
pub use jws::{key_name, peek, verify_jws, verify_jws_ahead};
pub use keys::{KeySet, KeySetError};
pub use left_out::{LeftOutKey, LeftOutKeys, UnusableKey};
#[cfg(feature = "native")]
pub use native::NativeVerifier;
pub use principal::{Asked, Principal, Roles, ValidTimes, VerifiedToken};
pub use redirect::redirected;
pub use rule::Rule;
pub use verify::{KeysFetched, TokenVerifier};
