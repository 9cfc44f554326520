//! Turns published records back into a catalogue. Records hold everything that decides about access.

use std::collections::BTreeMap;

use admit_snapshot::{
    directory::{Directory, LicenseEntry},
    instant::{EARLIEST, LATEST},
    item::{FeeRecord, ItemRecord},
    schema::{AccessFee, AccessType, App, Client, Item, License},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Records;
use crate::{
    build::BuildError,
    source::{Catalogue, KnownMerchant, Located, Location},
};

/// The catalogue of a directory and of items' records.
pub(super) fn of(directory: &Directory, items: &Records) -> Result<Catalogue, BuildError> {
    let mut catalogue = Catalogue::default();
    for (id, uuid) in &directory.merchants {
        catalogue.merchants.insert(*id, located(KnownMerchant { uuid: *uuid }));
    }
    for app in &directory.apps {
        let clients = app.clients.iter();
        let clients = clients.map(|(id, mode)| Client { client_id: id.clone(), mode: *mode }).collect();
        let (id, merchant_id, plan_id) = (app.id.clone(), app.merchant_id, app.plan_id.clone());
        let app = App { id: id.clone(), merchant_id, name: String::new(), plan_id, clients };
        catalogue.apps.insert(id, located(app));
    }
    let mut links = Links::default();
    for record in items.values() {
        let record = ItemRecord::new(record)?;
        // Skip items that an older release accepted and this one refuses: they cannot be published again.
        let Ok(item) = item(&record, &mut catalogue.access_types) else { continue };
        links.add(&record);
        catalogue.items.insert(item.id, located(item));
    }
    // A package's record lists its active members only; inactive members name the package in their own records.
    for (package, members) in links.packages {
        if let Some(package) = catalogue.items.get_mut(&package) {
            let listed = &mut package.value.item_ids;
            let more: Vec<_> = members.into_iter().filter(|member| !listed.contains(member)).collect();
            listed.extend(more);
        }
    }
    for (id, entry) in &directory.licenses {
        let item_ids = links.licenses.remove(id).unwrap_or_default();
        let app = directory.apps.get(entry.app).ok_or(BuildError::Unresolved("app"))?;
        let license = license(entry, app.id.clone(), item_ids)?;
        catalogue.licenses.insert(Uuid::from_u128(*id), located(license));
    }
    Ok(catalogue)
}

fn located<T>(value: T) -> Located<T> {
    Located { value, at: Location { file: "published".into(), line: 0 } }
}

/// The members of packages, and the items that licences unlock.
#[derive(Default)]
struct Links {
    packages: BTreeMap<i64, Vec<i64>>,
    licenses: BTreeMap<u128, Vec<i64>>,
}

impl Links {
    fn add(&mut self, item: &ItemRecord<'_>) {
        for package in item.packages.iter() {
            self.packages.entry(package).or_default().push(item.id);
        }
        // A package's members are listed individually, so a licence goes on unlocking all that it unlocked.
        for license in item.licenses {
            self.licenses.entry(u128::from_be_bytes(*license)).or_default().push(item.id);
        }
    }
}

fn item(
    record: &ItemRecord<'_>,
    access_types: &mut BTreeMap<i64, Located<AccessType>>,
) -> Result<Item, BuildError> {
    let mut fields = object(record.details)?;
    // Remove the members that only rendering adds.
    for rendered in ["merchant_uuid", "active", "metahash"] {
        fields.remove(rendered);
    }
    fields.insert("content".to_owned(), serde_json::from_str(record.content)?);
    let mut item: Item = typed(fields)?;
    item.item_ids = record.members()?.iter().collect();
    for fee in record.fees()? {
        let (fee, access_type) = self::fee(fee)?;
        access_types.entry(access_type.id).or_insert_with(|| located(access_type));
        item.fees.push(fee);
    }
    Ok(item)
}

fn fee(record: FeeRecord<'_>) -> Result<(AccessFee, AccessType), BuildError> {
    let mut fields = object(record.details)?;
    fields.remove("merchant_id");
    fields.remove("item_id");
    let Some(Value::Object(mut access_type)) = fields.remove("access_type") else {
        return Err(BuildError::Unresolved("access type"));
    };
    bound_moments(&mut access_type);
    let access_type: AccessType = typed(access_type)?;
    fields.insert("access_type_id".to_owned(), access_type.id.into());
    Ok((typed(fields)?, access_type))
}

fn license(entry: &LicenseEntry, app_id: String, item_ids: Vec<i64>) -> Result<License, BuildError> {
    let mut fields: Map<String, Value> = serde_json::from_str(&entry.json)?;
    fields.insert("app_id".to_owned(), app_id.into());
    fields.insert("status".to_owned(), serde_json::to_value(entry.state)?);
    fields.insert("test_mode".to_owned(), entry.is_test_mode.into());
    fields.insert("item_ids".to_owned(), item_ids.into());
    typed(fields)
}

/// Parses an object that is stored without its opening brace.
fn object(fragment: &str) -> Result<Map<String, Value>, BuildError> {
    let mut fields = serde_json::from_str(&["{", fragment].concat())?;
    bound_moments(&mut fields);
    Ok(fields)
}

/// Clamps moments. Older releases stored milliseconds as seconds; such a moment keeps its meaning of "for
/// ever".
fn bound_moments(fields: &mut Map<String, Value>) {
    for name in ["created_at", "updated_at", "starts_at", "expires_at"] {
        if let Some(moment) = fields.get_mut(name)
            && let Some(secs) = moment.as_i64()
        {
            *moment = secs.clamp(EARLIEST, LATEST).into();
        }
    }
}

fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, BuildError> {
    Ok(serde_json::from_value(Value::Object(fields))?)
}
