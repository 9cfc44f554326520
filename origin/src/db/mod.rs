//! The database: one SQLite file with a write-ahead log, so that readers do not wait for the writer.

pub mod accounts;
pub mod audit;
pub mod changes;
pub mod customers;
pub mod export;
pub mod external_ids;
pub mod import;
pub mod numbers;
pub mod records;
pub mod register_fields;
pub mod revoked;
pub mod sessions;
pub mod store;
#[cfg(test)]
mod tests;
pub mod usage;

use std::{path::Path, sync::LazyLock};

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{HookError, M, Migrations};
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::BUSY_TIMEOUT;

static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("../../migrations/01-catalogue.sql")),
        M::up(include_str!("../../migrations/02-tokens.sql")),
        M::up(include_str!("../../migrations/03-refresh.sql")),
        M::up(include_str!("../../migrations/04-moments.sql")),
        M::up(include_str!("../../migrations/05-who-may-sign-in.sql")),
        M::up(include_str!("../../migrations/07-sign-ins.sql")),
        M::up(include_str!("../../migrations/08-books.sql")),
        M::up(include_str!("../../migrations/09-clients.sql")),
        M::up(include_str!("../../migrations/10-register-fields.sql")),
        M::up_with_hook(include_str!("../../migrations/11-external-ids.sql"), |transaction| {
            external_ids::fill(transaction).map_err(|error| HookError::Hook(error.to_string()))
        }),
        M::up(include_str!("../../migrations/12-revoked-by-issuer.sql")),
        M::up(include_str!("../../migrations/13-purchases.sql")),
    ])
});

/// Why the database failed. None of it is the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// An error of SQLite.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The schema could not be migrated.
    #[error("migration: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// A `_json` column has a value that no version of this program writes.
    #[error("a record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// [`KEYS_MAX`](crate::limits::KEYS_MAX) keys still verify.
    #[error("too many keys still verify: wait until the tokens of the oldest have ended")]
    TooManyKeys,
    /// No key that verifies has this name.
    #[error("the key is unknown or has ended: `origin keys list` shows those that verify")]
    UnknownKey,
    /// The data contradicts an invariant.
    #[error("the database is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// Why the database accepts no writes at the moment. Nothing was written, and a later attempt may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// Another process holds the lock.
    Busy,
    /// The disk is full, or the file has reached its maximum size.
    Full,
    /// The file or its disk is read-only; systems lock a disk after errors.
    ReadOnly,
    /// The disk failed.
    Io,
}

impl Unwritable {
    /// The code in `/healthz` and the log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Io => "io",
        }
    }

    /// The message for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Busy => "the database is in use",
            Self::Full => "the origin's disk is full",
            Self::ReadOnly => "the origin's database is read-only",
            Self::Io => "the origin's disk failed",
        }
    }
}

impl DbError {
    /// The reason, if the error means that the database accepts no writes at the moment.
    #[must_use]
    pub fn unwritable(&self) -> Option<Unwritable> {
        use rusqlite::ErrorCode;
        let Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) = self else { return None };
        match error.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
                Some(Unwritable::Busy)
            }
            ErrorCode::DiskFull => Some(Unwritable::Full),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Unwritable::ReadOnly),
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Some(Unwritable::Io),
            _ => None,
        }
    }
}

/// Opens the database, creating it if it does not exist, and migrates its schema.
///
/// # Errors
/// If the file is not an origin's database, or cannot be read or written.
pub fn open(path: &Path) -> Result<Connection, DbError> {
    make_private(path);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
    MIGRATIONS.to_latest(&mut connection)?;
    Ok(connection)
}

/// Creates the file with mode 0600 if it does not exist, because it has the keys that sign tokens. SQLite
/// gives its other files the same mode. Errors are ignored here: opening the file meets them again.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

/// Opens another connection to a database that [`open`] has prepared.
///
/// # Errors
/// As [`open`].
pub fn connect_to(path: &Path) -> Result<Connection, DbError> {
    connect(path, OpenFlags::empty())
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A write that was answered must survive a loss of power: edges may already have its `seq`, which must
    // not go to another change.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// The `seq` of the last committed change.
///
/// # Errors
/// If the database cannot be read.
pub fn seq(connection: &Connection) -> Result<u64, DbError> {
    Ok(connection.prepare_cached("SELECT seq FROM state")?.query_row([], |row| row.get(0))?)
}

/// Text for a `_json` column.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String, DbError> {
    Ok(serde_json::to_string(value)?)
}

/// The value of a `_json` column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, DbError> {
    Ok(serde_json::from_str(text)?)
}

/// The value of a `_json` column that may be null.
pub(crate) fn from_json_or_null<T: DeserializeOwned>(text: Option<String>) -> Result<Option<T>, DbError> {
    text.as_deref().map(from_json).transpose()
}

/// A database in memory with the schema, for tests that need one connection.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    MIGRATIONS.to_latest(&mut connection).unwrap();
    connection
}
