//! What records of the catalogue cost their readers, and which records must be replaced because they cost too
//! much.
//!
//! Origin and reader use the same budgets ([`cost`]). They are checked on the rendered catalogue. A last good
//! state that exceeds a budget stays: an older release has published it, and where an answer would be too
//! long, the reader answers 503. Removing it would deny viewers what they own.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use admit_snapshot::{
    cost::{self, ItemCost},
    item::ItemRecord,
    limits::{
        ANSWER_MAX_BYTES, CLIENTS_MAX, FEES_MAX, LICENSE_MAX_BYTES, LICENSES_FRAME_BYTES, LICENSES_MAX,
        MEMBERS_MAX, PACKAGES_MAX, PLAN_ID_MAX_BYTES,
    },
    schema::{App, Item, License, LicenseState},
};

use super::{
    catalogue::Catalogue,
    check::Finding,
    problems::{Located, Problem},
    set_aside::RecordKey,
    settle::Input,
    size::finding,
};
use crate::{build::Rendered, render};

/// Checks the budgets of an item by its record.
///
/// # Errors
/// The first budget that is exceeded.
pub(super) fn check_item(item: &Item, record: &[u8]) -> Result<(), Problem> {
    at_most("fees", "fees", item.fees.len(), FEES_MAX)?;
    at_most("item_ids", "members", item.item_ids.len(), MEMBERS_MAX)?;
    // An unreadable record is reported elsewhere.
    let Ok(cost) = ItemRecord::new(record).and_then(|record| ItemCost::of(&record)) else { return Ok(()) };
    match cost.excess() {
        Some(excess) => Err(Problem::new(excess.field(), excess.to_string())),
        None => Ok(()),
    }
}

fn at_most(field: &str, what: &str, found: usize, limit: usize) -> Result<(), Problem> {
    if found <= limit {
        return Ok(());
    }
    Err(Problem::new(field, format!("expected at most {limit} {what}, found {found}")))
}

fn check_app(app: &App) -> Result<(), Problem> {
    at_most("clients", "clients", app.clients.len(), CLIENTS_MAX)?;
    at_most("plan_id", "bytes as JSON", cost::text(&app.plan_id), PLAN_ID_MAX_BYTES)
}

fn check_license(license: &License) -> Result<(), Problem> {
    at_most("", "bytes of the licence as answers show it", shown(license), LICENSE_MAX_BYTES)
}

/// Length of a licence's JSON in an answer.
pub(super) fn shown(license: &License) -> usize {
    render::license_object(license, uuid::Uuid::nil()).map_or(0, |json| json.len())
}

/// Length of the entry in which developers see a test-mode licence.
fn test_entry(license: &License) -> usize {
    cost::held_entry(&license.name, shown(license))
}

/// Exempts states of records that are published already.
#[derive(Clone, Copy)]
pub(super) struct Earlier<'a> {
    /// The published catalogue.
    pub before: Option<&'a Catalogue>,
    /// Records that are in their published state.
    pub fallen: &'a BTreeSet<RecordKey>,
    pub input: Input,
}

impl Earlier<'_> {
    /// Exempts nothing.
    pub const NONE: Self = Earlier { before: None, fallen: &BTreeSet::new(), input: Input::Whole };

    /// Whether a record stays although it exceeds a budget: it is in its last good state, or no change has
    /// touched it.
    pub(super) fn lets_off(self, key: &RecordKey, is_as_it_was: impl FnOnce(&Catalogue) -> bool) -> bool {
        self.fallen.contains(key) || (self.input == Input::Changed && self.before.is_some_and(is_as_it_was))
    }
}

impl Catalogue {
    /// Records other than items that exceed a budget: apps, licences, packages that share an item with too
    /// many others, and test-mode licences of which an app has too many.
    pub(super) fn over_budget(&self, rendered: &Rendered, earlier: Earlier<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (id, Located { value, at }) in &self.apps {
            let key = RecordKey::App(id.clone());
            let as_it_was = |before: &Self| before.apps.get(id).is_some_and(|was| was.value == *value);
            if let Err(problem) = check_app(value)
                && !earlier.lets_off(&key, as_it_was)
            {
                findings.push(finding(key, at, problem));
            }
        }
        for (id, Located { value, at }) in &self.licenses {
            let key = RecordKey::License(*id);
            let as_it_was = |before: &Self| before.licenses.get(id).is_some_and(|was| was.value == *value);
            if let Err(problem) = check_license(value)
                && !earlier.lets_off(&key, as_it_was)
            {
                findings.push(finding(key, at, problem));
            }
        }
        self.test_licenses(earlier, &mut findings);
        self.packages(rendered, earlier, &mut findings);
        findings
    }

    /// Test-mode licences. One answer shows all of an app's to its developers. If they exceed it, those that
    /// have grown most are replaced.
    fn test_licenses(&self, earlier: Earlier<'_>, findings: &mut Vec<Finding>) {
        let mut apps: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (id, license) in &self.licenses {
            if license.value.test_mode && license.value.status == LicenseState::Pending {
                let bytes = test_entry(&license.value);
                apps.entry(&license.value.app_id).or_default().push((id, license, bytes));
            }
        }
        for (app, licenses) in apps {
            let bytes: usize = licenses.iter().map(|(.., bytes)| bytes).sum();
            let (mut bytes_over, mut count_over) = (
                (bytes + LICENSES_FRAME_BYTES).saturating_sub(ANSWER_MAX_BYTES),
                licenses.len().saturating_sub(LICENSES_MAX),
            );
            let mut grown = Vec::new();
            // Only licences that have grown since the published state may be blamed.
            for (id, license, bytes) in licenses.into_iter().filter(|_| bytes_over > 0 || count_over > 0) {
                let was = earlier
                    .before
                    .and_then(|before| before.licenses.get(id))
                    .map_or(0, |was| if was.value.test_mode { test_entry(&was.value) } else { 0 });
                if !earlier.fallen.contains(&RecordKey::License(*id)) && bytes > was {
                    grown.push((Reverse(bytes - was), id, license, was == 0));
                }
            }
            grown.sort_by_key(|(growth, id, ..)| (*growth, **id));
            for (Reverse(growth), id, license, is_new) in grown {
                if bytes_over == 0 && count_over == 0 {
                    break;
                }
                bytes_over = bytes_over.saturating_sub(growth);
                count_over = count_over.saturating_sub(usize::from(is_new));
                let message = format!(
                    "expected at most {LICENSES_MAX} pending test_mode licences of app {app:?}, of {ANSWER_MAX_BYTES} \
                     bytes as one answer shows them, found {bytes} bytes"
                );
                findings.push(finding(
                    RecordKey::License(*id),
                    &license.at,
                    Problem::new("test_mode", message),
                ));
            }
        }
    }

    /// Packages of an item that is in too many of them. Those that have not held it before are replaced.
    fn packages(&self, rendered: &Rendered, earlier: Earlier<'_>, findings: &mut Vec<Finding>) {
        let mut over = BTreeSet::new();
        for id in self.items.keys() {
            let Some(Ok(record)) = self.record(rendered, *id).map(ItemRecord::new) else { continue };
            // Number of packages to be blamed: those that did not hold the item before.
            let Some(mut surplus) = record.packages.len().checked_sub(PACKAGES_MAX) else { continue };
            for package in record.packages.iter() {
                let key = RecordKey::Item(package);
                let held = |before: &Self| {
                    before.items.get(&package).is_some_and(|was| was.value.item_ids.contains(id))
                };
                if surplus == 0 {
                    break;
                }
                if earlier.fallen.contains(&key) || earlier.before.is_some_and(held) {
                    continue;
                }
                surplus -= 1;
                if over.insert(package)
                    && let Some(located) = self.items.get(&package)
                {
                    let found = record.packages.len();
                    let message =
                        format!("expected items of at most {PACKAGES_MAX} packages, item {id} is in {found}");
                    findings.push(finding(key, &located.at, Problem::new("item_ids", message)));
                }
            }
        }
    }
}
