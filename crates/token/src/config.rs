//! The `ISSUERS` variable: which issuers' tokens are accepted, and which claims they must have.

use std::{fmt, rc::Rc};

use serde_json::Value;

use super::{
    algorithm::{HmacAlgorithm, JoseAlgorithm},
    capability::{Capabilities, Capability},
    raw_issuer::{RawIssuer, RawKeys},
};
use crate::{
    limits::{ISSUERS_MAX, LEEWAY_MAX_SECS},
    ports::SignatureAlgorithm,
};

/// An invalid value in the configuration of the issuers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct IssuersError {
    /// The variable and the path within it, such as `ISSUERS[0].audience`.
    pub field: String,
    /// The problem, without any secret.
    pub problem: String,
}

impl IssuersError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// A secret value. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret value.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The value itself, for the place that needs it.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(_)")
    }
}

/// Which `aud` values are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceRule {
    /// At least one of these must be among the token's audiences.
    AnyOf(Vec<String>),
    /// Any `aud`, or none: the issuer's tokens are for this service alone, or (Cognito's access tokens) have
    /// no audience.
    NoneRequired,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysConfig {
    /// A JWKS inside the configuration.
    Jwks {
        /// The JWKS as JSON. It may hold symmetric keys, so it is a secret.
        json: Secret,
        /// The algorithm of RSA keys without `alg`.
        rsa_algorithm: SignatureAlgorithm,
    },
    /// A JWKS to be fetched.
    JwksUrl {
        /// The URL, checked by [`check_url`].
        url: String,
        /// The algorithm of RSA keys without `alg`.
        rsa_algorithm: SignatureAlgorithm,
    },
    /// The text of a secret binding.
    Secret {
        /// The binding's name, for error messages.
        name: String,
        /// The binding's value.
        secret: Secret,
        /// The only algorithm that the secret verifies.
        algorithm: HmacAlgorithm,
    },
}

/// An issuer whose tokens are accepted, and the rules for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// The exact value of `iss`.
    pub issuer: String,
    /// Namespace of the issuer's customers. A customer is found by namespace and claim, so customer 123 of
    /// one issuer is not customer 123 of another.
    pub namespace: String,
    /// Which `aud` values are accepted.
    pub audience: AudienceRule,
    /// The claim that names the customer.
    pub customer_claim: String,
    /// How far the issuer's clock may be off, in seconds, at most [`LEEWAY_MAX_SECS`].
    pub leeway_secs: u32,
    /// Where the issuer's keys come from.
    pub keys: KeysConfig,
    /// The merchants that the issuer speaks for. `None` means all.
    pub merchants: Option<Rc<[i64]>>,
    /// Allowed uses of its tokens: `may`, plus `publish` if `may_publish` is set.
    pub may: Capabilities,
    /// Whether its test-mode clients may open pending test licences.
    pub test_clients: bool,
    /// Whether tokens without `iss` belong to this issuer. At most one issuer may set it.
    pub accept_missing_iss: bool,
}

impl IssuerConfig {
    /// Explains that the issuer lacks `capability`, and what to write into `ISSUERS` to add it.
    #[must_use]
    pub fn lacks(&self, capability: Capability) -> String {
        let names = self.may.with(capability).iter().map(|may| ["\"", may.name(), "\""].concat());
        format!(
            "issuer {:?} lacks the capability {}: if its tokens may do that, set \"may\": [{}] for it in ISSUERS",
            self.issuer,
            capability.name(),
            names.collect::<Vec<_>>().join(", "),
        )
    }
}

/// Reads the `ISSUERS` variable, a JSON array. `secret` looks up a secret binding by name.
///
/// # Errors
/// The JSON is malformed, a member is unknown, missing or invalid, a secret is unbound or too short, or two
/// issuers have the same `iss`.
///
/// ```
/// use admit_token::{Capability, parse_issuers};
///
/// let json = r#"[{
///     "issuer": "https://issuer.example",
///     "namespace": "shop",
///     "audience": "none_required",
///     "keys": {"jwks_url": "https://issuer.example/jwks"},
///     "may": ["view", "write"]
/// }]"#;
/// let issuers = parse_issuers(json, &|_| None)?;
/// assert!(issuers[0].may.has(Capability::Write) && !issuers[0].may.has(Capability::Publish));
///
/// let misspelt = json.replace("jwks_url", "jwks_uri");
/// let error = parse_issuers(&misspelt, &|_| None).unwrap_err();
/// assert!(error.to_string().starts_with("ISSUERS[0]: unknown field `jwks_uri`"));
/// # Ok::<(), admit_token::IssuersError>(())
/// ```
pub fn parse_issuers(
    json: &str,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<IssuerConfig>, IssuersError> {
    // Parse into `Value` first: one deserialiser serves all types, which keeps the Worker small.
    let values: Value = serde_json::from_slice(json.as_bytes()).map_err(|error| {
        IssuersError::new("ISSUERS", format!("expected a JSON array: {}", shown(error.to_string())))
    })?;
    let Value::Array(values) = values else {
        return Err(IssuersError::new("ISSUERS", "expected a JSON array"));
    };
    if values.is_empty() || values.len() > ISSUERS_MAX {
        return Err(IssuersError::new(
            "ISSUERS",
            format!("expected 1 to {ISSUERS_MAX} issuers, found {}", values.len()),
        ));
    }
    let mut issuers: Vec<IssuerConfig> = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let at = format!("ISSUERS[{index}]");
        let raw = RawIssuer::read(value).map_err(|problem| IssuersError::new(&at, shown(problem)))?;
        let issuer = check(raw, &at, secret)?;
        if issuers.iter().any(|other| other.issuer == issuer.issuer) {
            return Err(IssuersError::new(format!("{at}.issuer"), "another issuer has the same"));
        }
        if issuer.accept_missing_iss && issuers.iter().any(|other| other.accept_missing_iss) {
            return Err(IssuersError::new(
                format!("{at}.accept_missing_iss"),
                "another issuer accepts tokens without iss",
            ));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

fn check(
    raw: RawIssuer,
    at: &str,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<IssuerConfig, IssuersError> {
    let wrong = |member: &str, problem: &str| Err(IssuersError::new(format!("{at}.{member}"), problem));
    if raw.issuer.is_empty() {
        return wrong("issuer", "must not be empty");
    }
    if raw.namespace.is_empty() || raw.namespace.contains('\0') {
        return wrong("namespace", "must not be empty nor contain a zero byte");
    }
    if let AudienceRule::AnyOf(allowed) = &raw.audience
        && (allowed.is_empty() || allowed.iter().any(String::is_empty))
    {
        return wrong("audience.any_of", "must name at least one audience, none of them empty");
    }
    // These claims have other meanings and cannot name a customer.
    if ["", "iss", "aud", "exp", "nbf", "iat"].contains(&raw.customer_claim.as_str()) {
        return wrong(
            "customer_claim",
            "must name the claim that holds the customer, not iss, aud, exp, nbf or iat",
        );
    }
    let may = if raw.may_publish { raw.may.with(Capability::Publish) } else { raw.may };
    if raw.may == Capabilities::NONE {
        return wrong(
            "may",
            "must name at least one capability: view, write, publish, feed, check or explain",
        );
    }
    if raw.leeway_secs > LEEWAY_MAX_SECS {
        return wrong("leeway_secs", &format!("must be at most {LEEWAY_MAX_SECS}"));
    }
    let keys = check_keys(raw.keys, at, secret)?;
    Ok(IssuerConfig {
        issuer: raw.issuer,
        namespace: raw.namespace,
        audience: raw.audience,
        customer_claim: raw.customer_claim,
        leeway_secs: raw.leeway_secs,
        keys,
        merchants: raw.merchants.map(Rc::from),
        may,
        test_clients: raw.test_clients,
        accept_missing_iss: raw.accept_missing_iss,
    })
}

/// Checks `keys` of the issuer `at`: exactly one of a URL, a document and a secret.
fn check_keys(
    raw: RawKeys,
    at: &str,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<KeysConfig, IssuersError> {
    let wrong = |member: &str, problem: &str| Err(IssuersError::new(format!("{at}.{member}"), problem));
    Ok(match raw {
        RawKeys { jwks: Some(jwks), jwks_url: None, secret: None, alg } => {
            let Some(rsa_algorithm) = rsa_algorithm(alg.as_deref()) else {
                return wrong("keys.alg", RSA_ALGORITHMS);
            };
            // `Display` would pull a second JSON writer into the Worker.
            let json = Secret(serde_json::to_string(&jwks).unwrap_or_default());
            KeysConfig::Jwks { json, rsa_algorithm }
        }
        RawKeys { jwks: None, jwks_url: Some(url), secret: None, alg } => {
            let Some(rsa_algorithm) = rsa_algorithm(alg.as_deref()) else {
                return wrong("keys.alg", RSA_ALGORITHMS);
            };
            if let Err(problem) = check_url(&url) {
                return wrong("keys.jwks_url", problem);
            }
            KeysConfig::JwksUrl { url, rsa_algorithm }
        }
        RawKeys { jwks: None, jwks_url: None, secret: Some(name), alg: Some(alg) } => {
            let Some(JoseAlgorithm::Hmac(algorithm)) = JoseAlgorithm::from_name(&alg) else {
                return wrong("keys.alg", "must be HS256, HS384 or HS512");
            };
            let Some(value) = secret(&name) else {
                // A text that cannot be a binding's name may be the secret itself.
                if !is_binding_name(&name) {
                    return wrong(
                        "keys.secret",
                        "must be the name of a secret that is bound; not shown, it may be the secret itself",
                    );
                }
                return Err(IssuersError::new(
                    name,
                    format!("{at}.keys names this secret, but it is not bound"),
                ));
            };
            if value.len() < algorithm.secret_min_bytes() {
                let least = algorithm.secret_min_bytes();
                return Err(IssuersError::new(
                    name,
                    format!("{alg} needs at least {least} bytes (RFC 7518 section 3.2)"),
                ));
            }
            KeysConfig::Secret { name, secret: Secret(value), algorithm }
        }
        _ => return wrong("keys", "must be one of jwks, jwks_url, or secret with alg"),
    })
}

/// Expected value of `keys.alg` beside `jwks` or `jwks_url`.
const RSA_ALGORITHMS: &str =
    "must be RS256, RS384, RS512, PS256, PS384 or PS512: what RSA keys without alg are for";

/// The algorithm of RSA keys without `alg`: RS256, the most common, unless the configuration names another.
fn rsa_algorithm(alg: Option<&str>) -> Option<SignatureAlgorithm> {
    let Some(alg) = alg else { return Some(SignatureAlgorithm::Rs256) };
    match JoseAlgorithm::from_name(alg)? {
        JoseAlgorithm::Signature(algorithm) if algorithm.is_rsa() => Some(algorithm),
        _ => None,
    }
}

/// Hides the quoted part of a problem: the text that was found may be a secret in the wrong place.
fn shown(problem: String) -> String {
    match (problem.split_once('"'), problem.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) => format!("{before}\"...\"{after}"),
        _ => problem,
    }
}

fn is_binding_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Checks that a URL may be trusted with tokens, keys and records: https, or http on this machine, without
/// credentials or a fragment. Otherwise anyone on the network path could replace the keys and make any token
/// valid.
///
/// # Errors
/// What the URL must be, as the rest of a sentence.
///
/// ```
/// use admit_token::check_url;
///
/// assert_eq!(check_url("https://issuer.example/jwks"), Ok(()));
/// assert_eq!(check_url("http://localhost:8080/jwks"), Ok(()));
/// assert!(check_url("http://issuer.example/jwks").is_err());
/// assert!(check_url("https://user:password@issuer.example/").is_err());
/// ```
pub fn check_url(url: &str) -> Result<(), &'static str> {
    const PROBLEM: &str = "must be an https URL (http only for localhost)";
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '\\' | '@' | '"' | '<' | '>' | '#');
    if url.contains(odd) {
        return Err(PROBLEM);
    }
    let (scheme, rest) = url.split_once("://").ok_or(PROBLEM)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    // Cut off the port. The colons inside `[::1]` are not followed by digits alone.
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    match scheme {
        "https" if !host.is_empty() => Ok(()),
        "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => Ok(()),
        _ => Err(PROBLEM),
    }
}
