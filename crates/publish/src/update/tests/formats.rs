//! Snapshots of formats 1 and 2, which earlier releases published, are read, changed, and become format 3.

use admit_snapshot::{
    key::SALT_LEN,
    object::HEADER_LEN,
    table::{Entry, Table, write_table},
};

use super::*;
use crate::{
    build::BuildOutcome,
    published::{Losses, Named, PublishedRecords},
};

fn lines() -> Vec<Value> {
    let mut lines = fixed();
    lines.extend((1..40).map(|id| item(id, "t", &[])));
    lines.push(item(100, "p", &[1, 2]));
    lines.extend((0..20).map(|number| customer(number, 5, 2)));
    lines
}

/// The format in an object's header.
fn format_of(object: &[u8]) -> u8 {
    object[4]
}

impl Edge {
    /// The same snapshot as an earlier release would have published it, with both trees in one shard each.
    fn in_format_1(mut self) -> Self {
        let put = |kind, mut object: Vec<u8>| {
            object[4] = 1;
            let name = ObjectName::of(kind, &object);
            self.store(name, object).unwrap();
            name.digest
        };
        let index = self.index();
        let [customers, items] = [Tree::Customers, Tree::Items].map(|tree| {
            assert_eq!(index.shard_count(tree), 1);
            self.object(index.top_shards(tree).unwrap()[0].1).unwrap()
        });
        let records: BTreeMap<EntryKey, Vec<u8>> = Table::of_shard(&items)
            .unwrap()
            .iter()
            .map(|(key, entry)| match entry {
                Ok(Entry::Record(record)) => (EntryKey::item(ItemSalt::NONE, key.item_id()), record.to_vec()),
                other => panic!("{other:?}"),
            })
            .collect();
        let mut items = ObjectKind::Shard.header().to_vec();
        write_table(&mut items, &records.into_iter().collect::<Vec<_>>()).unwrap();
        let digests = [put(ObjectKind::Shard, customers).0, put(ObjectKind::Shard, items).0];
        let new = [ObjectKind::Index.header().as_slice(), &[0; 4], digests.as_flattened()].concat();
        let directory = ObjectName { kind: ObjectKind::Directory, digest: self.head.directory };
        let directory = put(ObjectKind::Directory, self.object(directory).unwrap());
        let index = put(ObjectKind::Index, new);
        self.head = Head { format: 1, index, directory, ..self.head };
        self
    }

    /// The same snapshot with an index of format 2, which has no external ids.
    fn in_format_2(mut self) -> Self {
        let mut index = self.index().object().to_vec();
        let shards = [Tree::Customers, Tree::Items].map(|tree| self.index().shard_count(tree));
        assert_eq!(shards, [1, 1]);
        // The salt and four bytes of shapes, without the third tree's; two digests.
        let shapes_at = HEADER_LEN + SALT_LEN;
        index.drain(shapes_at + 4..shapes_at + 6);
        index.truncate(shapes_at + 4 + 2 * 32);
        index[4] = 2;
        let name = ObjectName::of(ObjectKind::Index, &index);
        self.store(name, index).unwrap();
        self.head = Head { format: 2, index: name.digest, ..self.head };
        self
    }

    fn published(&self) -> PublishedRecords<'_> {
        let Head { index, directory, delta, .. } = self.head;
        PublishedRecords::new(Named { index, directory, delta }, Box::new(|name| self.object(name))).unwrap()
    }

    /// Publishes lines over the present version.
    fn publish_over(&mut self, lines: &[Value], fresh: ItemSalt) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut source = Source::new(NOW, Strictness::SetAside, SpillPlan::default());
        source.read("f", text.as_bytes()).unwrap();
        let BuildOutcome { built, .. } = {
            let before = self.published();
            source.build_over(before.layout(fresh), Some(&before), self).unwrap()
        };
        self.head = built.unwrap().head(self.head.seq + 1, NOW);
    }
}

#[test]
fn a_publish_of_the_whole_over_format_1_chooses_a_salt_and_the_next_one_keeps_it() {
    let lines = lines();
    let mut edge = Edge::of(&lines).0.in_format_1();
    assert_eq!(edge.index().salt(), ItemSalt::NONE);
    edge.assert_is(&lines);
    edge.publish_over(&lines, FRESH);
    assert_eq!((edge.index().salt(), edge.head.format), (FRESH, 3));
    edge.assert_is(&lines);
    let (index, directory) = (edge.head.index, edge.head.directory);
    edge.publish_over(&lines, ItemSalt::new([1; 16]));
    assert_eq!((edge.head.index, edge.head.directory), (index, directory), "the same snapshot, to the byte");
}

/// A last good state is found by its number, whatever the salt was.
#[test]
fn records_of_format_1_are_last_good_states() {
    let mut lines = lines();
    let mut edge = Edge::of(&lines).0.in_format_1();
    let good = lines.clone();
    let broken = lines.iter_mut().find(|line| line["type"] == "item" && line["id"] == 7).unwrap();
    broken["title"] = json!(1);
    edge.publish_over(&lines, FRESH);
    edge.assert_is(&good);
}

/// Without the catalogue, records stay in their places until the delta is written into the shards.
#[test]
fn changes_of_format_1_lie_by_its_keys_until_they_are_compacted() {
    let mut lines = lines();
    let mut edge = Edge::of(&lines).0.in_format_1();
    let directory = ObjectName { kind: ObjectKind::Directory, digest: edge.head.directory };
    let mut content = Content::published(edge.object(directory).unwrap(), Delta::default()).unwrap();
    let bought = customer(3, 9, 3);
    let change = parsed(2, &[&bought], &[]);
    content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
    // An item that an earlier release left in the delta is identified by its number.
    let retitled = item(5, "retitled", &[]);
    let text: String = lines
        .iter()
        .chain([&retitled])
        .filter(|it| it["id"] != 5 || it["title"] != "t")
        .map(|it| format!("{it}\n"))
        .collect();
    let record = {
        let whole = build_ndjson(text.as_bytes(), NOW).unwrap();
        let other = Edge {
            head: whole.head(1, NOW),
            objects: Mutex::new(whole.objects.into_iter().collect()),
            delta: Delta::default(),
        };
        other.records(Tree::Items, &[other.index().item_key(5)]).into_values().next().unwrap()
    };
    let mut delta = content.delta();
    delta.items = BTreeMap::from([(5, record), (39, Vec::new())]);
    let old = delta.encode(ItemSalt::NONE).unwrap().unwrap();
    let directory = content.directory().to_vec();
    let mut content = Content::published(directory, Delta::decode(&old).unwrap()).unwrap();
    assert_eq!(content.delta(), delta);
    edge.sync(&content);
    lines.retain(|line| !(line["type"] == "item" && (line["id"] == 5 || line["id"] == 39)));
    lines.retain(|line| line["type"] != "customer" || line["id"] != 3);
    lines.extend([bought, retitled]);
    edge.assert_is(&lines);
    assert_eq!(edge.index().salt(), ItemSalt::NONE);
    let then = content.clone();
    let compacted = edge.compact(&mut content, &then);
    assert_eq!((edge.index().salt(), compacted.items, compacted.set_aside.len()), (FRESH, -1, 0));
    assert!(content.delta().is_empty());
    edge.assert_is(&lines);
    let index = ObjectName { kind: ObjectKind::Index, digest: edge.head.index };
    assert_eq!(format_of(&edge.object(index).unwrap()), 3);
    // The salt stays from now on.
    let change = parsed(3, &[&customer(3, 10, 1)], &[]);
    content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
    let then = content.clone();
    let salt = edge.index().salt();
    edge.compact(&mut content, &then);
    assert_eq!(edge.index().salt(), salt);
}

/// Without the catalogue, the external ids come from the items' records.
#[test]
fn a_compaction_adds_external_ids_to_format_2() {
    let mut lines = lines();
    lines[3] = item_of_film(1, 2, true);
    lines[4] = item_of_film(2, 1, true);
    let mut edge = Edge::of(&lines).0.in_format_2();
    assert!(!edge.index().has_external_ids());
    edge.assert_is(&lines);
    let directory = ObjectName { kind: ObjectKind::Directory, digest: edge.head.directory };
    let mut content = Content::published(edge.object(directory).unwrap(), Delta::default()).unwrap();
    let bought = customer(3, 9, 3);
    let change = parsed(2, &[&bought], &[]);
    content.apply(&[change], "feed", NOW, &mut Problems::default()).unwrap();
    edge.sync(&content);
    assert!(edge.external_ids().is_empty());
    let (then, salt) = (content.clone(), edge.index().salt());
    edge.compact(&mut content, &then);
    assert!(edge.index().has_external_ids());
    assert_eq!((edge.index().salt(), edge.external_ids().len()), (salt, 3));
    lines.retain(|line| line["type"] != "customer" || line["id"] != 3);
    lines.push(bought);
    edge.assert_is(&lines);
}

/// Losses are compared by number, so a new salt loses nothing.
#[test]
fn nothing_is_lost_by_another_salt() {
    let lines = lines();
    let before = Edge::of(&lines).0.in_format_1();
    let mut after = Edge::of(&lines).0.in_format_1();
    after.publish_over(&lines, FRESH);
    for (before, after) in [(&before, &after), (&after, &before)] {
        let losses = Losses::between(&before.published(), &after.published(), NOW).unwrap();
        assert!(losses.named().iter().all(|(_, loss)| loss.gone == 0), "{losses}");
        assert_eq!((losses.items.before, losses.customers.before), (40, 20));
    }
    let mut fewer = Edge::of(&lines).0.in_format_1();
    let kept: Vec<_> =
        lines.iter().filter(|it| it["type"] != "item" || it["id"].as_i64() < Some(11)).cloned().collect();
    fewer.publish_over(&kept, FRESH);
    let losses = Losses::between(&before.published(), &fewer.published(), NOW).unwrap();
    assert_eq!((losses.items.before, losses.items.gone), (40, 30));
}

/// Objects of all formats have their kind and format in the header. Only index and delta differ otherwise.
#[test]
fn a_directory_is_laid_out_as_before() {
    let (edge, _) = Edge::of(&lines());
    let (new, old) = (edge.head.directory, Edge::of(&lines()).0.in_format_1().head.directory);
    let directory =
        |edge: &Edge, digest| edge.object(ObjectName { kind: ObjectKind::Directory, digest }).unwrap();
    let other = Edge::of(&lines()).0.in_format_1();
    let (new, old) = (directory(&edge, new), directory(&other, old));
    assert_eq!((format_of(&new), format_of(&old)), (3, 1));
    assert_eq!((&new[..4], &new[HEADER_LEN..]), (&old[..4], &old[HEADER_LEN..]));
    assert_eq!(Directory::decode(&new), Directory::decode(&old));
}
