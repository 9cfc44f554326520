//! Builds a snapshot's objects from lines of the publish schema. Native only: the Worker never builds one.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    customer::{self, NewCustomer, Zoned},
    directory::{AppEntry, Directory, LicenseEntry},
    head::Head,
    index::{NewTree, encode_index},
    item::{FeeRecord, NewItem},
    key::EntryKey,
    object::{Digest, FormatError, ObjectKind, ObjectName},
    render,
    schema::{Customer, CustomerLicense, Item},
    source::{Lines, Located},
    table::{ENTRY_LEN, write_table},
    time::{UnixSecs, ZonedTime},
};
use crate::limits::OBJECT_MAX_BYTES;

/// A shard is about this large: small enough to load and hash in a fraction of a millisecond, large enough
/// that hundreds of customers keep it hot.
pub const SHARD_TARGET_BYTES: usize = 64 * 1024;

/// An index of more shards than this has pages of this many digests: 2^15 × 32 bytes is 1 MiB.
pub const PAGE_ABOVE_BITS: u8 = 15;

/// A snapshot, ready to be uploaded and named by a head.
#[derive(Clone, Debug)]
pub struct Built {
    /// Every object, each before those that refer to it.
    pub objects: Vec<(ObjectName, Vec<u8>)>,
    /// The index.
    pub index: Digest,
    /// The directory.
    pub directory: Digest,
    /// Number of customers.
    pub customers: u64,
    /// Number of items.
    pub items: u64,
}

impl Built {
    /// The head that names this snapshot.
    #[must_use]
    pub const fn head(&self, seq: u64, as_of: UnixSecs) -> Head {
        let head = Head::new(seq, as_of, self.index, self.directory);
        Head { customers: self.customers, items: self.items, ..head }
    }
}

/// Builds the snapshot that `lines` describe, published at `now`.
///
/// # Errors
/// When the data cannot be expressed in the format.
pub fn build(lines: &Lines, now: UnixSecs) -> Result<Built, BuildError> {
    let mut objects = Vec::new();
    let directory = build_directory(lines)?.encode();
    let directory_name = ObjectName::of(ObjectKind::Directory, &directory);
    let links = Links::of(lines);
    let items = lines
        .items
        .values()
        .map(|item| Ok((EntryKey::item(item.value.id), encode_item(item, lines, &links, now)?)))
        .collect::<Result<Vec<_>, BuildError>>()?;
    let customers = lines
        .customers
        .values()
        .map(|customer| {
            let Customer { namespace, subject, .. } = &customer.value;
            (EntryKey::customer(namespace, subject), encode_customer(&customer.value, now))
        })
        .collect::<Vec<_>>();
    let (customer_count, item_count) = (customers.len() as u64, items.len() as u64);
    let customer_tree = build_tree(customers, &mut objects)?;
    let item_tree = build_tree(items, &mut objects)?;
    let (index, pages) = encode_index(&customer_tree, &item_tree, PAGE_ABOVE_BITS)?;
    objects.extend(pages.into_iter().map(|page| (ObjectName::of(ObjectKind::Page, &page), page)));
    let index_name = ObjectName::of(ObjectKind::Index, &index);
    objects.push((index_name, index));
    objects.push((directory_name, directory));
    objects.iter().try_for_each(|(name, object)| check_size(*name, object))?;
    Ok(Built {
        objects,
        index: index_name.digest,
        directory: directory_name.digest,
        customers: customer_count,
        items: item_count,
    })
}

/// Data that the format cannot express.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not expressible in the byte format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// Not expressible as JSON.
    #[error("cannot be rendered as JSON: {0}")]
    Render(#[from] serde_json::Error),
    /// A reference that the checks of the lines let through: an error of ours.
    #[error("unresolved {0}")]
    Unresolved(&'static str),
    /// An object that the edge would refuse.
    #[error("a {kind} of {bytes} bytes, and an object has at most {OBJECT_MAX_BYTES}: {hint}")]
    TooLarge {
        /// What kind of object.
        kind: &'static str,
        /// How large it would be.
        bytes: usize,
        /// What makes it so.
        hint: &'static str,
    },
}

fn check_size(name: ObjectName, object: &[u8]) -> Result<(), BuildError> {
    if object.len() <= OBJECT_MAX_BYTES {
        return Ok(());
    }
    let hint = match name.kind {
        ObjectKind::Shard => "a single customer or item is too large",
        ObjectKind::Directory => "too many licences, or too long ones",
        ObjectKind::Index | ObjectKind::Page | ObjectKind::Delta => "too many shards",
    };
    Err(BuildError::TooLarge { kind: name.kind.prefix(), bytes: object.len(), hint })
}

/// What points at an item: the packages that hold it and the licences that unlock it.
#[derive(Default)]
struct Links {
    packages: BTreeMap<i64, Vec<i64>>,
    licenses: BTreeMap<i64, Vec<u128>>,
}

impl Links {
    fn of(lines: &Lines) -> Self {
        let mut links = Self::default();
        for package in lines.items.values() {
            for member in &package.value.item_ids {
                links.packages.entry(*member).or_default().push(package.value.id);
            }
        }
        for (id, license) in &lines.licenses {
            for item_id in &license.value.item_ids {
                let members = lines.items.get(item_id).map_or(&[][..], |item| &item.value.item_ids);
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

fn build_directory(lines: &Lines) -> Result<Directory, BuildError> {
    let mut directory = Directory::default();
    directory.merchants.extend(lines.merchants.iter().map(|(id, merchant)| (*id, merchant.value.uuid)));
    let apps = lines.apps.values().map(|app| AppEntry {
        id: app.value.id.clone(),
        merchant_id: app.value.merchant_id,
        plan_id: app.value.plan_id.clone(),
        clients: app.value.clients.iter().map(|client| (client.client_id.clone(), client.mode)).collect(),
    });
    directory.set_apps(apps.collect()).map_err(|_| BuildError::Unresolved("client"))?;
    for (id, license) in &lines.licenses {
        let license = &license.value;
        let app = lines.apps.keys().position(|app| *app == license.app_id);
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

fn encode_item(
    located: &Located<Item>,
    lines: &Lines,
    links: &Links,
    now: UnixSecs,
) -> Result<Vec<u8>, BuildError> {
    let item = &located.value;
    let merchant = lines.merchants.get(&item.merchant_id).ok_or(BuildError::Unresolved("merchant"))?;
    let details = render::item_details(item, merchant.value.uuid, now)?;
    let content = serde_json::to_string(&item.content)?;
    let fees = item
        .fees
        .iter()
        .map(|fee| {
            let access_type = lines.access_types.get(&fee.access_type_id);
            let access_type = access_type.ok_or(BuildError::Unresolved("access type"))?;
            Ok((fee.id, render::fee_details(fee, item, &access_type.value, now)?))
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
        members: item.item_ids.iter().copied().filter(|member| lines.is_active(*member)).collect(),
    }
    .encode())
}

fn encode_customer(customer: &Customer, now: UnixSecs) -> Vec<u8> {
    NewCustomer {
        id: customer.id,
        // The lines were checked: an unreadable UUID does not get here.
        uuid: Uuid::try_parse(&customer.uuid).unwrap_or_default(),
        merchant_id: customer.merchant_id,
        accesses: customer
            .accesses
            .iter()
            .map(|access| customer::Access {
                id: access.id,
                item_id: access.item_id,
                created_at: access.created_at.resolve(now),
                starts_at: access.starts_at.map(|moment| moment.resolve(now)),
                expires_at: access.expires_at.map(|moment| moment.resolve(now)),
            })
            .collect(),
        licenses: customer.licenses.iter().map(|license| held_license(license, now)).collect(),
    }
    .encode()
}

fn held_license(license: &CustomerLicense, now: UnixSecs) -> customer::HeldLicense<'_> {
    let zoned = |moment: ZonedTime| Zoned { at: moment.at.resolve(now), offset_mins: moment.offset_mins };
    customer::HeldLicense {
        license_id: Uuid::try_parse(&license.license_id).unwrap_or_default().as_u128(),
        license_type: license.license_type,
        status: license.status,
        renew_status: license.renew_status,
        name: &license.name,
        interval_unit: license.interval_unit,
        interval_length: license.interval_length,
        trial: license.trial,
        date_added: zoned(license.date_added),
        renews_on: license.renews_on.map(zoned),
        billing_cycle_anchor: license.billing_cycle_anchor.map(zoned),
        trial_duration: license.trial_duration,
        trial_reset: license.trial_reset,
        cancelled_at: license.cancelled_at.map(|moment| moment.resolve(now)),
        starts_at: license.starts_at.map(|moment| moment.resolve(now)),
        expires_at: license.expires_at.map(|moment| moment.resolve(now)),
    }
}

/// Cuts entries into shards of about [`SHARD_TARGET_BYTES`].
fn build_tree(
    mut entries: Vec<(EntryKey, Vec<u8>)>,
    objects: &mut Vec<(ObjectName, Vec<u8>)>,
) -> Result<NewTree, BuildError> {
    entries.sort_unstable_by_key(|(key, _)| *key);
    let total_bytes: usize = entries.iter().map(|(_, record)| ENTRY_LEN + record.len()).sum();
    let shard_count = total_bytes.div_ceil(SHARD_TARGET_BYTES).next_power_of_two();
    let bits =
        u8::try_from(shard_count.trailing_zeros()).map_err(|_| FormatError::Invalid("number of shards"))?;
    let mut shards = vec![None; shard_count];
    for part in entries.chunk_by(|(left, _), (right, _)| left.shard(bits) == right.shard(bits)) {
        let mut object = ObjectKind::Shard.header().to_vec();
        write_table(&mut object, part)?;
        let name = ObjectName::of(ObjectKind::Shard, &object);
        let shard = part.first().map(|(key, _)| key.shard(bits));
        if let Some(slot) = shard.and_then(|shard| shards.get_mut(shard)) {
            *slot = Some(name.digest);
        }
        objects.push((name, object));
    }
    Ok(NewTree::new(shards)?)
}

#[cfg(test)]
mod tests;
