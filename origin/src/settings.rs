//! How an origin is set up.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use admit::{config::Config, snapshot::time::UnixSecs};
use anyhow::{Context, Result};
use rusqlite::Connection;
use serde_json::{Value, json};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    clock::Clock,
    db::{audit, changes},
    limits::{
        AUDIT_DAYS_DEFAULT, AUDIT_ENTRIES_DEFAULT, AUDIT_REFUSED_DEFAULT, CONNECTIONS_PER_ADDRESS,
        KEEP_CHANGE_BYTES_DEFAULT, KEEP_CHANGE_DAYS_DEFAULT, KEEP_CHANGES_DEFAULT, SESSION_SECS_DEFAULT,
    },
    quota::Quotas,
    tokens::keys,
};

/// How an origin is set up. The same for all of its threads.
#[derive(Clone)]
pub struct Settings {
    /// The database.
    pub db: PathBuf,
    /// `iss` of the tokens that this origin issues, and where clients find it.
    pub issuer: String,
    /// `aud` of the tokens that this origin issues.
    pub audience: String,
    /// The namespace of customers who sign in here.
    pub namespace: String,
    /// How long an access token lives.
    pub access_ttl_secs: i64,
    /// How long a refresh token lives.
    pub refresh_ttl_secs: i64,
    /// How long all that came from one sign-in may be refreshed.
    pub session_ttl_secs: i64,
    /// Whether `POST /accounts/authenticate` takes passwords from any app (RFC 9700 §2.4 forbids it; older SDKs know
    /// no other way).
    pub allows_password_grant: bool,
    /// How much of the change log is kept.
    pub keep_changes: changes::Keep,
    /// How much of the audit trail is kept.
    pub keep_audit: audit::Keep,
    /// What each merchant may write and store.
    pub quotas: Quotas,
    /// A bearer that may read the feed, beside tokens with the scope `feed:read`.
    pub feed_secret: Option<String>,
    /// The bearer before that one, while it is being replaced.
    pub feed_secret_previous: Option<String>,
    /// What the edge shows in `Admit-Edge-Key`. Any of these will do, so that one can follow another.
    pub edge_secrets: Vec<String>,
    /// Whether requests that do not come from the edge get the sign-in page and public documents only.
    pub is_edge_only: bool,
    /// Connections that one address may hold.
    pub connections_per_address: usize,
    /// The Worker's variables that mean the same here: `ISSUERS` and the secrets that it names,
    /// `CORS_ORIGINS`, `TRUSTED_COUNTRY_HEADER`, `TRUSTED_ADDRESS_HEADER`, `LOG_CHECKS`.
    pub variables: BTreeMap<String, String>,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and the feed's bearer are secrets.
        f.debug_struct("Settings").field("db", &self.db).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// No head is ever read here, but a service cannot be made without a key for heads. This one is the example
/// of RFC 8037, whose private half everybody knows.
const NO_SNAPSHOT_KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"none","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

impl Settings {
    /// An origin on this database that tells its own issuer's tokens apart by `issuer`; all else as usual.
    #[must_use]
    pub fn new(db: PathBuf, issuer: String) -> Self {
        Self {
            db,
            issuer,
            audience: "admit".to_owned(),
            namespace: "vendor".to_owned(),
            access_ttl_secs: 3_600,
            refresh_ttl_secs: 30 * 86_400,
            session_ttl_secs: SESSION_SECS_DEFAULT,
            allows_password_grant: false,
            keep_changes: changes::Keep {
                changes: KEEP_CHANGES_DEFAULT,
                bytes: KEEP_CHANGE_BYTES_DEFAULT,
                days: KEEP_CHANGE_DAYS_DEFAULT,
            },
            keep_audit: audit::Keep {
                entries: AUDIT_ENTRIES_DEFAULT,
                refused: AUDIT_REFUSED_DEFAULT,
                days: AUDIT_DAYS_DEFAULT,
            },
            quotas: Quotas::default(),
            feed_secret: None,
            feed_secret_previous: None,
            edge_secrets: Vec::new(),
            is_edge_only: false,
            connections_per_address: CONNECTIONS_PER_ADDRESS,
            variables: BTreeMap::new(),
            clock: Clock::system(),
        }
    }

    /// Whether `key` is what the edge shows. Every secret is compared whole, in the same time whatever is shown.
    #[must_use]
    pub fn is_edge_key(&self, key: &str) -> bool {
        let is = |secret: &String| secret.as_bytes().ct_eq(key.as_bytes());
        self.edge_secrets.iter().fold(Choice::from(0), |found, secret| found | is(secret)).into()
    }

    /// The configuration of the edge's service for this origin: its own issuer, with the keys that are in
    /// force at `now`, then those of `ISSUERS`.
    ///
    /// # Errors
    /// When a variable is wrong, or the database cannot be read.
    pub fn config(&self, connection: &Connection, now: UnixSecs) -> Result<Config> {
        let own = json!({
            "issuer": self.issuer,
            "namespace": self.namespace,
            "audience": {"any_of": [self.audience]},
            // Sign-in sees to it who gets a token with a role, a scope or a test-mode client.
            "may": ["view", "write", "feed"],
            "test_clients": true,
            "keys": {"jwks": keys::public_set(connection, now)?},
        });
        let mut issuers = vec![own.clone()];
        if let Some(others) = self.variables.get("ISSUERS") {
            let others: Vec<Value> = serde_json::from_str(others).context("ISSUERS is no JSON array")?;
            // The edge's list has this origin, too; its keys are at hand here.
            issuers.extend(others.into_iter().filter(|other| other.get("issuer") != own.get("issuer")));
        }
        let issuers = Value::Array(issuers).to_string();
        let config = Config::parse(&|name| match name {
            "ISSUERS" => Some(issuers.clone()),
            "SNAPSHOT_KEYS" => Some(NO_SNAPSHOT_KEY.to_owned()),
            // There is no store to keep fetched keys in.
            "JWKS_CACHE_SECRET" => None,
            // Nor another origin behind this one: the secret is the one that the edge shows here.
            "ORIGIN_URL" | "ORIGIN_SECRET" => None,
            _ => self.variables.get(name).cloned(),
        })?;
        Ok(config)
    }
}
