//! Compact JWS (RFC 7515): parses a token, then verifies its signature with the keys that match.

use admit_snapshot::limits::HEAD_MAX_BYTES;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    algorithm::JoseAlgorithm,
    error::{JwsError, Problem},
    keys::{Key, KeySet},
    left_out::shortened,
    unique::unique_members,
};
use crate::ports::SignatureVerifier;

/// Header members that change the meaning of a token. This service implements no extension, so it refuses
/// every `crit`, even an empty or malformed one (RFC 7515 §4.1.11, RFC 7797).
const EXTENSIONS: [&str; 2] = ["crit", "b64"];

/// A token whose signature has not been checked. Its header and `iss` may only be used to choose a key.
pub(super) struct UnverifiedToken<'a> {
    /// `None` when the header names an algorithm that is not implemented.
    algorithm: Option<JoseAlgorithm>,
    alg: String,
    key_id: Option<String>,
    token_type: Option<String>,
    /// The signed text: header and payload as they were sent, with the dot between them.
    message: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> UnverifiedToken<'a> {
    /// Parses the header and decodes the segments. `alg: none` is refused here. Any other unimplemented
    /// algorithm is judged later, together with the issuer's keys: the token's key may be one that was left
    /// out.
    pub fn parse(jws: &'a str, max_bytes: usize) -> Result<Self, Problem<JwsError>> {
        if jws.len() > max_bytes {
            return Err(JwsError::TooLong.into());
        }
        let malformed = |detail: &str| Problem::new(JwsError::Malformed, format!("token: {detail}"));
        // Split into at most four parts, so that a fourth segment is noticed without splitting further.
        let mut segments = jws.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(malformed("expected three segments separated by dots"));
        };
        let decoded = |name: &str, segment: &str| {
            Base64UrlUnpadded::decode_vec(segment)
                .map_err(|_| malformed(&format!("the {name} is not base64url")))
        };
        let (header, payload) = (decoded("header", header)?, decoded("payload", payload)?);
        let signature = decoded("signature", signature)?;
        let header = unique_members(&header).map_err(|problem| {
            Problem::new(JwsError::Malformed, format!("header of the token: {problem}"))
        })?;
        check_extensions(&header)?;
        let alg = text(&header, "alg")?.ok_or_else(|| malformed("the header has no alg"))?;
        if alg.eq_ignore_ascii_case("none") {
            return Err(unsupported(&alg));
        }
        Ok(Self {
            algorithm: JoseAlgorithm::from_name(&alg),
            alg,
            key_id: key_id(&header)?,
            token_type: text(&header, "typ")?,
            // The signed text is everything before the last dot.
            message: jws.rsplit_once('.').map_or(jws, |(message, _)| message),
            payload,
            signature,
        })
    }

    /// The algorithm that the header names, if it is implemented.
    pub const fn algorithm(&self) -> Option<JoseAlgorithm> {
        self.algorithm
    }

    /// The signed text: header and payload as they were sent, with the dot between them.
    pub const fn signed(&self) -> &str {
        self.message
    }

    /// The name of the key (`kid`), if the header has one.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The kind of token (`typ`), if the header names one.
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// The claims. Do not trust them before [`KeySet::verify`] has succeeded.
    pub fn claims(&self) -> Result<Map<String, Value>, Problem<JwsError>> {
        unique_members(&self.payload)
            .map_err(|problem| Problem::new(JwsError::Payload, format!("payload of the token: {problem}")))
    }

    /// Whether `key`, whose algorithm is the header's, made the signature.
    pub fn is_signed_by<V: SignatureVerifier>(&self, key: &Key<V>, platform: &V) -> bool {
        let len = key.algorithm().signature_bytes();
        // Compare the length first: for HMAC and elliptic curves it is fixed.
        len.is_none_or(|len| len == self.signature.len())
            && key.material.verify(self.message.as_bytes(), &self.signature, platform)
    }

    /// Describes an error with the header's values, for the log.
    pub fn problem(&self, error: JwsError) -> Problem<JwsError> {
        let key = match self.key_id() {
            Some(kid) => format!("the key {:?}", shortened(kid)),
            None => "any key of the issuer".to_owned(),
        };
        let detail = match (error, self.key_id()) {
            (JwsError::UnsupportedAlgorithm, _) => return unsupported(&self.alg),
            (JwsError::UnknownKey, Some(kid)) => {
                format!("header kid: the issuer has no key {:?}", shortened(kid))
            }
            (JwsError::UnknownKey, None) => "header kid: missing, and the issuer has no such key".to_owned(),
            (JwsError::AlgorithmMismatch, _) => {
                format!("header alg: {:?} is not the algorithm of {key}", shortened(&self.alg))
            }
            (JwsError::BadSignature, _) => format!("signature: not made by {key}"),
            (JwsError::AmbiguousKey, _) => {
                "header kid: more keys could have made the signature than are tried".to_owned()
            }
            (error, _) => error.to_string(),
        };
        Problem::new(error, detail)
    }
}

fn unsupported(alg: &str) -> Problem<JwsError> {
    Problem::new(JwsError::UnsupportedAlgorithm, format!("header alg: {:?} is not supported", shortened(alg)))
}

fn check_extensions(header: &Map<String, Value>) -> Result<(), Problem<JwsError>> {
    let extension = EXTENSIONS.into_iter().find(|name| header.contains_key(*name));
    // RFC 7515 §4.1.10: `cty` marks a nested token, for example. JSON claims need no `cty`.
    let nested = text(header, "cty")?.filter(|content_type| !content_type.eq_ignore_ascii_case("json"));
    match extension.or_else(|| nested.map(|_| "cty")) {
        Some(name) => {
            Err(Problem::new(JwsError::Extension, format!("header {name}: this extension is not supported")))
        }
        None => Ok(()),
    }
}

/// A text member of the header. `null` and empty text count as absent.
fn text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, Problem<JwsError>> {
    match header.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Problem::new(JwsError::Malformed, format!("header {name}: expected text"))),
    }
}

/// The name of the key. An issuer whose key names are numbers writes them without quotes, as in its JWKS.
fn key_id(header: &Map<String, Value>) -> Result<Option<String>, Problem<JwsError>> {
    match header.get("kid") {
        Some(Value::Number(kid)) if !kid.is_f64() => Ok(Some(kid.to_string())),
        _ => text(header, "kid"),
    }
}

/// Header and claims of a token as they stand there, for people who look at it: neither is verified. `None` where one of
/// them is not a JSON object with distinct members.
///
/// ```
/// let [header, claims] = admit_token::peek("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiI0MiJ9.signature");
/// assert_eq!(header.map(|header| header["alg"].clone()), Some("EdDSA".into()));
/// assert_eq!(claims.map(|claims| claims["sub"].clone()), Some("42".into()));
/// assert_eq!(admit_token::peek("not a token"), [None, None]);
/// ```
#[must_use]
pub fn peek(jws: &str) -> [Option<Map<String, Value>>; 2] {
    let mut segments = jws.split('.');
    std::array::from_fn(|_| unique_members(&Base64UrlUnpadded::decode_vec(segments.next()?).ok()?).ok())
}

/// The name of the key (`kid`) by which a compact JWS of at most [`HEAD_MAX_BYTES`] says that it is signed, verified or not.
#[must_use]
pub fn key_name(jws: &str) -> Option<String> {
    UnverifiedToken::parse(jws, HEAD_MAX_BYTES).ok()?.key_id
}

/// Lets the platform verify the signature of a compact JWS ahead of [`verify_jws`], which a caller that can wait calls next.
/// Whatever is wrong with the JWS, that says.
pub async fn verify_jws_ahead<V: SignatureVerifier>(jws: &str, keys: &KeySet<V>, platform: &V) {
    let Ok(token) = UnverifiedToken::parse(jws, HEAD_MAX_BYTES) else { return };
    if let Some(key) = keys.signature_key(&token) {
        platform.verify_ahead(key, token.message.as_bytes(), &token.signature).await;
    }
}

/// Returns the payload of a compact JWS that one of `keys` signed. `typ` must match exactly, so that no other
/// kind of token signed by the same key is accepted. No claim is required. It may be longer than a viewer's token, as heads
/// with many revocations are: [`HEAD_MAX_BYTES`].
///
/// # Errors
/// The token is malformed, a different kind of token, not signed by one of the keys, or its payload is not a
/// valid `T`.
///
/// ```
/// use admit_token::{JwsError, KeySet, NativeVerifier, verify_jws};
/// use serde_json::{Value, json};
///
/// let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"RhVubcN5Iv5IlA1dyvUHlvUsfcjXbcUTgDKSIq0hn7s"}]}"#;
/// let keys = KeySet::from_inline_jwks(jwks, &NativeVerifier)?;
/// let jws = "eyJhbGciOiJFZERTQSIsInR5cCI6ImFkbWl0LWhlYWQifQ.eyJzZXEiOjQxfQ.f-PE-qb1BpgJrMJkAoS8mT8x9CHNW2ngA0ALLDSuBk59wc69Ja2-dSUSakD02NQl0Al6mPw3NjKAuFXUURgeAw";
///
/// let head: Value = verify_jws(jws, &keys, "admit-head", &NativeVerifier)?;
/// assert_eq!(head, json!({"seq": 41}));
/// let refused = verify_jws::<Value, _>(jws, &keys, "JWT", &NativeVerifier);
/// assert_eq!(refused, Err(JwsError::WrongType));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_jws<T: DeserializeOwned, V: SignatureVerifier>(
    jws: &str,
    keys: &KeySet<V>,
    typ: &str,
    platform: &V,
) -> Result<T, JwsError> {
    let token = UnverifiedToken::parse(jws, HEAD_MAX_BYTES).map_err(|problem| problem.error)?;
    if token.token_type() != Some(typ) {
        return Err(JwsError::WrongType);
    }
    keys.verify(&token, platform)?;
    // Refuse duplicate members before `T` picks one of them.
    token.claims().map_err(|problem| problem.error)?;
    serde_json::from_slice(&token.payload).map_err(|_| JwsError::Payload)
}
