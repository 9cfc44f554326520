//! Why a token is refused. Rich for logs; on the wire all of it is the same 401. Nothing here ever holds a
//! part of the token.

/// The `Authorization` header holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No header, an empty one, or a scheme without a token.
    #[error("no token")]
    Missing,
    /// A scheme other than `Bearer`.
    #[error("the scheme is not Bearer")]
    Scheme,
    /// Spaces, control characters or non-ASCII in the token.
    #[error("the header has characters that no token has")]
    Characters,
    /// Longer than [`TOKEN_MAX_BYTES`](crate::limits::TOKEN_MAX_BYTES).
    #[error("the token is too long")]
    TooLong,
}

/// A JWS (RFC 7515) that is malformed, that no key verifies, or whose signature is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_MAX_BYTES`](crate::limits::TOKEN_MAX_BYTES).
    #[error("too long")]
    TooLong,
    /// Not three base64url segments, or the first is no JSON object with distinct, well-typed members.
    #[error("malformed")]
    Malformed,
    /// `crit`, `b64` or a nested content type: extensions that are not understood must be refused.
    #[error("the header has an extension that is not supported")]
    Extension,
    /// `none`, or an algorithm that is not implemented.
    #[error("the algorithm is not supported")]
    UnsupportedAlgorithm,
    /// `typ` names another kind of token.
    #[error("another kind of token")]
    WrongType,
    /// No key has this `kid`.
    #[error("no key has this kid")]
    UnknownKey,
    /// Several keys could verify it and nothing says which.
    #[error("several keys match")]
    AmbiguousKey,
    /// The key is for another algorithm than the header names.
    #[error("the key is for another algorithm")]
    AlgorithmMismatch,
    /// The signature is not the key's.
    #[error("bad signature")]
    BadSignature,
    /// The payload is no JSON object with distinct, well-typed members.
    #[error("malformed payload")]
    Payload,
}

/// Claims that do not allow the request, although the signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// There is no `exp`.
    #[error("it never expires")]
    NoExpiry,
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` has not come yet.
    #[error("not valid yet")]
    NotYetValid,
    /// `iat` has not come yet.
    #[error("issued in the future")]
    IssuedInFuture,
    /// `aud` does not name this service.
    #[error("meant for another audience")]
    Audience,
    /// The claim that names the customer is absent, empty, too long, or neither text nor an integer.
    #[error("it names no customer")]
    Customer,
    /// Another claim has the wrong type.
    #[error("the claim {0} is malformed")]
    Malformed(&'static str),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The header holds no token.
    #[error("authorization: {0}")]
    Bearer(#[from] BearerError),
    /// The token's form, key or signature is wrong.
    #[error("token: {0}")]
    Jws(#[from] JwsError),
    /// `iss` is not among the configured issuers.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// The claims do not allow it.
    #[error("claims: {0}")]
    Claims(#[from] ClaimsError),
}

impl TokenError {
    /// A short name for logs and metrics, which stays the same between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Bearer(BearerError::Missing) => "missing",
            Self::Bearer(BearerError::Scheme) => "wrong_scheme",
            Self::Bearer(BearerError::Characters) | Self::Jws(JwsError::Malformed) => "malformed",
            Self::Bearer(BearerError::TooLong) | Self::Jws(JwsError::TooLong) => "too_long",
            Self::Jws(JwsError::Extension) => "unsupported_extension",
            Self::Jws(JwsError::UnsupportedAlgorithm) => "unsupported_algorithm",
            Self::Jws(JwsError::WrongType) => "wrong_type",
            Self::Jws(JwsError::UnknownKey) => "unknown_kid",
            Self::Jws(JwsError::AmbiguousKey) => "ambiguous_key",
            Self::Jws(JwsError::AlgorithmMismatch) => "algorithm_mismatch",
            Self::Jws(JwsError::BadSignature) => "bad_signature",
            Self::Jws(JwsError::Payload) => "malformed_claims",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Claims(ClaimsError::NoExpiry) => "no_expiry",
            Self::Claims(ClaimsError::Expired) => "expired",
            Self::Claims(ClaimsError::NotYetValid) => "not_yet_valid",
            Self::Claims(ClaimsError::IssuedInFuture) => "issued_in_future",
            Self::Claims(ClaimsError::Audience) => "wrong_audience",
            Self::Claims(ClaimsError::Customer) => "no_customer",
            Self::Claims(ClaimsError::Malformed(_)) => "malformed_claim",
        }
    }
}

/// Why [`TokenVerifier::verify`](super::TokenVerifier::verify) has no verified token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The client's fault: 401.
    #[error(transparent)]
    Rejected(TokenError),
    /// Fetch the keys of this issuer, hand them to
    /// [`keys_fetched`](super::TokenVerifier::keys_fetched), then ask again.
    #[error("the keys of issuer {0} are needed")]
    NeedKeys(usize),
    /// Nobody can tell whether the token is good, because its issuer's keys could not be fetched: 503, never
    /// a 401, on which clients log their users out.
    #[error("the keys of issuer {issuer} are unavailable")]
    KeysUnavailable {
        /// Whose keys.
        issuer: usize,
        /// When it is worth asking again.
        retry_after_secs: u32,
        /// Whether enough others are fetching them at this moment: they may be there before that.
        is_being_fetched: bool,
    },
}

impl<E: Into<TokenError>> From<E> for VerifyError {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}
