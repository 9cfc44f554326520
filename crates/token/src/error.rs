//! Why a token is refused, or can be neither accepted nor refused. Rich for logs; on the wire a refusal is always the
//! same 401.

use admit_snapshot::limits::TOKEN_MAX_BYTES;

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
    #[error("it has blanks, control characters or letters beyond ASCII, as no token has")]
    Characters,
    /// Longer than [`TOKEN_MAX_BYTES`](admit_snapshot::limits::TOKEN_MAX_BYTES).
    #[error("the token is longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
}

/// A JWS (RFC 7515) that is malformed, that no key verifies, or whose signature is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_MAX_BYTES`](admit_snapshot::limits::TOKEN_MAX_BYTES).
    #[error("token: longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
    /// Not three base64url segments, or the first is not a JSON object with distinct, well-typed members.
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
    /// More keys could have signed it than are tried.
    #[error("more keys match than are tried")]
    AmbiguousKey,
    /// The key is for another algorithm than the header names.
    #[error("the key is for another algorithm")]
    AlgorithmMismatch,
    /// The signature is not the key's.
    #[error("bad signature")]
    BadSignature,
    /// The payload is not a JSON object with distinct members.
    #[error("malformed payload")]
    Payload,
}

/// Claims that do not allow the request, although the signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// There is no `exp`.
    #[error("exp is missing")]
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
    #[error("header Authorization: {0}")]
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
    /// The token, its customer or the key that signed it is on the denylist.
    #[error("revoked")]
    Revoked,
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
            Self::Jws(JwsError::AmbiguousKey) => UndecidedCause::AmbiguousKey.code(),
            Self::Jws(JwsError::AlgorithmMismatch) => "algorithm_mismatch",
            Self::Jws(JwsError::BadSignature) => "bad_signature",
            Self::Jws(JwsError::Payload) => "malformed_claims",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Revoked => "revoked",
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

/// A token that is refused: 401. On the wire all of them are the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// Why.
    pub error: TokenError,
    /// The same for a log line: it names the header, the member of the token's header, the key or the claim, what was
    /// found and what was expected. Of claims it shows none but the values of `iss` and `aud`.
    pub detail: String,
}

/// Why a token can be neither accepted nor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndecidedCause {
    /// No present key verifies it, and the issuer may have published its key since the last fetch.
    KeyPending,
    /// The issuer publishes its key in a form that cannot be used.
    KeyLeftOut,
    /// More keys could have signed it than are tried.
    AmbiguousKey,
    /// It was issued in the future: the issuer's clock or the edge's is wrong.
    ClockDiffers,
}

impl UndecidedCause {
    /// A short name for logs and metrics, which stays the same between versions.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyPending => "key_pending",
            Self::KeyLeftOut => "key_left_out",
            Self::AmbiguousKey => "ambiguous_key",
            Self::ClockDiffers => "clock_differs",
        }
    }
}

/// A token that can be neither accepted nor refused: 503, never a 401, on which clients log their users out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Undecided {
    /// Why.
    pub cause: UndecidedCause,
    /// When it is worth asking again.
    pub retry_after_secs: u32,
    /// The same for a log line, as in [`Rejection::detail`].
    pub detail: String,
}

/// Why [`TokenVerifier::verify`](super::TokenVerifier::verify) has no verified token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The client's fault: 401.
    #[error(transparent)]
    Rejected(Rejection),
    /// Fetch the keys of this issuer, hand them to
    /// [`keys_fetched`](super::TokenVerifier::keys_fetched), then ask again.
    #[error("the keys of issuer {0} are needed")]
    NeedKeys(usize),
    /// The issuer's keys could not be fetched: 503.
    #[error("the keys of issuer {issuer} are unavailable")]
    KeysUnavailable {
        /// Whose keys.
        issuer: usize,
        /// When it is worth asking again.
        retry_after_secs: u32,
        /// Whether enough others are fetching them at this moment: they may be there before that.
        is_being_fetched: bool,
    },
    /// The answer may still change: 503.
    #[error(transparent)]
    Undecided(Undecided),
}

/// An error with what a log line says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem<E> {
    pub error: E,
    pub detail: String,
}

impl<E> Problem<E> {
    pub const fn new(error: E, detail: String) -> Self {
        Self { error, detail }
    }
}

/// For errors that say all that there is to say.
impl<E: ToString> From<E> for Problem<E> {
    fn from(error: E) -> Self {
        let detail = error.to_string();
        Self { error, detail }
    }
}

impl<E: Into<TokenError>> From<Problem<E>> for VerifyError {
    fn from(Problem { error, detail }: Problem<E>) -> Self {
        Self::Rejected(Rejection { error: error.into(), detail })
    }
}

impl From<BearerError> for VerifyError {
    fn from(error: BearerError) -> Self {
        let error = TokenError::from(error);
        Self::Rejected(Rejection { error, detail: error.to_string() })
    }
}
