//! Migrations from earlier versions, and the settings of the database.

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
    let clamped = format!(r#"{{"starts_at":{EARLIEST},"expires_at":{LATEST},"cancelled_at":null,"x":1}}"#);
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
        assert_eq!(after(3), changes::Feed::Lines { text: String::new(), seq: 3 });
    }
}

/// Earlier versions logged whole records, and had neither quotas nor an audit trail.
#[test]
fn a_database_of_an_earlier_version_is_counted_for_quotas() {
    let mut connection = Connection::open_in_memory().unwrap();
    MIGRATIONS.to_version(&mut connection, 5).unwrap();
    let kind = r#"{"id":1,"name":"film","content_type":"","host":"","description":""}"#;
    connection
        .execute_batch(&format!(
            "INSERT INTO merchants VALUES (1, 'u', 'm'), (2, 'v', 'n');
             INSERT INTO access_types VALUES (1, 1, 'ppv', 1, 'day', 0, 0);
             INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
                 item_type_json, metadata_json, content, plan_switch_enabled, created_at, updated_at)
                 VALUES (7, 1, 'title', 1, 0, '{{}}', '{kind}', '[]', '0123456789', 0, 0, 0),
                        (8, 1, '', 1, 1, '{{}}', '{kind}', '[]', '', 0, 0, 0),
                        (9, 2, '', 1, 0, '{{}}', '{kind}', '[]', '', 0, 0, 0);
             INSERT INTO fees (item_id, id, position, amount, currency, description, access_type_id,
                 plan_switch_enabled, created_at, updated_at) VALUES (7, 1, 0, '1', 'EUR', 'fee', 1, 0, 0, 0);
             INSERT INTO package_items VALUES (8, 0, 7);
             INSERT INTO customers VALUES (1, 'n', 's', 1, 'u', 1);
             INSERT INTO accesses VALUES (1, 1, 1, 7, NULL, NULL, NULL, 0), (2, 1, 2, 7, NULL, NULL, NULL, 0);
             INSERT INTO idempotency VALUES ('c', 'k', x'00', 201, '{{}}', 3, 0);
             UPDATE state SET seq = 3, history_from = 1;
             INSERT INTO changes VALUES (2, 5, '[{{\"type\":\"item\"}}]', '[]'), (3, 6, '[]', '[]');",
        ))
        .unwrap();
    MIGRATIONS.to_latest(&mut connection).unwrap();
    // A follower that has read all changes continues; others read the export.
    let feed = |after| changes::after(&connection, after, 9, 9_999).unwrap();
    assert_eq!([feed(1), feed(2)], [changes::Feed::Gone, changes::Feed::Gone]);
    assert_eq!(feed(3), changes::Feed::Lines { text: String::new(), seq: 3 });
    assert_eq!(seq(&connection).unwrap(), 3);
    let kind_bytes = u64::try_from(kind.len()).unwrap();
    let item_bytes = (200 + 5 + 10 + 2 + kind_bytes) + (200 + 2 + kind_bytes) + (200 + 1 + 3);
    let usage = usage::Usage { items: 2, item_bytes, members: 1, accesses: 2, answer_bytes: 0 };
    assert_eq!(usage::of(&connection, 1).unwrap(), usage);
    assert_eq!(usage::of(&connection, 2).unwrap().items, 1);
    // Answers of the earlier version are not counted, so their removal changes no count.
    connection.execute("DELETE FROM idempotency", []).unwrap();
    assert_eq!(usage::of(&connection, 1).unwrap(), usage);
    customers::remove(&mut connection, "n", "s", 9).unwrap();
    assert_eq!(usage::of(&connection, 1).unwrap(), usage::Usage { accesses: 0, ..usage });
    let gone = r#"{"seq":4,"as_of":9,"put":[],"remove":[{"namespace":"n","subject":"s","type":"customer"}]}"#;
    assert_eq!(
        changes::after(&connection, 3, 9, 9_999).unwrap(),
        changes::Feed::Lines { text: format!("{gone}\n"), seq: 4 }
    );
}

/// People who are signed in stay signed in, and their accounts keep what they had.
#[test]
fn sessions_of_earlier_versions_go_on() {
    let mut connection = Connection::open_in_memory().unwrap();
    MIGRATIONS.to_version(&mut connection, 7).unwrap();
    connection
        .execute_batch(
            "INSERT INTO merchants VALUES (1, 'u', 'm');
             INSERT INTO customers VALUES (1, 'n', 's', 9, 'u', 1);
             INSERT INTO accounts (id, merchant_id, username, password_hash, role, customer_key, uuid, full_name,
                 created_at) VALUES (4, 1, 'ada@example.com', '', 'consumer', 1, 'a', 'Ada', 50);
             INSERT INTO machines VALUES ('shop', 1, x'00', 0, '', 0);
             INSERT INTO refresh_tokens (hash, family, client_id, account_id, machine, scope, expires_at, used_at,
                 signed_in_at) VALUES (x'01', 'f', 'c', 4, NULL, '', 100, 60, 10),
                 (x'02', 'f', 'c', 4, NULL, '', 200, NULL, 10), (x'03', 'p', 'shop', NULL, 'shop', '', 300, NULL, 20);",
        )
        .unwrap();
    MIGRATIONS.to_latest(&mut connection).unwrap();
    let sql = "SELECT id, account_id, signed_in_at, expires_at FROM sessions";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let sessions: (String, i64, i64, i64) = connection.query_row(sql, [], row).unwrap();
    assert_eq!(sessions, ("f".to_owned(), 4, 10, 200), "one for the account, none for the program");
    let account = accounts::load(&connection, 4).unwrap().unwrap();
    assert_eq!((account.updated_at, account.profile.full_name.as_str(), account.number()), (50, "Ada", 9));
    assert_eq!(account.json()["metadata"], serde_json::json!({}));
}

/// The migration must not read the items once per merchant.
#[test]
fn migrating_to_quotas_takes_steps_in_proportion_to_the_records() {
    let sql = include_str!("../../migrations/08-books.sql");
    let sql =
        sql.split(';').find_map(|sql| sql.find("INSERT INTO usage (merchant_id, items").map(|at| &sql[at..]));
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

/// Purchases of earlier versions had no price of their own.
#[test]
fn what_was_bought_before_gets_the_price_of_its_fee_today() {
    let mut connection = Connection::open_in_memory().unwrap();
    MIGRATIONS.to_version(&mut connection, 11).unwrap();
    connection
        .execute_batch(
            "INSERT INTO merchants VALUES (1, 'u', 'm');
             INSERT INTO access_types VALUES (1, 1, 'ppv', 1, 'day', 0, 0);
             INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
                 item_type_json, metadata_json, content, plan_switch_enabled, created_at, updated_at)
                 VALUES (7, 1, 'title', 1, 0, '{}', '{}', '[]', '', 0, 0, 0);
             INSERT INTO fees (item_id, id, position, amount, currency, description, access_type_id,
                 plan_switch_enabled, created_at, updated_at) VALUES (7, 5, 0, '4.99', 'EUR', 'fee', 1, 0, 0, 0);
             INSERT INTO customers VALUES (1, 'n', 's', 1, 'u', 1);
             INSERT INTO accesses VALUES (1, 1, 11, 7, 5, NULL, NULL, 0), (2, 1, 12, 7, 6, NULL, NULL, 0),
                                         (3, 1, 13, 7, NULL, NULL, NULL, 0);",
        )
        .unwrap();
    MIGRATIONS.to_latest(&mut connection).unwrap();
    let customer = records::customer(&connection, 1).unwrap().unwrap();
    let purchases: Vec<_> = customer.accesses.iter().map(|access| access.purchase.clone()).collect();
    let bought = from_json(r#"{"amount":4.99,"currency":"EUR","access_fee_id":5,"trial":false}"#).unwrap();
    assert_eq!(purchases, [Some(bought), None, None], "a fee that is gone, and a grant without one");
}
