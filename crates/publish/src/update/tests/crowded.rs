//! A merchant who makes records as large as allowed, and knows their places, harms only itself: all other
//! merchants' records are published, and so is every revocation.

use admit_snapshot::limits::{ANSWER_MAX_BYTES, OBJECT_MAX_BYTES, RECORD_MAX_BYTES};

use super::*;
use crate::{
    build::{BuildOutcome, Layout},
    limits::{RAISED_SHARD_BITS_MAX, SHARD_MAX_BYTES},
    source::{RecordKey, Standing},
};

/// The salt of the snapshots in these tests. A real attacker would not know it.
const SALT: ItemSalt = ItemSalt::new([0x5a; 16]);

/// This number of records of the largest size does not fit into a shard.
const TOO_MANY: usize = OBJECT_MAX_BYTES / RECORD_MAX_BYTES + 1;

/// Numbers of items whose keys have the same leading bits.
fn items_of_one_shard(bits: u8, count: usize) -> Vec<i64> {
    let shard = EntryKey::item(SALT, 1_000).shard(bits);
    (1_000..).filter(|id| EntryKey::item(SALT, *id).shard(bits) == shard).take(count).collect()
}

/// Numbers of customers whose keys have the same leading bits.
fn customers_of_one_shard(bits: u8, count: usize) -> Vec<usize> {
    let shard = |number: usize| EntryKey::customer("v", &format!("s{number}")).shard(bits);
    (1_000..).filter(|number| shard(*number) == shard(1_000)).take(count).collect()
}

/// Length of the rest of the largest items here, besides their long texts. Numbers have different lengths.
const ITEM_FRAME_BYTES: usize = 4_096;

/// An item whose record is at most `less` bytes and a few more below the limit. One half lies in `content`,
/// the other in a fee, because an answer shows no more of either.
fn large_item(id: i64, less: usize) -> Value {
    let mut item = item(id, "large", &[]);
    let bytes = RECORD_MAX_BYTES - ITEM_FRAME_BYTES - less;
    let content = bytes.min(ANSWER_MAX_BYTES - ITEM_FRAME_BYTES / 2 - 576);
    item["content"] = json!("x".repeat(content));
    item["fees"][0]["description"] = json!("x".repeat(bytes - content));
    item
}

/// A customer whose record is just below the limit: one half is the name of a subscription, the other half
/// consists of accesses of 30 bytes.
fn large_customer(number: usize) -> Value {
    let mut customer = customer(number, 5, 1);
    let access = |n: usize| {
        json!({
            "id": i64::MAX - i64::try_from(n).unwrap(), "item_id": 1, "created_at": 253_402_300_000_i64,
            "starts_at": -62_135_596_800_i64, "expires_at": -62_135_500_000_i64,
        })
    };
    let name = "x".repeat(ANSWER_MAX_BYTES - 64 * 1024);
    customer["accesses"] = (0..(RECORD_MAX_BYTES - 1_024 - name.len()) / 30).map(access).collect();
    customer["licenses"] = json!([{
        "license_id": uuid(900), "license_type": "SINGLE", "name": name, "status": "ACTIVE", "renew_status": "RENEW",
        "interval_length": 1, "interval_unit": "MONTHS", "date_added": "2023-11-14T09:35:28-07:00",
    }]);
    customer
}

/// Another merchant with an item and two customers.
fn others() -> Vec<Value> {
    let mut lines = fixed();
    lines.push(json!({"type": "merchant", "id": 22, "uuid": uuid(22)}));
    lines.push(item(1, "of others", &[]));
    for number in [1, 2] {
        let mut customer = customer(number, 5, 1);
        customer["merchant_id"] = json!(22);
        lines.push(customer);
    }
    lines
}

/// A change that revokes what the second customer of the other merchant has.
fn revocation() -> Value {
    json!({"type": "customer", "namespace": "v", "subject": "s2"})
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Publishes lines as the publisher does, with wrong records set aside.
fn publish(lines: &[Value]) -> (Edge, Content, Problems) {
    let mut source = Source::new(NOW, Strictness::SetAside, SpillPlan::default());
    source.read("f", text(lines).as_bytes()).unwrap();
    let mut edge = Edge::new();
    let BuildOutcome { built, catalogue, problems, .. } =
        source.build(Some(Layout::new(SALT)), &edge).unwrap();
    edge.head = built.unwrap().head(1, NOW);
    (edge, Content::built(catalogue).unwrap(), problems)
}

impl Edge {
    fn item(&self, id: i64) -> Option<Vec<u8>> {
        self.records(Tree::Items, &[self.index().item_key(id)]).into_values().next()
    }

    fn customer(&self, number: usize) -> Option<Vec<u8>> {
        let key = EntryKey::customer("v", &format!("s{number}"));
        self.records(Tree::Customers, &[key]).into_values().next()
    }

    /// Asserts that edges would accept every object.
    fn assert_small(&self) {
        let objects = self.objects.lock().unwrap();
        assert!(objects.values().all(|object| object.len() <= OBJECT_MAX_BYTES));
    }
}

#[test]
fn large_items_that_share_a_shard_get_more_shards() {
    let ids = items_of_one_shard(9, TOO_MANY);
    let mut lines = others();
    lines.extend(ids.iter().map(|id| large_item(*id, 0)));
    let (edge, _, problems) = publish(&lines);
    assert_eq!(problems.errors.total(), 0);
    assert!(ids.iter().all(|id| edge.item(*id).is_some()) && edge.item(1).is_some());
    let bits = ShardBits::of(&edge.index()).items;
    assert!(bits > 9 && bits <= RAISED_SHARD_BITS_MAX, "{bits}");
    edge.assert_small();
}

#[test]
fn the_largest_of_inseparable_items_is_set_aside() {
    let ids = items_of_one_shard(RAISED_SHARD_BITS_MAX + 2, TOO_MANY);
    let mut lines = others();
    lines.extend(ids.iter().enumerate().map(|(n, id)| large_item(*id, if n == 2 { 0 } else { 16 })));
    let (edge, content, problems) = publish(&lines);
    let told: Vec<_> = problems.errors.kept().into_iter().map(|error| error.about.to_string()).collect();
    assert_eq!(told, [format!("item {}", ids[2])]);
    assert!(problems.errors.kept()[0].to_string().contains(&SHARD_MAX_BYTES.to_string()));
    assert!(ids.iter().all(|id| edge.item(*id).is_some() == (*id != ids[2])) && edge.item(1).is_some());
    assert!(edge.customer(2).is_some() && content.set_aside().contains(&RecordKey::Item(ids[2])));
    edge.assert_small();
    // A strict publish names the item and publishes nothing.
    let mut source = Source::new(NOW, Strictness::Refuse, SpillPlan::default());
    source.read("f", text(&lines).as_bytes()).unwrap();
    let outcome = source.build(Some(Layout::new(SALT)), &MemorySink::default()).unwrap();
    assert!(outcome.built.is_none());
    assert_eq!(outcome.problems.errors.kept()[0].about.to_string(), told[0]);
}

/// A delta gets three large items and a revocation of another merchant, then more items than a shard can
/// hold; each time it is then written into the shards.
#[test]
fn large_items_in_a_delta_do_not_stop_a_revocation() {
    for (bits, count, set_aside) in [(8, 3, 0), (8, TOO_MANY, 0), (20, 3, 0), (20, TOO_MANY, 1)] {
        let ids = items_of_one_shard(bits, count);
        let mut lines = others();
        lines.extend(ids.iter().map(|id| item(*id, "small", &[])));
        let (mut edge, mut content, _) = publish(&lines);
        let before = ids.iter().map(|id| edge.item(*id)).collect::<Vec<_>>();
        let large: Vec<Value> = ids.iter().map(|id| large_item(*id, 0)).collect();
        let change = parsed(2, &large.iter().collect::<Vec<_>>(), &[revocation()]);
        let mut problems = Problems::default();
        content.apply_setting_aside(&[change], &[], "feed", NOW, &mut problems).unwrap();
        assert_eq!(problems.errors.total(), set_aside, "{bits} bits, {count} items");
        let then = content.clone();
        let compacted = edge.compact(&mut content, &then);
        assert!(compacted.set_aside.is_empty() && content.delta().is_empty());
        assert!(edge.customer(2).is_none() && edge.customer(1).is_some(), "revoked, and nobody else");
        let is_large =
            |record: &Option<Vec<u8>>| record.as_ref().is_some_and(|it| it.len() > RECORD_MAX_BYTES / 2);
        let now: Vec<_> = ids.iter().map(|id| edge.item(*id)).collect();
        let as_before = now.iter().zip(&before).filter(|(now, before)| now == before).count();
        assert_eq!(now.iter().filter(|now| is_large(now)).count() + as_before, count);
        assert_eq!(as_before as u64, set_aside, "the last good state of what is set aside");
        edge.assert_small();
    }
}

#[test]
fn large_customers_of_one_shard_do_not_stop_a_revocation() {
    for bits in [8, RAISED_SHARD_BITS_MAX + 1] {
        let numbers = customers_of_one_shard(bits, TOO_MANY);
        let large: Vec<Value> = numbers.iter().map(|number| large_customer(*number)).collect();
        let set_aside = u64::from(bits > RAISED_SHARD_BITS_MAX);
        let is_published = |edge: &Edge| {
            edge.assert_small();
            numbers.iter().filter(|number| edge.customer(**number).is_some_and(|it| it.len() > 1_000)).count()
                as u64
        };
        // A whole publish.
        let mut lines = others();
        lines.extend(large.iter().cloned());
        let (edge, content, problems) = publish(&lines);
        assert_eq!(
            (problems.errors.total(), content.set_aside().total()),
            (set_aside, set_aside),
            "{bits} bits"
        );
        assert_eq!(is_published(&edge), TOO_MANY as u64 - set_aside);
        assert_eq!(edge.head.customers, 2 + TOO_MANY as u64 - set_aside);
        assert!(edge.customer(1).is_some() && edge.customer(2).is_some());
        // A delta, then its compaction.
        let mut lines = others();
        lines.extend(numbers.iter().map(|number| customer(*number, 5, 1)));
        let (mut edge, mut content, _) = publish(&lines);
        let change = parsed(2, &large.iter().collect::<Vec<_>>(), &[revocation()]);
        content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
        let then = content.clone();
        let compacted = edge.compact(&mut content, &then);
        assert_eq!((compacted.set_aside.len() as u64, content.set_aside().total()), (set_aside, set_aside));
        assert!(content.delta().is_empty() && edge.customer(2).is_none() && edge.customer(1).is_some());
        assert_eq!(is_published(&edge), TOO_MANY as u64 - set_aside);
        assert!(numbers.iter().all(|number| edge.customer(*number).is_some()), "the last good state stays");
        assert!(compacted.set_aside.iter().all(|it| it.standing == Standing::LastGood));
        let told: Vec<_> = compacted.set_aside.iter().map(|it| it.error.about.to_string()).collect();
        assert!(told.iter().all(|told| told.starts_with("customer ")), "{told:?}");
    }
}

/// A record whose newer state is still in the delta is not set aside when the shards have no room for the
/// older one.
#[test]
fn a_newer_state_of_a_record_in_the_delta_counts() {
    let numbers = customers_of_one_shard(RAISED_SHARD_BITS_MAX + 1, TOO_MANY);
    let (mut edge, mut content, _) = publish(&others());
    let put = |content: &mut Content, seq, records: &[Value]| {
        let change = parsed(seq, &records.iter().collect::<Vec<_>>(), &[]);
        content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
    };
    put(&mut content, 2, &numbers.iter().map(|number| large_customer(*number)).collect::<Vec<_>>());
    let then = content.clone();
    put(&mut content, 3, &numbers.iter().map(|number| customer(*number, 7, 1)).collect::<Vec<_>>());
    let compacted = edge.compact(&mut content, &then);
    assert_eq!((compacted.set_aside.len(), content.set_aside().total()), (1, 0));
    assert!(numbers.iter().all(|number| edge.customer(*number).is_some()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

        /// For any sizes below the limit of a record, and any number of equal leading bits of the keys: publish and compaction succeed, and every record that is not set aside is found as it came.
    #[test]
    fn every_record_is_found_or_set_aside(
        bits in 4_u8..20, sizes in vec(0..RECORD_MAX_BYTES - ITEM_FRAME_BYTES, 1..2 * TOO_MANY), in_delta in any::<bool>(),
    ) {
        let ids = items_of_one_shard(bits, sizes.len());
        let records: Vec<_> =
            ids.iter().zip(&sizes).map(|(id, size)| large_item(*id, RECORD_MAX_BYTES - ITEM_FRAME_BYTES - size)).collect();
        let mut lines = others();
        let (edge, content) = if in_delta {
            let (mut edge, mut content, _) = publish(&lines);
            let change = parsed(2, &records.iter().collect::<Vec<_>>(), &[]);
            content.apply_setting_aside(&[change], &[], "feed", NOW, &mut Problems::default()).unwrap();
            let then = content.clone();
            let compacted = edge.compact(&mut content, &then);
            prop_assert!(compacted.set_aside.is_empty(), "what was not set aside before can be written");
            (edge, content)
        } else {
            lines.extend(records);
            let (edge, content, _) = publish(&lines);
            (edge, content)
        };
        edge.assert_small();
        prop_assert!(edge.item(1).is_some() && edge.customer(1).is_some());
        for (id, size) in ids.iter().zip(&sizes) {
            let is_set_aside = content.set_aside().contains(&RecordKey::Item(*id));
            let found = edge.item(*id).map_or(0, |record| record.len());
            prop_assert_eq!(is_set_aside, found <= *size, "item {}: {} of {}", id, found, size);
        }
        let total: usize = sizes.iter().sum();
        prop_assert!(content.set_aside().total() == 0 || total > SHARD_MAX_BYTES - ITEM_FRAME_BYTES * sizes.len());
    }
}
