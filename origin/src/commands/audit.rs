//! `origin audit`: prints the audit trail.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use admit::{instant, snapshot::time::iso8601};
use anyhow::{Result, anyhow};
use origin::{
    clock::Clock,
    db::audit::read::{AuditEntry, Filter, counts, entries},
};

use super::shared::Database;

/// Arguments of `origin audit`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  origin audit --db origin.db --object access:340024      who granted and who revoked it
  origin audit --db origin.db --customer 88005 --item 5101
  origin audit --db origin.db --since 7d --actor shop --json
  origin audit --db origin.db --after 41200 --json        what came after that entry, for a store of logs")]
pub struct Args {
    #[command(flatten)]
    database: Database,
    /// Only entries since this time: RFC 3339, unix seconds, or an age: 90m, 36h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries after this one
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// Part of issuer, namespace and subject, or user and host; or a whole client, jti or request id
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    /// Object of the action: access:N, item:N, fee:N, customer:N, key:KID
    #[arg(long, value_name = "TYPE:NAME")]
    object: Option<String>,
    /// Action, or its beginning: access. finds grants and revocations
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// Number of the customer that the action concerns
    #[arg(long, value_name = "N")]
    customer: Option<i64>,
    /// Number of the item that the action concerns
    #[arg(long, value_name = "N")]
    item: Option<i64>,
    /// Merchant that the actor acted for
    #[arg(long, value_name = "N")]
    merchant: Option<i64>,
    /// Show hourly counts instead of entries: sign-ins of viewers, and refusals of strangers
    #[arg(long, conflicts_with_all = ["after", "actor", "object", "action", "customer", "item"])]
    counts: bool,
    /// Most entries to show; the newest are shown
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u64,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let connection = self.database.open()?;
        let since = self.since.as_deref().map(|text| since(text, Clock::system().now())).transpose()?;
        let filter = Filter {
            since,
            after: self.after,
            actor: self.actor,
            object: self.object,
            action: self.action,
            customer: self.customer,
            item: self.item,
            merchant: self.merchant,
        };
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.counts {
            for count in counts(&connection, &filter)? {
                match self.json {
                    true => writeln!(out, "{}", serde_json::to_string(&count)?)?,
                    false => writeln!(
                        out,
                        "{}  {:>8}  merchant {}  {}  {}",
                        iso8601(count.hour, 0),
                        count.count,
                        count.merchant_id,
                        count.action,
                        count.outcome
                    )?,
                }
            }
            return Ok(out.flush()?);
        }
        let mut written = Ok(());
        entries(&connection, &filter, self.limit, |entry| {
            if written.is_ok() {
                written = match self.json {
                    true => serde_json::to_writer(&mut out, &entry)
                        .map_err(io::Error::from)
                        .and_then(|()| writeln!(out)),
                    false => writeln!(out, "{}", line(&entry)),
                };
            }
        })?;
        written?;
        Ok(out.flush()?)
    }
}

/// One line of text for an entry.
fn line(entry: &AuditEntry) -> String {
    let AuditEntry { id, at, action, object, outcome, merchant_id, actor, issuer, .. } = entry;
    // Tokens and clients choose these texts, so line breaks in them are escaped.
    let [object, outcome, actor, issuer] = [object, outcome, actor, issuer].map(|text| text.escape_debug());
    let mut line = format!("{id}  {}  {action}  {object}  {outcome}  by {actor} ({issuer})", iso8601(*at, 0));
    if *merchant_id != 0 {
        // Writing to a String cannot fail.
        let _ = write!(line, "  merchant {merchant_id}");
    }
    let numbers = [("item", entry.item_id), ("customer", entry.customer_id)];
    for (name, number) in numbers {
        if let Some(number) = number {
            let _ = write!(line, "  {name} {number}");
        }
    }
    if let Some(seq) = entry.seq {
        let _ = write!(line, "  seq {seq}");
    }
    let texts = [
        ("client", &entry.client),
        ("jti", &entry.jti),
        ("request", &entry.request_id),
        ("from", &entry.address),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let _ = write!(line, "  {name} {}", text.escape_debug());
        }
    }
    line
}

/// Parses a moment or an age; returns unix seconds.
fn since(text: &str, now: i64) -> Result<i64> {
    let ago = |unit: char, secs: i64| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        now.checked_sub(number.checked_mul(secs)?)
    };
    let moment = ago('s', 1)
        .or_else(|| ago('m', 60))
        .or_else(|| ago('h', 3_600))
        .or_else(|| ago('d', 86_400))
        .or_else(|| text.parse().ok())
        .or_else(|| instant::from_text(text).map(|zoned| zoned.at).ok());
    moment.ok_or_else(|| {
        anyhow!("--since: expected RFC 3339, unix seconds, or how long ago, such as 36h or 7d, not {text:?}")
    })
}
