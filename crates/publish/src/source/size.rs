//! Checks how much of an object a record takes. A record that takes too much is set aside; otherwise it would
//! take along everything else in its shard or in the directory.
//!
//! A record is measured where it is read: access types, apps and licences when they are added to the
//! catalogue, customers when they are encoded. Items repeat their access types, and the directory holds many
//! records, so both are measured again after they are rendered.

use std::collections::{BTreeMap, BTreeSet};

use admit_snapshot::{
    limits::{ACCESS_TYPE_MAX_BYTES, OBJECT_MAX_BYTES, RECORD_MAX_BYTES},
    schema::{AccessType, App, Item, License, Line},
};
use uuid::Uuid;

use super::{
    budget::{self, Earlier},
    catalogue::Catalogue,
    check::Finding,
    problems::{Located, Location, Problem, Problems},
    set_aside::{About, RecordKey},
};
use crate::{build::Rendered, render};

/// Largest length of the numbers of a directory entry, in bytes.
const NUMBERS_MAX_BYTES: usize = 40;

/// Length of a merchant's id and UUID in bytes.
const MERCHANT_BYTES: usize = 20;

/// Checks the size of a single record.
///
/// # Errors
/// The record is too large.
pub(super) fn check(line: &Line) -> Result<(), Problem> {
    match line {
        Line::App(app) => within(of_app(app), RECORD_MAX_BYTES),
        Line::License(license) => within(of_license(license), RECORD_MAX_BYTES),
        Line::AccessType(access_type) => within(of_access_type(access_type), ACCESS_TYPE_MAX_BYTES),
        // No text of a merchant is published. Items are measured after rendering, customers after encoding.
        Line::Snapshot(_) | Line::Merchant(_) | Line::Item(_) | Line::Customer(_) => Ok(()),
    }
}

/// Checks a size against a limit, in bytes.
///
/// # Errors
/// The size exceeds `limit`.
pub(super) fn within(bytes: usize, limit: usize) -> Result<(), Problem> {
    if bytes <= limit { Ok(()) } else { Err(too_large(bytes, limit)) }
}

fn too_large(bytes: usize, limit: usize) -> Problem {
    Problem::new("", format!("expected at most {limit} bytes in all, found {bytes}"))
}

fn of_app(app: &App) -> usize {
    let clients = app.clients.iter().map(|client| client.client_id.len() + NUMBERS_MAX_BYTES);
    app.id.len() + app.plan_id.len() + NUMBERS_MAX_BYTES + clients.sum::<usize>()
}

fn of_license(license: &License) -> usize {
    let json = render::license_object(license, Uuid::nil()).map_or(0, |json| json.len());
    license.name.len() + json + NUMBERS_MAX_BYTES
}

fn of_access_type(access_type: &AccessType) -> usize {
    serde_json::to_string(access_type).map_or(0, |json| json.len())
}

impl Catalogue {
    /// Whether a rendered record, a shard or the directory is too large.
    pub(crate) fn is_too_large(&self, rendered: &Rendered) -> bool {
        rendered.directory.len() > OBJECT_MAX_BYTES
            || self.large_items(rendered).next().is_some()
            || !self.over_budget(rendered, Earlier::NONE).is_empty()
            || self.is_crowded(rendered)
    }

    /// Reports records that are too large, and records for which their shards have no room.
    pub(crate) fn check_sizes(&self, rendered: &Rendered, problems: &mut Problems) {
        if !self.large_items(rendered).any(|large| large.is_of_record) {
            self.check_crowded(rendered, problems);
        }
        for LargeItem { item: Located { value: item, at }, problem, .. } in self.large_items(rendered) {
            problems.error(at, About::key(RecordKey::Item(item.id)), problem);
        }
        for Finding { key, at, problem, .. } in self.over_budget(rendered, Earlier::NONE) {
            problems.error(&at, About::key(key), problem);
        }
    }

    /// The records that must be replaced, each once: items that are too large, or the access types that made
    /// them so; records over another budget; items for which their shards have no room; and the growth that
    /// made the directory too large, in as few records as possible.
    pub(super) fn too_large(&self, rendered: &Rendered, earlier: Earlier<'_>) -> Vec<Finding> {
        let Earlier { before, fallen, .. } = earlier;
        let mut findings = BTreeMap::new();
        for LargeItem { item, problem, is_of_record } in self.large_items(rendered) {
            let key = RecordKey::Item(item.value.id);
            let was =
                |before: &Self| before.items.get(&item.value.id).is_some_and(|was| was.value == item.value);
            let is_as_it_was = fallen.contains(&key) || before.is_some_and(was);
            // An unchanged item that has become too large is blamed on the access types that have grown.
            let mut causes = self.grown_access_types(&item.value, before, fallen).peekable();
            if !is_as_it_was || causes.peek().is_none() {
                if is_of_record || !earlier.lets_off(&key, was) {
                    findings.insert(key.clone(), finding(key, &item.at, problem));
                }
                continue;
            }
            for (key, at) in causes {
                let Problem { field, message } = &problem;
                let separator = if field.is_empty() { "" } else { ", " };
                let message = format!("with it, item {}{separator}{field}: {message}", item.value.id);
                findings.entry(key.clone()).or_insert_with(|| finding(key, at, Problem::new("", message)));
            }
        }
        for found in self.over_budget(rendered, earlier) {
            findings.entry(found.key.clone()).or_insert(found);
        }
        if findings.is_empty() {
            // Shards and directory are checked once every single record is small enough.
            let crowded = self.crowded(rendered);
            if !crowded.is_empty() {
                return crowded;
            }
            return self.large_in_directory(rendered.directory.len(), before, fallen);
        }
        findings.into_values().collect()
    }

    /// Items whose records exceed the limit of a record, or cost their readers too much.
    fn large_items<'a>(&'a self, rendered: &'a Rendered) -> impl Iterator<Item = LargeItem<'a>> {
        self.items.values().filter_map(move |item| {
            let record = self.record(rendered, item.value.id)?;
            let is_of_record = record.len() > RECORD_MAX_BYTES;
            let checked = within(record.len(), RECORD_MAX_BYTES);
            let problem = checked.and_then(|()| budget::check_item(&item.value, record)).err()?;
            Some(LargeItem { item, problem, is_of_record })
        })
    }

    /// The rendered record of an item.
    pub(super) fn record<'a>(&self, rendered: &'a Rendered, id: i64) -> Option<&'a [u8]> {
        rendered.items.get(&id).map(Vec::as_slice)
    }

    /// The access types of an item's fees that have grown since `before`.
    fn grown_access_types<'a>(
        &'a self,
        item: &'a Item,
        before: Option<&'a Self>,
        fallen: &'a BTreeSet<RecordKey>,
    ) -> impl Iterator<Item = (RecordKey, &'a Location)> {
        let ids: BTreeSet<i64> = item.fees.iter().map(|fee| fee.access_type_id).collect();
        ids.into_iter().filter_map(move |id| {
            let (key, now) = (RecordKey::AccessType(id), self.access_types.get(&id)?);
            let was = before.and_then(|before| before.access_types.get(&id));
            let was_bytes = was.map_or(0, |was| of_access_type(&was.value));
            (!fallen.contains(&key) && of_access_type(&now.value) > was_bytes).then_some((key, &now.at))
        })
    }

    /// The records that have grown in a directory of `bytes`, largest growth first, until the rest fits. With
    /// all of them at their previous size the directory would be no larger than the published one.
    fn large_in_directory(
        &self,
        bytes: usize,
        before: Option<&Self>,
        fallen: &BTreeSet<RecordKey>,
    ) -> Vec<Finding> {
        let mut excess = bytes.saturating_sub(OBJECT_MAX_BYTES);
        if excess == 0 {
            return Vec::new();
        }
        let mut grown = Vec::new();
        let mut add = |key: RecordKey, at, now: usize, was: Option<usize>| {
            let growth = now.saturating_sub(was.unwrap_or(0));
            if growth > 0 && !fallen.contains(&key) {
                grown.push((growth, key, at));
            }
        };
        for (id, merchant) in &self.merchants {
            let was = before.and_then(|before| before.merchants.get(id));
            add(RecordKey::Merchant(*id), &merchant.at, MERCHANT_BYTES, was.map(|_| MERCHANT_BYTES));
        }
        for (id, app) in &self.apps {
            let was = before.and_then(|before| before.apps.get(id)).map(|was| of_app(&was.value));
            add(RecordKey::App(id.clone()), &app.at, of_app(&app.value), was);
        }
        for (id, license) in &self.licenses {
            let was = before.and_then(|before| before.licenses.get(id)).map(|was| of_license(&was.value));
            add(RecordKey::License(*id), &license.at, of_license(&license.value), was);
        }
        grown.sort_by(|left, right| right.cmp(left));
        // Take the largest growths until their sum covers the excess.
        let needed = grown.into_iter().take_while(|(growth, ..)| {
            let is_needed = excess > 0;
            excess = excess.saturating_sub(*growth);
            is_needed
        });
        let of_growth = |(growth, key, at): (usize, RecordKey, &Location)| {
            let message = format!(
                "expected at most {OBJECT_MAX_BYTES} bytes of all merchants, apps and licences, found {bytes}, of \
                 which {growth} are new here"
            );
            finding(key, at, Problem::new("", message))
        };
        needed.map(of_growth).collect()
    }
}

pub(super) fn finding(key: RecordKey, at: &Location, problem: Problem) -> Finding {
    Finding { key, at: at.clone(), problem, missing: None }
}

/// An item that is too large.
struct LargeItem<'a> {
    item: &'a Located<Item>,
    problem: Problem,
    /// Whether the record itself is too large for a shard, not only the answers made from it.
    is_of_record: bool,
}
