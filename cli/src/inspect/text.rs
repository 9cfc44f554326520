//! Prints the report of `admit inspect` as text.

use std::fmt::{Display, Write};

use admit_publish::{overlay::note, store::HeadInUse};
use admit_snapshot::{
    report::{Effect, HistoryReport, KeptVersion, LeaseReport, ObjectsReport, ShardsReport, Signature},
    time::iso8601,
};
use indicatif::{HumanBytes, HumanCount};

use super::{
    InspectReport,
    asked::OriginReport,
    check::{CheckReport, FeeReport, GrantReport},
    customer::{AccessReport, CustomerReport, LicenseReport},
    head::HeadShown,
    item::{ExternalIdReport, ExternalReport, ItemReport},
};

/// The longest bar of a histogram.
const BAR_MAX: usize = 40;

/// The report as lines of text.
pub fn render(report: &InspectReport) -> String {
    let mut out = head(&report.head);
    if let Some(HeadInUse { seq, head_from, age_secs }) = &report.edge {
        let from = if head_from == "lane" { "the fresh lane" } else { "KV" };
        line(&mut out, "Edge", format_args!("answers from seq {seq}, read in {from} ({})", age(*age_secs)));
    }
    if let Some(report) = &report.objects {
        out.push_str(&objects(report));
    }
    if let Some(report) = &report.history {
        out.push_str(&history(report));
    }
    if let Some(report) = &report.item {
        out.push_str(&item(report));
    }
    if let Some(report) = &report.external {
        out.push_str(&external(report));
    }
    if let Some(report) = &report.customer {
        out.push_str(&customer(report));
    }
    if let Some(report) = &report.check {
        out.push_str(&check(report));
    }
    if let (Some(check), Some(report)) = (&report.check, &report.origin) {
        out.push_str(&origin(check, report));
    }
    out
}

fn line(out: &mut String, label: &str, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{label:<11}{value}");
}

fn head(shown: &HeadShown) -> String {
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

fn history(report: &HistoryReport) -> String {
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
fn age(secs: i64) -> String {
    let (number, unit) = match secs.unsigned_abs() {
        secs @ 0..120 => (secs, "s"),
        secs @ 120..7_200 => (secs / 60, "min"),
        secs @ 7_200..172_800 => (secs / 3_600, "h"),
        secs => (secs / 86_400, "days"),
    };
    if secs < 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

fn objects(report: &ObjectsReport) -> String {
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

fn item(report: &ItemReport) -> String {
    let mut out = String::new();
    let id = report.id;
    let Some(found_in) = report.found_in else {
        line(&mut out, "Item", format_args!("{id} is not in the snapshot"));
        return out;
    };
    let title = report.title.as_deref().unwrap_or("no title");
    line(&mut out, "Item", format_args!("{id} ({title}), from the {found_in}"));
    let item_type = report.item_type.as_deref().unwrap_or("of an unknown type");
    let merchant = report.merchant_id.unwrap_or_default();
    let active = if report.is_active { "active" } else { "inactive" };
    let free = if report.is_free { ", free" } else { "" };
    line(&mut out, "", format_args!("{item_type}, merchant {merchant}, {active}{free}"));
    if !report.packages.is_empty() {
        let packages: Vec<_> = report.packages.iter().map(i64::to_string).collect();
        line(&mut out, "", format_args!("in the packages {}", packages.join(", ")));
    }
    for ExternalIdReport { id: external, from, names } in &report.external_ids {
        let found = match names {
            Some(named) if *named == id => "leads to it".to_owned(),
            Some(named) => format!("leads to item {named}"),
            None if report.is_active => "leads to no item".to_owned(),
            None => "leads to no item, because it is inactive".to_owned(),
        };
        line(&mut out, "External", format_args!("{item_type}/{external}, its {from}: {found}"));
    }
    out
}

fn external(report: &ExternalReport) -> String {
    let mut out = String::new();
    let ExternalReport { item_type, id, items } = report;
    let count = items.len();
    let found = match count {
        0 => "names no active item".to_owned(),
        1 => "names one item".to_owned(),
        _ => format!("names {count} items, and the first of each merchant is found"),
    };
    line(&mut out, "External", format_args!("{item_type}/{id} {found}"));
    items.iter().for_each(|report| out.push_str(&item(report)));
    out
}

fn customer(report: &CustomerReport) -> String {
    let mut out = String::new();
    let CustomerReport { asked, namespace, subject, at, record, .. } = report;
    let name = match (namespace, subject) {
        (Some(namespace), Some(subject)) => format!("{namespace}:{subject}"),
        _ => asked.clone(),
    };
    match record {
        Some(record) => {
            line(&mut out, "Customer", format_args!("{name}, from the {}", record.found_in));
            let (id, uuid, merchant_id) = (record.id, record.uuid, record.merchant_id);
            line(&mut out, "", format_args!("id {id}, uuid {uuid}, merchant {merchant_id}"));
        }
        None => {
            let owns = if report.is_certain { ": owns nothing" } else { "" };
            line(&mut out, "Customer", format_args!("{name} is not in the snapshot{owns}"));
        }
    }
    if let Some(note) = &report.note {
        line(&mut out, "", note);
    }
    if let Some(token) = &report.token {
        let issuer = token.issuer.as_deref().unwrap_or("an unnamed issuer");
        line(&mut out, "Token", format_args!("of {issuer}; its claims were read without verification"));
        match (&token.expires_at, token.is_expired) {
            (None, _) => line(&mut out, "", "it has no exp: the edge answers 401"),
            (Some(end), true) => line(&mut out, "", format_args!("it ended at {end}: the edge answers 401")),
            (Some(end), false) => line(&mut out, "", format_args!("it ends at {end}")),
        }
    }
    let Some(record) = record else { return out };
    line(&mut out, "Accesses", format_args!("{}, judged at {at}", record.accesses.len()));
    for access in &record.accesses {
        line(&mut out, "", access_line(access));
    }
    line(&mut out, "Licences", format_args!("{}, judged at {at}", record.licenses.len()));
    for license in &record.licenses {
        line(&mut out, "", license_line(license));
    }
    out
}

fn access_line(access: &AccessReport) -> String {
    let AccessReport { id, item_id, starts_at, expires_at, .. } = access;
    let kind = if access.is_package { "package" } else { "item" };
    let title = access.title.as_deref().unwrap_or("not published");
    let granted = access.created_at.as_deref().unwrap_or_default();
    let (state, period) = (access.state.name(), period(starts_at.as_ref(), expires_at.as_ref()));
    format!("{state:<12} access {id} on {kind} {item_id} ({title}), {period}, granted {granted}")
}

fn license_line(license: &LicenseReport) -> String {
    let LicenseReport { license_id, name, status, renew_status, date_added, .. } = license;
    let period = period(license.starts_at.as_ref(), license.expires_at.as_ref());
    let known = if license.license.is_some() { "" } else { ", not published" };
    let status = format!("{status:?}/{renew_status:?}").to_uppercase();
    let state = license.state.name();
    format!("{state:<12} {name} ({license_id}{known}), {status}, {period}, added {date_added}")
}

fn period(starts_at: Option<&String>, expires_at: Option<&String>) -> String {
    match (starts_at, expires_at) {
        (None, None) => "for ever".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("until {to}"),
        (Some(from), Some(to)) => format!("{from} to {to}"),
    }
}

fn check(report: &CheckReport) -> String {
    let mut out = String::new();
    let CheckReport { item_id, at, status, reason, .. } = report;
    let title = report.title.as_deref().unwrap_or("not published");
    let verdict = if report.is_allowed { "ALLOW" } else { "DENY" };
    line(&mut out, "Check", format_args!("item {item_id} ({title}) at {at}"));
    let until = match (&report.expires_at, report.is_allowed) {
        (Some(expires_at), _) => format!(", until {expires_at}"),
        (None, true) => ", for ever".to_owned(),
        (None, false) => String::new(),
    };
    line(&mut out, "", format_args!("{verdict} ({status}), reason {reason}{until}"));
    line(&mut out, "Grants", format_args!("{} lead to the item", report.grants.len()));
    for grant in &report.grants {
        line(&mut out, "", grant_line(grant));
    }
    line(&mut out, "Fees", format_args!("{}", report.fees.len()));
    for fee in &report.fees {
        line(&mut out, "", fee_line(fee));
    }
    out
}

/// The answers of snapshot and origin, one above the other.
fn origin(check: &CheckReport, origin: &OriginReport) -> String {
    let mut out = String::new();
    let until = |is_allowed: bool, end: Option<&String>| match (is_allowed, end) {
        (false, _) => String::new(),
        (true, Some(end)) => format!(", until {end}"),
        (true, None) => ", for ever".to_owned(),
    };
    let verdict = |is_allowed| if is_allowed { "ALLOW" } else { "DENY" };
    let snapshot = until(check.is_allowed, check.expires_at.as_ref());
    let (status, reason) = (check.status, check.reason);
    line(&mut out, "Snapshot", format_args!("{} ({status}), {reason}{snapshot}", verdict(check.is_allowed)));
    let seq = origin.entitlement_seq.map_or_else(String::new, |seq| format!(", at its change {seq}"));
    let status = origin.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let message = origin.message.as_ref().map_or_else(String::new, |message| format!(", {message}"));
    match (origin.is_allowed, &origin.problem) {
        (Some(is_allowed), _) => {
            let until = until(is_allowed, origin.expires_at.as_ref());
            let message = if is_allowed { "" } else { &message };
            line(&mut out, "Origin", format_args!("{} ({status}){message}{until}{seq}", verdict(is_allowed)));
        }
        (None, problem) => {
            let problem = problem.as_deref().unwrap_or_default();
            line(&mut out, "Origin", format_args!("cannot tell ({status}{message}): {problem}"));
        }
    }
    line(&mut out, "", format_args!("GET {}", origin.url));
    if let Some(note) = &origin.note {
        line(&mut out, "", note);
    }
    if origin.agrees == Some(false) {
        line(
            &mut out,
            "",
            "they differ: the edge confirms a denial at the origin, and what the snapshot grants counts",
        );
    }
    out
}

/// A grant, and why it does not count.
pub fn grant_line(grant: &GrantReport) -> String {
    let mark = if grant.is_chosen { "*" } else { "-" };
    let source = match (grant.access_id, grant.license_id) {
        (Some(id), _) => format!(" {id}"),
        (None, Some(id)) => format!(" {id}"),
        (None, None) => String::new(),
    };
    let period = period(grant.starts_at.as_ref(), grant.expires_at.as_ref());
    let verdict = grant.obstacle.unwrap_or(if grant.is_chosen { "grants, and answers" } else { "grants" });
    format!("{mark} {}{source}, {period}: {verdict} ({})", grant.from, grant.found_in)
}

fn fee_line(fee: &FeeReport) -> String {
    let sold = match fee.is_sold {
        Some(true) => "sold",
        Some(false) => "not sold there and then",
        None => "sold in some countries only",
    };
    format!("{} {}, {}: {sold}", fee.id, fee.price, fee.description)
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
    fn periods_say_what_is_known() {
        let (from, to) = ("a".to_owned(), "b".to_owned());
        assert_eq!(period(None, None), "for ever");
        assert_eq!(period(Some(&from), None), "from a");
        assert_eq!(period(None, Some(&to)), "until b");
        assert_eq!(period(Some(&from), Some(&to)), "a to b");
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
