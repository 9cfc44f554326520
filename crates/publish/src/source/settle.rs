//! Makes a catalogue with wrong records publishable. A wrong record is replaced by its last good state, or
//! left out if it has none. Records that refer to it lose the reference, or are replaced as well.

use std::collections::{BTreeMap, BTreeSet};

use admit_snapshot::{external_id::is_external_id, object::ObjectKind};

use super::{
    budget::Earlier,
    catalogue::Catalogue,
    check::Finding,
    problems::Problems,
    set_aside::{About, RecordKey, RecordKind, Standing},
};
use crate::build::{BuildError, ExternalIds, Rendered, Shared, check_size};

/// What a catalogue to be settled consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A whole export. Records that are set aside already are replaced by their published state. Records that the
    /// export lacks stay if a line with an unknown record may have been theirs.
    Whole,
    /// The previous catalogue with changes. Records that are set aside already have not changed.
    Changed,
}

/// Earlier states of records: those that are published, and those that later changes of the same batch
/// replaced.
pub(crate) struct History<'a> {
    before: Option<&'a Catalogue>,
    /// The rendered form of `before`, if it is known.
    rendered: Option<&'a Rendered>,
    layers: Vec<Layer>,
}

/// One earlier state per record, for the records that have a state at this depth.
#[derive(Default)]
struct Layer {
    records: Catalogue,
    removed: BTreeSet<RecordKey>,
}

impl<'a> History<'a> {
    /// Starts from the published catalogue.
    pub(crate) const fn new(before: Option<&'a Catalogue>) -> Self {
        Self { before, rendered: None, layers: Vec::new() }
    }

    /// Starts from the published catalogue and its rendered form.
    pub(crate) const fn rendered(before: &'a Catalogue, rendered: &'a Rendered) -> Self {
        Self { before: Some(before), rendered: Some(rendered), layers: Vec::new() }
    }

    /// Remembers the state of a record in `catalogue` before a further change of the same batch replaces it.
    pub(crate) fn remember(&mut self, key: &RecordKey, catalogue: &Catalogue) {
        let has = |layer: &Layer| layer.records.has(key) || layer.removed.contains(key);
        // Each layer holds one state per record, so a further state goes to the first layer without one.
        let free = match self.layers.iter().position(|layer| !has(layer)) {
            Some(free) => free,
            None => {
                self.layers.push(Layer::default());
                self.layers.len() - 1
            }
        };
        if let Some(layer) = self.layers.get_mut(free)
            && !layer.records.take_over(key, catalogue)
        {
            layer.removed.insert(key.clone());
        }
    }
}

impl Catalogue {
    /// Sets wrong records aside until all remaining ones are consistent, and renders the catalogue.
    ///
    /// This terminates: each round moves a record one step further (as received, earlier states, last good
    /// state, mended, left out), and a record never moves back.
    ///
    /// # Errors
    /// The catalogue cannot be rendered, or is too large even without all that has grown.
    pub(crate) fn settle(
        &mut self,
        history: &History<'_>,
        input: Input,
        problems: &mut Problems,
    ) -> Result<Rendered, BuildError> {
        let before = history.before;
        let (fallen, mended, depths) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut settle = Settle { catalogue: self, history, before, fallen, mended, depths };
        if input == Input::Whole {
            for key in problems.set_aside.of_catalogue() {
                settle.fall_back(&key, problems);
            }
            settle.keep_missing(problems);
        }
        loop {
            settle.references(problems);
            // Rendering shows the real sizes. It repeats until no record is too large.
            let rendered = match before.zip(history.rendered) {
                Some(earlier) => Rendered::after(settle.catalogue, earlier)?,
                None => Rendered::of(settle.catalogue)?,
            };
            let earlier = Earlier { before, fallen: &settle.fallen, input };
            let too_large = settle.catalogue.too_large(&rendered, earlier);
            if too_large.is_empty() {
                check_size(ObjectKind::Directory, rendered.directory.len())?;
                return Ok(rendered);
            }
            for finding in too_large {
                settle.shrink(finding, problems);
            }
        }
    }

    /// Removes a record, if it exists.
    pub(crate) fn remove(&mut self, key: &RecordKey) {
        match key {
            RecordKey::Merchant(id) => drop(self.merchants.remove(id)),
            RecordKey::App(id) => drop(self.apps.remove(id)),
            RecordKey::AccessType(id) => drop(self.access_types.remove(id)),
            RecordKey::Item(id) => drop(self.items.remove(id)),
            RecordKey::License(id) => drop(self.licenses.remove(id)),
            RecordKey::Customer(_) => {}
        }
    }

    /// Whether a record exists.
    pub(crate) fn has(&self, key: &RecordKey) -> bool {
        match key {
            RecordKey::Merchant(id) => self.merchants.contains_key(id),
            RecordKey::App(id) => self.apps.contains_key(id),
            RecordKey::AccessType(id) => self.access_types.contains_key(id),
            RecordKey::Item(id) => self.items.contains_key(id),
            RecordKey::License(id) => self.licenses.contains_key(id),
            RecordKey::Customer(_) => false,
        }
    }

    /// Copies a record from `other`. Returns whether `other` has it.
    pub(crate) fn take_over(&mut self, key: &RecordKey, other: &Self) -> bool {
        fn copy<K: Ord + Clone, T: Clone>(to: &mut BTreeMap<K, T>, from: &BTreeMap<K, T>, id: &K) -> bool {
            let Some(record) = from.get(id) else { return false };
            to.insert(id.clone(), record.clone());
            true
        }
        match key {
            RecordKey::Merchant(id) => copy(&mut self.merchants, &other.merchants, id),
            RecordKey::App(id) => copy(&mut self.apps, &other.apps, id),
            RecordKey::AccessType(id) => copy(&mut self.access_types, &other.access_types, id),
            RecordKey::Item(id) => copy(&mut self.items, &other.items, id),
            RecordKey::License(id) => copy(&mut self.licenses, &other.licenses, id),
            RecordKey::Customer(_) => false,
        }
    }

    /// The keys of all records of a kind.
    fn keys(&self, kind: RecordKind) -> BTreeSet<RecordKey> {
        match kind {
            RecordKind::Merchant => self.merchants.keys().copied().map(RecordKey::Merchant).collect(),
            RecordKind::App => self.apps.keys().cloned().map(RecordKey::App).collect(),
            RecordKind::AccessType => self.access_types.keys().copied().map(RecordKey::AccessType).collect(),
            RecordKind::Item => self.items.keys().copied().map(RecordKey::Item).collect(),
            RecordKind::License => self.licenses.keys().copied().map(RecordKey::License).collect(),
            RecordKind::Snapshot | RecordKind::Customer => BTreeSet::new(),
        }
    }
}

struct Settle<'a> {
    catalogue: &'a mut Catalogue,
    history: &'a History<'a>,
    before: Option<&'a Catalogue>,
    /// For each record the number of earlier states left to try before the published one.
    depths: BTreeMap<RecordKey, usize>,
    /// Records that have been replaced by their last good state.
    fallen: BTreeSet<RecordKey>,
    /// Records whose last good state no longer fitted and has been adapted.
    mended: BTreeSet<RecordKey>,
}

impl Settle<'_> {
    /// Sets records aside until all references are consistent.
    fn references(&mut self, problems: &mut Problems) {
        loop {
            let mut wrong: BTreeMap<RecordKey, Vec<Finding>> = BTreeMap::new();
            for finding in self.catalogue.findings(self.before) {
                wrong.entry(finding.key.clone()).or_default().push(finding);
            }
            if wrong.is_empty() {
                return;
            }
            for (key, findings) in wrong {
                self.step(&key, findings, problems);
            }
        }
    }

    /// Sets aside a record that is too large. If its last good state is too large as well, the record is left
    /// out.
    fn shrink(&mut self, Finding { key, at, problem, .. }: Finding, problems: &mut Problems) {
        let is_fallen = self.fallen.contains(&key);
        if !is_fallen || !problems.set_aside.contains(&key) {
            problems.error(&at, About::key(key.clone()), problem);
        }
        if is_fallen {
            self.catalogue.remove(&key);
            problems.set_aside.stand(&key, Standing::Absent);
        } else {
            self.fall_back(&key, problems);
        }
    }

    fn step(&mut self, key: &RecordKey, findings: Vec<Finding>, problems: &mut Problems) {
        if self.mended.contains(key) {
            self.catalogue.remove(key);
            problems.set_aside.stand(key, Standing::Absent);
        } else if self.fallen.contains(key) {
            self.mend(key, problems);
            self.mended.insert(key.clone());
        } else {
            // Separate problems of the record itself from references to records that are set aside.
            let (dependent, own): (Vec<_>, Vec<_>) = findings.into_iter().partition(|finding| {
                let missing = finding.missing.as_ref().filter(|missing| missing.is_in_list);
                missing.is_some_and(|missing| problems.set_aside.contains(&missing.key))
            });
            if own.is_empty() {
                // The record itself is fine; only its list refers to records that are set aside.
                problems.set_aside.depend(dependent.len() as u64);
                self.leave_out_references(key);
                return;
            }
            for Finding { key, at, problem, .. } in own {
                problems.error(&at, About::key(key), problem);
            }
            self.fall_back(key, problems);
        }
    }

    /// Replaces a record by its newest earlier state that has not been tried.
    fn fall_back(&mut self, key: &RecordKey, problems: &mut Problems) {
        self.catalogue.remove(key);
        let layers = &self.history.layers;
        let depth = self.depths.entry(key.clone()).or_insert(layers.len());
        // Try the states of this batch from the newest to the oldest, then the published one.
        while let Some(layer) = depth.checked_sub(1).and_then(|next| layers.get(next)) {
            *depth -= 1;
            if layer.removed.contains(key) || self.catalogue.take_over(key, &layer.records) {
                return;
            }
        }
        let is_there = self.before.is_some_and(|before| self.catalogue.take_over(key, before));
        problems.set_aside.stand(key, if is_there { Standing::LastGood } else { Standing::Absent });
        self.fallen.insert(key.clone());
    }

    /// Brings back a record that another one needs, unless it exists. Returns whether it exists now.
    fn restore(&mut self, key: &RecordKey, problems: &mut Problems) -> bool {
        if self.catalogue.has(key) {
            return true;
        }
        let is_restored = self.before.is_some_and(|before| self.catalogue.take_over(key, before));
        if is_restored {
            self.fallen.insert(key.clone());
            problems.set_aside.keep_missing(1);
        }
        is_restored
    }

    /// Keeps published records that the export lacks, if a line with an unknown record may have been theirs.
    fn keep_missing(&mut self, problems: &mut Problems) {
        let Some(before) = self.before else { return };
        for kind in RecordKind::ALL {
            if !problems.set_aside.may_hide(kind) {
                continue;
            }
            let here = self.catalogue.keys(kind);
            for key in before.keys(kind).difference(&here) {
                if !self.fallen.contains(key) && self.catalogue.take_over(key, before) {
                    self.fallen.insert(key.clone());
                    problems.set_aside.keep_missing(1);
                }
            }
        }
    }

    /// Adapts a last good state to the changes around it.
    fn mend(&mut self, key: &RecordKey, problems: &mut Problems) {
        match key {
            RecordKey::App(id) => {
                let merchant = self.catalogue.apps.get(id).map(|app| app.value.merchant_id);
                self.restore_merchant(merchant, problems);
                self.leave_out_clients(id);
            }
            RecordKey::AccessType(id) => {
                let merchant = self.catalogue.access_types.get(id).map(|it| it.value.account_id);
                self.restore_merchant(merchant, problems);
            }
            RecordKey::Item(id) => {
                let Some(item) = self.catalogue.items.get(id) else { return };
                let merchant_id = item.value.merchant_id;
                let access_types: BTreeSet<_> =
                    item.value.fees.iter().map(|fee| RecordKey::AccessType(fee.access_type_id)).collect();
                self.restore_merchant(Some(merchant_id), problems);
                for key in &access_types {
                    self.restore(key, problems);
                }
                let Catalogue { items, access_types, .. } = &mut *self.catalogue;
                if let Some(item) = items.get_mut(id) {
                    // Drop fees whose access type is gone or belongs to another merchant.
                    item.value.fees.retain(|fee| {
                        let access_type = access_types.get(&fee.access_type_id);
                        access_type.is_some_and(|it| it.value.account_id == merchant_id)
                    });
                }
                self.leave_out_references(key);
                self.leave_out_external_id(*id);
            }
            RecordKey::License(id) => {
                let app = self.catalogue.licenses.get(id).map(|it| RecordKey::App(it.value.app_id.clone()));
                if let Some(app) = app {
                    self.restore(&app, problems);
                }
                self.leave_out_references(key);
            }
            RecordKey::Merchant(_) | RecordKey::Customer(_) => {}
        }
    }

    fn restore_merchant(&mut self, merchant_id: Option<i64>, problems: &mut Problems) {
        if let Some(id) = merchant_id {
            self.restore(&RecordKey::Merchant(id), problems);
        }
    }

    /// Removes invalid references from a record's list of items.
    fn leave_out_references(&mut self, key: &RecordKey) {
        let (merchant_id, is_license, mut item_ids) = match key {
            RecordKey::Item(id) => match self.catalogue.items.get(id) {
                Some(item) if item.value.is_package() => {
                    (Some(item.value.merchant_id), false, item.value.item_ids.clone())
                }
                _ => (None, false, Vec::new()),
            },
            RecordKey::License(id) => match self.catalogue.licenses.get(id) {
                Some(license) => {
                    let merchant_id = self.catalogue.app_merchant(&license.value.app_id);
                    (merchant_id, true, license.value.item_ids.clone())
                }
                None => return,
            },
            _ => return,
        };
        let mut seen = BTreeSet::new();
        item_ids.retain(|id| {
            let item = self.catalogue.items.get(id).map(|item| &item.value);
            item.is_some_and(|item| {
                merchant_id.is_none_or(|merchant| merchant == item.merchant_id)
                    && (is_license || !item.is_package())
            }) && seen.insert(*id)
        });
        let listed = match key {
            RecordKey::Item(id) => self.catalogue.items.get_mut(id).map(|item| &mut item.value.item_ids),
            RecordKey::License(id) => self.catalogue.licenses.get_mut(id).map(|it| &mut it.value.item_ids),
            _ => None,
        };
        if let Some(listed) = listed {
            *listed = item_ids;
        }
    }

    /// Removes the external id of an item if another item has it, or if it is too long.
    fn leave_out_external_id(&mut self, id: i64) {
        let ids = ExternalIds::declared(self.catalogue);
        let is_shared = ids.shared().any(|Shared { found, other, .. }| found == id || other == id);
        if let Some(item) = self.catalogue.items.get_mut(&id) {
            let kept = item.value.external_asset_id.take();
            item.value.external_asset_id = kept.filter(|text| !is_shared && is_external_id(text));
        }
    }

    /// Removes the clients of an app that other apps have.
    fn leave_out_clients(&mut self, id: &str) {
        let others = self.catalogue.apps.iter().filter(|(other, _)| other.as_str() != id);
        let theirs: BTreeSet<String> =
            others.flat_map(|(_, app)| &app.value.clients).map(|client| client.client_id.clone()).collect();
        if let Some(app) = self.catalogue.apps.get_mut(id) {
            app.value
                .clients
                .retain(|client| !client.client_id.is_empty() && !theirs.contains(&client.client_id));
        }
    }
}
