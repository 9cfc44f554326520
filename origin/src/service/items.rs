//! Writes of items and packages, and of the members of packages.

use admit::{
    api::error::ApiError,
    limits::PACKAGES_MAX,
    snapshot::{
        limits::EXTERNAL_ID_MAX_BYTES,
        schema::{Item, ItemType, MetadataEntry},
        time::Timestamp,
    },
};
use rusqlite::{OptionalExtension as _, params};

use super::{
    budget::Changed,
    job::{Job, Success},
    kinds::{ITEM_TYPES, PAID, access_control_type, item_type},
};
use crate::{
    db::{DbError, numbers::RecordKind, records::Ref, store},
    limits::{CONTENT_MAX_BYTES, MEMBERS_MAX, TEXT_MAX_BYTES},
    wire::{Fields, OriginError, Refused},
};

/// The fields of an item in a body; a field that was not sent is `None`.
struct ItemFields {
    item_type: Option<ItemType>,
    title: Option<String>,
    content: Option<String>,
    access_control_type: Option<admit::snapshot::schema::AccessControlType>,
    metadata: Option<Vec<(String, String)>>,
    external_asset_id: Option<Option<String>>,
}

/// Whether the body must have every required field, or only those that change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
}

fn read(job: &Job<'_>, extent: Extent) -> Result<ItemFields, Refused> {
    let fields = Fields::new(job.fields);
    let types: Vec<_> = ITEM_TYPES.iter().map(|kind| (kind.0, kind)).collect();
    let is_whole = extent == Extent::Whole;
    // An empty title counts as missing; a change then keeps the stored title.
    let title =
        if is_whole || fields.has("title") { fields.required_text("title", TEXT_MAX_BYTES) } else { None };
    if (is_whole || fields.has("item_type")) && fields.text("item_type", TEXT_MAX_BYTES).is_none() {
        fields.wrong("item_type", "is required");
    }
    let access_control_type = fields.integer("access_control_type_id").and_then(|id| {
        access_control_type(id).or_else(|| {
            fields.wrong("access_control_type_id", &format!("must be 1 (Free) or 4 (Paid), not {id}"));
            None
        })
    });
    let said = ItemFields {
        item_type: fields.word("item_type", &types).map(item_type),
        title,
        content: fields.has("content").then(|| fields.text("content", CONTENT_MAX_BYTES).unwrap_or_default()),
        access_control_type,
        metadata: fields.texts("metadata", CONTENT_MAX_BYTES),
        external_asset_id: fields
            .has("external_asset_id")
            .then(|| fields.text("external_asset_id", EXTERNAL_ID_MAX_BYTES)),
    };
    fields.finish()?;
    Ok(said)
}

/// `POST /v2/items`: creates an item or a package.
///
/// # Errors
/// 422.
pub fn create(job: &mut Job<'_>) -> Result<Success, Refused> {
    let said = read(job, Extent::Whole)?;
    let now = Timestamp::At(job.now);
    let (Some(title), Some(item_type), Some(paid)) =
        (said.title.clone(), said.item_type.clone(), access_control_type(PAID))
    else {
        return Err(Refused::field("title", "The title is required"));
    };
    let item = Item {
        id: job.number(RecordKind::Item)?,
        merchant_id: job.caller.merchant_id,
        title,
        is_active: true,
        access_control_type: paid,
        item_type,
        age_restriction: None,
        metadata: Vec::new(),
        content: String::new(),
        external_asset_id: None,
        plan_switch_enabled: false,
        item_ids: Vec::new(),
        fees: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    save(job, item, said)
}

/// `PUT /v2/items/{id}`: replaces every field that a body can have. Fees and members remain.
///
/// # Errors
/// 404, 422.
pub fn replace(job: &mut Job<'_>, id: i64) -> Result<Success, Refused> {
    let mut said = read(job, Extent::Whole)?;
    let item = job.item(id)?;
    said.content.get_or_insert_default();
    said.metadata.get_or_insert_default();
    said.external_asset_id.get_or_insert_default();
    said.access_control_type = said.access_control_type.or_else(|| access_control_type(PAID));
    save(job, item, said)
}

/// `PATCH /v2/items/{id}`: changes the fields in the body. Metadata is replaced as a whole.
///
/// # Errors
/// 404, 422.
pub fn change(job: &mut Job<'_>, id: i64) -> Result<Success, Refused> {
    let said = read(job, Extent::Part)?;
    let item = job.item(id)?;
    save(job, item, said)
}

fn save(job: &mut Job<'_>, mut item: Item, said: ItemFields) -> Result<Success, Refused> {
    if let Some(item_type) = said.item_type {
        if item.is_package() != (item_type.name == "package") {
            let problem = "The item_type cannot make a package of an item, or an item of a package";
            return Err(Refused::field("item_type", problem));
        }
        item.item_type = item_type;
    }
    if let Some(title) = said.title {
        item.title = title;
    }
    if let Some(content) = said.content {
        item.content = content;
    }
    if let Some(access_control_type) = said.access_control_type {
        item.access_control_type = access_control_type;
    }
    if let Some(metadata) = said.metadata {
        item.metadata = numbered(job, &item.metadata, metadata)?;
    }
    if let Some(external_asset_id) = said.external_asset_id {
        item.external_asset_id = external_asset_id;
    }
    if let Some(other) = same_external_id(job, &item)? {
        let problem = format!("The external_asset_id is that of item {other}, which has the same item_type");
        return Err(Refused::field("external_asset_id", &problem));
    }
    item.updated_at = Timestamp::At(job.now);
    job.put_item(&item, Changed::Item)?;
    Ok(Success::Created(job.item_json(&item)?))
}

/// Another active item of the merchant that has the same type and external id. A publisher would set one of them aside.
fn same_external_id(job: &Job<'_>, item: &Item) -> Result<Option<i64>, DbError> {
    let Some(external_asset_id) = item.external_asset_id.as_deref().filter(|_| item.is_active) else {
        return Ok(None);
    };
    let sql =
        "SELECT items.id FROM external_ids JOIN items ON items.id = item_id
               WHERE external_id = ?2 AND merchant_id = ?1 AND external_asset_id = ?2 AND is_active AND items.id != ?3
               AND json_extract(item_type_json, '$.name') = ?4";
    let found = params![item.merchant_id, external_asset_id, item.id, item.item_type.name];
    Ok(job.db.prepare_cached(sql)?.query_row(found, |row| row.get(0)).optional()?)
}

/// Numbers the entries of metadata. An entry with a known name keeps its number.
fn numbered(
    job: &Job<'_>,
    before: &[MetadataEntry],
    metadata: Vec<(String, String)>,
) -> Result<Vec<MetadataEntry>, Refused> {
    metadata
        .into_iter()
        .map(|(name, value)| {
            let id = match before.iter().find(|entry| entry.name == name) {
                Some(entry) => entry.id,
                None => job.number(RecordKind::Metadata)?,
            };
            Ok(MetadataEntry { id, name, value })
        })
        .collect()
}

/// `DELETE /v2/items/{id}`: deactivates the item. Records that refer to it remain.
///
/// # Errors
/// 400 if the merchant has no such item.
pub fn delete(job: &mut Job<'_>, id: i64) -> Result<Success, Refused> {
    let mut item = match job.item(id) {
        Err(Refused::Api(ApiError::ItemNotFound)) => return Err(OriginError::NoItemToDelete.into()),
        item => item?,
    };
    item.is_active = false;
    item.updated_at = Timestamp::At(job.now);
    job.put_smaller_item(&item)?;
    job.db.prepare_cached("UPDATE items SET deleted_at = ?2 WHERE id = ?1")?.execute([id, job.now])?;
    Ok(Success::Created(job.item_json(&item)?))
}

/// `PATCH /v2/items/packages/{id}/bulk`: adds and removes members. Adding a present member and removing an
/// absent one change nothing.
///
/// # Errors
/// 404, 422.
pub fn change_members(job: &mut Job<'_>, id: i64) -> Result<Success, Refused> {
    let fields = Fields::new(job.fields);
    let added = fields.integers("add_asset_ids").unwrap_or_default();
    let removed = fields.integers("remove_asset_ids").unwrap_or_default();
    if added.is_empty() && removed.is_empty() {
        fields.wrong("add_asset_ids", "or remove_asset_ids is required");
    }
    fields.finish()?;
    let package = job.item(id)?;
    if !package.is_package() {
        return Err(ApiError::ItemNotFound.into());
    }
    for item_id in &added {
        if !may_be_member(job, *item_id)? {
            fields.wrong("add_asset_ids", &format!("must name items of this merchant, not {item_id}"));
        } else if !store::is_member(job.db, id, *item_id)? && packages_of(job, *item_id)? >= PACKAGES_MAX {
            let problem = format!("must name items of less than {PACKAGES_MAX} packages, not {item_id}");
            fields.wrong("add_asset_ids", &problem);
        }
    }
    fields.finish()?;
    store::add_members(job.db, id, &added)?;
    if store::count_members(job.db, id)? > MEMBERS_MAX {
        fields.wrong("add_asset_ids", &format!("must not make a package of more than {MEMBERS_MAX}"));
    }
    fields.finish()?;
    store::remove_members(job.db, id, &removed)?;
    job.change.touch(Ref::Item(id));
    Ok(Success::Created(job.item_json(&package)?))
}

/// Whether the caller's packages may hold the item. The item is not loaded: a request may add a thousand.
fn may_be_member(job: &Job<'_>, id: i64) -> Result<bool, DbError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM items WHERE id = ?1 AND merchant_id = ?2 AND is_active
               AND NOT is_package)";
    Ok(job.db.prepare_cached(sql)?.query_row([id, job.caller.merchant_id], |row| row.get(0))?)
}

/// How many packages hold the item.
fn packages_of(job: &Job<'_>, id: i64) -> Result<usize, DbError> {
    let sql = "SELECT count(*) FROM package_items WHERE item_id = ?1";
    Ok(job.db.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}
