//! Prepares data for the benchmark, and runs its native half. `cargo xtask bench snapshot` calls it:
//!
//! `snapshot-bench prepare LINES.ndjson DIR` writes `pack.bin`, `names.txt` and `customers.json` and prints
//! what they hold; `snapshot-bench native DIR IN_DELTA ROUNDS MILLIS` prints nanoseconds for each kind of work.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hint::black_box,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use admit::snapshot::{
    delta::encode_delta,
    key::{EntryKey, mix},
    object::{Digest, ObjectKind},
    schema::{Customer, Line},
    table::{Entry, Table},
};
use admit_publish::build::build_ndjson;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use snapshot_bench::{
    Subject, Work,
    cut::{SIZES, cut},
    pack,
};

/// Customers in the delta: as many as a sync of 10,000 changes brings.
const IN_DELTA_MAX: usize = 10_000;

/// When the data is published: no matter, but the same each time.
const NOW: i64 = 1_767_225_600;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["prepare", lines, dir] => prepare(Path::new(lines), Path::new(dir)),
        ["native", dir, in_delta, rounds, millis] => native(Path::new(dir), in_delta, rounds, millis),
        _ => Err(anyhow::anyhow!("see the head of bench/snapshot/src/main.rs")),
    };
    match outcome {
        Ok(printed) => {
            println!("{printed}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("snapshot-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn prepare(path: &Path, dir: &Path) -> Result<Value> {
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
    let delta = encode_delta(&entries, &[] as &[(EntryKey, &[u8])])?;

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

    fs::create_dir_all(dir)?;
    fs::write(dir.join("customers.json"), serde_json::to_vec(&in_largest)?)?;
    let mut cut_bytes = serde_json::Map::new();
    for (which, (size, _)) in SIZES.iter().enumerate() {
        cut_bytes.insert((*size).to_owned(), subject.shard(which + 1)?.len().into());
    }
    let facts = json!({
        "cut_bytes": cut_bytes,
        "customers": customers.len(),
        "grants": customers.values().map(|it| it.accesses.len() + it.licenses.len()).sum::<usize>(),
        "customer_bytes": of_customers.iter().map(|shard| shard.len()).sum::<usize>(),
        "json_bytes": customers.values().map(|it| Ok(serde_json::to_vec(it)?.len() + 1)).sum::<Result<usize>>()?,
        "shard_bytes": subject.shard(0)?.len(),
        "shard_customers": in_largest.len(),
        "in_delta": in_delta,
        "delta_bytes": delta.len(),
    });
    fs::write(dir.join("pack.bin"), pack)?;
    fs::write(dir.join("names.txt"), names)?;
    Ok(facts)
}

fn native(dir: &Path, in_delta: &str, rounds: &str, millis: &str) -> Result<Value> {
    let read = |name: &str| fs::read(dir.join(name)).with_context(|| format!("cannot read {name}"));
    let names = String::from_utf8(read("names.txt")?)?;
    let mut subject = Subject::new(&read("pack.bin")?, &names, in_delta.parse()?)?;
    let shard = subject.shard(0)?.to_vec();
    let (rounds, slice) = (rounds.parse()?, Duration::from_millis(millis.parse()?));
    let mut measured = serde_json::Map::new();
    for (name, work) in Work::ALL {
        let rounds = samples(rounds, slice, |times| {
            black_box(subject.repeat(work, times)?);
            Ok(())
        })?;
        measured.insert(name.to_owned(), rounds);
    }
    let sizes = SIZES.iter().map(|(size, _)| format!("load_{size}"));
    for (which, name) in ["load".to_owned()].into_iter().chain(sizes).enumerate() {
        let shard = subject.shard(which)?.to_vec();
        let load = |times| {
            (0..times).try_for_each(|_| Ok(subject.load(which, shard.clone(), Digest::of).map(drop)?))
        };
        measured.insert(name, samples(rounds, slice, load)?);
    }
    let open =
        |times| (0..times).try_for_each(|_| Subject::open(shard.clone()).map(drop).map_err(Into::into));
    measured.insert("open".to_owned(), samples(rounds, slice, open)?);
    let json = read("customers.json")?;
    let parse = |times| {
        (0..times)
            .try_for_each(|_| serde_json::from_slice(&json).map(|value: Value| drop(black_box(value))))?;
        Ok(())
    };
    measured.insert("json".to_owned(), samples(rounds, slice, parse)?);
    Ok(Value::Object(measured))
}

/// Nanoseconds for one of many, measured over and over; each time long enough for the clock not to matter.
#[expect(clippy::disallowed_methods, reason = "a native command measures itself")]
fn samples(rounds: usize, slice: Duration, mut work: impl FnMut(u32) -> Result<()>) -> Result<Value> {
    let mut times = 1_u32;
    loop {
        let started = Instant::now();
        work(times)?;
        if started.elapsed() >= slice || times > u32::MAX / 2 {
            break;
        }
        times *= 2;
    }
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        work(times)?;
        samples.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(times));
    }
    Ok(json!(samples))
}
