//! Look-ups and loads, natively and in workerd; and how large it all is, against JSON.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Programs, generate,
    numbers::{Unit, count, median},
    report::{Figure, Section, Target},
    workerd::Workerd,
};
use crate::{job, paths::Paths};

/// Customers that are looked up: some 64 shards of 64 KiB, as many as an isolate holds easily.
const CUSTOMERS: u64 = 20_000;
const CUSTOMERS_OF_SMOKE: u64 = 200;

/// Measurements of each kind of work, of which the median counts, and how long each is at least.
const ROUNDS: u32 = 15;
const SLICE_MILLIS: u32 = 100;

/// Lengths that are hashed, bytes: about an object that is hardly worth a call, a shard, a delta.
const HASHED: [u32; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Loading a shard whose hash Wasm computes: not what the Worker does.
const HASHED_IN_WASM: &str = "load_wasm";

/// Nanoseconds by kind of work.
type Nanos = BTreeMap<String, f64>;

/// Measures all of it.
///
/// # Errors
/// Something cannot be built or run.
pub fn run(paths: &Paths, programs: &Programs, scratch: &Path, is_smoke: bool) -> Result<Vec<Section>> {
    let customers = if is_smoke { CUSTOMERS_OF_SMOKE } else { CUSTOMERS };
    let (rounds, slice) = if is_smoke { (2, 1) } else { (ROUNDS, SLICE_MILLIS) };
    let (lines, dir) = (scratch.join("read.ndjson"), scratch.join("read"));
    generate(paths, &programs.admit, customers, &lines, &[])?;
    let mut prepare = Command::new(&programs.bench);
    let facts: Value = serde_json::from_str(&job::stdout(prepare.arg("prepare").arg(&lines).arg(&dir))?)?;
    let fact = |name: &str| facts.get(name).and_then(Value::as_f64).with_context(|| format!("no {name}"));
    let in_delta = facts.get("in_delta").and_then(Value::as_u64).context("no in_delta")?;
    eprintln!("  timing it natively ...");
    let mut native = Command::new(&programs.bench);
    native
        .arg("native")
        .arg(&dir)
        .args([in_delta, rounds.into(), slice.into()].map(|number: u64| number.to_string()));
    let cut_bytes = facts.get("cut_bytes").context("no cut_bytes")?;
    let kinds = kinds(in_delta, fact("shard_bytes")?, cut_bytes);
    let native = medians(&serde_json::from_str(&job::stdout(&mut native)?)?)?;
    let wasm = if is_smoke { None } else { Some(in_workerd(paths, &dir, in_delta, &kinds)?) };
    fs::remove_file(&lines)?;
    fs::remove_dir_all(&dir)?;
    let reading = Section {
        title: "Reading",
        method: method(customers, in_delta, fact("shard_bytes")?, fact("shard_customers")?),
        figures: times(&native, wasm.as_ref(), &kinds),
    };
    let sizes = sizes(customers, fact("grants")?, fact("customer_bytes")?, fact("json_bytes")?);
    Ok(vec![reading, hashing(wasm.as_ref()), sizes])
}

fn method(customers: u64, in_delta: u64, shard_bytes: f64, shard_customers: f64) -> String {
    format!(
        "{} customers in shards of about 64 KiB, all loaded, asked for in an order that has nothing to do with \
         where they lie, through the code that the Worker runs (`Version::look_up`). Wasm as the Worker's is \
         built, run by `workerd serve`; natively the same code. Time stands still in workerd while code runs, so \
         requests are timed from outside: each repeats the work for at least {SLICE_MILLIS} ms, an empty loop of \
         the same length is subtracted, and the median of {ROUNDS} such measurements counts. \"Loading\" copies a \
         shard of {} ({shard_customers} customers) from JavaScript's memory, hashes it as the Worker does, \
         compares the digest and finds the table; `JSON.parse` reads the same customers from a string in memory, \
         without copy or check. The delta holds {} customers. Shards of other sizes are the same customers cut \
         anew, each size in as many shards as it takes, looked up without the index.",
        count(customers),
        Unit::Bytes.show(shard_bytes),
        count(in_delta),
    )
}

/// Kinds of work with what they are and the most nanoseconds that they should take.
fn kinds(in_delta: u64, shard_bytes: f64, cut_bytes: &Value) -> Vec<(String, String, f64)> {
    let size = |name: &str| Unit::Bytes.show(cut_bytes.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN));
    let shard = Unit::Bytes.show(shard_bytes);
    let behind = format!("look-up in a shard, after a delta of {} that lacks it", count(in_delta));
    let untold = |id: &str, what: &str| (id.to_owned(), what.to_owned(), f64::INFINITY);
    let mut kinds = vec![
        ("shard".to_owned(), "look-up in a shard".to_owned(), 1_000.0),
        ("delta".to_owned(), "look-up in a delta".to_owned(), 1_000.0),
        ("shard_behind_delta".to_owned(), behind, 2_000.0),
        untold("key", "from namespace and subject to a key"),
        ("load".to_owned(), format!("loading a shard of {shard}"), 300_000.0),
        untold(HASHED_IN_WASM, "the same, hashed in Wasm"),
        untold("open", "the same without the hash"),
        untold("json", "`JSON.parse` of the same customers"),
    ];
    for name in SIZES {
        kinds.push(untold(&format!("shard_{name}"), &format!("look-up in shards of some {}", size(name))));
    }
    for name in SIZES {
        kinds.push(untold(&format!("load_{name}"), &format!("loading one of {}", size(name))));
    }
    kinds
}

/// Sizes of shards to compare, as the benchmark names them.
const SIZES: [&str; 3] = ["16k", "64k", "256k"];

fn times(native: &Nanos, wasm: Option<&Nanos>, kinds: &[(String, String, f64)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (id, what, most) in kinds {
        let target = if most.is_finite() { Target::AtMost(*most) } else { Target::None };
        let value = wasm.and_then(|nanos| nanos.get(id)).copied();
        figures.push(
            Figure::new(format!("wasm_{id}"), format!("Wasm: {what}"), Unit::Nanos, value)
                .with_target(target),
        );
    }
    let ratio = |to: &str| wasm.and_then(|nanos| Some(nanos.get("json")? / nanos.get(to)?));
    figures.extend([
        Figure::new("wasm_json_to_load", "`JSON.parse` against loading", Unit::Times, ratio("load")),
        // JSON would have to be hashed too, so this is the same work.
        Figure::new(
            "wasm_json_to_open",
            "`JSON.parse` against loading without the hash",
            Unit::Times,
            ratio("open"),
        )
        .with_target(Target::AtLeast(100.0)),
    ]);
    for (id, what, _) in kinds.iter().filter(|(id, ..)| id != HASHED_IN_WASM) {
        let what = what.replace("`JSON.parse`", "`serde_json`");
        let value = native.get(id).copied();
        figures.push(Figure::new(format!("native_{id}"), format!("natively: {what}"), Unit::Nanos, value));
    }
    figures
}

fn hashing(wasm: Option<&Nanos>) -> Section {
    let nanos = |by: &str, bytes: u32| wasm.and_then(|nanos| nanos.get(&hash_work(by, bytes)).copied());
    let mut figures = Vec::new();
    for bytes in HASHED {
        let what = Unit::Bytes.show(f64::from(bytes));
        let (own, platform) = (nanos("wasm", bytes), nanos("platform", bytes));
        let figure = |id: &str, by: &str, value| {
            Figure::new(format!("hash_{id}_{bytes}"), format!("{what}: {by}"), Unit::Nanos, value)
        };
        figures.extend([
            figure("wasm", "in Wasm", own),
            figure("platform", "by the platform, called from Wasm", platform),
        ]);
    }
    Section {
        title: "Hashing",
        method: "SHA-256 of bytes in Wasm's memory, in the same run and in the same way: by the Worker's code, and \
                 by `node:crypto`, as the Worker calls it (`src/worker/hash.rs`). Before it is measured, both \
                 must come to the same digest."
            .to_owned(),
        figures,
    }
}

/// The name that the benchmark's Worker has for it.
fn hash_work(by: &str, bytes: u32) -> String {
    format!("hash_{by}_{bytes}")
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn sizes(customers: u64, grants: f64, bytes: f64, json_bytes: f64) -> Section {
    let grants_each = grants / customers as f64;
    Section {
        title: "Size",
        method: format!(
            "The customers' shards, keys and all, against their lines in a publish file. A grant is an access or \
             a subscription to a licence; a customer has {grants_each:.1} on average."
        ),
        figures: vec![
            Figure::new("bytes_per_grant", "snapshot, for each grant", Unit::Bytes, bytes / grants),
            Figure::new("json_bytes_per_grant", "JSON, for each grant", Unit::Bytes, json_bytes / grants),
            Figure::new(
                "bytes_per_customer",
                "snapshot, for each customer",
                Unit::Bytes,
                bytes / customers as f64,
            ),
            Figure::new("json_to_snapshot", "JSON against snapshot", Unit::Times, json_bytes / bytes),
        ],
    }
}

fn in_workerd(paths: &Paths, dir: &Path, in_delta: u64, kinds: &[(String, String, f64)]) -> Result<Nanos> {
    let workerd = Workerd::start(paths, dir, in_delta)?;
    eprintln!("  timing it in workerd ...");
    let slice = f64::from(SLICE_MILLIS) / 1e3;
    let mut nanos = Nanos::new();
    let works = kinds.iter().map(|(work, ..)| work.clone());
    let hashes = HASHED.into_iter().flat_map(|bytes| ["wasm", "platform"].map(|by| hash_work(by, bytes)));
    for work in works.chain(hashes) {
        let work = work.as_str();
        let mut times = 1;
        while workerd.secs(work, times)? < slice && times < u32::MAX / 2 {
            times *= 2;
        }
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            if job::interrupted() {
                bail!("interrupted");
            }
            let (empty, full) = (workerd.secs("empty", times)?, workerd.secs(work, times)?);
            samples.push(nanos_each(full, empty, times));
        }
        nanos.insert(work.to_owned(), median(&samples).context("no samples")?);
    }
    Ok(nanos)
}

/// Nanoseconds for one of `times`, of which `empty` seconds are the request's and the loop's.
fn nanos_each(full: f64, empty: f64, times: u32) -> f64 {
    (full - empty).max(0.0) * 1e9 / f64::from(times.max(1))
}

/// The median of each kind of work, less that of the empty loop.
fn medians(samples: &Value) -> Result<Nanos> {
    let mut nanos = Nanos::new();
    for (work, samples) in samples.as_object().context("no samples")? {
        let samples: Vec<f64> = samples.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        nanos.insert(work.clone(), median(&samples).with_context(|| format!("no samples of {work}"))?);
    }
    let empty = nanos.remove("empty").context("no samples of the empty loop")?;
    Ok(nanos.into_iter().map(|(work, value)| (work, (value - empty).max(0.0))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_empty_loop_is_subtracted() {
        let nanos =
            medians(&json!({ "empty": [1.0, 2.0, 9.0], "shard": [50.0, 32.0, 31.0], "key": [1.0] })).unwrap();
        assert_eq!(nanos, Nanos::from([("shard".to_owned(), 30.0), ("key".to_owned(), 0.0)]));
        assert!(medians(&json!({ "shard": [1.0] })).is_err() && medians(&json!({ "empty": [] })).is_err());
        assert_eq!(nanos_each(0.25, 0.05, 1_000_000), 200.0);
        assert_eq!(nanos_each(0.05, 0.25, 10), 0.0);
    }

    #[test]
    fn ratios_are_the_right_way_round() {
        let figures = sizes(10, 80.0, 1_600.0, 16_000.0).figures;
        let values: Vec<_> = figures.iter().filter_map(|figure| figure.value).collect();
        assert_eq!(values, [20.0, 200.0, 160.0, 10.0]);
        let wasm =
            Nanos::from([("json".to_owned(), 2_000.0), ("load".to_owned(), 10.0), ("open".to_owned(), 5.0)]);
        let figures = times(&Nanos::new(), Some(&wasm), &kinds(1, 65_536.0, &json!({ "16k": 15_000 })));
        let value = |id: &str| figures.iter().find(|figure| figure.id == id).unwrap().value;
        let what = |id: &str| figures.iter().find(|figure| figure.id == id).unwrap().what.as_str();
        assert_eq!(what("native_load_16k"), "natively: loading one of 14.6 KiB");
        assert_eq!((value("wasm_json_to_load"), value("wasm_json_to_open")), (Some(200.0), Some(400.0)));
    }
}
