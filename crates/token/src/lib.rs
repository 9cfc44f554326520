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
pub use jws::verify_jws;
pub use keys::{KeySet, KeySetError};
pub use left_out::{LeftOutKey, LeftOutKeys, UnusableKey};
#[cfg(feature = "native")]
pub use native::NativeVerifier;
pub use principal::{Asked, Principal, Roles, ValidTimes, VerifiedToken};
pub use redirect::redirected;
pub use verify::{KeysFetched, TokenVerifier};
