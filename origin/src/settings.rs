//! The configuration of an origin.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    clock::Clock,
    db::{audit, changes},
    limits::{
        AUDIT_DAYS_DEFAULT, AUDIT_ENTRIES_DEFAULT, AUDIT_REFUSED_DEFAULT, CONNECTIONS_PER_ADDRESS,
        KEEP_CHANGE_BYTES_DEFAULT, KEEP_CHANGE_DAYS_DEFAULT, KEEP_CHANGES_DEFAULT, SESSION_SECS_DEFAULT,
    },
    quota::Quotas,
};

/// The configuration of an origin, the same for all of its threads.
#[derive(Clone)]
pub struct Settings {
    /// The SQLite file.
    pub db: PathBuf,
    /// `iss` of the tokens that this origin issues, and the base URL at which clients find it.
    pub issuer: String,
    /// `aud` of the tokens that this origin issues.
    pub audience: String,
    /// The namespace of customers who sign in here.
    pub namespace: String,
    /// Lifetime of an access token.
    pub access_ttl_secs: i64,
    /// Lifetime of an access token that a viewer gets at the routes of the older SDKs, which never refresh; at least
    /// [`access_ttl_secs`](Self::access_ttl_secs).
    pub sdk_access_ttl_secs: i64,
    /// Lifetime of a refresh token.
    pub refresh_ttl_secs: i64,
    /// How long after a sign-in its tokens can be refreshed.
    pub session_ttl_secs: i64,
    /// Whether `POST /accounts/authenticate` accepts passwords from any app. RFC 9700 §2.4 forbids it; older
    /// SDKs have no other way.
    pub allows_password_grant: bool,
    /// Whether viewers may register themselves.
    pub allows_registration: bool,
    /// Whether the log shows tokens that set a new password: for development, because no mail is sent.
    pub logs_password_tokens: bool,
    /// The bounds of the change log.
    pub keep_changes: changes::LogBounds,
    /// The bounds of the audit trail.
    pub keep_audit: audit::TrailBounds,
    /// How much each merchant may write and store.
    pub quotas: Quotas,
    /// A bearer that can read the feed, beside tokens with the scope `feed:read`.
    pub feed_secret: Option<String>,
    /// The previous feed bearer, accepted while it is being replaced.
    pub feed_secret_previous: Option<String>,
    /// The values of `Admit-Edge-Key` that identify the edge. Several are valid at once, so that one can
    /// replace another.
    pub edge_secrets: Vec<String>,
    /// Whether requests from other senders than the edge get only the sign-in page and public documents.
    pub is_edge_only: bool,
    /// Connections that one address may hold open.
    pub connections_per_address: usize,
    /// The Worker's variables that mean the same here: `ISSUERS` and the secrets that it names,
    /// `CORS_ORIGINS`, `TRUSTED_COUNTRY_HEADER`, `TRUSTED_ADDRESS_HEADER`, `LOG_CHECKS`.
    pub variables: BTreeMap<String, String>,
    /// Where metrics and health are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// The clock of all threads.
    pub clock: Clock,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and the feed's bearers are secrets, so they are left out.
        f.debug_struct("Settings").field("db", &self.db).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Settings {
    /// An origin on this database whose tokens have `issuer` as `iss`; everything else has its default.
    #[must_use]
    pub fn new(db: PathBuf, issuer: String) -> Self {
        Self {
            db,
            issuer,
            audience: "admit".to_owned(),
            namespace: "vendor".to_owned(),
            access_ttl_secs: 3_600,
            sdk_access_ttl_secs: 0,
            refresh_ttl_secs: 30 * 86_400,
            session_ttl_secs: SESSION_SECS_DEFAULT,
            allows_password_grant: false,
            allows_registration: false,
            logs_password_tokens: false,
            keep_changes: changes::LogBounds {
                changes: KEEP_CHANGES_DEFAULT,
                bytes: KEEP_CHANGE_BYTES_DEFAULT,
                days: KEEP_CHANGE_DAYS_DEFAULT,
            },
            keep_audit: audit::TrailBounds {
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
            metrics: None,
            clock: Clock::system(),
        }
    }

    /// Whether `key` is one of the edge's secrets. Every secret is compared in full, so the time tells a
    /// sender nothing.
    #[must_use]
    pub fn is_edge_key(&self, key: &str) -> bool {
        let is = |secret: &String| secret.as_bytes().ct_eq(key.as_bytes());
        self.edge_secrets.iter().fold(Choice::from(0), |found, secret| found | is(secret)).into()
    }
}
