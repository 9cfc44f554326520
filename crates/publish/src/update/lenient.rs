//! Applies changes with unusable parts. A record that cannot be used keeps its last good state; everything
//! else is applied.

use std::{collections::BTreeSet, sync::Arc};

use admit_snapshot::{
    schema::{Change, Line, Record, Removal},
    time::UnixSecs,
};

use super::{
    changes::{Content, Known, Merchants, UpdateError, changes_catalogue, customers_only},
    delta::Records,
};
use crate::{
    build::Rendered,
    change::LeftOut,
    source::{
        About, Catalogue, History, Input, Location, Problem, Problems, RecordKey, RecordKind, References,
        SetAside, Standing, Taken, encode_customer,
    },
};

/// A batch of changes, and the records that were left out of them when they were read.
struct Batch<'a> {
    changes: &'a [Change],
    left_out: &'a [LeftOut],
    feed: Arc<str>,
    now: UnixSecs,
}

impl Batch<'_> {
    fn at(&self, change: &Change) -> Location {
        Location { file: Arc::clone(&self.feed), line: change.seq }
    }

    fn left_out_of(&self, change: &Change) -> impl Iterator<Item = &LeftOut> {
        let seq = change.seq;
        self.left_out.iter().filter(move |left_out| left_out.seq == seq)
    }
}

impl Content {
    /// Applies changes in order. Relative times are resolved at `now`.
    ///
    /// Wrong records, and those in `left_out`, are set aside; the reasons are added to `problems`. A record
    /// is taken back when a good one comes, or when it is removed.
    ///
    /// # Errors
    /// The catalogue changes but is unknown, or cannot be rendered. Then nothing has been applied.
    pub fn apply_setting_aside(
        &mut self,
        changes: &[Change],
        left_out: &[LeftOut],
        feed: &str,
        now: UnixSecs,
        problems: &mut Problems,
    ) -> Result<(), UpdateError> {
        let batch = Batch { changes, left_out, feed: feed.into(), now };
        let mut found = Problems { set_aside: self.set_aside.clone(), ..Problems::default() };
        found.set_aside.reset_counts();
        let changed = match changes.iter().find(|change| changes_catalogue(change)) {
            Some(first) => Some(self.settled(&batch, &batch.at(first), &mut found)?),
            None => {
                batch.set_catalogue_aside(&mut found);
                None
            }
        };
        let mut customers = Records::new();
        let merchants = match (&changed, &self.known) {
            (Some((catalogue, _)), _) => Merchants::Lines(References::new(catalogue)),
            (None, Known::Lines { catalogue, .. }) => Merchants::Lines(References::new(catalogue)),
            (None, Known::Published { merchants, .. }) => Merchants::Known(merchants),
        };
        batch.change_customers(&mut customers, &merchants, &mut found)?;
        self.customers.append(&mut customers);
        if let (Some((changed, rendered_anew)), Known::Lines { catalogue, rendered, .. }) =
            (changed, &mut self.known)
        {
            **catalogue = changed;
            *rendered = rendered_anew;
        }
        self.set_aside.clone_from(&found.set_aside);
        if let Known::Lines { catalogue, .. } = &mut self.known {
            catalogue.set_aside.clone_from(&found.set_aside);
        }
        // The caller only needs the new problems; the full list of records set aside stays in the content.
        found.set_aside = SetAside::default();
        found.settle();
        problems.append(found);
        Ok(())
    }

    /// The catalogue after the changes, and its rendered form.
    fn settled(
        &self,
        batch: &Batch<'_>,
        first: &Location,
        found: &mut Problems,
    ) -> Result<(Catalogue, Rendered), UpdateError> {
        let Known::Lines { catalogue: before, rendered, .. } = &self.known else {
            return Err(customers_only(first));
        };
        let mut catalogue = Catalogue::clone(before);
        let mut history = History::rendered(before, rendered);
        batch.change_catalogue(&mut catalogue, &mut history, found);
        let rendered = catalogue.settle(&history, Input::Changed, found)?;
        for key in found.set_aside.of_catalogue() {
            let standing = if catalogue.has(&key) { Standing::LastGood } else { Standing::Absent };
            found.set_aside.stand(&key, standing);
        }
        catalogue.set_aside.clone_from(&found.set_aside);
        Ok((catalogue, rendered))
    }
}

impl Batch<'_> {
    /// Sets aside the records left out of changes, for a batch that does not change the catalogue otherwise.
    fn set_catalogue_aside(&self, found: &mut Problems) {
        for change in self.changes {
            self.set_aside(change, found);
        }
    }

    fn set_aside(&self, change: &Change, found: &mut Problems) {
        for left_out in self.left_out_of(change) {
            if left_out.error.about.kind() != Some(RecordKind::Customer) {
                found.add(left_out.error.clone());
                // Its published state stays, because nothing has been changed.
                if let Some(key) = left_out.error.about.record_key() {
                    found.set_aside.stand(key, Standing::LastGood);
                }
            }
        }
    }

    /// Applies changes to the catalogue, and remembers the states that they replace.
    fn change_catalogue(&self, catalogue: &mut Catalogue, history: &mut History<'_>, found: &mut Problems) {
        let mut changed = BTreeSet::new();
        for change in self.changes {
            let at = self.at(change);
            self.set_aside(change, found);
            let mut remember = |key: &RecordKey, catalogue: &Catalogue| {
                // The first change of a record replaces the published state, which `history` has already.
                if !changed.insert(key.clone()) {
                    history.remember(key, catalogue);
                }
            };
            for record in change.put.iter().filter(|record| !matches!(record, Record::Customer(_))) {
                let name = record.name();
                let key = RecordKey::of(&name);
                if let Some(key) = &key {
                    remember(key, catalogue);
                }
                match (catalogue.add(Line::from(record.clone()), &at, self.now, Taken::Replace), key) {
                    (Ok(_), Some(key)) => drop(found.set_aside.clear(&key)),
                    (Ok(_), None) => {}
                    (Err(problem), _) => found.error(&at, About::record(&name), problem),
                }
            }
            for removal in &change.remove {
                if let Some(key) = RecordKey::of(removal) {
                    remember(&key, catalogue);
                    catalogue.remove(&key);
                    found.set_aside.clear(&key);
                }
            }
        }
    }

    fn change_customers(
        &self,
        customers: &mut Records,
        merchants: &Merchants<'_>,
        found: &mut Problems,
    ) -> Result<(), UpdateError> {
        for change in self.changes {
            let at = self.at(change);
            for left_out in self.left_out_of(change) {
                if left_out.error.about.kind() == Some(RecordKind::Customer) {
                    found.add(left_out.error.clone());
                }
            }
            for record in &change.put {
                let Record::Customer(customer) = record else { continue };
                let about = || About::record(&Removal::from(customer));
                let errors = found.errors.total();
                let mut record = Vec::new();
                let key = match encode_customer(customer, &at, self.now, found, &mut record) {
                    Ok(key) => key,
                    Err(problem) => {
                        found.error(&at, about(), problem);
                        continue;
                    }
                };
                let has_merchant =
                    merchants.check(customer, key, &record, &at, found).map_err(UpdateError::Build)?;
                if !has_merchant && found.errors.total() == errors {
                    let problem = Problem::new("merchant_id", "its merchant is set aside");
                    found.error(&at, about(), problem);
                }
                if found.errors.total() == errors {
                    found.set_aside.clear(&RecordKey::Customer(key));
                    customers.insert(key, record);
                }
            }
            for removal in &change.remove {
                if let Some(RecordKey::Customer(key)) =
                    RecordKey::of(removal).filter(|_| matches!(removal, Removal::Customer { .. }))
                {
                    found.set_aside.clear(&RecordKey::Customer(key));
                    customers.insert(key, Vec::new());
                }
            }
        }
        Ok(())
    }
}
