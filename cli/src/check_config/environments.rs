//! Checks of what an environment must repeat, and of what it must not share with the top level.

use std::collections::BTreeSet;

use super::{
    report::EnvironmentReport,
    settings::{Found, NOT_INHERITED, Settings},
};

/// Warns of settings that the top level has, the environment lacks, and wrangler does not inherit; reports what both
/// would share.
pub fn check(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let Some(name) = settings.name else { return };
    for key in NOT_INHERITED {
        let Some(top) = settings.at_the_top(key) else { continue };
        match settings.own(key) {
            // Other checks report these two.
            None if ["vars", "kv_namespaces"].contains(&key) => {}
            None => report.warn(
                settings,
                &format!("env.{name}"),
                format!("{key} is set at the top level and not here: environments do not inherit it"),
                format!("repeat {key} in [env.{name}], or leave it out if {name} does not need it"),
            ),
            Some(own) => check_bindings(settings, report, &top, &own),
        }
    }
    check_stores(settings, report);
    check_counters(settings, report);
}

/// Warns of bindings that only the top level's table has.
fn check_bindings(settings: &Settings<'_>, report: &mut EnvironmentReport, top: &Found<'_>, own: &Found<'_>) {
    let here: BTreeSet<_> = bindings(own).into_iter().map(|(_, name)| name).collect();
    for (_, name) in bindings(top).into_iter().filter(|(_, name)| !here.contains(name)) {
        let problem = format!("{name} of {} is not here: environments do not inherit it", top.place);
        let change =
            format!("repeat it in {}, or leave it out if this environment does not need it", own.place);
        report.warn(settings, &own.place, problem, change);
    }
}

/// The bindings of a table by name: those of a list, those under `bindings` (Durable Objects), or the one.
fn bindings<'d>(table: &Found<'d>) -> Vec<(Found<'d>, &'d str)> {
    let listed = table.get("bindings").as_ref().unwrap_or(table).elements();
    let named = |entry: Found<'d>| {
        let name = ["binding", "name"].iter().find_map(|member| entry.value.get(member)?.as_str())?;
        Some((entry, name))
    };
    if listed.is_empty() {
        return named(table.clone()).into_iter().collect();
    }
    listed.into_iter().filter_map(named).collect()
}

/// A store that two Workers share has the snapshot of the last publisher.
fn check_stores(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    for (place, _, other) in shared(settings, "kv_namespaces", "id") {
        let problem = format!("this KV namespace is also that of the top level ({other})");
        let change = "remove the line, so that the deploy makes a namespace of this environment's own";
        report.error(settings, &place, problem, change);
    }
}

/// Limits of one `namespace_id` are counted together.
fn check_counters(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    for (place, id, other) in shared(settings, "ratelimits", "namespace_id") {
        let problem = format!("{id} is also {other}: requests to both Workers are counted together");
        report.warn(settings, &place, problem, "choose a number that no other Worker of the account uses");
    }
}

/// Values of `member` in the lists `key` of this environment and of the top level: the place here, the value, the place
/// there.
fn shared(settings: &Settings<'_>, key: &str, member: &str) -> Vec<(String, String, String)> {
    let values = |list: Option<Found<'_>>| {
        let entries = list.iter().flat_map(Found::elements).collect::<Vec<_>>();
        let values = entries.iter().filter_map(|entry| entry.get(member));
        values.map(|value| (value.place, value.value.to_string())).collect::<Vec<_>>()
    };
    let top = values(settings.at_the_top(key));
    let own = values(settings.own(key)).into_iter();
    own.filter_map(|(place, value)| {
        let (other, _) = top.iter().find(|(_, known)| *known == value)?;
        Some((place, value, other.clone()))
    })
    .collect()
}
