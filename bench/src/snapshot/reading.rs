//! Look-ups and loads, natively and in workerd, through the code that the Worker runs; and the size of it all, against
//! JSON.

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use admit::snapshot::object::Digest;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use snapshot_bench::{Subject, Work, cut::SIZES};
use xtask::job;

use super::{
    Bench,
    data::{self, Data},
    worker::Worker,
};
use crate::{
    numbers::{Unit, grouped, median},
    report::{Figure, Target},
    samples::{Effort, nanos},
};

/// Customers that are looked up: some 64 shards of 64 KiB, which an isolate holds easily.
const CUSTOMERS: u64 = 20_000;

/// Time stands still in workerd while code runs, so requests are timed from outside: each repeats the work.
const EFFORT: Effort = Effort { rounds: 15, slice: Duration::from_millis(100) };

/// Lengths that are hashed, in bytes: about an object that hardly needs a call, a shard, a delta.
const HASHED: [u32; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Loading a shard whose hash Wasm computes: the Worker does not.
const HASHED_IN_WASM: &str = "load_wasm";

/// Nanoseconds by kind of work.
type Nanos = BTreeMap<String, f64>;

/// Measures all of it. A smoke test is short, and leaves Wasm out.
pub fn run(bench: &Bench<'_>, is_smoke: bool) -> Result<[(&'static str, Vec<Figure>); 3]> {
    let customers = if is_smoke { 200 } else { CUSTOMERS };
    let lines = bench.generate(customers, "read.ndjson", &[])?;
    let data = data::prepare(&lines, bench.dir())?;
    eprintln!("  timing it natively ...");
    let effort = if is_smoke { Effort { rounds: 2, slice: Duration::from_millis(1) } } else { EFFORT };
    let native = natively(&data, effort)?;
    let kinds = kinds(&data);
    let wasm = if is_smoke { None } else { Some(in_workerd(bench, &data, &kinds)?) };
    Ok([
        ("Reading", times(&native, wasm.as_ref(), &kinds)),
        ("Hashing", hashing(wasm.as_ref())),
        ("Size", sizes(&data)),
    ])
}

/// A kind of work.
struct Measurement {
    id: String,
    label: String,
    /// The most nanoseconds that it should take in Wasm.
    target: Target,
}

fn kinds(data: &Data) -> Vec<Measurement> {
    let kind = |id: &str, label: String, target| Measurement { id: id.to_owned(), label, target };
    let most = |nanos| Target::AtMost(nanos);
    let behind =
        format!("look-up in a shard, after a delta of {} that lacks it", grouped(data.in_delta as f64));
    let shard = format!("loading a shard of {}", Unit::Bytes.show(data.shard_bytes[0] as f64));
    let mut kinds = vec![
        kind("shard", "look-up in a shard".to_owned(), most(1_000.0)),
        kind("delta", "look-up in a delta".to_owned(), most(1_000.0)),
        kind("shard_behind_delta", behind, most(2_000.0)),
        kind("key", "from namespace and subject to a key".to_owned(), Target::None),
        kind("load", shard, most(300_000.0)),
        kind(HASHED_IN_WASM, "the same, hashed in Wasm".to_owned(), Target::None),
        kind("open", "the same without the hash".to_owned(), Target::None),
        kind("json", "`JSON.parse` of the same customers".to_owned(), Target::None),
    ];
    let sizes = || {
        SIZES
            .iter()
            .zip(data.shard_bytes.iter().skip(1))
            .map(|((name, _), bytes)| (name, Unit::Bytes.show(*bytes as f64)))
    };
    kinds.extend(sizes().map(|(name, size)| {
        kind(&format!("shard_{name}"), format!("look-up in shards of some {size}"), Target::None)
    }));
    kinds.extend(
        sizes().map(|(name, size)| {
            kind(&format!("load_{name}"), format!("loading one of {size}"), Target::None)
        }),
    );
    kinds
}

fn times(native: &Nanos, wasm: Option<&Nanos>, kinds: &[Measurement]) -> Vec<Figure> {
    let wasm_of = |id: &str| wasm.and_then(|nanos| nanos.get(id)).copied();
    let in_wasm = |Measurement { id, label, target }: &Measurement| {
        Figure::new(format!("wasm_{id}"), format!("Wasm: {label}"), Unit::Nanos, wasm_of(id))
            .with_target(*target)
    };
    let natively = |Measurement { id, label, .. }: &Measurement| {
        let label = label.replace("`JSON.parse`", "`serde_json`");
        Figure::new(
            format!("native_{id}"),
            format!("natively: {label}"),
            Unit::Nanos,
            native.get(id).copied(),
        )
    };
    let ratio = |to: &str| Some(wasm_of("json")? / wasm_of(to)?);
    let to_load =
        Figure::new("wasm_json_to_load", "`JSON.parse` against loading", Unit::Times, ratio("load"));
    // JSON would have to be hashed too, so this is the same work.
    let label = "`JSON.parse` against loading without the hash";
    let to_open = Figure::new("wasm_json_to_open", label, Unit::Times, ratio("open"))
        .with_target(Target::AtLeast(100.0));
    let natives = kinds.iter().filter(|kind| kind.id != HASHED_IN_WASM).map(natively);
    kinds.iter().map(in_wasm).chain([to_load, to_open]).chain(natives).collect()
}

fn hashing(wasm: Option<&Nanos>) -> Vec<Figure> {
    let figure = |bytes: u32, by: &str, label: &str| {
        let value = wasm.and_then(|nanos| nanos.get(&hash_work(by, bytes)).copied());
        let label = format!("{}: {label}", Unit::Bytes.show(f64::from(bytes)));
        Figure::new(format!("hash_{by}_{bytes}"), label, Unit::Nanos, value)
    };
    let ways = [("wasm", "in Wasm"), ("platform", "by the platform, called from Wasm")];
    HASHED.into_iter().flat_map(|bytes| ways.map(|(by, label)| figure(bytes, by, label))).collect()
}

/// The name that the benchmark's Worker has for it.
fn hash_work(by: &str, bytes: u32) -> String {
    format!("hash_{by}_{bytes}")
}

fn sizes(data: &Data) -> Vec<Figure> {
    let Data { customers, grants, customer_bytes: bytes, json_bytes, .. } = data;
    let per = |bytes: &usize, count: &usize| *bytes as f64 / *count as f64;
    vec![
        Figure::new("bytes_per_grant", "snapshot, for each grant", Unit::Bytes, per(bytes, grants)),
        Figure::new("json_bytes_per_grant", "JSON, for each grant", Unit::Bytes, per(json_bytes, grants)),
        Figure::new("bytes_per_customer", "snapshot, for each customer", Unit::Bytes, per(bytes, customers)),
        Figure::new("json_to_snapshot", "JSON against snapshot", Unit::Times, per(json_bytes, bytes)),
    ]
}

fn natively(data: &Data, effort: Effort) -> Result<Nanos> {
    let mut subject = Subject::new(&data.pack, &data.names, data.in_delta)?;
    let mut all = Nanos::new();
    for (name, work) in Work::ALL {
        let repeat = |times| {
            black_box(subject.repeat(work, times)?);
            Ok(())
        };
        all.insert(name.to_owned(), nanos(effort, repeat)?);
    }
    let sizes = SIZES.iter().map(|(size, _)| format!("load_{size}"));
    for (which, name) in ["load".to_owned()].into_iter().chain(sizes).enumerate() {
        let shard = subject.shard(which)?.to_vec();
        let load = |_| Ok(subject.load(which, shard.clone(), Digest::of).map(drop)?);
        all.insert(name, nanos(effort, |times| (0..times).try_for_each(load))?);
    }
    let shard = subject.shard(0)?.to_vec();
    let open = |_| Ok(Subject::open(shard.clone()).map(drop)?);
    all.insert("open".to_owned(), nanos(effort, |times| (0..times).try_for_each(open))?);
    let parse = |_| Ok(serde_json::from_slice(&data.json).map(|value: Value| drop(black_box(value)))?);
    all.insert("json".to_owned(), nanos(effort, |times| (0..times).try_for_each(parse))?);
    let empty = all.remove("empty").context("the empty loop was not timed")?;
    Ok(all.into_iter().map(|(work, value)| (work, (value - empty).max(0.0))).collect())
}

fn in_workerd(bench: &Bench<'_>, data: &Data, kinds: &[Measurement]) -> Result<Nanos> {
    let worker = Worker::start(bench.paths, bench.dir(), data.in_delta)?;
    eprintln!("  timing it in workerd ...");
    let slice = EFFORT.slice.as_secs_f64();
    let hashes = HASHED.into_iter().flat_map(|bytes| ["wasm", "platform"].map(|by| hash_work(by, bytes)));
    let mut nanos = Nanos::new();
    for work in kinds.iter().map(|kind| kind.id.clone()).chain(hashes) {
        let mut times = 1;
        while worker.secs(&work, times)? < slice && times < u32::MAX / 2 {
            times *= 2;
        }
        let mut samples = Vec::new();
        for _ in 0..EFFORT.rounds {
            if job::interrupted() {
                bail!("interrupted");
            }
            // An empty loop of the same length is the request's and the loop's part.
            let (empty, full) = (worker.secs("empty", times)?, worker.secs(&work, times)?);
            samples.push((full - empty).max(0.0) * 1e9 / f64::from(times));
        }
        nanos.insert(work, median(&samples).context("no samples")?);
    }
    Ok(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_the_right_way_round() {
        let data = Data {
            customers: 10,
            grants: 80,
            customer_bytes: 1_600,
            json_bytes: 16_000,
            shard_bytes: [65_536, 15_000, 0, 0],
            ..Data::default()
        };
        let values: Vec<_> = sizes(&data).iter().filter_map(|figure| figure.value).collect();
        assert_eq!(values, [20.0, 200.0, 160.0, 10.0]);
        let wasm = [("json", 2_000.0), ("load", 10.0), ("open", 5.0)];
        let wasm = wasm.map(|(id, nanos)| (id.to_owned(), nanos)).into();
        let figures = times(&Nanos::new(), Some(&wasm), &kinds(&data));
        let of = |id: &str| figures.iter().find(|figure| figure.id == id).unwrap();
        assert_eq!(of("native_load_16k").label, "natively: loading one of 14.6 KiB");
        assert_eq!(
            (of("wasm_json_to_load").value, of("wasm_json_to_open").value),
            (Some(200.0), Some(400.0))
        );
    }
}
