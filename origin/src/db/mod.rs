//! The database: one SQLite file with a write-ahead log, so that readers do not wait for the writer.

pub mod audit;
pub mod changes;
pub mod customers;
pub mod export;
pub mod import;
pub mod numbers;
pub mod records;
pub mod revoked;
pub mod store;
pub mod usage;

use std::{path::Path, sync::LazyLock};

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
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

#[cfg(test)]
mod tests {
    use admit::instant::{EARLIEST, LATEST};

    use super::*;

    /// Earlier versions took milliseconds for seconds. One such row must not stop a customer's other accesses
    /// from being published.
    #[test]
    fn moments_of_earlier_versions_are_brought_within_bounds() {
        const MILLIS: i64 = 1_893_628_800_000;
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut connection, 3).unwrap();
        let license = r#"{"starts_at":-99999999999999,"expires_at":1893628800000,"cancelled_at":null,"x":1}"#;
        let good = r#"{"starts_at":null,"expires_at":1893628800,"x":"y"}"#;
        connection
            .execute_batch(&format!(
                "INSERT INTO merchants VALUES (1, 'u', 'm');
                 INSERT INTO customers VALUES (1, 'n', 's', 1, 'u', 1);
                 INSERT INTO accesses VALUES (1, 1, 1, 9, NULL, NULL, {MILLIS}, -99999999999999),
                                             (2, 1, 2, 9, NULL, 5, NULL, 6);
                 INSERT INTO customer_licenses VALUES (1, 0, '{license}'), (1, 1, '{good}');"
            ))
            .unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let accesses: Vec<(Option<i64>, Option<i64>, i64)> = connection
            .prepare("SELECT starts_at, expires_at, created_at FROM accesses ORDER BY key")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(accesses, [(None, Some(LATEST), EARLIEST), (Some(5), None, 6)]);
        let licenses: Vec<String> = connection
            .prepare("SELECT license_json FROM customer_licenses ORDER BY position")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let clamped =
            format!(r#"{{"starts_at":{EARLIEST},"expires_at":{LATEST},"cancelled_at":null,"x":1}}"#);
        assert_eq!(licenses, [clamped, good.to_owned()]);
    }

    /// The feed served lines of the log as they were stored: none may have a moment that followers cannot
    /// read.
    #[test]
    fn a_history_with_moments_of_earlier_versions_begins_anew() {
        const GOOD: i64 = 1_700_000_000;
        const MILLIS: i64 = GOOD * 1_000;
        let put = |created_at: i64| {
            format!(
                r#"[{{"type":"customer","accesses":[{{"id":1,"created_at":{created_at},"expires_at":null}}]}}]"#
            )
        };
        let access = |created_at: i64| {
            format!(
                "INSERT INTO merchants VALUES (1, 'u', 'm');
                 INSERT INTO customers VALUES (1, 'n', 's', 1, 'u', 1);
                 INSERT INTO accesses VALUES (1, 1, 1, 9, NULL, NULL, NULL, {created_at});"
            )
        };
        for (row, line, is_kept) in
            [(GOOD, GOOD, true), (MILLIS, GOOD, false), (GOOD, MILLIS, false), (GOOD, i64::MIN, false)]
        {
            let mut connection = Connection::open_in_memory().unwrap();
            MIGRATIONS.to_version(&mut connection, 3).unwrap();
            let put = put(line);
            let log = format!(
                "UPDATE state SET seq = 2, history_from = 1; INSERT INTO changes VALUES (2, {GOOD}, '{put}', '[]');"
            );
            connection.execute_batch(&[access(row), log].concat()).unwrap();
            MIGRATIONS.to_version(&mut connection, 4).unwrap();
            let kept: Vec<String> = connection
                .prepare("SELECT put_json FROM changes WHERE seq > (SELECT history_from FROM state)")
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            if is_kept {
                assert_eq!((seq(&connection).unwrap(), kept), (2, vec![put]));
                continue;
            }
            assert_eq!((seq(&connection).unwrap(), kept), (3, Vec::new()), "row {row}, line {line}");
            MIGRATIONS.to_latest(&mut connection).unwrap();
            let after = |seq| changes::after(&connection, seq, 9, 9_999).unwrap();
            assert_eq!([after(1), after(2)], [changes::Feed::Gone, changes::Feed::Gone]);
            assert_eq!(after(3), changes::Feed::Lines(String::new()));
        }
    }

    /// Earlier versions logged whole records, and had neither quotas nor an audit trail.
    #[test]
    fn a_database_of_an_earlier_version_is_counted_for_quotas() {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut connection, 5).unwrap();
        connection
            .execute_batch(
                "INSERT INTO merchants VALUES (1, 'u', 'm'), (2, 'v', 'n');
                 INSERT INTO access_types VALUES (1, 1, 'ppv', 1, 'day', 0, 0);
                 INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
                     item_type_json, metadata_json, content, plan_switch_enabled, created_at, updated_at)
                     VALUES (7, 1, 'title', 1, 0, '{}', '{}', '[]', '0123456789', 0, 0, 0),
                            (8, 1, '', 1, 1, '{}', '{}', '[]', '', 0, 0, 0),
                            (9, 2, '', 1, 0, '{}', '{}', '[]', '', 0, 0, 0);
                 INSERT INTO fees (item_id, id, position, amount, currency, description, access_type_id,
                     plan_switch_enabled, created_at, updated_at) VALUES (7, 1, 0, '1', 'EUR', 'fee', 1, 0, 0, 0);
                 INSERT INTO package_items VALUES (8, 0, 7);
                 INSERT INTO customers VALUES (1, 'n', 's', 1, 'u', 1);
                 INSERT INTO accesses VALUES (1, 1, 1, 7, NULL, NULL, NULL, 0), (2, 1, 2, 7, NULL, NULL, NULL, 0);
                 INSERT INTO idempotency VALUES ('c', 'k', x'00', 201, '{}', 3, 0);
                 UPDATE state SET seq = 3, history_from = 1;
                 INSERT INTO changes VALUES (2, 5, '[{\"type\":\"item\"}]', '[]'), (3, 6, '[]', '[]');",
            )
            .unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        // A follower that has read all changes continues; others read the export.
        let feed = |after| changes::after(&connection, after, 9, 9_999).unwrap();
        assert_eq!([feed(1), feed(2)], [changes::Feed::Gone, changes::Feed::Gone]);
        assert_eq!((feed(3), seq(&connection).unwrap()), (changes::Feed::Lines(String::new()), 3));
        let item_bytes = (200 + 5 + 10 + 2 + 2) + (200 + 2 + 2) + (200 + 1 + 3);
        let usage = usage::Usage { items: 2, item_bytes, members: 1, accesses: 2, answer_bytes: 0 };
        assert_eq!(usage::of(&connection, 1).unwrap(), usage);
        assert_eq!(usage::of(&connection, 2).unwrap().items, 1);
        // Answers of the earlier version are not counted, so their removal changes no count.
        connection.execute("DELETE FROM idempotency", []).unwrap();
        assert_eq!(usage::of(&connection, 1).unwrap(), usage);
        customers::remove(&mut connection, "n", "s", 9).unwrap();
        assert_eq!(usage::of(&connection, 1).unwrap(), usage::Usage { accesses: 0, ..usage });
        let gone =
            r#"{"seq":4,"as_of":9,"put":[],"remove":[{"namespace":"n","subject":"s","type":"customer"}]}"#;
        assert_eq!(
            changes::after(&connection, 3, 9, 9_999).unwrap(),
            changes::Feed::Lines(format!("{gone}\n"))
        );
    }

    /// The migration must not read the items once per merchant.
    #[test]
    fn migrating_to_quotas_takes_steps_in_proportion_to_the_records() {
        let sql = include_str!("../../migrations/08-books.sql");
        let sql = sql
            .split(';')
            .find_map(|sql| sql.find("INSERT INTO usage (merchant_id, items").map(|at| &sql[at..]));
        let steps = |merchants: u32, items: u32| {
            let connection = in_memory();
            let numbers = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <";
            connection
                .execute_batch(&format!(
                    "{numbers} {merchants}) INSERT INTO merchants SELECT n, 'u' || n, 'm' FROM n;
                     {numbers} {items}) INSERT INTO items (id, merchant_id, title, is_active, is_package,
                         access_control_type_json, item_type_json, metadata_json, content, plan_switch_enabled,
                         created_at, updated_at)
                         SELECT n, 1 + n % {merchants}, '', 1, 0, '{{}}', '{{}}', '[]', '', 0, 0, 0 FROM n;
                     DELETE FROM usage;"
                ))
                .unwrap();
            let mut statement = connection.prepare(sql.unwrap()).unwrap();
            assert_eq!(statement.execute([]).unwrap(), usize::try_from(merchants).unwrap());
            statement.get_status(rusqlite::StatementStatus::VmStep)
        };
        let [few, many] = [steps(10, 2_000), steps(100, 2_000)];
        assert!(many < few * 2, "{few} steps for 10 merchants, {many} for 100");
    }

    /// SQLite 3.7.0 to 3.51.2 can corrupt a database with a write-ahead log that several processes use, and
    /// the sub-commands run beside the server.
    #[test]
    fn sqlite_has_the_fix_of_the_write_ahead_log() {
        assert!(rusqlite::version_number() >= 3_051_003, "SQLite {}", rusqlite::version());
    }

    #[test]
    fn migrations_are_valid_and_run_once() {
        MIGRATIONS.validate().unwrap();
        let dir = std::env::temp_dir().join(format!("origin-db-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("origin.db");
        assert!(connect_to(&path).is_err(), "only open makes the file");
        open(&path).unwrap();
        let connection = open(&path).unwrap();
        assert_eq!(seq(&connection).unwrap(), 0);
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        #[cfg(unix)]
        for name in ["origin.db", "origin.db-wal"] {
            let metadata = std::fs::metadata(dir.join(name)).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
            assert_eq!(mode & 0o077, 0, "{name}: readable by other users");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
