//! The store's part of the report: head, kept versions, lease, objects and shards.

use admit_publish::overlay::note;
use admit_snapshot::{
    report::{Effect, HistoryReport, KeptVersion, LeaseReport, ObjectsReport, ShardsReport, Signature},
    time::iso8601,
};
use indicatif::{HumanBytes, HumanCount};

use super::{super::head::HeadShown, line};

/// The longest bar of a histogram.
const BAR_MAX: usize = 40;

pub fn head(shown: &HeadShown) -> String {
    let mut out = String::new();
    let head = &shown.report;
    let (seq, as_of, age) = (head.seq, &head.as_of_iso, age(head.age_secs));
    line(&mut out, "Head", format_args!("seq {seq}, as of {as_of} ({age})"));
    if head.changed_at != head.as_of {
        let (changed, ago) = (iso8601(head.changed_at, 0), self::age(head.unchanged_secs));
        line(&mut out, "", format_args!("unchanged since {changed} ({ago})"));
    }
    let signature = match head.signature {
        Signature::Verified => "signature verified",
        Signature::NotChecked => "signature not checked (--key FILE does)",
    };
    line(&mut out, "", format_args!("format {}, {signature}", head.format));
    match (&head.aud, &head.published_by) {
        (None, None) => {}
        (aud, by) => {
            let aud =
                aud.as_ref().map_or_else(|| "for any store".to_owned(), |aud| format!("for the store {aud}"));
            let by = by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
            line(&mut out, "", format_args!("{aud}{by}"));
        }
    }
    if !shown.denylist.is_empty() {
        line(&mut out, "", format_args!("{} revocations in force: admit revoke --list", head.revoked));
    }
    let published =
        head.published_at.map_or_else(String::new, |at| format!(", published {}", iso8601(at, 0)));
    let reflects = match head.origin_seq {
        0 if head.seq > 0 => "without the origin's count of changes".to_owned(),
        seq => format!("the origin's change {seq}"),
    };
    line(&mut out, "", format_args!("{reflects}{published}"));
    let customers = counted(head.customers_in_shards, "customers", head.delta_customers);
    let items = counted(head.items_in_shards, "items", head.delta_items);
    line(&mut out, "", format_args!("{customers}, {items}"));
    if head.set_aside > 0 {
        let set_aside = HumanCount(head.set_aside);
        line(&mut out, "", format_args!("{set_aside} records are set aside: the publisher's log names them"));
    }
    out
}

fn counted(in_shards: u64, noun: &str, delta: Option<Effect>) -> String {
    match delta {
        Some(delta) => format!("{} {noun}{}", HumanCount(delta.total(in_shards)), note(delta)),
        None => format!(
            "{} {noun} in the shards (what the delta adds and removes is not counted; --all counts)",
            HumanCount(in_shards)
        ),
    }
}

pub fn history(report: &HistoryReport) -> String {
    let mut out = String::new();
    let mut label = "Versions";
    if report.versions.is_empty() {
        line(&mut out, label, "none: there is no version to roll back to");
    }
    for version in &report.versions {
        let KeptVersion { seq, as_of, customers, items, set_aside, .. } = version;
        let published =
            version.published_at.map_or_else(String::new, |at| format!(", published {}", iso8601(at, 0)));
        let (customers, items) = (HumanCount(*customers), HumanCount(*items));
        let as_of = iso8601(*as_of, 0);
        let set_aside = match set_aside {
            0 => String::new(),
            count => format!(", {} set aside", HumanCount(*count)),
        };
        line(
            &mut out,
            label,
            format_args!("{seq}, as of {as_of}{published}, {customers} customers, {items} items{set_aside}"),
        );
        label = "";
    }
    let unlisted = report.versions_total.unwrap_or_default().saturating_sub(report.versions.len());
    if unlisted > 0 {
        line(&mut out, "", format_args!("... and {unlisted} older ones (`admit gc` drops old versions)"));
    }
    match &report.lease {
        Some(LeaseReport { host, until, secs_left }) => {
            line(
                &mut out,
                "Lease",
                format_args!("held by {host} until {until} ({secs_left} s), unless it is renewed"),
            );
        }
        None => line(&mut out, "Lease", "not held"),
    }
    out
}

/// A time in the past, as text with one unit.
pub fn age(secs: i64) -> String {
    let (number, unit) = match secs.unsigned_abs() {
        secs @ 0..120 => (secs, "s"),
        secs @ 120..7_200 => (secs / 60, "min"),
        secs @ 7_200..172_800 => (secs / 3_600, "h"),
        secs => (secs / 86_400, "days"),
    };
    if secs < 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

pub fn objects(report: &ObjectsReport) -> String {
    let mut out = String::new();
    let mut label = "Objects";
    for object in [&report.index, &report.directory] {
        line(&mut out, label, format_args!("{}  {}", object.name, HumanBytes(object.bytes as u64)));
        label = "";
    }
    if let Some(delta) = &report.delta {
        let percent = delta.bytes * 100 / delta.budget_bytes;
        let (bytes, budget) = (HumanBytes(delta.bytes as u64), HumanBytes(delta.budget_bytes as u64));
        line(&mut out, "", format_args!("{}  {bytes}, {percent} % of {budget}", delta.name));
        let (customers, items) = (HumanCount(delta.customers as u64), HumanCount(delta.items as u64));
        line(&mut out, "", format_args!("{customers} customers and {items} items are in the delta"));
    }
    if report.pages > 0 {
        line(&mut out, "", format_args!("{} pages of the index", report.pages));
    }
    out.push_str(&shards("Customers", &report.customers));
    out.push_str(&shards("Items", &report.items));
    out
}

fn shards(label: &str, report: &ShardsReport) -> String {
    let mut out = String::new();
    let bytes = |bytes: usize| HumanBytes(bytes as u64);
    let ShardsReport { places, measured, .. } = report;
    let shards = report.shards.unwrap_or_default();
    let sample = if *measured < shards {
        format!(", {measured} of them measured (--all measures all)")
    } else {
        String::new()
    };
    line(&mut out, label, format_args!("{shards} of {places} shards have entries{sample}"));
    if *measured == 0 {
        return out;
    }
    let entries = HumanCount(report.entries as u64);
    line(&mut out, "", format_args!("{entries} entries, {}", bytes(report.bytes)));
    let (smallest, median) = (bytes(report.smallest_bytes), bytes(report.median_bytes));
    let largest = bytes(report.largest_bytes);
    line(&mut out, "", format_args!("smallest {smallest}, median {median}, largest {largest}"));
    let most = report.histogram.iter().map(|bucket| bucket.shards).max().unwrap_or(0).max(1);
    for bucket in &report.histogram {
        let bar = "#".repeat((bucket.shards * BAR_MAX).div_ceil(most));
        let up_to = bytes(bucket.up_to_bytes).to_string();
        line(&mut out, "", format_args!("up to {up_to:>10} {:>7} {bar}", bucket.shards));
    }
    out
}

#[cfg(test)]
mod tests {
    use admit_snapshot::report::Bucket;

    use super::*;

    #[test]
    fn ages_have_one_unit() {
        for (secs, text) in [
            (0, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_200, "2 h ago"),
            (900_000, "10 days ago"),
            (-5, "in 5 s"),
        ] {
            assert_eq!(age(secs), text);
        }
    }

    #[test]
    fn bars_are_scaled_and_no_shard_is_invisible() {
        let bucket = |up_to_bytes, shards| Bucket { up_to_bytes, shards };
        let report = ShardsReport {
            places: 2_048,
            shards: Some(1_001),
            measured: 1_001,
            histogram: vec![bucket(32_768, 1), bucket(65_536, 1_000), bucket(131_072, 0)],
            ..ShardsReport::default()
        };
        let text = shards("Customers", &report);
        let bars: Vec<usize> = text.lines().skip(3).map(|line| line.matches('#').count()).collect();
        assert_eq!(bars, [1, 40, 0]);
        assert!(text.starts_with("Customers  1001 of 2048 shards have entries\n"));
    }
}
