//! An item and its external ids, as text and JSON show them.

use admit_publish::published::Published;
use admit_snapshot::{details::title, item::ItemRecord, media::Media};
use anyhow::{Result, bail};
use serde::Serialize;

/// An external id, as the command line names it: the type of the item, and the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalName {
    /// The name of the item's type, such as `jw_asset`.
    pub item_type: String,
    /// The id.
    pub id: String,
}

impl ExternalName {
    /// Parses `TYPE/ID`. The id may contain slashes.
    ///
    /// # Errors
    /// Type or id is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((item_type, id)) if !item_type.is_empty() && !id.is_empty() => {
                Ok(Self { item_type: item_type.to_owned(), id: id.to_owned() })
            }
            _ => Err("expected TYPE/ID, such as jw_asset/5tb8rxr7".to_owned()),
        }
    }
}

/// An external id that was asked for.
#[derive(Debug, Serialize)]
pub struct ExternalReport {
    /// The type of the items.
    pub item_type: String,
    /// The id.
    pub id: String,
    /// The items that it names, by merchant, the preferred item of each first.
    pub items: Vec<ItemReport>,
}

/// An item.
#[derive(Debug, Serialize)]
pub struct ItemReport {
    /// Its id.
    pub id: i64,
    /// `delta` or `shard`; `None` if it is not in the snapshot.
    pub found_in: Option<&'static str>,
    /// Its title, if it is published.
    pub title: Option<String>,
    /// Its merchant.
    pub merchant_id: Option<i64>,
    /// The name of its type.
    pub item_type: Option<String>,
    /// Whether it is sold and shown.
    pub is_active: bool,
    /// Whether it needs no grant.
    pub is_free: bool,
    /// Whether it is a package.
    pub is_package: bool,
    /// The packages that open it.
    pub packages: Vec<i64>,
    /// Its external ids.
    pub external_ids: Vec<ExternalIdReport>,
}

/// An external id of an item.
#[derive(Debug, Serialize)]
pub struct ExternalIdReport {
    /// The id.
    pub id: String,
    /// Where the item has it: `external_asset_id` or `content`.
    pub from: &'static str,
    /// The item of the same merchant that is found by the id: this one, another one with the same id, or none.
    pub names: Option<i64>,
}

/// Describes the items that an external id names.
///
/// # Errors
/// The version has format 1 or 2, which have no external ids, or an object cannot be read.
pub fn describe_external(snapshot: &mut Published, name: &ExternalName) -> Result<ExternalReport> {
    let ExternalName { item_type, id } = name;
    let Some(named) = snapshot.external(item_type, id)? else {
        bail!(
            "the published version has no external ids: its index has format 1 or 2; the next full publish has them"
        )
    };
    let items = named.into_iter().map(|(_, item_id)| describe(snapshot, item_id)).collect::<Result<_>>()?;
    Ok(ExternalReport { item_type: item_type.clone(), id: id.clone(), items })
}

/// Describes an item.
///
/// # Errors
/// An object cannot be read.
pub fn describe(snapshot: &mut Published, id: i64) -> Result<ItemReport> {
    let mut report = ItemReport {
        id,
        found_in: None,
        title: None,
        merchant_id: None,
        item_type: None,
        is_active: false,
        is_free: false,
        is_package: false,
        packages: Vec::new(),
        external_ids: Vec::new(),
    };
    let Some(found) = snapshot.item(id)? else { return Ok(report) };
    let item = ItemRecord::new(found.record.bytes())?;
    (report.found_in, report.title, report.merchant_id) =
        (Some(found.found_in.name()), title(&item), Some(item.merchant_id));
    (report.is_active, report.is_free, report.is_package) = (item.is_active, item.is_free, item.is_package);
    report.packages = item.packages.iter().collect();
    let Some(media) = Media::of(&item) else { return Ok(report) };
    let declared = media.external_asset_id.map(|id| (id, "external_asset_id"));
    let in_content = media.id.map(|id| (id, "content"));
    for (id, from) in declared.into_iter().chain(in_content) {
        let named = snapshot.external(&media.item_type, &id)?.unwrap_or_default();
        let names = named.iter().find(|(merchant, _)| *merchant == item.merchant_id);
        let names = names.map(|(_, item_id)| *item_id);
        report.external_ids.push(ExternalIdReport { id, from, names });
    }
    report.item_type = Some(media.item_type);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids_are_named_with_their_type() {
        let name = ExternalName::parse("jw_asset/a/b").unwrap();
        assert_eq!((name.item_type.as_str(), name.id.as_str()), ("jw_asset", "a/b"));
        for wrong in ["", "/", "jw_asset", "jw_asset/", "/x"] {
            assert!(ExternalName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
