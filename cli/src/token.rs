//! `admit token`: signs a token with a private key, for tests, sync jobs and local development.

use std::path::PathBuf;

use admit_publish::{bearer::mint, clock::now_unix_secs, key::PrivateKey};
use admit_snapshot::instant::{self, InstantError};
use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// Arguments of `admit token`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  admit token --key publisher.jwk --ttl-secs 600 \\
    --claims '{\"iss\":\"https://publisher.example\",\"aud\":\"admit\",\"scope\":\"snapshot:publish\"}'")]
pub struct Args {
    /// Private JWK that signs, made by `admit keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Claims as a JSON object; `iat` and `exp` are added unless they are given
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
    /// Seconds from now until the token expires; a negative number makes an expired token
    #[arg(long, value_name = "N", default_value_t = 3600, allow_negative_numbers = true)]
    ttl_secs: i64,
}

/// Runs `admit token`.
///
/// # Errors
/// The key cannot be read or the claims are not a JSON object.
pub fn run(args: &Args) -> Result<()> {
    let key = PrivateKey::read(&args.key)?;
    let claims: Map<String, Value> = serde_json::from_str(&args.claims)
        .context("--claims must be a JSON object, such as '{\"sub\":\"123\"}'")?;
    for (name, problem) in wrong_times(&claims) {
        eprintln!("warning: --claims: {name} {problem}");
    }
    println!("{}", mint(&key, claims, args.ttl_secs, now_unix_secs()?)?);
    Ok(())
}

/// Times that every edge refuses. The token is made all the same, because tests need such tokens.
fn wrong_times(claims: &Map<String, Value>) -> Vec<(&'static str, InstantError)> {
    let wrong = |name| Some((name, instant::from_json(claims.get(name)?).err()?));
    ["exp", "nbf", "iat"].into_iter().filter_map(wrong).collect()
}
