//! The configuration of the edge's service, as an origin runs it.

use admit::{config::Config, snapshot::time::UnixSecs};
use anyhow::{Context, Result};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{settings::Settings, tokens::keys};

/// A placeholder: the edge's service cannot be built without a key for snapshot heads, although the origin
/// never reads one. It is the example key of RFC 8037, whose private half is public.
const NO_SNAPSHOT_KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"none","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The configuration of the edge's service for this origin: its own issuer, with the keys that are in
/// force at `now`, then the issuers of `ISSUERS`.
///
/// # Errors
/// If a variable is invalid, or the database cannot be read.
pub fn config(settings: &Settings, connection: &Connection, now: UnixSecs) -> Result<Config> {
    let own = json!({
        "issuer": settings.issuer,
        "namespace": settings.namespace,
        "audience": {"any_of": [settings.audience]},
        // Sign-in decides which tokens get a role, a scope or a test-mode client, so the issuer may grant
        // all of them.
        "may": ["view", "write", "feed"],
        "test_clients": true,
        "keys": {"jwks": keys::public_set(connection, now)?},
    });
    let mut issuers = vec![own.clone()];
    if let Some(others) = settings.variables.get("ISSUERS") {
        let others: Vec<Value> = serde_json::from_str(others).context("ISSUERS must be a JSON array")?;
        // The edge's list also has this origin, whose keys are at hand here.
        issuers.extend(others.into_iter().filter(|other| other.get("issuer") != own.get("issuer")));
    }
    let issuers = Value::Array(issuers).to_string();
    let config = Config::parse(&|name| match name {
        "ISSUERS" => Some(issuers.clone()),
        "SNAPSHOT_KEYS" => Some(NO_SNAPSHOT_KEY.to_owned()),
        // The origin has no store to keep fetched keys in.
        "JWKS_CACHE_SECRET" => None,
        // Nor does another origin stand behind this one: the secret is the one that the edge sends.
        "ORIGIN_URL" | "ORIGIN_SECRET" => None,
        _ => settings.variables.get(name).cloned(),
    })?;
    Ok(config)
}
