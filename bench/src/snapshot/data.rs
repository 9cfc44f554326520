//! The customers of the read benchmark: a snapshot of them in one file, some of them in a delta.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use admit::snapshot::{
    delta::encode_delta,
    key::{EntryKey, mix},
    object::ObjectKind,
    schema::{Customer, Line},
    table::{Entry, Table},
};
use admit_publish::build::{build_ndjson, write_shard};
use anyhow::{Context, Result, bail};
use snapshot_bench::{Subject, cut::SIZES, pack};

/// Customers in the delta: a sync of 10,000 changes.
const IN_DELTA_MAX: usize = 10_000;

/// When the data is published: no matter, but the same each time.
const NOW: i64 = 1_767_225_600;

/// Everything that is read, with its sizes.
#[derive(Debug, Default)]
pub struct Data {
    /// The objects ([`pack`]).
    pub pack: Vec<u8>,
    /// A customer on each line, namespace and subject separated by a tab; those in the delta first.
    pub names: String,
    /// The customers of the largest shard, as JSON.
    pub json: Vec<u8>,
    pub in_delta: usize,
    pub customers: usize,
    pub grants: usize,
    /// Bytes of all shards of customers.
    pub customer_bytes: usize,
    /// Bytes of all customers' lines.
    pub json_bytes: usize,
    /// Bytes of the largest shard, and of a typical one of each of [`SIZES`].
    pub shard_bytes: [usize; 1 + SIZES.len()],
}

/// Makes the data of the generated lines at `path`, and writes the files that the benchmark's Worker embeds into `dir`.
pub fn prepare(path: &Path, dir: &Path) -> Result<Data> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut customers: BTreeMap<EntryKey, Customer> = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Line::Customer(customer) = serde_json::from_slice(line)? {
            customers.insert(EntryKey::customer(&customer.namespace, &customer.subject), customer);
        }
    }
    // In an order that has nothing to do with that of the keys, the same each time.
    let mut order: Vec<EntryKey> = customers.keys().copied().collect();
    order
        .sort_by_key(|EntryKey(key)| mix(u64::try_from(u128::from_be_bytes(*key) >> 64).unwrap_or_default()));
    let in_delta = IN_DELTA_MAX.min(order.len() / 2);
    let changed: BTreeSet<EntryKey> = order.iter().take(in_delta).copied().collect();

    let built = build_ndjson(&text, NOW)?;
    let of_kind =
        |kind| built.objects.iter().filter(move |(name, _)| name.kind == kind).map(|(_, object)| object);
    let first = |kind| of_kind(kind).next().context("an object is missing");
    let (of_customers, of_items): (Vec<&Vec<u8>>, Vec<_>) = of_kind(ObjectKind::Shard).partition(|shard| {
        let key = Table::of_shard(shard).ok().and_then(|table| Some(table.iter().next()?.0));
        key.is_some_and(|key| customers.contains_key(&key))
    });
    let mut all = Vec::new();
    for shard in &of_customers {
        for (key, entry) in Table::of_shard(shard)?.iter() {
            let Entry::Record(record) = entry? else { bail!("a shard has a record that is gone") };
            all.push((key, record));
        }
    }
    all.sort_unstable_by_key(|(key, _)| *key);
    let entries: Vec<_> = all.iter().copied().filter(|(key, _)| changed.contains(key)).collect();
    let delta = encode_delta([&entries, &[], &[]])?;

    let mut pack = Vec::new();
    let parts = [first(ObjectKind::Index)?, first(ObjectKind::Directory)?, &delta];
    let between = Vec::new();
    for part in parts.into_iter().chain(of_customers.iter().copied()).chain([&between]).chain(of_items) {
        pack::append(&mut pack, part);
    }
    for (_, size) in SIZES {
        pack::append(&mut pack, &between);
        cut(&all, size)?.iter().for_each(|shard| pack::append(&mut pack, shard));
    }
    let names: String = order
        .iter()
        .filter_map(|key| customers.get(key))
        .map(|customer| format!("{}\t{}\n", customer.namespace, customer.subject))
        .collect();
    let subject = Subject::new(&pack, &names, in_delta)?;
    let largest = Table::of_shard(subject.shard(0)?)?;
    let in_largest: Vec<_> = largest.iter().filter_map(|(key, _)| customers.get(&key)).collect();
    let mut data = Data {
        json: serde_json::to_vec(&in_largest)?,
        in_delta,
        customers: customers.len(),
        grants: customers.values().map(|it| it.accesses.len() + it.licenses.len()).sum(),
        customer_bytes: of_customers.iter().map(|shard| shard.len()).sum(),
        ..Data::default()
    };
    for customer in customers.values() {
        data.json_bytes += serde_json::to_vec(customer)?.len() + 1;
    }
    for (which, bytes) in data.shard_bytes.iter_mut().enumerate() {
        *bytes = subject.shard(which)?.len();
    }
    fs::write(dir.join("pack.bin"), &pack)?;
    fs::write(dir.join("names.txt"), &names)?;
    fs::write(dir.join("customers.json"), &data.json)?;
    Ok(Data { pack, names, ..data })
}

/// Cuts entries, which are in ascending order of key, into shards of at most about `target_bytes`, each of the keys that
/// begin with the same bits, as the publisher does.
fn cut(entries: &[(EntryKey, &[u8])], target_bytes: usize) -> Result<Vec<Vec<u8>>> {
    let total: usize = entries.iter().map(|(_, record)| record.len()).sum();
    let bits = total.div_ceil(target_bytes).next_power_of_two().trailing_zeros() as u8;
    let chunks = entries.chunk_by(|(first, _), (second, _)| first.shard(bits) == second.shard(bits));
    let shards = chunks.map(|chunk| Ok(write_shard(chunk)?.context("an empty shard")?.1));
    let shards = shards.collect::<Result<Vec<_>>>()?;
    // Too few entries leave a shard empty, and look-ups would find the wrong one.
    if shards.len() == 1 << bits {
        Ok(shards)
    } else {
        bail!("too few customers for shards of {target_bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use admit::snapshot::object::ObjectName;
    use snapshot_bench::cut::Cut;

    use super::*;

    #[test]
    fn every_customer_is_found_in_shards_of_any_size() {
        let mut keys: Vec<_> = (0..1_000).map(|n| EntryKey::customer("x", &n.to_string())).collect();
        keys.sort_unstable();
        let records: Vec<_> = (0..1_000).map(|n| vec![0; 50 + n % 100]).collect();
        let entries: Vec<_> = keys.iter().copied().zip(records.iter().map(Vec::as_slice)).collect();
        for (target, count) in [(4 * 1024, 32), (16 * 1024, 8), (1024 * 1024, 1)] {
            let mut shards = Cut::default();
            let cut = cut(&entries, target).unwrap();
            assert_eq!(cut.len(), count);
            cut.into_iter()
                .for_each(|shard| shards.push(ObjectName::of(ObjectKind::Shard, &shard), Rc::from(shard)));
            for (key, record) in &entries {
                assert_eq!(shards.look_up(*key).unwrap(), record.len());
            }
            let (name, shard) = shards.typical().unwrap();
            name.check(&shard).unwrap();
            assert!(shards.look_up(EntryKey::customer("x", "unknown")).is_err());
        }
        assert!(cut(&entries[..4], 20).is_err(), "four customers cannot fill sixteen shards");
    }
}
