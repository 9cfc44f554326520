//! `ORIGIN_URL` and the variables beside it: the origin behind this edge.

use super::{ConfigError, number};
use crate::{
    api::pass_through::PassThrough,
    limits::{
        CONFIRM_DENIED_MS, CONFIRM_GRANTED_SECS, CONFIRM_TIMEOUT_MS, CONFIRMS_PER_SEC,
        PASS_THROUGH_TIMEOUT_MS, UPSTREAM_TIMEOUT_MS,
    },
    token::{self, check_url},
};

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

/// Shortest secret between edge and origin, in bytes. A client that guessed it could claim any country for a
/// viewer.
const ORIGIN_SECRET_MIN_BYTES: usize = 32;

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

fn pass_through(binding: &dyn Fn(&str) -> Option<String>) -> Result<PassThrough, ConfigError> {
    let Some(text) = binding("PASS_THROUGH") else { return Ok(PassThrough::default()) };
    PassThrough::parse(&text).map_err(|problem| ConfigError::new("PASS_THROUGH", problem))
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
