//! `origin serve`: runs the server.

use std::{env, net::SocketAddr, path::PathBuf};

use admit_publish::output::{self, Level, Notice};
use anyhow::{Context, Result, bail};
use origin::{
    db::{
        changes,
        import::{import, is_empty},
        usage::Usage,
    },
    limits::{
        AUDIT_DAYS_DEFAULT, AUDIT_ENTRIES_DEFAULT, CONNECTIONS_PER_ADDRESS, KEEP_CHANGE_BYTES_DEFAULT,
        KEEP_CHANGE_DAYS_DEFAULT, KEEP_CHANGES_DEFAULT, MERCHANT_ACCESSES_DEFAULT,
        MERCHANT_ANSWER_BYTES_DEFAULT, MERCHANT_ITEM_BYTES_DEFAULT, MERCHANT_ITEMS_DEFAULT,
        MERCHANT_MEMBERS_DEFAULT, MERCHANT_WRITE_BURST_DEFAULT, MERCHANT_WRITES_PER_SEC_DEFAULT,
        SECRET_MIN_BYTES, SESSION_SECS_DEFAULT,
    },
    quota::Quotas,
    server,
    settings::Settings,
};
use tokio::{net::TcpListener, signal};

use super::shared;

/// Arguments of `origin serve`.
#[derive(clap::Args)]
#[command(
    after_help = "Variables, as the Worker has them: ISSUERS and the secrets that it names, CORS_ORIGINS, \
TRUSTED_COUNTRY_HEADER, TRUSTED_ADDRESS_HEADER, LOG_CHECKS.

Example:
  origin serve --db origin.db --listen 127.0.0.1:8790 --seed samples/catalogue"
)]
pub struct Args {
    /// The database; created if it does not exist
    #[arg(long, value_name = "FILE", env = "ORIGIN_DB")]
    db: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8790")]
    listen: SocketAddr,
    /// Import this catalogue if the database is new
    #[arg(long, value_name = "PATH")]
    seed: Option<PathBuf>,
    /// `iss` of the tokens that are issued here [default: http:// and the address]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// `aud` of the tokens that are issued here
    #[arg(long, value_name = "TEXT", default_value = "admit")]
    audience: String,
    /// Namespace of the customers who sign in here, as in the Worker's ISSUERS
    #[arg(long, value_name = "TEXT", default_value = "vendor")]
    namespace: String,
    /// Seconds that an access token lives
    #[arg(long, value_name = "N", default_value_t = 3_600, value_parser = clap::value_parser!(i64).range(60..=2_592_000))]
    access_ttl_secs: i64,
    /// Seconds that an access token lives that a viewer gets by POST /accounts/authenticate or by registering: apps
    /// with older SDKs never refresh [default: as --access-ttl-secs]
    #[arg(long, value_name = "N", env = "ORIGIN_SDK_ACCESS_TTL_SECS", value_parser = clap::value_parser!(i64).range(60..=2_592_000))]
    sdk_access_ttl_secs: Option<i64>,
    /// Seconds that a refresh token lives
    #[arg(long, value_name = "N", default_value_t = 2_592_000, value_parser = clap::value_parser!(i64).range(60..=31_536_000))]
    refresh_ttl_secs: i64,
    /// Seconds after a sign-in during which its tokens can be refreshed
    #[arg(long, value_name = "N", default_value_t = SESSION_SECS_DEFAULT, value_parser = clap::value_parser!(i64).range(60..=315_360_000))]
    session_ttl_secs: i64,
    /// Accept passwords from apps at POST /accounts/authenticate, as older SDKs send them
    #[arg(long, env = "ORIGIN_ALLOW_PASSWORD_GRANT", value_parser = switch)]
    allow_password_grant: bool,
    /// Let viewers register themselves at POST /accounts
    #[arg(long, env = "ORIGIN_ALLOW_REGISTRATION", value_parser = switch)]
    allow_registration: bool,
    /// Write tokens that set a new password to the log: for development, because no mail is sent
    #[arg(long, env = "ORIGIN_LOG_PASSWORD_TOKENS", value_parser = switch)]
    log_password_tokens: bool,
    /// Changes that the change log keeps
    #[arg(long, value_name = "N", default_value_t = KEEP_CHANGES_DEFAULT)]
    keep_changes: u64,
    /// Bytes that the change log keeps
    #[arg(long, value_name = "N", default_value_t = KEEP_CHANGE_BYTES_DEFAULT)]
    keep_change_bytes: u64,
    /// Days that the change log keeps changes
    #[arg(long, value_name = "N", default_value_t = KEEP_CHANGE_DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_change_days: u32,
    /// Entries that the audit trail keeps for each merchant
    #[arg(long, value_name = "N", default_value_t = AUDIT_ENTRIES_DEFAULT)]
    keep_audit: u64,
    /// Days that the audit trail keeps entries
    #[arg(long, value_name = "N", default_value_t = AUDIT_DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_audit_days: u32,
    #[command(flatten)]
    quotas: QuotaArgs,
    /// Bearer that can read export and changes, beside tokens with the scope feed:read
    #[arg(long, value_name = "TEXT", env = "ORIGIN_FEED_SECRET", hide_env_values = true)]
    feed_secret: Option<String>,
    /// Secret that the Worker sends in Admit-Edge-Key, its ORIGIN_SECRET; several, separated by blanks,
    /// during a rotation
    #[arg(long, value_name = "TEXT", env = "ORIGIN_SECRET", hide_env_values = true)]
    edge_secret: Option<String>,
    /// Answer other senders than the edge only with the sign-in page, public documents and the feed
    #[arg(long, env = "ORIGIN_EDGE_ONLY", value_parser = switch)]
    edge_only: bool,
    /// Connections of one address; behind a proxy, as many as the proxy opens
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_PER_ADDRESS)]
    connections_per_address: usize,
    /// Serve /metrics (Prometheus), /healthz and /readyz at this address too, such as 127.0.0.1:9465; port 0 takes a
    /// free one. Without a token: not an address that others reach
    #[arg(long, value_name = "ADDRESS", env = "ORIGIN_METRICS")]
    metrics: Option<SocketAddr>,
    /// The form of the log: events are JSON in both; with json so is everything else, and each line has its time
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogForm::Prose)]
    log: LogForm,
    /// The previous feed bearer, which is accepted during a rotation
    #[arg(long, value_name = "TEXT", env = "ORIGIN_FEED_SECRET_PREVIOUS", hide_env_values = true)]
    feed_secret_previous: Option<String>,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogForm {
    /// JSON for events, prose for the rest.
    Prose,
    /// A JSON object a line.
    Json,
}

/// Quotas of each merchant. An import has no quota.
#[derive(clap::Args)]
struct QuotaArgs {
    /// Sustained writes per second of one merchant; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = MERCHANT_WRITES_PER_SEC_DEFAULT)]
    merchant_writes_per_sec: u64,
    /// Writes of one merchant at once
    #[arg(long, value_name = "N", default_value_t = MERCHANT_WRITE_BURST_DEFAULT, value_parser = clap::value_parser!(u64).range(1..))]
    merchant_write_burst: u64,
    /// Items and packages of one merchant, deleted ones included
    #[arg(long, value_name = "N", default_value_t = MERCHANT_ITEMS_DEFAULT)]
    merchant_items: u64,
    /// Bytes of one merchant's items and fees
    #[arg(long, value_name = "N", default_value_t = MERCHANT_ITEM_BYTES_DEFAULT)]
    merchant_item_bytes: u64,
    /// Members of all packages of one merchant
    #[arg(long, value_name = "N", default_value_t = MERCHANT_MEMBERS_DEFAULT)]
    merchant_members: u64,
    /// Accesses of all customers of one merchant, ended ones included
    #[arg(long, value_name = "N", default_value_t = MERCHANT_ACCESSES_DEFAULT)]
    merchant_accesses: u64,
    /// Bytes of answers that are stored for one merchant's Idempotency-Keys
    #[arg(long, value_name = "N", default_value_t = MERCHANT_ANSWER_BYTES_DEFAULT)]
    merchant_answer_bytes: u64,
}

impl QuotaArgs {
    const fn quotas(&self) -> Quotas {
        Quotas {
            writes_per_sec: self.merchant_writes_per_sec,
            write_burst: self.merchant_write_burst,
            stored: Usage {
                items: self.merchant_items,
                item_bytes: self.merchant_item_bytes,
                members: self.merchant_members,
                accesses: self.merchant_accesses,
                answer_bytes: self.merchant_answer_bytes,
            },
        }
    }
}

/// Reads a variable that switches a feature on or off. Another word is an error, since either guess may be
/// unsafe.
fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected 1, true, yes or on, or 0, false, no, off or nothing".to_owned()),
    }
}

/// Runs `origin serve`.
///
/// # Errors
/// If it cannot listen, the database cannot be opened, or a setting is invalid.
pub fn run(args: &Args) -> Result<()> {
    if args.log == LogForm::Json {
        output::write_json();
    }
    for (name, secret) in
        [("--feed-secret", &args.feed_secret), ("--feed-secret-previous", &args.feed_secret_previous)]
    {
        if secret.as_ref().is_some_and(|secret| secret.len() < SECRET_MIN_BYTES) {
            bail!("{name}: expected at least {SECRET_MIN_BYTES} bytes");
        }
    }
    let edge_secrets: Vec<String> =
        args.edge_secret.iter().flat_map(|secrets| secrets.split_whitespace()).map(str::to_owned).collect();
    if args.edge_secret.is_some() && edge_secrets.is_empty()
        || edge_secrets.iter().any(|secret| secret.len() < SECRET_MIN_BYTES)
    {
        bail!(
            "ORIGIN_SECRET (--edge-secret): expected at least {SECRET_MIN_BYTES} bytes, as openssl rand -hex 32 makes them"
        );
    }
    if args.edge_only && edge_secrets.is_empty() {
        bail!("--edge-only (ORIGIN_EDGE_ONLY): needs ORIGIN_SECRET, by which the edge is known");
    }
    let mut connection = shared::open(&args.db)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut settings = Settings::new(args.db.clone(), args.issuer.clone().unwrap_or_else(|| url.clone()));
        settings.audience.clone_from(&args.audience);
        settings.namespace.clone_from(&args.namespace);
        settings.access_ttl_secs = args.access_ttl_secs;
        settings.sdk_access_ttl_secs = args.sdk_access_ttl_secs.unwrap_or(args.access_ttl_secs);
        settings.allows_registration = args.allow_registration;
        settings.logs_password_tokens = args.log_password_tokens;
        settings.refresh_ttl_secs = args.refresh_ttl_secs;
        settings.session_ttl_secs = args.session_ttl_secs;
        settings.allows_password_grant = args.allow_password_grant;
        settings.edge_secrets = edge_secrets;
        settings.is_edge_only = args.edge_only;
        settings.connections_per_address = args.connections_per_address.max(1);
        settings.keep_changes = changes::LogBounds {
            changes: args.keep_changes,
            bytes: args.keep_change_bytes,
            days: args.keep_change_days,
        };
        settings.keep_audit.entries = args.keep_audit;
        settings.keep_audit.days = args.keep_audit_days;
        settings.quotas = args.quotas.quotas();
        settings.feed_secret.clone_from(&args.feed_secret);
        settings.feed_secret_previous.clone_from(&args.feed_secret_previous);
        settings.variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        if let Some(seed) = args.seed.as_ref().filter(|_| is_empty(&connection).unwrap_or(false)) {
            let imported = import(&mut connection, seed, settings.clock.now())?;
            let text = format!("origin: {} items, {} customers imported", imported.items, imported.customers);
            let notice = Notice::new("imported", text).with("items", imported.items);
            output::tell_notice(&notice.with("customers", imported.customers), Level::Info);
        }
        drop(connection);
        settings.metrics = args.metrics;
        output::write_notice(&Notice::new("listening", url.as_str()).with("url", url.as_str()));
        server::serve(settings, listener, ended()).await
    })
}

/// Resolves when the process is asked to end.
async fn ended() {
    #[cfg(unix)]
    {
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_or_off_by_any_usual_word() {
        for on in ["1", "true", "True", "yes", "on", " 1 "] {
            assert_eq!(switch(on), Ok(true), "{on:?}");
        }
        for off in ["0", "false", "no", "OFF", "", " "] {
            assert_eq!(switch(off), Ok(false), "{off:?}");
        }
        for neither in ["2", "ture", "enabled", "\u{fffd}"] {
            assert!(switch(neither).is_err(), "{neither:?}");
        }
    }
}
