//! Why a token is refused, or can be neither accepted nor refused. The details are for logs; clients always
//! get the same 401.

use admit_snapshot::{every_variant, limits::TOKEN_MAX_BYTES};

/// Why an `Authorization` header has no usable token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// The header is absent or empty, or has a scheme without a token.
    #[error("no token")]
    Missing,
    /// A scheme other than `Bearer`.
    #[error("the scheme is not Bearer")]
    Scheme,
    /// The token contains spaces, control characters or non-ASCII letters.
    #[error("the token contains blanks, control characters or non-ASCII letters")]
    Characters,
    /// Longer than [`TOKEN_MAX_BYTES`](admit_snapshot::limits::TOKEN_MAX_BYTES).
    #[error("the token is longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
}

/// Why a JWS (RFC 7515) is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`TOKEN_MAX_BYTES`](admit_snapshot::limits::TOKEN_MAX_BYTES).
    #[error("token: longer than {TOKEN_MAX_BYTES} bytes")]
    TooLong,
    /// Not three base64url segments, or the header is not a JSON object with distinct members of the right
    /// types.
    #[error("malformed")]
    Malformed,
    /// `crit`, `b64` or a nested content type. An extension that the reader does not understand must be
    /// refused.
    #[error("the header has an extension that is not supported")]
    Extension,
    /// `none`, or an algorithm that this service does not implement.
    #[error("the algorithm is not supported")]
    UnsupportedAlgorithm,
    /// `typ` names a different kind of token.
    #[error("a different kind of token")]
    WrongType,
    /// No key has this `kid`.
    #[error("no key has this kid")]
    UnknownKey,
    /// More than [`KEYS_TRIED_MAX`](crate::limits::KEYS_TRIED_MAX) keys could have made the signature.
    #[error("too many keys match to try them all")]
    AmbiguousKey,
    /// The matching key is for a different algorithm than `alg` names.
    #[error("the key is for another algorithm")]
    AlgorithmMismatch,
    /// No matching key made the signature.
    #[error("bad signature")]
    BadSignature,
    /// The payload is not a JSON object with distinct members.
    #[error("malformed payload")]
    Payload,
}

/// Why the claims of a correctly signed token do not allow the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// `exp` is absent.
    #[error("exp is missing")]
    NoExpiry,
    /// `exp` has passed.
    #[error("expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("issued in the future")]
    IssuedInFuture,
    /// `aud` does not name this service.
    #[error("meant for another audience")]
    Audience,
    /// The claim that names the customer is absent, empty, too long, or neither text nor an integer.
    #[error("the claim of the customer is missing or invalid")]
    Customer,
    /// Another claim has the wrong type.
    #[error("the claim {0} is malformed")]
    Malformed(&'static str),
}

/// Why a token is refused: the cause in one enum for all phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The header has no usable token.
    #[error("header Authorization: {0}")]
    Bearer(#[from] BearerError),
    /// Invalid form, unknown key or bad signature.
    #[error("token: {0}")]
    Jws(#[from] JwsError),
    /// `iss` is not among the configured issuers.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// The claims do not allow the request.
    #[error("claims: {0}")]
    Claims(#[from] ClaimsError),
    /// The token, its customer or the key that signed it is on the denylist.
    #[error("revoked")]
    Revoked,
}

every_variant!(BearerError: Missing, Scheme, Characters, TooLong);
every_variant!(JwsError: TooLong, Malformed, Extension, UnsupportedAlgorithm, WrongType, UnknownKey, AmbiguousKey,
    AlgorithmMismatch, BadSignature, Payload);
every_variant!(ClaimsError: NoExpiry, Expired, NotYetValid, IssuedInFuture, Audience, Customer, Malformed(""));
every_variant!(UndecidedCause: KeyPending, KeyLeftOut, AmbiguousKey, ClockDiffers);

impl TokenError {
    /// Every cause of every phase.
    pub fn all() -> impl Iterator<Item = Self> {
        let bearer = BearerError::ALL.iter().copied().map(Self::Bearer);
        let jws = JwsError::ALL.iter().copied().map(Self::Jws);
        let claims = ClaimsError::ALL.iter().copied().map(Self::Claims);
        bearer.chain(jws).chain(claims).chain([Self::UnknownIssuer, Self::Revoked])
    }

    /// A short name for logs and metrics. Names stay the same between versions.
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

/// A refused token: 401. The response never says which error it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// The cause.
    pub error: TokenError,
    /// The cause for a log line: the header, the member of the token's header, the key or the claim, with the
    /// value that was found and the one that was expected. The only claims whose values appear are `iss` and
    /// `aud`.
    pub detail: String,
}

/// Why a token can be neither accepted nor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndecidedCause {
    /// No key at hand verifies the token, and the issuer may have published its key since the last fetch.
    KeyPending,
    /// The issuer publishes the token's key in a form that this service cannot use.
    KeyLeftOut,
    /// More than [`KEYS_TRIED_MAX`](crate::limits::KEYS_TRIED_MAX) keys could have made the signature.
    AmbiguousKey,
    /// The token was issued in the future: the issuer's clock or the edge's is wrong.
    ClockDiffers,
}

impl UndecidedCause {
    /// A short name for logs and metrics. Names stay the same between versions.
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

/// A token that can be neither accepted nor refused: 503. A 401 would make clients log their users out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Undecided {
    /// The cause.
    pub cause: UndecidedCause,
    /// After how many seconds the client should ask again (`Retry-After`).
    pub retry_after_secs: u32,
    /// The cause for a log line, as in [`Rejection::detail`].
    pub detail: String,
}

/// Why [`TokenVerifier::verify`](super::TokenVerifier::verify) returns no verified token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is refused: 401.
    #[error(transparent)]
    Rejected(Rejection),
    /// The keys of the issuer with this index are needed. Fetch them, hand them to
    /// [`keys_fetched`](super::TokenVerifier::keys_fetched), then call `verify` again.
    #[error("the keys of issuer {0} are needed")]
    NeedKeys(usize),
    /// The issuer's keys could not be fetched: 503.
    #[error("the keys of issuer {issuer} are unavailable")]
    KeysUnavailable {
        /// Index of the issuer in the configuration.
        issuer: usize,
        /// After how many seconds the client should ask again (`Retry-After`).
        retry_after_secs: u32,
        /// Whether other requests are fetching the keys now, as many as may: the keys may arrive earlier.
        is_being_fetched: bool,
    },
    /// The token can be neither accepted nor refused yet: 503.
    #[error(transparent)]
    Undecided(Undecided),
}

/// An error with its text for a log line.
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

/// The detail of an error without further values is the error's own text.
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
