//! One merchant's records are as large as allowed, are in one shard, and together do not fit into it. The
//! changes of all other merchants must still be published.

use admit_snapshot::{
    key::ItemSalt,
    limits::{ANSWER_MAX_BYTES, OBJECT_MAX_BYTES},
};

use super::*;
use crate::limits::RAISED_SHARD_BITS_MAX;

/// Nearly the most bytes that a text in an answer may have.
const LONG_BYTES: usize = ANSWER_MAX_BYTES - 64 * 1024;

/// This number of records fits neither into a shard nor into a delta.
const TOO_MANY: usize = OBJECT_MAX_BYTES / LONG_BYTES + 1;

fn large_item(id: i64) -> String {
    let content = "x".repeat(LONG_BYTES);
    format!(
        r#"{{"type":"item","id":{id},"merchant_id":21,"title":"large","is_active":true,"access_control_type":{{"id":4,"name":"Paid","auth":true}},"item_type":{{"id":44,"name":"brightcove_asset","content_type":"ovp","host":"inplayer","description":"OVP asset"}},"content":"{content}","created_at":1700000000,"updated_at":1700000000}}"#
    )
}

fn large_customer(number: usize) -> String {
    let name = "x".repeat(LONG_BYTES);
    format!(
        r#"{{"type":"customer","namespace":"vendor","subject":"s{number}","id":{number},"uuid":"11a7ed90-65d3-4ee2-9d91-{number:012x}","merchant_id":21,"licenses":[{{"license_id":"b90831a7-2f6d-4c3e-8a41-0d5e7f9b6c12","license_type":"SINGLE","name":"{name}","status":"ACTIVE","renew_status":"RENEW","interval_length":1,"interval_unit":"MONTHS","date_added":0}}]}}"#
    )
}

/// Numbers whose keys have the same leading bits.
fn of_one_shard(bits: u8, key: impl Fn(i64) -> EntryKey) -> impl Iterator<Item = i64> {
    let shard = key(1_000).shard(bits);
    (1_000..).filter(move |id| key(*id).shard(bits) == shard).take(TOO_MANY)
}

/// A follower that has published everything, in a world of its own.
struct Case {
    world: World,
    lease: RunLease,
}

impl Case {
    fn new() -> Self {
        Self { world: World::new(&[], None), lease: RunLease::new().unwrap() }
    }

    /// Publishes the lines that `changes` makes with the published salt, and then the removal of customer
    /// `c2`.
    fn follow(&self, changes: impl FnOnce(&Store, ItemSalt) -> Vec<String>) -> Content {
        let settings = self.world.settings();
        let store = Store::open_in(world::EDGE, &settings.token, &settings.outside).unwrap();
        let publisher = Publisher::new(store.clone(), settings.key.as_deref(), None).unwrap();
        let from = settings.from.clone().unwrap();
        let monitor = monitor(&publisher).unwrap();
        let whole = first_whole(&settings, &from, &publisher, &self.lease, &monitor).unwrap().unwrap();
        let salt = whole.index.salt();
        let mut driver = Driver::new(&settings, &self.lease, publisher, whole, monitor).unwrap();
        let mut follow = || {
            for _ in 0..ROUNDS_MAX {
                assert!(driver.round().unwrap().is_none());
                if driver.follower.head().origin_seq() == self.world.seq() && !driver.follower.is_compacting()
                {
                    return;
                }
            }
            panic!("{} of {} is published", driver.follower.head().origin_seq(), self.world.seq());
        };
        for record in changes(&store, salt) {
            self.world.commit(&format!(r#""put":[{record}]"#));
        }
        follow();
        self.world.commit(r#""remove":[{"type":"customer","namespace":"vendor","subject":"c2"}]"#);
        follow();
        content(&store).unwrap()
    }
}

fn has_customer((records, _): &Content, subject: &str) -> bool {
    records.contains_key(&(0, EntryKey::customer("vendor", subject)))
}

#[test]
fn the_largest_items_of_one_shard_stop_no_revocation() {
    for (bits, set_aside) in [(RAISED_SHARD_BITS_MAX - 4, 0), (RAISED_SHARD_BITS_MAX + 2, 1)] {
        let case = Case::new();
        let found = case
            .follow(|_, salt| of_one_shard(bits, |id| EntryKey::item(salt, id)).map(large_item).collect());
        assert!(has_customer(&found, "c1") && !has_customer(&found, "c2"), "{bits} bits");
        let items = found.0.keys().filter(|(tree, _)| *tree == 1).count() as u64;
        assert_eq!(items, 1 + TOO_MANY as u64 - set_aside, "{bits} bits");
        assert_eq!(case.world.head().set_aside.unwrap_or(0), set_aside);
        assert_eq!(case.world.exports(), 1, "no publish of the whole was needed");
    }
}

/// Subjects can be chosen if an issuer lets its customers choose them, and their keys have no salt.
#[test]
fn the_largest_customers_of_one_shard_stop_no_revocation() {
    let case = Case::new();
    let found = case.follow(|_, _| {
        let key = |number: i64| EntryKey::customer("vendor", &format!("s{number}"));
        of_one_shard(RAISED_SHARD_BITS_MAX + 1, key).map(|number| large_customer(number as usize)).collect()
    });
    assert!(has_customer(&found, "c1") && !has_customer(&found, "c2"));
    let customers = found.0.keys().filter(|(tree, _)| *tree == 0).count();
    assert_eq!(customers, 3 + TOO_MANY - 1);
    assert_eq!((case.world.head().set_aside, case.world.exports()), (Some(1), 1));
}

/// A restarted follower compares what it has built with the published version. A store that is not heard
/// gives no result.
#[test]
fn a_store_that_is_not_heard_ends_no_follower_that_starts_again() {
    let first = World::new(&[], None);
    follow(&first).unwrap();
    let before = first.requests();
    follow(&first).unwrap();
    for at in 0..first.requests() - before {
        let world = World::new(&[], None);
        follow(&world).unwrap();
        world.fault_in(at, 10, Odd::Nothing("reset"));
        let followed = follow(&world);
        assert!(followed.is_ok(), "request {at}: {:#}", followed.unwrap_err());
    }
}

/// A shard is gone. The changes are too many for a delta, and cannot be written into the shards, however
/// often that is tried: everything is published instead.
#[test]
fn a_compaction_that_can_never_succeed_leads_to_a_publish_of_the_whole() {
    let case = Case::new();
    let found = case.follow(|store, _| {
        let published = Published::open(store, None).unwrap();
        case.world.lose(*published.shards(Tree::Items).unwrap().values().next().unwrap());
        (1..=TOO_MANY).map(|id| large_item(id as i64)).collect()
    });
    assert!(has_customer(&found, "c1") && !has_customer(&found, "c2"));
    assert!(case.world.exports() > 1, "{} exports", case.world.exports());
}
