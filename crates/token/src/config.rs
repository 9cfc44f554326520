//! The `ISSUERS` variable: whose tokens are accepted, and what they must say.

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

/// A value of the configuration that cannot be used, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The variable, and the place within it: `ISSUERS[0].audience`.
    pub field: String,
    /// What is wrong, without any secret.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A value that must not be shown.
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

/// Which `aud` is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceRule {
    /// At least one of these must be among the token's.
    AnyOf(Vec<String>),
    /// The issuer's tokens are for this service alone, or (Cognito's access tokens) name no audience.
    NoneRequired,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysConfig {
    /// A JWKS within the configuration.
    Jwks {
        /// As JSON. It may hold symmetric keys, therefore a secret.
        json: Secret,
        /// What RSA keys without `alg` are for.
        rsa_algorithm: SignatureAlgorithm,
    },
    /// A JWKS to fetch.
    JwksUrl {
        /// Its address.
        url: String,
        /// What RSA keys without `alg` are for.
        rsa_algorithm: SignatureAlgorithm,
    },
    /// The text of a secret binding.
    Secret {
        /// The binding's name, for errors.
        name: String,
        /// Its value.
        secret: Secret,
        /// The only algorithm that it verifies.
        algorithm: HmacAlgorithm,
    },
}

/// Whose tokens are accepted, and what they must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What `iss` must be, exactly.
    pub issuer: String,
    /// Customers are found by namespace and claim, so that two issuers' customer 123 are two people.
    pub namespace: String,
    /// Which `aud` is accepted.
    pub audience: AudienceRule,
    /// The claim that names the customer.
    pub customer_claim: String,
    /// How far the issuer's clock may be off, in seconds.
    pub leeway_secs: u32,
    /// Where the keys come from.
    pub keys: KeysConfig,
    /// The merchants whom the issuer speaks for; all of them when there is no such list.
    pub merchants: Option<Rc<[i64]>>,
    /// What its tokens may be used for: `may`, and `may_publish`, which adds `publish`.
    pub may: Capabilities,
    /// Whether its test-mode clients open pending test licences.
    pub test_clients: bool,
    /// Whether tokens without `iss` are this issuer's. At most one issuer may.
    pub accept_missing_iss: bool,
}

impl IssuerConfig {
    /// That the issuer lacks `capability`, and what to change if its tokens may do what needs it.
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

/// Reads the `ISSUERS` variable, a JSON array. `secret` looks up a secret binding.
///
/// # Errors
/// Malformed JSON, an unknown, missing or wrong member, a secret that is not bound or too short, or two
/// issuers with the same `iss`.
pub fn parse_issuers(
    json: &str,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<IssuerConfig>, ConfigError> {
    // Everything is read as a `Value` first: one deserialiser for all, and for the Worker one to compile.
    let values: Value = serde_json::from_slice(json.as_bytes()).map_err(|error| {
        ConfigError::new("ISSUERS", format!("not a JSON array: {}", shown(error.to_string())))
    })?;
    let Value::Array(values) = values else {
        return Err(ConfigError::new("ISSUERS", "not a JSON array"));
    };
    if values.is_empty() || values.len() > ISSUERS_MAX {
        return Err(ConfigError::new("ISSUERS", format!("1 to {ISSUERS_MAX} issuers are needed")));
    }
    let mut issuers: Vec<IssuerConfig> = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let at = format!("ISSUERS[{index}]");
        let raw = RawIssuer::read(value).map_err(|problem| ConfigError::new(&at, shown(problem)))?;
        let issuer = check(raw, &at, secret)?;
        if issuers.iter().any(|other| other.issuer == issuer.issuer) {
            return Err(ConfigError::new(format!("{at}.issuer"), "another issuer has the same"));
        }
        if issuer.accept_missing_iss && issuers.iter().any(|other| other.accept_missing_iss) {
            return Err(ConfigError::new(
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
) -> Result<IssuerConfig, ConfigError> {
    let wrong = |member: &str, problem: &str| Err(ConfigError::new(format!("{at}.{member}"), problem));
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
    if ["", "iss", "aud", "exp", "nbf", "iat"].contains(&raw.customer_claim.as_str()) {
        return wrong("customer_claim", "names no customer");
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
    let keys = match raw.keys {
        RawKeys { jwks: Some(jwks), jwks_url: None, secret: None, alg } => {
            let Some(rsa_algorithm) = rsa_algorithm(alg.as_deref()) else {
                return wrong("keys.alg", RSA_ALGORITHMS);
            };
            // `Display` would bring another writer along.
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
                // What is no name may be the secret itself.
                if !is_binding_name(&name) {
                    return wrong(
                        "keys.secret",
                        "must be the name of a secret that is bound; not shown, it may be the secret itself",
                    );
                }
                return Err(ConfigError::new(name, format!("{at}.keys names this secret; it is not bound")));
            };
            if value.len() < algorithm.secret_min_bytes() {
                let least = algorithm.secret_min_bytes();
                return Err(ConfigError::new(
                    name,
                    format!("{alg} needs at least {least} bytes (RFC 7518 section 3.2)"),
                ));
            }
            KeysConfig::Secret { name, secret: Secret(value), algorithm }
        }
        _ => return wrong("keys", "must be one of jwks, jwks_url, or secret with alg"),
    };
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

/// What is wrong with `keys.alg` beside `jwks` or `jwks_url`.
const RSA_ALGORITHMS: &str =
    "must be RS256, RS384, RS512, PS256, PS384 or PS512: what RSA keys without alg are for";

/// What RSA keys without `alg` are for: RS256, the commonest, unless the configuration says otherwise.
fn rsa_algorithm(alg: Option<&str>) -> Option<SignatureAlgorithm> {
    let Some(alg) = alg else { return Some(SignatureAlgorithm::Rs256) };
    match JoseAlgorithm::from_name(alg)? {
        JoseAlgorithm::Signature(algorithm) if algorithm.is_rsa() => Some(algorithm),
        _ => None,
    }
}

/// What is wrong, without the text that was found: that may be a secret in the wrong place.
fn shown(problem: String) -> String {
    match (problem.split_once('"'), problem.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) => format!("{before}\"...\"{after}"),
        _ => problem,
    }
}

fn is_binding_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether an address may be trusted with a token, or with what keys and records are read from: https, or http on this
/// machine, without credentials and without a fragment. Anyone who could change the answers on their way would make any
/// token valid.
///
/// # Errors
/// What the address must be, as the rest of a sentence.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    const PROBLEM: &str = "must be an https URL (http only for localhost)";
    let odd = |c: char| !c.is_ascii_graphic() || matches!(c, '\\' | '@' | '"' | '<' | '>' | '#');
    if url.contains(odd) {
        return Err(PROBLEM);
    }
    let (scheme, rest) = url.split_once("://").ok_or(PROBLEM)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
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
