//! Signs what each line of standard input asks, and answers with a line: the other side of `tests/playback/`, where the
//! vendors' own libraries verify the answers.
//!
//! ```text
//! {"playback": [...], "secrets": {"NAME": "..."}, "item": {"merchant_id": 1, "item_type": "...", "content": "...",
//!  "external_id": null}, "now": 1900000000, "ends_at": 1900003600, "viewer": {"subject": "...", "country": "GB",
//!  "address": "192.0.2.7"}, "url": null}
//! {"sources": [{"type": "cat", "url": "...", "token": "...", "expires_at": 1900003600, "same_until": 1900000300}]}
//! ```
//!
//! A configuration or a question that is refused is answered `{"error": "..."}`.

use std::io::{self, BufRead as _, Write as _};

use admit_playback::{Grant, Item, NativeSigner, Playback, Viewer};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(line: &str) -> Result<Value, String> {
    let asked: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |path: &str| asked.pointer(path).and_then(Value::as_str);
    let number = |path: &str| {
        asked.pointer(path).and_then(Value::as_i64).ok_or_else(|| format!("{path} must be a whole number"))
    };
    let secret = |name: &str| text(&format!("/secrets/{name}")).map(str::to_owned);
    let configured = asked.get("playback").cloned().unwrap_or_default().to_string();
    let playback = Playback::parse(&configured, &secret).map_err(|error| error.to_string())?;
    let item = Item {
        merchant_id: number("/item/merchant_id")?,
        item_type: text("/item/item_type").unwrap_or_default(),
        content: text("/item/content").unwrap_or_default(),
        external_id: text("/item/external_id"),
    };
    let viewer = Viewer {
        subject: text("/viewer/subject").unwrap_or_default(),
        country: text("/viewer/country"),
        address: text("/viewer/address"),
    };
    let is_unlimited = asked.pointer("/is_unlimited").and_then(Value::as_bool).unwrap_or_default();
    let grant = Grant { now: number("/now")?, ends_at: number("/ends_at")?, is_unlimited };
    let sources = playback.entries(item.merchant_id, item.item_type).map(|entry| {
        let source = match text("/url") {
            Some(url) => entry.sign_url(&item, url, grant, viewer, &NativeSigner),
            None => entry.sign(&item, grant, viewer, &NativeSigner),
        };
        let source = source.map_err(|error| error.to_string())?;
        Ok(json!({
            "type": source.kind.name(),
            "url": source.url,
            "token": source.token,
            "expires_at": source.expires_at,
            "same_until": source.same_until,
        }))
    });
    Ok(json!({ "sources": sources.collect::<Result<Vec<_>, String>>()? }))
}
