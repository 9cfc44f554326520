//! Renders the catalogue: the directory, and one record for each item.

use std::collections::BTreeMap;

use admit_snapshot::{
    directory::{AppEntry, Directory, LicenseEntry},
    item::{FeeRecord, NewItem},
    key::EntryKey,
    schema::{AccessFee, AccessType, Item},
    time::UnixSecs,
};

use super::{BuildError, ExternalIds};
use crate::{
    render,
    source::{Catalogue, Located},
};

/// The catalogue's times are absolute, so rendering needs no moment.
const NO_MOMENT: UnixSecs = 0;

/// A catalogue in the form that edges read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes of the directory object.
    pub directory: Vec<u8>,
    /// Records of the items by number. Their keys depend on the snapshot's salt.
    pub items: BTreeMap<i64, Vec<u8>>,
    /// Records of the external ids, by their keys under the catalogue's salt.
    pub external_ids: BTreeMap<EntryKey, Vec<u8>>,
}

impl Rendered {
    /// Renders a catalogue that has been checked.
    ///
    /// # Errors
    /// The format cannot express the catalogue.
    pub fn of(catalogue: &Catalogue) -> Result<Self, BuildError> {
        Self::counted(catalogue, None).map(|(rendered, _)| rendered)
    }

    /// Renders a catalogue that has been checked, and takes unchanged items from an `earlier` catalogue and
    /// its rendered form: a change of one merchant's item must not cost the rendering of all items.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn after(catalogue: &Catalogue, earlier: (&Catalogue, &Self)) -> Result<Self, BuildError> {
        Self::counted(catalogue, Some(earlier)).map(|(rendered, _)| rendered)
    }

    /// As [`Self::after`], with the number of items that were rendered.
    fn counted(
        catalogue: &Catalogue,
        earlier: Option<(&Catalogue, &Self)>,
    ) -> Result<(Self, usize), BuildError> {
        let links = Links::of(catalogue);
        let earlier =
            earlier.map(|(catalogue, rendered)| Earlier { catalogue, rendered, links: Links::of(catalogue) });
        let (mut items, mut count) = (BTreeMap::new(), 0);
        for (id, item) in &catalogue.items {
            // Reuse the earlier record if nothing that it depends on has changed.
            let known = earlier.as_ref().and_then(|earlier| earlier.record(item, catalogue, &links));
            let record = match known {
                Some(record) => record.clone(),
                None => {
                    count += 1;
                    encode_item(item, catalogue, &links)?
                }
            };
            items.insert(*id, record);
        }
        let directory = build_directory(catalogue)?.encode();
        Ok((Self { directory, items, external_ids: ExternalIds::of(catalogue).encode() }, count))
    }
}

/// An earlier catalogue with its rendered form.
struct Earlier<'a> {
    catalogue: &'a Catalogue,
    rendered: &'a Rendered,
    links: Links,
}

impl Earlier<'_> {
    /// The earlier record of an item, if nothing that [`encode_item`] reads has changed.
    fn record(&self, located: &Located<Item>, now: &Catalogue, links: &Links) -> Option<&Vec<u8>> {
        let (item, before) = (&located.value, self.catalogue);
        let uuid = |catalogue: &Catalogue| catalogue.merchants.get(&item.merchant_id).map(|it| it.value.uuid);
        let is_same = before.items.get(&item.id).is_some_and(|was| was.value == *item)
            && uuid(before) == uuid(now)
            && links.packages.get(&item.id) == self.links.packages.get(&item.id)
            && links.licenses.get(&item.id) == self.links.licenses.get(&item.id)
            && item.fees.iter().all(|fee| access_type(before, fee) == access_type(now, fee))
            && item.item_ids.iter().all(|member| before.is_active(*member) == now.is_active(*member));
        self.rendered.items.get(&item.id).filter(|_| is_same)
    }
}

fn access_type<'a>(catalogue: &'a Catalogue, fee: &AccessFee) -> Option<&'a AccessType> {
    catalogue.access_types.get(&fee.access_type_id).map(|access_type| &access_type.value)
}

/// References to items: the packages that hold an item and the licences that unlock it.
#[derive(Default)]
struct Links {
    packages: BTreeMap<i64, Vec<i64>>,
    licenses: BTreeMap<i64, Vec<u128>>,
}

impl Links {
    fn of(catalogue: &Catalogue) -> Self {
        let mut links = Self::default();
        for package in catalogue.items.values() {
            for member in &package.value.item_ids {
                links.packages.entry(*member).or_default().push(package.value.id);
            }
        }
        for (id, license) in &catalogue.licenses {
            for item_id in &license.value.item_ids {
                let members = catalogue.items.get(item_id).map_or(&[][..], |item| &item.value.item_ids);
                // A licence for a package unlocks the package and each of its members.
                for unlocked in members.iter().chain([item_id]) {
                    links.licenses.entry(*unlocked).or_default().push(id.as_u128());
                }
            }
        }
        for licenses in links.licenses.values_mut() {
            licenses.sort_unstable();
            licenses.dedup();
        }
        links
    }
}

fn build_directory(catalogue: &Catalogue) -> Result<Directory, BuildError> {
    let mut directory = Directory::default();
    directory.merchants.extend(catalogue.merchants.iter().map(|(id, merchant)| (*id, merchant.value.uuid)));
    let apps = catalogue.apps.values().map(|app| AppEntry {
        id: app.value.id.clone(),
        merchant_id: app.value.merchant_id,
        plan_id: app.value.plan_id.clone(),
        clients: app.value.clients.iter().map(|client| (client.client_id.clone(), client.mode)).collect(),
    });
    directory.set_apps(apps.collect()).map_err(|_| BuildError::Unresolved("client"))?;
    for (id, license) in &catalogue.licenses {
        let license = &license.value;
        let app = catalogue.apps.keys().position(|app| *app == license.app_id);
        let entry = LicenseEntry {
            app: app.ok_or(BuildError::Unresolved("app"))?,
            rank: license.rank,
            state: license.status,
            is_test_mode: license.test_mode,
            name: license.name.clone(),
            json: render::license_object(license, *id)?,
        };
        directory.licenses.insert(id.as_u128(), entry);
    }
    Ok(directory)
}

fn encode_item(located: &Located<Item>, catalogue: &Catalogue, links: &Links) -> Result<Vec<u8>, BuildError> {
    let item = &located.value;
    let merchant = catalogue.merchants.get(&item.merchant_id).ok_or(BuildError::Unresolved("merchant"))?;
    let details = render::item_details(item, merchant.value.uuid, NO_MOMENT)?;
    let content = serde_json::to_string(&item.content)?;
    let fees = item
        .fees
        .iter()
        .map(|fee| {
            let access_type = access_type(catalogue, fee).ok_or(BuildError::Unresolved("access type"))?;
            Ok((fee.id, render::fee_details(fee, item, access_type, NO_MOMENT)?))
        })
        .collect::<Result<Vec<_>, BuildError>>()?;
    Ok(NewItem {
        id: item.id,
        merchant_id: item.merchant_id,
        is_active: item.is_active,
        is_free: !item.access_control_type.auth,
        is_package: item.is_package(),
        packages: links.packages.get(&item.id).cloned().unwrap_or_default(),
        licenses: links.licenses.get(&item.id).cloned().unwrap_or_default(),
        content: &content,
        details: &details,
        fees: fees.iter().map(|(id, details)| FeeRecord { id: *id, details }).collect(),
        members: item.item_ids.iter().copied().filter(|member| catalogue.is_active(*member)).collect(),
    }
    .encode())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::source::{Source, SpillPlan, Strictness};

    fn line(kind: &str, id: i64, merchant_id: i64, fields: Value) -> Value {
        let mut line = json!({"type": kind, "id": id, "merchant_id": merchant_id, "title": "t", "is_active": true,
            "access_control_type": {"id": 4, "name": "Paid", "auth": true},
            "item_type": {"id": 44, "name": "jw_asset", "content_type": "ovp", "host": "h", "description": "d"},
            "created_at": 5, "updated_at": 5});
        for (name, value) in fields.as_object().unwrap() {
            line[name] = value.clone();
        }
        line
    }

    fn package(members: &[i64]) -> Value {
        let kind =
            json!({"id": 10, "name": "package", "content_type": "package", "host": "h", "description": "d"});
        line("item", 500, 21, json!({"item_type": kind, "item_ids": members}))
    }

    fn fees(access_type: i64) -> Value {
        json!({"fees": [{"id": 7, "amount": 1, "currency": "EUR", "description": "d", "access_type_id": access_type,
            "created_at": 0, "updated_at": 0}]})
    }

    /// Two merchants with a hundred items each, ten of them with fees; a package of three; a licence.
    fn lines() -> Vec<Value> {
        let mut lines = vec![
            json!({"type": "merchant", "id": 21, "uuid": "11a7ed90-65d3-4ee2-9d91-000000000021"}),
            json!({"type": "merchant", "id": 22, "uuid": "11a7ed90-65d3-4ee2-9d91-000000000022"}),
            json!({"type": "app", "id": "a", "merchant_id": 21, "plan_id": "p"}),
            json!({"type": "access_type", "id": 1, "account_id": 21, "name": "ppv", "quantity": 1, "period": "day",
                "created_at": 0, "updated_at": 0}),
            json!({"type": "license", "id": "b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12", "internal_id": "x", "app_id": "a",
                "name": "n", "status": "live", "item_ids": [1]}),
            package(&[1, 2, 3]),
        ];
        lines.extend((1..=100).map(|id| line("item", id, 21, if id <= 10 { fees(1) } else { json!({}) })));
        lines.extend((101..=200).map(|id| line("item", id, 22, json!({}))));
        lines
    }

    fn catalogue(lines: &[Value]) -> Catalogue {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut source = Source::new(0, Strictness::Refuse, SpillPlan::default());
        source.read("f", text.as_bytes()).unwrap();
        assert!(source.problems.errors.is_empty(), "{:?}", source.problems.errors.kept());
        source.catalogue
    }

    /// A change of one item costs the rendering of that item alone.
    #[test]
    fn only_what_a_change_touches_is_rendered_anew() {
        let before = catalogue(&lines());
        let (rendered, count) = Rendered::counted(&before, None).unwrap();
        assert_eq!((count, rendered.items.len()), (201, 201));
        let with = |id: Value, field: &str, value: Value| {
            let mut lines = lines();
            lines.iter_mut().filter(|line| line["id"] == id).for_each(|line| line[field] = value.clone());
            lines
        };
        let without = |id: i64| lines().into_iter().filter(|line| line["id"] != id).collect::<Vec<_>>();
        let more = |line: Value| [lines(), vec![line]].concat();
        let license = json!("b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12");
        for (what, lines, expected) in [
            ("nothing", lines(), 0),
            ("a title", with(json!(150), "title", json!("other")), 1),
            ("a new item", more(line("item", 300, 22, json!({}))), 1),
            ("an item that is gone", without(150), 0),
            (
                "a member that is no longer active, and its package",
                with(json!(2), "is_active", json!(false)),
                2,
            ),
            ("a new member, and its package", with(json!(500), "item_ids", json!([1, 2, 3, 4])), 2),
            ("a licence for a package, with its members", with(license, "item_ids", json!([1, 500])), 3),
            ("an access type, with ten items", with(json!(1), "name", json!("other")), 10),
            (
                "a merchant's UUID, with all its items",
                with(json!(22), "uuid", json!("11a7ed90-65d3-4ee2-9d91-000000000099")),
                100,
            ),
        ] {
            // Items and access types are numbered independently.
            let lines: Vec<_> = lines
                .into_iter()
                .map(|mut line| {
                    if line["type"] == "item" {
                        line.as_object_mut().unwrap().retain(|name, _| name != "name" && name != "uuid");
                    }
                    line
                })
                .collect();
            let after = catalogue(&lines);
            let (anew, count) = Rendered::counted(&after, Some((&before, &rendered))).unwrap();
            assert_eq!(count, expected, "{what}");
            assert_eq!(anew, Rendered::of(&after).unwrap(), "{what}");
        }
    }
}
