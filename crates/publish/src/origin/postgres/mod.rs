//! A PostgreSQL database as an origin. Its owners write two views:
//!
//! | view | rows |
//! | --- | --- |
//! | `admit_export(line jsonb)` | the lines of a publish file |
//! | `admit_changes(seq bigint, line jsonb)` | the lines of a change feed, by their counts |
//!
//! `target` reads the URL, `password` finds the password, `session` connects and runs statements, `export` and `feed`
//! read the views. The code is synchronous: each session has a runtime of its own, for one thread, that runs
//! only while a statement or a notification is awaited.
//!
//! Each read is one transaction of the kind repeatable read, so count and records are of one moment. Every
//! failure of the database is [`Unheard`]: the follower waits and connects again.

mod export;
mod feed;
mod password;
mod session;
mod target;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;

use self::{export::Export, session::Session, target::Target};
use super::{FeedAnswer, WAIT_SECS};
use crate::{
    gunzip::Lines,
    peer::{Outside, Unheard},
};

/// The schemes of a database's URL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The view of the export.
const EXPORT: &str = "admit_export";

/// The view of the changes. Notifications of new changes come in the channel of the same name.
const CHANGES: &str = "admit_changes";

/// How often to look for changes while waiting for one. A notification ends the wait at once; this is for
/// databases that send none, such as standbys and those behind a pooler.
const POLL: Duration = Duration::from_secs(2);

/// Whether `place` is the URL of a database.
pub fn is_url(place: &str) -> bool {
    SCHEMES.iter().any(|scheme| place.starts_with(scheme))
}

/// A database, and the session that waits for its changes.
pub struct PostgresOrigin {
    target: Target,
    outside: Outside,
    /// Kept between two questions for changes, so that no notification is missed.
    session: Mutex<Option<Session>>,
}

impl PostgresOrigin {
    /// The database at `url`. Does not connect.
    ///
    /// # Errors
    /// The URL is invalid, holds a password, or asks for a connection that others could read or change.
    pub fn new(url: &str, outside: &Outside) -> Result<Self> {
        Ok(Self { target: Target::parse(url)?, outside: outside.clone(), session: Mutex::default() })
    }

    /// The view of the export, with its database.
    pub fn export_name(&self) -> String {
        format!("{} {EXPORT}", self.target.shown())
    }

    /// The view of the changes, with its database.
    pub fn feed_name(&self) -> String {
        format!("{} {CHANGES}", self.target.shown())
    }

    /// Reads the export, in a session of its own.
    ///
    /// # Errors
    /// The database cannot be reached, or the view cannot be read.
    pub fn export(&self) -> Result<Lines, Unheard> {
        Ok(Box::new(Export::begin(Session::open(&self.target)?)?))
    }

    /// Reads the changes after `after`, and waits for one if there are none.
    pub fn changes(&self, after: u64) -> FeedAnswer {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = kept.take() {
            // A session that broke since the last question is no outage yet: the next one may be at hand.
            if let Ok(answer) = self.ask(&session, after) {
                *kept = Some(session);
                return answer;
            }
        }
        let session = match Session::open(&self.target) {
            Ok(session) => session,
            Err(unheard) => return FeedAnswer::Unheard(unheard),
        };
        if let Err(unheard) = session.listen(CHANGES) {
            if session.is_closed() {
                return FeedAnswer::Unheard(unheard);
            }
            eprintln!(
                "warning: {unheard}. Without notifications the follower looks for changes every {} s",
                POLL.as_secs()
            );
        }
        match self.ask(&session, after) {
            Ok(answer) => {
                *kept = Some(session);
                answer
            }
            Err(unheard) => FeedAnswer::Unheard(unheard),
        }
    }

    fn ask(&self, session: &Session, after: u64) -> Result<FeedAnswer, Unheard> {
        let time = &self.outside.time;
        let end = time.elapsed() + Duration::from_secs(WAIT_SECS);
        loop {
            let found = feed::read(session, after)?;
            let left = end.saturating_sub(time.elapsed());
            if found.is_answer() || left.is_zero() {
                return Ok(found.into_answer(after));
            }
            session.wait(left.min(POLL));
        }
    }
}
