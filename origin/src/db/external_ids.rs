//! The external ids of items: the table by which an item is found by its own id or its media id.

use admit::snapshot::{media::media_id, schema::ItemType};
use rusqlite::{Connection, params};
use uuid::Uuid;

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

/// The active items of this type that an external id names: for each merchant the preferred one, as a snapshot has it. With
/// `merchant`, that merchant's item alone. At most two: an id that items of two merchants have names none of them.
///
/// # Errors
/// If the database cannot be read.
pub fn items(
    connection: &Connection,
    item_type: &str,
    external_id: &str,
    merchant: Option<Uuid>,
) -> Result<Vec<i64>, DbError> {
    // An item's own id comes before a media id (0 sorts before 1), then the lowest number.
    let sql = "SELECT id FROM (
                   SELECT items.id AS id, row_number() OVER (
                       PARTITION BY merchant_id ORDER BY external_asset_id IS NOT ?1, items.id) AS place
                   FROM external_ids JOIN items ON items.id = item_id JOIN merchants ON merchants.id = merchant_id
                   WHERE external_id = ?1 AND is_active AND json_extract(item_type_json, '$.name') = ?2
                   AND (?3 IS NULL OR replace(lower(uuid), '-', '') = ?3))
               WHERE place = 1 ORDER BY id LIMIT 2";
    let mut statement = connection.prepare_cached(sql)?;
    let merchant = merchant.map(|merchant| merchant.simple().to_string());
    let rows = statement.query_map(params![external_id, item_type, merchant], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
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

    fn merchant(connection: &Connection, id: i64) {
        let uuid = Uuid::from_u128(u128::from(id.unsigned_abs())).to_string();
        connection.execute("INSERT INTO merchants VALUES (?1, ?2, 'm')", params![id, uuid]).unwrap();
    }

    fn insert(
        connection: &Connection,
        (id, merchant): (i64, i64),
        is_active: bool,
        own: &str,
        content: &str,
    ) {
        let sql = r#"INSERT INTO items (id, merchant_id, title, is_active, is_package, access_control_type_json,
            item_type_json, metadata_json, content, plan_switch_enabled, external_asset_id, created_at, updated_at)
            VALUES (?1, ?5, 't', ?2, 0, '{}',
            '{"id":1,"name":"jw_asset","content_type":"","host":"","description":""}', '[]', ?4, 0, ?3, 0, 0)"#;
        connection.execute(sql, params![id, is_active, own, content, merchant]).unwrap();
    }

    const FILM: &str = r#"{"media_id":"abc"}"#;

    #[test]
    fn items_of_earlier_versions_are_found() {
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_version(&mut connection, 8).unwrap();
        merchant(&connection, 1);
        insert(&connection, (1, 1), true, "film-1", FILM);
        insert(&connection, (2, 1), true, "", FILM);
        insert(&connection, (3, 1), false, "", FILM);
        insert(&connection, (4, 1), true, "", "<p>soon</p>");
        MIGRATIONS.to_latest(&mut connection).unwrap();
        let items = |item_type, id| items(&connection, item_type, id, None).unwrap();
        assert_eq!(items("jw_asset", "abc"), [1]);
        assert_eq!(items("jw_asset", "film-1"), [1]);
        assert!(items("kaltura_asset", "abc").is_empty());
        put(&connection, 1, "jw_asset", None, "{}").unwrap();
        assert_eq!(items("jw_asset", "abc"), [2]);
    }

    /// A merchant with many items of one media hides neither another merchant's item nor its own preferred one.
    #[test]
    fn each_merchant_has_its_preferred_item() {
        let connection = super::super::in_memory();
        merchant(&connection, 1);
        merchant(&connection, 2);
        for id in 1..=1_200 {
            insert(&connection, (id, 1), true, "", FILM);
        }
        insert(&connection, (1_201, 1), true, "abc", "");
        insert(&connection, (1_202, 2), true, "", FILM);
        insert(&connection, (1_203, 2), true, "", FILM);
        fill(&connection).unwrap();
        let items = |merchant: Option<u128>| {
            items(&connection, "jw_asset", "abc", merchant.map(Uuid::from_u128)).unwrap()
        };
        assert_eq!((items(Some(1)), items(Some(2)), items(Some(3))), (vec![1_201], vec![1_202], vec![]));
        assert_eq!(items(None), [1_201, 1_202]);
    }
}
