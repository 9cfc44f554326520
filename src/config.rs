//! The configuration, read from bindings once for each isolate. `docs/configuration.md` has the table of
//! variables.
//!
//! One invalid value makes the whole configuration invalid. A Worker that ignored a misspelt issuer would
//! lock its customers out; one that ignored a misspelt audience would let strangers in.

mod upstream;

use std::ops::RangeInclusive;

use admit_playback::{Playback, PlaybackError};

pub use self::upstream::UpstreamConfig;

use crate::{
    api::{cors::Cors, media_type::is_token, pass_through::PassThrough},
    limits::{FRESH_MAX_SECS, FRESH_SECS, HEAD_TEXT_MAX_BYTES, SNAPSHOT_MAX_AGE_LEAST_SECS},
    snapshot::head::{HeadRules, is_audience},
    token::{self, IssuerConfig, KeysConfig, parse_issuers},
};

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ISSUERS`: the issuers whose tokens are accepted.
    pub issuers: Vec<IssuerConfig>,
    /// `SNAPSHOT_KEYS`: the publisher's public keys, as a JWKS.
    pub snapshot_keys: String,
    /// `SNAPSHOT_AUDIENCE` and `SNAPSHOT_MIN_SEQ`: which signed heads are accepted.
    pub head_rules: HeadRules,
    /// `SNAPSHOT_MAX_AGE_SECS`: from this age of the head on, grants must be confirmed by the origin. `None`
    /// if it is off.
    pub head_max_age_secs: Option<u32>,
    /// `FRESH_SECS`: how often the fresh lane is asked for the head. 0 if it is off.
    pub fresh_secs: u32,
    /// `CORS_ORIGINS`: which web pages may read responses.
    pub cors: Cors,
    /// `TRUSTED_COUNTRY_HEADER`, in lower case: the header in which a CDN in front states the viewer's
    /// country.
    pub country_header: Option<String>,
    /// `TRUSTED_ADDRESS_HEADER`, in lower case: the header in which a CDN in front states the viewer's
    /// address.
    pub address_header: Option<String>,
    /// `LOG_CHECKS`: which checks are logged.
    pub log_checks: LogChecks,
    /// `JWKS_CACHE_SECRET`, else `ORIGIN_SECRET`. If set, fetched JWKS are kept in the store under a MAC with
    /// this secret.
    pub jwks_cache_secret: Option<token::Secret>,
    /// `PLAYBACK`: which signers sign for which items.
    pub playback: Playback,
    /// `ORIGIN_URL` and the variables beside it. Without an origin this edge only reads.
    pub upstream: Option<UpstreamConfig>,
    /// `CONSOLE`: whether the entry module serves the console. The service itself does not know its pages.
    pub console: bool,
}

/// Largest `ANALYTICS_SAMPLE`: one answer in this number has a data point. `points.mjs` has the same number.
const ANALYTICS_SAMPLE_MAX: u64 = 1_000;

/// Stands for the prefixes of an edge without an origin.
static NOTHING_PASSES: PassThrough = PassThrough::NONE;

/// Which checks are logged with the reason for their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogChecks {
    /// No checks. Errors are still logged.
    None,
    /// Checks that are not granted.
    #[default]
    Denied,
    /// All checks.
    All,
}

/// A variable with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    /// Name of the variable, and the path within it.
    pub variable: String,
    /// The problem, without any secret.
    pub problem: String,
}

impl ConfigError {
    /// Describes the problem with a variable.
    pub fn new(variable: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into() }
    }
}

impl From<token::IssuersError> for ConfigError {
    fn from(error: token::IssuersError) -> Self {
        Self { variable: error.field, problem: error.problem }
    }
}

impl From<PlaybackError> for ConfigError {
    fn from(error: PlaybackError) -> Self {
        Self { variable: error.field, problem: error.problem }
    }
}

/// Shortest secret for a MAC, in bytes: the length of its output (RFC 2104 §3).
const MAC_SECRET_MIN_BYTES: usize = 32;

impl Config {
    /// Reads the configuration. `binding` returns the text of a variable or secret.
    ///
    /// # Errors
    /// The first variable that is missing or invalid.
    pub fn parse(binding: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let required = |name: &str| {
            binding(name)
                .ok_or_else(|| ConfigError::new(name, "not set; docs/configuration.md says what it holds"))
        };
        let cors = binding("CORS_ORIGINS").unwrap_or_else(|| "*".to_owned());
        let log_checks = match binding("LOG_CHECKS").as_deref() {
            None => LogChecks::default(),
            Some("none") => LogChecks::None,
            Some("denied") => LogChecks::Denied,
            Some("all") => LogChecks::All,
            Some(other) => {
                return Err(ConfigError::new(
                    "LOG_CHECKS",
                    format!("expected none, denied or all, found {other:?}"),
                ));
            }
        };
        let console = match binding("CONSOLE").as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(other) => {
                return Err(ConfigError::new("CONSOLE", format!("expected on or off, found {other:?}")));
            }
        };
        // The entry module reads it, which writes the data points.
        number(binding, "ANALYTICS_SAMPLE", 1, 1..=ANALYTICS_SAMPLE_MAX)?;
        let jwks_cache_secret = match binding("JWKS_CACHE_SECRET") {
            Some(secret) if secret.len() < MAC_SECRET_MIN_BYTES => {
                let problem = format!("expected at least {MAC_SECRET_MIN_BYTES} bytes");
                return Err(ConfigError::new("JWKS_CACHE_SECRET", problem));
            }
            // To make use of this secret, a holder would also need write access to the store (docs/adr/0003).
            None => binding("ORIGIN_SECRET").filter(|secret| secret.len() >= MAC_SECRET_MIN_BYTES),
            secret => secret,
        };
        let jwks_cache_secret = jwks_cache_secret.map(token::Secret::new);
        let issuers = parse_issuers(&required("ISSUERS")?, binding)?;
        Ok(Self {
            snapshot_keys: required("SNAPSHOT_KEYS")?,
            head_rules: HeadRules { audience: audience(binding)?, min_seq: min_seq(binding)? },
            head_max_age_secs: head_max_age_secs(binding)?,
            fresh_secs: fresh_secs(binding)?,
            cors: Cors::parse(&cors).map_err(|problem| ConfigError::new("CORS_ORIGINS", problem))?,
            country_header: header_name(binding, "TRUSTED_COUNTRY_HEADER")?,
            address_header: header_name(binding, "TRUSTED_ADDRESS_HEADER")?,
            log_checks,
            jwks_cache_secret,
            playback: playback(binding, &issuers)?,
            issuers,
            upstream: UpstreamConfig::parse(binding)?,
            console,
        })
    }

    /// The prefixes of paths that the origin gets as they are.
    #[must_use]
    pub fn pass_through(&self) -> &PassThrough {
        self.upstream.as_ref().map_or(&NOTHING_PASSES, |upstream| &upstream.pass_through)
    }
}

/// Reads `PLAYBACK`. A signer's symmetric key is also the vendor's: if it were an issuer's key, the vendor could sign the
/// tokens of viewers.
fn playback(
    binding: &dyn Fn(&str) -> Option<String>,
    issuers: &[IssuerConfig],
) -> Result<Playback, ConfigError> {
    let Some(text) = binding("PLAYBACK") else { return Ok(Playback::default()) };
    let playback = Playback::parse(&text, binding)?;
    let is_an_issuers = |secret: &str| {
        let keys = issuers.iter().map(|issuer| &issuer.keys);
        keys.into_iter().any(|keys| matches!(keys, KeysConfig::Secret { name, .. } if name == secret))
    };
    let is_taken =
        |secret: &str| ["ORIGIN_SECRET", "JWKS_CACHE_SECRET"].contains(&secret) || is_an_issuers(secret);
    if let Some(secret) = playback.secret_names().find(|secret| is_taken(secret)) {
        let problem =
            format!("{secret} has another use in this configuration; give the signer a key of its own");
        return Err(ConfigError::new("PLAYBACK", problem));
    }
    Ok(playback)
}

fn number(
    binding: &dyn Fn(&str) -> Option<String>,
    name: &str,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let Some(text) = binding(name) else { return Ok(default) };
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let (least, most) = range.into_inner();
        ConfigError::new(name, format!("expected a number from {least} to {most}, found {text:?}"))
    })
}

fn audience(binding: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let Some(name) = binding("SNAPSHOT_AUDIENCE") else { return Ok(None) };
    if is_audience(&name) {
        return Ok(Some(name));
    }
    let expected = format!("expected 1 to {HEAD_TEXT_MAX_BYTES} letters, digits and ._:/-, found {name:?}");
    Err(ConfigError::new("SNAPSHOT_AUDIENCE", expected))
}

fn min_seq(binding: &dyn Fn(&str) -> Option<String>) -> Result<u64, ConfigError> {
    let Some(text) = binding("SNAPSHOT_MIN_SEQ") else { return Ok(0) };
    let wrong =
        || ConfigError::new("SNAPSHOT_MIN_SEQ", format!("expected a sequence number, found {text:?}"));
    text.parse().map_err(|_| wrong())
}

fn head_max_age_secs(binding: &dyn Fn(&str) -> Option<String>) -> Result<Option<u32>, ConfigError> {
    let Some(text) = binding("SNAPSHOT_MAX_AGE_SECS") else { return Ok(None) };
    match text.parse() {
        Ok(0) => Ok(None),
        // Below the minimum, even the newest possible head would be too old.
        Ok(secs) if u64::from(secs) >= SNAPSHOT_MAX_AGE_LEAST_SECS => Ok(Some(secs)),
        _ => {
            let expected = format!(
                "expected 0 (off), or at least {SNAPSHOT_MAX_AGE_LEAST_SECS}: seconds; found {text:?}. A head that \
                 is as new as it gets is up to three minutes old"
            );
            Err(ConfigError::new("SNAPSHOT_MAX_AGE_SECS", expected))
        }
    }
}

fn fresh_secs(binding: &dyn Fn(&str) -> Option<String>) -> Result<u32, ConfigError> {
    let secs = match binding("FRESH_SECS") {
        None => Some(FRESH_SECS),
        Some(text) => text.parse().ok().filter(|secs| *secs <= FRESH_MAX_SECS),
    };
    secs.and_then(|secs| u32::try_from(secs).ok()).ok_or_else(|| {
        ConfigError::new("FRESH_SECS", format!("expected 0 (off) to {FRESH_MAX_SECS}: seconds"))
    })
}

fn header_name(
    binding: &dyn Fn(&str) -> Option<String>,
    variable: &str,
) -> Result<Option<String>, ConfigError> {
    let Some(name) = binding(variable) else { return Ok(None) };
    if !is_token(&name) {
        return Err(ConfigError::new(variable, format!("expected the name of a header, found {name:?}")));
    }
    Ok(Some(name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
