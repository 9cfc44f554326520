//! Prints the report of `admit inspect` as text.

mod store;

use std::fmt::{Display, Write};

use admit_publish::store::HeadInUse;

use self::store::{age, head, history, objects};
use super::{
    InspectReport,
    asked::OriginReport,
    check::{CheckReport, FeeReport, GrantReport},
    customer::{AccessReport, CustomerReport, LicenseReport},
    item::{ExternalIdReport, ExternalReport, ItemReport},
};

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
            "they differ: the edge confirms a denial at the origin, and a grant of the snapshot counts",
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
    use super::*;

    #[test]
    fn periods_say_what_is_known() {
        let (from, to) = ("a".to_owned(), "b".to_owned());
        assert_eq!(period(None, None), "for ever");
        assert_eq!(period(Some(&from), None), "from a");
        assert_eq!(period(None, Some(&to)), "until b");
        assert_eq!(period(Some(&from), Some(&to)), "a to b");
    }
}
