//! Renders the catalogue: the directory, and a record of each item.

use std::collections::BTreeMap;

use super::BuildError;
use crate::snapshot::{
    directory::{AppEntry, Directory, LicenseEntry},
    item::{FeeRecord, NewItem},
    render,
    schema::Item,
    source::{Catalogue, Located},
    time::UnixSecs,
};

/// The catalogue's times are resolved, so that rendering depends on no moment.
const NO_MOMENT: UnixSecs = 0;

/// A catalogue as edges read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The directory object.
    pub directory: Vec<u8>,
    /// The items' records, by the items' numbers: where they lie depends on the salt of the snapshot.
    pub items: BTreeMap<i64, Vec<u8>>,
}

impl Rendered {
    /// Renders a catalogue that has been checked.
    ///
    /// # Errors
    /// When it cannot be expressed in the format.
    pub fn of(catalogue: &Catalogue) -> Result<Self, BuildError> {
        let links = Links::of(catalogue);
        let record = |item: &Located<Item>| Ok((item.value.id, encode_item(item, catalogue, &links)?));
        Ok(Self {
            directory: build_directory(catalogue)?.encode(),
            items: catalogue.items.values().map(record).collect::<Result<_, BuildError>>()?,
        })
    }
}

/// What points at an item: the packages that hold it and the licences that unlock it.
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
            let access_type = catalogue.access_types.get(&fee.access_type_id);
            let access_type = access_type.ok_or(BuildError::Unresolved("access type"))?;
            Ok((fee.id, render::fee_details(fee, item, &access_type.value, NO_MOMENT)?))
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
