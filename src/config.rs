//! The configuration, read from bindings once for each isolate. `docs/configuration.md` has the table of
//! variables.
//!
//! One invalid value makes the whole configuration invalid. A Worker that ignored a misspelt issuer would
//! lock its customers out; one that ignored a misspelt audience would let strangers in.

use std::ops::RangeInclusive;

use admit_playback::{Playback, PlaybackError};

use crate::{
    api::{cors::Cors, media_type::is_token, pass_through::PassThrough},
    limits::{
        CONFIRM_DENIED_MS, CONFIRM_GRANTED_SECS, CONFIRM_TIMEOUT_MS, CONFIRMS_PER_SEC, FRESH_MAX_SECS,
        FRESH_SECS, HEAD_TEXT_MAX_BYTES, PASS_THROUGH_TIMEOUT_MS, SNAPSHOT_MAX_AGE_LEAST_SECS,
        UPSTREAM_TIMEOUT_MS,
    },
    snapshot::head::{HeadRules, is_audience},
    token::{self, IssuerConfig, KeysConfig, check_url, parse_issuers},
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

/// One answer in so many has a data point; `points.mjs` has the same number.
const ANALYTICS_SAMPLE_MAX: u64 = 1_000;

/// Stands for the prefixes of an edge without an origin.
static NOTHING_PASSES: PassThrough = PassThrough::NONE;

/// The origin behind this edge, and the time limits for requests to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `ORIGIN_URL` without a trailing slash.
    pub url: String,
    /// `ORIGIN_SECRET`, sent as `Admit-Edge-Key`: proves to the origin that a request comes from this edge.
    pub secret: Option<token::Secret>,
    /// `ORIGIN_TIMEOUT_MS`: time limit for a write, in milliseconds.
    pub timeout_ms: u64,
    /// `CONFIRM_TIMEOUT_MS`: time limit for the confirmation of a denial, in milliseconds.
    pub confirm_timeout_ms: u64,
    /// `CONFIRM_DENIED_MS`: how long confirmed denials are remembered, in milliseconds.
    pub denied_ms: u64,
    /// `CONFIRM_GRANTED_SECS`: how long a grant is remembered that the snapshot does not have yet, in
    /// seconds.
    pub granted_secs: u64,
    /// `CONFIRMS_PER_SEC`: how many denials an isolate has confirmed in a second. 0 turns confirmations off.
    pub confirms_per_sec: u64,
    /// `PASS_THROUGH`: the prefixes of paths that the origin gets as they are.
    pub pass_through: PassThrough,
    /// `PASS_THROUGH_TIMEOUT_MS`: time limit for a request that is passed through, in milliseconds.
    pub pass_through_timeout_ms: u64,
}

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

/// Shortest secret between edge and origin, in bytes. A client that guessed it could claim any country for a
/// viewer.
const ORIGIN_SECRET_MIN_BYTES: usize = 32;

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

impl UpstreamConfig {
    /// Reads `ORIGIN_URL` and the variables beside it, as [`Config::parse`] does.
    ///
    /// # Errors
    /// The first invalid variable.
    pub fn parse(binding: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let number = |name: &str, default, range| number(binding, name, default, range);
        let numbers = Self {
            url: String::new(),
            secret: binding("ORIGIN_SECRET").map(origin_secret).transpose()?,
            timeout_ms: number("ORIGIN_TIMEOUT_MS", UPSTREAM_TIMEOUT_MS, 100..=60_000)?,
            confirm_timeout_ms: number("CONFIRM_TIMEOUT_MS", CONFIRM_TIMEOUT_MS, 100..=10_000)?,
            denied_ms: number("CONFIRM_DENIED_MS", CONFIRM_DENIED_MS, 0..=60_000)?,
            granted_secs: number("CONFIRM_GRANTED_SECS", CONFIRM_GRANTED_SECS, 0..=120)?,
            confirms_per_sec: number("CONFIRMS_PER_SEC", CONFIRMS_PER_SEC.into(), 0..=10_000)?,
            pass_through: pass_through(binding)?,
            pass_through_timeout_ms: number(
                "PASS_THROUGH_TIMEOUT_MS",
                PASS_THROUGH_TIMEOUT_MS,
                100..=60_000,
            )?,
        };
        let Some(url) = binding("ORIGIN_URL") else {
            if numbers.pass_through == PassThrough::default() {
                return Ok(None);
            }
            let problem = "needs ORIGIN_URL: without an origin there is nowhere to pass requests on to";
            return Err(ConfigError::new("PASS_THROUGH", problem));
        };
        check_url(&url).map_err(|problem| ConfigError::new("ORIGIN_URL", problem))?;
        if url.contains('?') {
            return Err(ConfigError::new(
                "ORIGIN_URL",
                "must not have a query, because paths are appended to it",
            ));
        }
        Ok(Some(Self { url: url.trim_end_matches('/').to_owned(), ..numbers }))
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

fn pass_through(binding: &dyn Fn(&str) -> Option<String>) -> Result<PassThrough, ConfigError> {
    let Some(text) = binding("PASS_THROUGH") else { return Ok(PassThrough::default()) };
    PassThrough::parse(&text).map_err(|problem| ConfigError::new("PASS_THROUGH", problem))
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

/// Checks a secret that is sent as the value of a header, where only visible ASCII is allowed.
fn origin_secret(secret: String) -> Result<token::Secret, ConfigError> {
    let is_long = secret.len() >= ORIGIN_SECRET_MIN_BYTES;
    if is_long && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token::Secret::new(secret));
    }
    let problem = format!(
        "expected at least {ORIGIN_SECRET_MIN_BYTES} visible ASCII characters without blanks, such as the output \
         of `openssl rand -hex 32`"
    );
    Err(ConfigError::new("ORIGIN_SECRET", problem))
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
mod tests {
    use super::*;

    const ISSUER: &str = r#"[{"issuer":"https://i.example","namespace":"n","audience":"none_required","keys":{"jwks_url":"https://i.example/jwks"}}]"#;

    fn parse(overrides: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let lookup = |name: &str| {
            let set =
                overrides.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            set.or_else(|| match name {
                "ISSUERS" => Some(ISSUER.to_owned()),
                "SNAPSHOT_KEYS" => Some(r#"{"keys":[]}"#.to_owned()),
                _ => None,
            })
        };
        Config::parse(&lookup)
    }

    #[test]
    fn defaults() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.cors, config.log_checks, config.console), (Cors::Any, LogChecks::Denied, false));
        let is_on = |value| parse(&[("CONSOLE", value)]).unwrap().console;
        assert_eq!((is_on("on"), is_on("off")), (true, false));
        assert_eq!((config.country_header, config.address_header), (None, None));
        assert_eq!((config.head_rules, config.head_max_age_secs), (HeadRules::default(), None));
    }

    #[test]
    fn fetched_keys_are_kept_if_any_secret_is_configured() {
        let (own, of_origin) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        let secret = |variables: &[(&str, &str)]| {
            let secret = parse(variables).unwrap().jwks_cache_secret;
            secret.map(|secret| secret.as_str().to_owned())
        };
        let origin = [("ORIGIN_SECRET", of_origin), ("ORIGIN_URL", "https://origin.example")];
        assert_eq!(secret(&[]), None);
        assert_eq!(secret(&origin).as_deref(), Some(of_origin));
        assert_eq!(secret(&[&origin[..], &[("JWKS_CACHE_SECRET", own)]].concat()).as_deref(), Some(own));
    }

    #[test]
    fn a_signers_key_has_no_other_use() {
        const TEXT: &str = "0123456789abcdef0123456789abcdef";
        let issuers = r#"[{"issuer":"https://i.example","namespace":"n","audience":"none_required","keys":{"secret":"VENDOR","alg":"HS256"}}]"#;
        let parse = |secret: &str| {
            let entry =
                format!(r#"[{{"merchant":1,"item_type":"jw_asset","signer":"jw","secret":"{secret}"}}]"#);
            parse(&[
                ("ISSUERS", issuers),
                ("PLAYBACK", &entry),
                ("VENDOR", TEXT),
                ("ORIGIN_SECRET", TEXT),
                ("JWKS_CACHE_SECRET", TEXT),
                ("JW_SECRET", TEXT),
            ])
        };
        assert!(!parse("JW_SECRET").unwrap().playback.is_empty());
        for secret in ["VENDOR", "ORIGIN_SECRET", "JWKS_CACHE_SECRET"] {
            let error = parse(secret).unwrap_err().to_string();
            assert!(error.starts_with(&format!("PLAYBACK: {secret} has another use")), "{error}");
        }
    }

    #[test]
    fn which_heads_are_accepted() {
        let config = parse(&[
            ("SNAPSHOT_AUDIENCE", "production"),
            ("SNAPSHOT_MIN_SEQ", "41"),
            ("SNAPSHOT_MAX_AGE_SECS", "900"),
        ])
        .unwrap();
        assert_eq!(config.head_rules, HeadRules { audience: Some("production".to_owned()), min_seq: 41 });
        assert_eq!(config.head_max_age_secs, Some(900));
        assert_eq!(parse(&[("SNAPSHOT_MAX_AGE_SECS", "0")]).unwrap().head_max_age_secs, None);
    }

    #[test]
    fn every_wrong_value_names_its_variable() {
        let cases = [
            ("ISSUERS", "{"),
            ("ISSUERS", "[]"),
            ("CORS_ORIGINS", "tv.example.com"),
            ("TRUSTED_COUNTRY_HEADER", "x country"),
            ("TRUSTED_ADDRESS_HEADER", ""),
            ("LOG_CHECKS", "yes"),
            ("CONSOLE", "true"),
            ("ANALYTICS_SAMPLE", "0"),
            ("ANALYTICS_SAMPLE", "1001"),
            ("JWKS_CACHE_SECRET", "short"),
            ("ORIGIN_URL", ""),
            ("ORIGIN_URL", "http://origin.example"),
            ("ORIGIN_URL", "https://"),
            ("ORIGIN_URL", "https://user@origin.example"),
            ("ORIGIN_URL", "https://origin.example/?a=b"),
            ("ORIGIN_URL", "https://origin.example/#a"),
            ("ORIGIN_TIMEOUT_MS", "99"),
            ("CONFIRM_TIMEOUT_MS", "10001"),
            ("CONFIRM_DENIED_MS", "-1"),
            ("CONFIRM_GRANTED_SECS", "a minute"),
            ("CONFIRMS_PER_SEC", ""),
            ("PASS_THROUGH", ""),
            ("PASS_THROUGH", "accounts"),
            ("PASS_THROUGH", "/items"),
            // There is no origin.
            ("PASS_THROUGH", "/accounts"),
            ("PASS_THROUGH_TIMEOUT_MS", "60001"),
            ("SNAPSHOT_AUDIENCE", ""),
            ("SNAPSHOT_AUDIENCE", "my store"),
            ("SNAPSHOT_MIN_SEQ", "-1"),
            ("SNAPSHOT_MIN_SEQ", ""),
            ("SNAPSHOT_MAX_AGE_SECS", "299"),
            ("SNAPSHOT_MAX_AGE_SECS", "4294967296"),
            ("SNAPSHOT_MAX_AGE_SECS", "15m"),
            ("ORIGIN_SECRET", "thirty-one-characters-are-short"),
            ("ORIGIN_SECRET", "a secret with blanks is no header's"),
            ("ORIGIN_SECRET", "ein-Schlüssel-mit-einem-Umlaut-im-Text"),
        ];
        for (variable, value) in cases {
            let error = parse(&[(variable, value)]).unwrap_err();
            assert!(error.variable.starts_with(variable), "{variable}: {error}");
        }
        let error = Config::parse(&|_| None).unwrap_err();
        assert_eq!(error.variable, "ISSUERS");
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let secret = "0123456789abcdef0123456789abcdef";
        let config = parse(&[("JWKS_CACHE_SECRET", secret)]).unwrap();
        assert!(!format!("{config:?}").contains(secret));
        let variables = [("ORIGIN_SECRET", secret), ("ORIGIN_URL", "https://origin.example")];
        let origin = parse(&variables).unwrap().upstream.unwrap();
        assert!(!format!("{origin:?}").contains(secret));
        assert_eq!(origin.secret, Some(token::Secret::new(secret.to_owned())));
        // Not in the message about a wrong one, either.
        let error = parse(&[("ORIGIN_SECRET", "a-short-secret")]).unwrap_err();
        assert!(!error.to_string().contains("a-short-secret"), "{error}");
    }

    #[test]
    fn an_origin_is_a_url_and_numbers() {
        assert_eq!(parse(&[("CONFIRM_DENIED_MS", "0")]).unwrap().upstream, None);
        let origin = |more: &[(&str, &str)]| {
            let variables = [&[("ORIGIN_URL", "https://origin.example/api/")], more].concat();
            parse(&variables).unwrap().upstream.unwrap()
        };
        let defaults = origin(&[]);
        assert_eq!(defaults.url, "https://origin.example/api");
        assert_eq!((defaults.timeout_ms, defaults.confirms_per_sec), (10_000, 100));
        let changed = origin(&[("CONFIRM_GRANTED_SECS", "0"), ("CONFIRM_TIMEOUT_MS", "500")]);
        assert_eq!(changed, UpstreamConfig { granted_secs: 0, confirm_timeout_ms: 500, ..defaults });
        let local = parse(&[("ORIGIN_URL", "http://127.0.0.1:8790")]).unwrap().upstream.unwrap();
        assert_eq!(local.url, "http://127.0.0.1:8790");
    }

    #[test]
    fn header_names_are_lowered() {
        let config = parse(&[("TRUSTED_COUNTRY_HEADER", "X-Country-Code")]).unwrap();
        assert_eq!(config.country_header.as_deref(), Some("x-country-code"));
    }
}
