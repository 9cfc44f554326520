//! Origins: where a publisher reads the export and the changes.
//!
//! An [`Origin`] is an HTTP service (`http`) or a PostgreSQL database (`postgres`). Both give the same lines,
//! and both say the same of the changes after a count: here they are, they are gone, or the origin was not
//! heard. The follower does not know which of the two it follows.

mod http;
mod postgres;

use std::sync::Arc;

use anyhow::Result;

pub use self::http::{NDJSON, has_end, is_vouched_for};
use self::{http::HttpOrigin, postgres::PostgresOrigin};
use crate::{
    gunzip::Lines,
    peer::{Outside, Unheard},
};

/// How long the origin is asked to wait for a change (RFC 7240), in seconds. Many proxies give up after 30 s.
pub const WAIT_SECS: u64 = 20;

/// An origin, and how to ask it.
#[derive(Clone)]
pub enum Origin {
    /// An HTTP service.
    Http(HttpOrigin),
    /// A database.
    Postgres(Arc<PostgresOrigin>),
}

/// The answer of an origin's change feed.
pub enum FeedAnswer {
    /// Lines of changes; empty if nothing has changed.
    Changes(Changes),
    /// The changes that were asked for are no longer kept, or lie ahead of the origin.
    Gone,
    /// Not an answer of the origin: a later attempt may succeed.
    Unheard(Unheard),
}

/// An answer of the feed.
pub struct Changes {
    /// The lines.
    pub lines: Lines,
    /// The number of the line before the first one, for messages. The lines of a database are numbered by
    /// the counts of their changes.
    pub first_line: u64,
    /// Why an empty answer may come from something in between, such as a proxy, instead of the origin. `None`
    /// if the origin's own headers vouch for it.
    pub doubt: Option<String>,
}

/// Whether `place` is an address of an origin rather than a path.
pub fn is_url(place: &str) -> bool {
    is_http(place) || is_database(place)
}

/// Whether `place` is the URL of a database.
pub fn is_database(place: &str) -> bool {
    postgres::is_url(place)
}

/// Whether `place` is the URL of an HTTP service.
pub fn is_http(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

impl Origin {
    /// The origin at `url`, with `token` if given and if the origin is an HTTP service. Nothing is sent.
    ///
    /// # Errors
    /// `url` is invalid, holds a password, or leads over an insecure network; or the token contains invalid
    /// characters.
    pub fn new(url: &str, token: Option<&str>, outside: &Outside) -> Result<Self> {
        Ok(if is_database(url) {
            Self::Postgres(Arc::new(PostgresOrigin::new(url, outside)?))
        } else {
            Self::Http(HttpOrigin::new(url, token, outside)?)
        })
    }

    /// The name of the export in messages.
    pub fn export_name(&self) -> String {
        match self {
            Self::Http(origin) => origin.url().to_owned(),
            Self::Postgres(origin) => origin.export_name(),
        }
    }

    /// The name of the change feed in messages.
    pub fn feed_name(&self) -> String {
        match self {
            Self::Http(origin) => origin.url().to_owned(),
            Self::Postgres(origin) => origin.feed_name(),
        }
    }

    /// Requests the export.
    ///
    /// # Errors
    /// [`Unheard`]: the origin did not answer, or the answer is not an export whose end can be recognised.
    pub fn export(&self) -> Result<Lines> {
        match self {
            Self::Http(origin) => origin.export(),
            Self::Postgres(origin) => Ok(origin.export()?),
        }
    }

    /// Requests the changes after the origin's count `after`. The answer may take as long as [`WAIT_SECS`] if
    /// there are none.
    pub fn changes(&self, after: u64) -> FeedAnswer {
        match self {
            Self::Http(origin) => origin.changes(after),
            Self::Postgres(origin) => origin.changes(after),
        }
    }
}
