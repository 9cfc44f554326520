//! Log events, and the one writer of log lines.
//!
//! A line is a JSON object whose first member is `event`. `docs/configuration.md` lists the events with their members.
//! No token and no secret is a part of one. Text of clients and peers is written as JSON text, so that none of it can
//! forge a second line.

use std::fmt::{self, Display, Write as _};

use crate::{
    api::json::json,
    ports::Log,
    snapshot::{
        head::Head,
        object::{FormatError, ObjectName},
    },
};

use super::audit::AuditEvent;

/// An event for the operator's log.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// An answer.
    Request {
        /// The answer's `x-request-id`.
        request_id: &'a str,
        /// In capitals; `OTHER` if the service has no such method.
        method: &'a str,
        /// The beginning of the path.
        path: &'a str,
        /// The HTTP status.
        status: u16,
        /// Why, in a word.
        reason: &'a str,
        /// More about it; left out when empty.
        detail: &'a str,
        /// The trace that the request belongs to; left out when empty.
        trace_id: &'a str,
    },
    /// Something was changed, or an attempt was made to change it.
    Audit(&'a AuditEvent<'a>),
    /// A limit by address could not be counted.
    Limit {
        /// The name of the binding that counts.
        binding: &'a str,
        /// What the platform answered.
        problem: &'a str,
        /// How often, since the last line of this kind.
        times: u32,
    },
    /// The configuration is wrong, so that every request gets a 500.
    Configuration {
        /// The variable and the problem.
        error: &'a dyn Display,
    },
    /// A new version of the snapshot took over.
    Snapshot {
        /// Its head.
        head: &'a Head,
        /// Where the head was read.
        from: &'static str,
    },
    /// The fresh lane failed.
    Lane {
        /// Why.
        problem: &'a str,
        /// How often, since the last line of this kind.
        times: u32,
    },
    /// The head could not be read or used, or an object that it names is not there yet.
    RefreshFailed {
        /// Why.
        error: &'a dyn Display,
    },
    /// The head is not one of this store's publisher, or is below the configured floor.
    HeadRefused {
        /// Why.
        error: &'a dyn Display,
    },
    /// The head in use is older than `SNAPSHOT_MAX_AGE_SECS`.
    SnapshotStale {
        /// The head in use.
        head: &'a Head,
        /// How old it is.
        age_secs: i64,
    },
    /// The head in use does not reflect changes that the upstream committed a while ago.
    SnapshotBehind {
        /// The head in use.
        head: &'a Head,
        /// How many changes the upstream had committed.
        origin_at: u64,
        /// How old the head is.
        age_secs: i64,
    },
    /// A shard or page could not be read.
    Unreadable {
        /// The object.
        object: ObjectName,
        /// Why.
        error: &'a dyn Display,
    },
    /// An object has the right digest and invalid content.
    Corrupt {
        /// The version that it belongs to.
        seq: u64,
        /// The problem.
        error: FormatError,
    },
    /// An issuer's fetched keys changed.
    Keys {
        /// The issuer's place in `ISSUERS`, from 0.
        issuer: usize,
        /// How many keys verify tokens.
        usable: usize,
        /// How many cannot be used.
        skipped: usize,
    },
    /// Keys of an issuer that cannot be used.
    KeysLeftOut {
        /// The issuer's place in `ISSUERS`, from 0.
        issuer: usize,
        /// Which keys, and why.
        keys: &'a dyn Display,
    },
    /// The last good keys of an issuer stay.
    KeysKept {
        /// The issuer's place in `ISSUERS`, from 0.
        issuer: usize,
        /// The problem with the document; `null` without a document.
        problem: Option<&'a dyn Display>,
    },
    /// An issuer's keys could not be fetched.
    KeysUnavailable {
        /// The issuer's place in `ISSUERS`, from 0.
        issuer: usize,
        /// Why.
        error: &'a str,
    },
    /// Keys in the store do not have a MAC by `JWKS_CACHE_SECRET`.
    StoredKeysRefused,
    /// The store did not take fetched keys.
    KeysNotStored {
        /// Why.
        error: &'a dyn Display,
    },
    /// The upstream did not answer, or its answer cannot be used.
    Upstream {
        /// The request's id.
        request_id: &'a str,
        /// The problem.
        problem: &'a str,
        /// How often, since the last line of this kind.
        times: u32,
    },
    /// Nothing is signed for a granted item.
    Playback {
        /// The item's merchant.
        merchant_id: i64,
        /// The name of the item's type.
        item_type: &'a str,
        /// Why.
        problem: &'a str,
        /// How often, since the last line of this kind.
        times: u32,
    },
    /// The runtime gave no random bytes.
    NoEntropy,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// [`Event::Request`].
    Request,
    /// [`Event::Audit`].
    Audit,
    /// [`Event::Limit`].
    Limit,
    /// [`Event::Configuration`].
    Configuration,
    /// [`Event::Snapshot`].
    Snapshot,
    /// [`Event::Lane`].
    Lane,
    /// [`Event::RefreshFailed`].
    RefreshFailed,
    /// [`Event::HeadRefused`].
    HeadRefused,
    /// [`Event::SnapshotStale`].
    SnapshotStale,
    /// [`Event::SnapshotBehind`].
    SnapshotBehind,
    /// [`Event::Unreadable`].
    Unreadable,
    /// [`Event::Corrupt`].
    Corrupt,
    /// [`Event::Keys`].
    Keys,
    /// [`Event::KeysLeftOut`].
    KeysLeftOut,
    /// [`Event::KeysKept`].
    KeysKept,
    /// [`Event::KeysUnavailable`].
    KeysUnavailable,
    /// [`Event::StoredKeysRefused`].
    StoredKeysRefused,
    /// [`Event::KeysNotStored`].
    KeysNotStored,
    /// [`Event::Upstream`].
    Upstream,
    /// [`Event::Playback`].
    Playback,
    /// [`Event::NoEntropy`].
    NoEntropy,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Request,
        Self::Audit,
        Self::Limit,
        Self::Configuration,
        Self::Snapshot,
        Self::Lane,
        Self::RefreshFailed,
        Self::HeadRefused,
        Self::SnapshotStale,
        Self::SnapshotBehind,
        Self::Unreadable,
        Self::Corrupt,
        Self::Keys,
        Self::KeysLeftOut,
        Self::KeysKept,
        Self::KeysUnavailable,
        Self::StoredKeysRefused,
        Self::KeysNotStored,
        Self::Upstream,
        Self::Playback,
        Self::NoEntropy,
    ];

    /// The value of the member `event`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Audit => "audit",
            Self::Limit => "limit",
            Self::Configuration => "configuration",
            Self::Snapshot => "snapshot",
            Self::Lane => "lane",
            Self::RefreshFailed => "refresh_failed",
            Self::HeadRefused => "head_refused",
            Self::SnapshotStale => "snapshot_stale",
            Self::SnapshotBehind => "snapshot_behind",
            Self::Unreadable => "unreadable",
            Self::Corrupt => "corrupt",
            Self::Keys => "keys",
            Self::KeysLeftOut => "keys_left_out",
            Self::KeysKept => "keys_kept",
            Self::KeysUnavailable => "keys_unavailable",
            Self::StoredKeysRefused => "stored_keys_refused",
            Self::KeysNotStored => "keys_not_stored",
            Self::Upstream => "origin",
            Self::Playback => "playback",
            Self::NoEntropy => "no_entropy",
        }
    }
}

impl Event<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Request { .. } => EventKind::Request,
            Self::Audit(_) => EventKind::Audit,
            Self::Limit { .. } => EventKind::Limit,
            Self::Configuration { .. } => EventKind::Configuration,
            Self::Snapshot { .. } => EventKind::Snapshot,
            Self::Lane { .. } => EventKind::Lane,
            Self::RefreshFailed { .. } => EventKind::RefreshFailed,
            Self::HeadRefused { .. } => EventKind::HeadRefused,
            Self::SnapshotStale { .. } => EventKind::SnapshotStale,
            Self::SnapshotBehind { .. } => EventKind::SnapshotBehind,
            Self::Unreadable { .. } => EventKind::Unreadable,
            Self::Corrupt { .. } => EventKind::Corrupt,
            Self::Keys { .. } => EventKind::Keys,
            Self::KeysLeftOut { .. } => EventKind::KeysLeftOut,
            Self::KeysKept { .. } => EventKind::KeysKept,
            Self::KeysUnavailable { .. } => EventKind::KeysUnavailable,
            Self::StoredKeysRefused => EventKind::StoredKeysRefused,
            Self::KeysNotStored { .. } => EventKind::KeysNotStored,
            Self::Upstream { .. } => EventKind::Upstream,
            Self::Playback { .. } => EventKind::Playback,
            Self::NoEntropy => EventKind::NoEntropy,
        }
    }

    /// Writes its line.
    pub fn log(&self, log: &dyn Log) {
        log.log(format_args!("{self}"));
    }
}

impl Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(self.kind());
        match *self {
            Self::Request { request_id, method, path, status, reason, detail, trace_id } => {
                line.text("request_id", request_id).text("method", method).text("path", path);
                line.number("status", &status).text("reason", reason);
                for (name, text) in [("detail", detail), ("trace_id", trace_id)] {
                    if !text.is_empty() {
                        line.text(name, text);
                    }
                }
            }
            Self::Audit(event) => event.write(&mut line),
            Self::Limit { binding, problem, times } => {
                line.text("binding", binding).text("problem", problem).number("times", &times);
            }
            Self::Configuration { error } | Self::RefreshFailed { error } | Self::HeadRefused { error } => {
                line.shown("error", error);
            }
            Self::Snapshot { head: Head { seq, customers, items, .. }, from } => {
                line.number("seq", seq).number("customers", customers).number("items", items);
                line.text("from", from);
            }
            Self::Lane { problem, times } => {
                line.text("problem", problem).number("times", &times);
            }
            Self::SnapshotStale { head: Head { seq, as_of, .. }, age_secs } => {
                line.number("seq", seq).number("as_of", as_of).number("age_secs", &age_secs);
            }
            Self::SnapshotBehind { head, origin_at, age_secs } => {
                line.number("seq", &head.seq).number("origin_seq", &head.origin_seq());
                line.number("origin_at", &origin_at).number("age_secs", &age_secs);
            }
            Self::Unreadable { object, error } => {
                line.shown("object", &object).shown("error", error);
            }
            Self::Corrupt { seq, error } => {
                line.number("seq", &seq).shown("error", &error);
            }
            Self::Keys { issuer, usable, skipped } => {
                line.number("issuer", &issuer).number("usable", &usable).number("skipped", &skipped);
            }
            Self::KeysLeftOut { issuer, keys } => {
                line.number("issuer", &issuer).shown("keys", keys);
            }
            Self::KeysKept { issuer, problem } => {
                line.number("issuer", &issuer);
                match problem {
                    Some(problem) => line.shown("problem", problem),
                    None => line.number("problem", &"null"),
                };
            }
            Self::KeysUnavailable { issuer, error } => {
                line.number("issuer", &issuer).text("error", error);
            }
            Self::KeysNotStored { error } => {
                line.shown("error", error);
            }
            Self::Upstream { request_id, problem, times } => {
                line.text("request_id", request_id).text("problem", problem).number("times", &times);
            }
            Self::Playback { merchant_id, item_type, problem, times } => {
                line.number("merchant_id", &merchant_id).text("item_type", item_type);
                line.text("problem", problem).number("times", &times);
            }
            Self::StoredKeysRefused | Self::NoEntropy => {}
        }
        f.write_str(&line.end())
    }
}

/// A log line that is being written, member by member.
pub(super) struct Line(String);

impl Line {
    fn new(kind: EventKind) -> Self {
        Self([r#"{"event":""#, kind.name(), "\""].concat())
    }

    /// Adds a member that is text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.member(name);
        self.0.push_str(&json(value));
        self
    }

    /// Adds a member that is text, as `value` shows itself.
    fn shown(&mut self, name: &str, value: &dyn Display) -> &mut Self {
        self.text(name, &value.to_string())
    }

    /// Adds a member that is a number, or anything else whose text is JSON already.
    pub fn number(&mut self, name: &str, value: &dyn Display) -> &mut Self {
        self.member(name);
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{value}");
        self
    }

    fn member(&mut self, name: &str) {
        for part in [",\"", name, "\":"] {
            self.0.push_str(part);
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests;
