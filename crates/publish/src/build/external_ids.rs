//! The external ids of a catalogue: which items each of them names.
//!
//! An item is found by its `external_asset_id`, and by the media id in its content
//! ([`media`](admit_snapshot::media)). Inactive items have none, so an item that was replaced leaves its id to the next.
//!
//! Two items of one merchant and type may use one id. Two equal `external_asset_id` are an error, because the origin
//! says that both are right. Two items may have the same media, such as one film that is sold in two ways, and the id
//! names both: an `external_asset_id` comes before a media id, then the lowest number. The first is found; a media token
//! is signed for the first that the viewer may play. An id names [`EXTERNAL_ID_ITEMS_MAX`] items of a merchant, and a
//! warning tells of each other one.

use std::collections::BTreeMap;

use admit_snapshot::{
    external_id,
    item::ItemRecord,
    key::{EntryKey, ItemSalt},
    limits::{EXTERNAL_ID_ITEMS_MAX, EXTERNAL_ID_MERCHANTS_MAX},
    media::{Media, media_id},
    object::FormatError,
    schema::Item,
};

use crate::source::Catalogue;

/// How an item comes to an external id. The first in order is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// Its `external_asset_id`.
    Declared,
    /// The media id in its content.
    Media,
}

/// One item that uses one external id. In order: all uses of an id, by merchant, the preferred item first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    key: EntryKey,
    merchant_id: i64,
    origin: Origin,
    item_id: i64,
}

impl Use {
    /// The external ids of a published item, by their keys under `salt`: none of an inactive one.
    pub fn of_record(salt: ItemSalt, item: &ItemRecord<'_>) -> Vec<Self> {
        let mut ids = ExternalIds::new(salt);
        if item.is_active
            && let Some(media) = Media::of(item)
        {
            let declared = media.external_asset_id.as_deref();
            ids.add_both((item.merchant_id, item.id), &media.item_type, declared, media.id.as_deref());
        }
        ids.uses
    }

    fn is_of_same_merchant(&self, other: &Self) -> bool {
        (self.key, self.merchant_id) == (other.key, other.merchant_id)
    }
}

/// Two items of one merchant and type that use one external id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The item that is found by the id.
    pub found: i64,
    /// The item that is not.
    pub other: i64,
}

/// Every use of an external id.
#[derive(Debug)]
pub struct ExternalIds {
    salt: ItemSalt,
    uses: Vec<Use>,
}

impl ExternalIds {
    /// No use of any id, by keys under `salt`.
    #[must_use]
    pub const fn new(salt: ItemSalt) -> Self {
        Self { salt, uses: Vec::new() }
    }

    /// The external ids of all active items, by their keys under the catalogue's salt.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Self {
        Self::of_items(catalogue, Self::add_item)
    }

    /// As [`Self::of`], without the media ids. It does not parse the items' content.
    #[must_use]
    pub fn declared(catalogue: &Catalogue) -> Self {
        Self::of_items(catalogue, |ids, item| {
            if let Some(declared) = &item.external_asset_id {
                ids.add((item.merchant_id, item.id), &item.item_type.name, declared, Origin::Declared);
            }
        })
    }

    fn of_items(catalogue: &Catalogue, add: impl Fn(&mut Self, &Item)) -> Self {
        let mut ids = Self::new(catalogue.salt);
        for item in catalogue.items.values().filter(|item| item.value.is_active) {
            add(&mut ids, &item.value);
        }
        ids.uses.sort_unstable();
        ids
    }

    /// The external ids of published items, by their keys under `salt`.
    ///
    /// # Errors
    /// A record is not an item record.
    pub fn of_records<'r>(
        records: impl Iterator<Item = &'r Vec<u8>>,
        salt: ItemSalt,
    ) -> Result<Self, FormatError> {
        let mut ids = Self::new(salt);
        for record in records {
            ids.extend(Use::of_record(salt, &ItemRecord::new(record)?));
        }
        ids.uses.sort_unstable();
        Ok(ids)
    }

    fn add_item(&mut self, item: &Item) {
        let media = media_id(&item.item_type.name, &item.content);
        let declared = item.external_asset_id.as_deref();
        self.add_both((item.merchant_id, item.id), &item.item_type.name, declared, media.as_deref());
    }

    fn add_both(&mut self, item: (i64, i64), item_type: &str, declared: Option<&str>, media: Option<&str>) {
        if let Some(declared) = declared {
            self.add(item, item_type, declared, Origin::Declared);
        }
        if let Some(media) = media.filter(|media| declared != Some(*media)) {
            self.add(item, item_type, media, Origin::Media);
        }
    }

    fn add(&mut self, (merchant_id, item_id): (i64, i64), item_type: &str, id: &str, origin: Origin) {
        let key = EntryKey::external_id(self.salt, item_type, id);
        self.uses.push(Use { key, merchant_id, origin, item_id });
    }

    /// The pairs of items of which only one is found.
    pub fn shared(&self) -> impl Iterator<Item = Shared> + use<'_> {
        self.uses.chunk_by(Use::is_of_same_merchant).flat_map(|uses| {
            // The first is found; all others are not.
            uses.first().into_iter().flat_map(|found| {
                uses.iter().skip(1).map(|other| Shared { found: found.item_id, other: other.item_id })
            })
        })
    }

    /// The items whose media id does not name them, because it names [`EXTERNAL_ID_ITEMS_MAX`] others of their merchant.
    pub fn left_out(&self) -> impl Iterator<Item = i64> + use<'_> {
        let uses = self.uses.chunk_by(Use::is_of_same_merchant);
        let others = uses.flat_map(|uses| uses.iter().skip(EXTERNAL_ID_ITEMS_MAX));
        others.filter(|it| it.origin == Origin::Media).map(|it| it.item_id)
    }

    /// Merchants and items that each id names, in ascending order of merchant, the preferred item of each first. An id
    /// that more than [`EXTERNAL_ID_MERCHANTS_MAX`] merchants use names the items of the first of them.
    #[must_use]
    pub fn named(mut self) -> BTreeMap<EntryKey, Vec<(i64, i64)>> {
        self.uses.sort_unstable();
        self.each_named().collect()
    }

    /// The records by their keys: what [`Self::named`] has.
    #[must_use]
    pub fn encode(&self) -> BTreeMap<EntryKey, Vec<u8>> {
        self.each_named().map(|(key, items)| (key, external_id::encode(&items))).collect()
    }

    fn each_named(&self) -> impl Iterator<Item = (EntryKey, Vec<(i64, i64)>)> {
        let of_id = |uses: &[Use]| {
            let items = uses
                .chunk_by(Use::is_of_same_merchant)
                .take(EXTERNAL_ID_MERCHANTS_MAX)
                .flat_map(|uses| uses.iter().take(EXTERNAL_ID_ITEMS_MAX))
                .map(|it| (it.merchant_id, it.item_id))
                .collect();
            Some((uses.first()?.key, items))
        };
        self.uses.chunk_by(|left, right| left.key == right.key).filter_map(of_id)
    }
}

impl Extend<Use> for ExternalIds {
    fn extend<I: IntoIterator<Item = Use>>(&mut self, uses: I) {
        self.uses.extend(uses);
    }
}

#[cfg(test)]
mod tests {
    use admit_snapshot::external_id::{ExternalRecord, Named};
    use serde_json::{Value, json};

    use super::*;
    use crate::source::{Source, SpillPlan, Strictness};

    fn item(id: i64, merchant_id: i64, fields: Value) -> Value {
        let mut item = json!({"type": "item", "id": id, "merchant_id": merchant_id, "title": "t", "is_active": true,
            "access_control_type": {"id": 4, "name": "Paid", "auth": true},
            "item_type": {"id": 44, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
            "created_at": 5, "updated_at": 5});
        for (name, value) in fields.as_object().unwrap() {
            item[name] = value.clone();
        }
        item
    }

    fn media(id: i64, merchant_id: i64, media_id: &str) -> Value {
        item(id, merchant_id, json!({"content": json!({"media_id": media_id}).to_string()}))
    }

    fn declared(id: i64, merchant_id: i64, external: &str) -> Value {
        item(id, merchant_id, json!({"external_asset_id": external}))
    }

    fn catalogue(items: &[Value]) -> Catalogue {
        let text: String = items.iter().map(|line| format!("{line}\n")).collect();
        let mut source = Source::new(0, Strictness::Refuse, SpillPlan::default());
        source.read("f", text.as_bytes()).unwrap();
        assert!(source.problems.errors.is_empty(), "{:?}", source.problems.errors.kept());
        source.catalogue
    }

    fn named(catalogue: &Catalogue, item_type: &str, id: &str) -> Option<Vec<(i64, i64)>> {
        let records = ExternalIds::of(catalogue).encode();
        let record = records.get(&EntryKey::external_id(catalogue.salt, item_type, id))?;
        Some(ExternalRecord::new(record).unwrap().iter().collect())
    }

    #[test]
    fn an_item_is_found_by_its_own_id_and_by_its_media() {
        let both = json!({"external_asset_id": "film-1", "content": "{\"media_id\":\"abc\"}"});
        let catalogue = catalogue(&[item(1, 21, both), media(2, 22, "abc")]);
        assert_eq!(named(&catalogue, "jw_asset", "film-1"), Some(vec![(21, 1)]));
        assert_eq!(named(&catalogue, "jw_asset", "abc"), Some(vec![(21, 1), (22, 2)]));
        assert_eq!(named(&catalogue, "kaltura_asset", "abc"), None, "the type is part of the name");
        assert_eq!(ExternalIds::of(&catalogue).shared().count(), 0);
    }

    #[test]
    fn an_inactive_item_leaves_its_id_to_the_next() {
        let mut old = declared(1, 21, "a");
        old["is_active"] = json!(false);
        let catalogue = catalogue(&[old, declared(2, 21, "a")]);
        assert_eq!(named(&catalogue, "jw_asset", "a"), Some(vec![(21, 2)]));
        assert_eq!(ExternalIds::declared(&catalogue).shared().count(), 0);
    }

    #[test]
    fn of_two_items_the_preferred_is_first() {
        for (items, found, are_declared) in [
            ([media(2, 21, "a"), media(1, 21, "a")], 1, false),
            ([media(1, 21, "a"), declared(2, 21, "a")], 2, false),
            ([declared(2, 21, "a"), declared(1, 21, "a")], 1, true),
        ] {
            let catalogue = catalogue(&items);
            let other = 3 - found;
            assert_eq!(named(&catalogue, "jw_asset", "a"), Some(vec![(21, found), (21, other)]));
            let shared: Vec<_> = ExternalIds::of(&catalogue).shared().collect();
            assert_eq!(shared, [Shared { found, other }]);
            assert_eq!(ExternalIds::declared(&catalogue).shared().count(), usize::from(are_declared));
            assert_eq!(ExternalIds::of(&catalogue).left_out().count(), 0);
        }
    }

    /// A question for a media token decides about each of them.
    #[test]
    fn an_id_names_eight_items_of_a_merchant() {
        let mut items: Vec<_> = (1..=10).map(|id| media(id, 21, "a")).collect();
        items.extend([declared(11, 21, "a"), media(12, 22, "a")]);
        let catalogue = catalogue(&items);
        let mut expected = vec![(21, 11)];
        expected.extend((1..=7).map(|id| (21, id)));
        expected.push((22, 12));
        assert_eq!(named(&catalogue, "jw_asset", "a"), Some(expected));
        assert_eq!(ExternalIds::of(&catalogue).left_out().collect::<Vec<_>>(), [8, 9, 10]);
    }

    #[test]
    fn the_same_id_twice_in_one_item_is_one_use() {
        let both = json!({"external_asset_id": "abc", "content": "{\"media_id\":\"abc\"}"});
        assert_eq!(ExternalIds::of(&catalogue(&[item(1, 21, both)])).uses.len(), 1);
    }

    /// A record that thousands of merchants share would grow without end.
    #[test]
    fn an_id_names_items_of_a_thousand_merchants() {
        let items: Vec<_> = (1..=1_001).map(|merchant| media(merchant, merchant, "a")).collect();
        let found = named(&catalogue(&items), "jw_asset", "a").unwrap();
        assert_eq!((found.len(), found.last()), (EXTERNAL_ID_MERCHANTS_MAX, Some(&(1_000, 1_000))));
    }

    /// What an index of an earlier format lacks is made from the published records.
    #[test]
    fn records_have_the_same_ids_as_lines() {
        let both = json!({"external_asset_id": "film-1", "content": "{\"media_id\":\"abc\"}"});
        let mut inactive = media(4, 21, "gone");
        inactive["is_active"] = json!(false);
        let merchants = [21, 22].map(|id| {
            json!({"type": "merchant", "id": id, "uuid": format!("11a7ed90-65d3-4ee2-9d91-0000000000{id}")})
        });
        let lines = [item(1, 21, both), media(2, 22, "abc"), declared(3, 21, "x"), inactive];
        let catalogue = catalogue(&[merchants.as_slice(), &lines].concat());
        let items = crate::build::Rendered::of(&catalogue).unwrap().items;
        let of_records = ExternalIds::of_records(items.values(), catalogue.salt).unwrap();
        assert_eq!(of_records.encode(), ExternalIds::of(&catalogue).encode());
        assert_eq!(of_records.uses.len(), 4);
        let only =
            of_records.encode().remove(&EntryKey::external_id(catalogue.salt, "jw_asset", "x")).unwrap();
        assert_eq!(ExternalRecord::new(&only).unwrap().only(), Named::Item(3));
    }
}
