//! The external ids of items: the table by which an item is found by its own id or its media id.

use admit::snapshot::{media::media_id, schema::ItemType};
use rusqlite::{Connection, params};

use super::DbError;

/// Replaces the external ids of an item.
///
/// # Errors
/// If the database refuses it.
pub fn put(
    connection: &Connection,
    item_id: i64,
    item_type: &str,
    external_asset_id: Option<&str>,
    content: &str,
) -> Result<(), DbError> {
    connection.prepare_cached("DELETE FROM external_ids WHERE item_id = ?1")?.execute([item_id])?;
    let media = media_id(item_type, content);
    let own = external_asset_id.filter(|id| !id.is_empty());
    for id in [own, media.as_deref().filter(|media| own != Some(*media))].into_iter().flatten() {
        let sql = "INSERT INTO external_ids (external_id, item_id) VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute(params![id, item_id])?;
    }
    Ok(())
}

/// The numbers of the active items of this type that have the id. A merchant has few of them; at most a thousand are
/// returned, as a snapshot has.
///
/// # Errors
/// If the database cannot be read.
pub fn items(connection: &Connection, item_type: &str, external_id: &str) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT items.id FROM external_ids JOIN items ON items.id = item_id
               WHERE external_id = ?1 AND is_active AND json_extract(item_type_json, '$.name') = ?2 LIMIT 1000";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([external_id, item_type], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Fills the table with the ids of all items: a part of the migration that makes it.
///
/// # Errors
/// If the database cannot be read or refuses it.
pub fn fill(connection: &Connection) -> Result<(), DbError> {
    let mut statement =
        connection.prepare("SELECT id, item_type_json, external_asset_id, content FROM items")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let item_type: ItemType = super::records::json_at(row, 1)?;
        let (own, content): (Option<String>, String) = (row.get(2)?, row.get(3)?);
        put(connection, row.get(0)?, &item_type.name, own.as_deref(), &content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::MIGRATIONS, *};

    /// Items of earlier versions are found as well, and an id of several items names all of them.
    #[test]
    fn items_of_earlier_versions_are_found() {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut connection, 8).unwrap();
        let insert = |id: i64, is_active: bool, own: &str, content: &str| {
            let sql = r#"INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
                item_type_json, metadata_json, content, plan_switch_enabled, external_asset_id, created_at, updated_at)
                VALUES (?1, 1, 't', ?2, 0, '{}',
                '{"id":1,"name":"jw_asset","content_type":"","host":"","description":""}', '[]', ?4, 0, ?3, 0, 0)"#;
            connection.execute(sql, params![id, is_active, own, content]).unwrap();
        };
        connection.execute("INSERT INTO merchants VALUES (1, 'u', 'm')", []).unwrap();
        insert(1, true, "film-1", r#"{"media_id":"abc"}"#);
        insert(2, true, "", r#"{"media_id":"abc"}"#);
        insert(3, false, "", r#"{"media_id":"abc"}"#);
        insert(4, true, "", "<p>soon</p>");
        MIGRATIONS.to_latest(&mut connection).unwrap();
        assert_eq!(items(&connection, "jw_asset", "abc").unwrap(), [1, 2]);
        assert_eq!(items(&connection, "jw_asset", "film-1").unwrap(), [1]);
        assert!(items(&connection, "kaltura_asset", "abc").unwrap().is_empty());
        put(&connection, 1, "jw_asset", None, "{}").unwrap();
        assert_eq!(items(&connection, "jw_asset", "abc").unwrap(), [2]);
    }
}
