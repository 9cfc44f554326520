//! The denylist, as text and as JSON.

use admit_snapshot::{
    denylist::{Denied, Target},
    head::Head,
    time::UnixSecs,
};
use anyhow::Result;
use serde::Serialize;

use super::moment;

/// The denylist of a published head.
#[derive(Serialize)]
pub struct DenylistReport {
    seq: u64,
    aud: Option<String>,
    denylist: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    target: String,
    state: &'static str,
    since: UnixSecs,
    until: UnixSecs,
    reason: String,
}

impl DenylistReport {
    /// The denylist of `head` at the time `now`.
    pub fn list(head: &Head, now: UnixSecs) -> Self {
        let entry = |entry: &Denied| Entry {
            target: entry.target.to_string(),
            state: state(entry, now),
            since: entry.since,
            until: entry.until,
            reason: entry.reason.clone(),
        };
        let denylist = head.denylist.entries().iter().map(entry).collect();
        Self { seq: head.seq, aud: head.aud.clone(), denylist }
    }

    /// Prints the list.
    ///
    /// # Errors
    /// Does not happen in practice.
    pub fn print(&self, is_json: bool) -> Result<()> {
        if is_json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        if self.denylist.is_empty() {
            println!("Nothing is revoked in seq {}", self.seq);
        }
        for Entry { target, state, since, until, reason } in &self.denylist {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            println!("{target}\n  {state}, from {} until {}{reason}", moment(*since), moment(*until));
        }
        Ok(())
    }
}

fn state(entry: &Denied, now: UnixSecs) -> &'static str {
    if entry.is_lifted {
        "lifted"
    } else if entry.is_in_force(now) {
        "revoked"
    } else {
        "ended"
    }
}

/// The message after a revocation or a lift.
pub fn done(entry: &Denied, head: &Head) -> String {
    let (target, seq) = (&entry.target, head.seq);
    if entry.is_lifted {
        format!("Lifted: {target}, in seq {seq}. Every edge knows within two minutes")
    } else {
        let until = moment(entry.until);
        let sign_in = match entry.target {
            Target::Customer(_) => {
                format!(". A new sign-in works from {} on", moment(entry.since.saturating_add(1)))
            }
            _ => String::new(),
        };
        format!(
            "Revoked: {target}, in seq {seq}, until {until}. Every edge refuses it within two minutes{sign_in}"
        )
    }
}
