//! Parts that several commands share: the database, names of customers, entries of the audit trail.

use std::path::{Path, PathBuf};

use admit::instant::UnixSecs;
use anyhow::{Context, Result, anyhow};
use origin::db::{
    self,
    audit::{self, Actor, Deed, DeedOutcome},
};
use rusqlite::Connection;

/// The database that a command works on.
#[derive(clap::Args)]
pub struct Database {
    /// The database
    #[arg(long = "db", value_name = "FILE", env = "ORIGIN_DB")]
    path: PathBuf,
}

impl Database {
    pub fn open(&self) -> Result<Connection> {
        open(&self.path)
    }
}

/// Opens a database; errors name the file.
pub fn open(path: &Path) -> Result<Connection> {
    db::open(path).with_context(|| path.display().to_string())
}

/// Splits the value of `--customer` into namespace and subject.
pub fn customer_name(name: &str) -> Result<(&str, &str)> {
    name.split_once(':').ok_or_else(|| anyhow!("--customer: expected namespace:subject"))
}

/// Writes the audit entry of a command, in the transaction of its action.
pub fn record(
    transaction: &Connection,
    merchant_id: i64,
    action: &'static str,
    object: String,
    now: UnixSecs,
) -> Result<()> {
    let (actor, deed) = (Actor::command(merchant_id), Deed::new(action, object));
    Ok(audit::record(transaction, &actor, &deed, &DeedOutcome::Done(None), now)?)
}
