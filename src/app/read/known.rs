//! Checks of known viewers, by their parts: the grant in numbers, and the texts that do not change from check to check.

use super::{super::near::NearRecords, LookUps, answers};
use crate::{
    api::bodies,
    entitlement::{Decision, Grant, Question, decide},
    snapshot::{
        customer::CustomerRecord,
        index::Tree,
        item::ItemRecord,
        key::EntryKey,
        time::UnixSecs,
        version::{ObjectCache, Record, Version},
    },
    token::Principal,
};

/// A version that is in memory as far as a check needs it. Every method gives nothing where the version does not hold
/// the records, or where they are invalid: the ordinary way to an answer tells these cases apart.
pub(in crate::app) struct InMemory<'a> {
    pub version: &'a Version,
    pub objects: &'a mut ObjectCache,
}

impl InMemory<'_> {
    /// The grant of a check, if memory has one, and the moment before which time does not change it.
    pub fn grant(
        &mut self,
        principal: &Principal,
        item_id: i64,
        near: NearRecords<'_>,
        now: UnixSecs,
    ) -> Option<(Grant, UnixSecs)> {
        let NearRecords { epoch, item, customer } = near;
        let (mut far_item, mut far_customer) = (None, None);
        let item_key = |version: &Version| version.index.item_key(item_id);
        let item = item.bytes(epoch, &mut far_item, || self.record(Tree::Items, item_key))??;
        let key = |_: &Version| principal.customer_key;
        let customer = customer.bytes(epoch, &mut far_customer, || self.record(Tree::Customers, key))?;
        let item = ItemRecord::without_texts(item).ok()?;
        let customer = customer.map(CustomerRecord::new).transpose().ok()?;
        let directory = &self.version.directory;
        let question = Question { principal, customer: customer.as_ref(), item: &item, directory, now };
        let decided = decide(&question).ok()?;
        match decided.decision {
            Decision::Allow(grant) => Some((grant, decided.until)),
            Decision::Deny(_) => None,
        }
    }

    /// [`bodies::access_viewer`] for this viewer.
    pub fn viewer_text(&mut self, principal: &Principal, ip_address: &str, country: &str) -> Option<String> {
        let record = self.record(Tree::Customers, |_| principal.customer_key)?;
        let customer = record.as_ref().map(|record| CustomerRecord::new(record.bytes())).transpose().ok()?;
        Some(answers::with_viewer(principal, customer.as_ref(), ip_address, country, bodies::access_viewer))
    }

    /// [`bodies::access_item`] for this item.
    pub fn item_texts(&mut self, item_id: i64, max_bytes: usize) -> Option<Option<[String; 2]>> {
        let record = self.record(Tree::Items, |version| version.index.item_key(item_id))??;
        Some(bodies::access_item(&ItemRecord::new(record.bytes()).ok()?, max_bytes))
    }

    /// The merchant of an item; 0 if it is not in memory.
    pub fn merchant(&mut self, item_id: i64) -> i64 {
        let record = self.record(Tree::Items, |version| version.index.item_key(item_id)).flatten();
        let item = record.as_ref().and_then(|record| ItemRecord::new(record.bytes()).ok());
        item.map_or(0, |item| item.merchant_id)
    }

    /// A record, or the certainty that the version has none.
    fn record(&mut self, tree: Tree, key: impl FnOnce(&Version) -> EntryKey) -> Option<Option<Record>> {
        let key = key(self.version);
        let mut look_ups = self.look_ups();
        let record = look_ups.ask(tree, key).ok()?;
        look_ups.complete().ok().map(|()| record)
    }

    fn look_ups(&mut self) -> LookUps<'_> {
        LookUps::new(self.version, self.objects)
    }
}
