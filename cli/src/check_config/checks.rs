//! Checks of everything but variables: entry point, compatibility date, KV namespace, routes, logs, limits.

use std::collections::BTreeSet;

use admit::ports::Limit;
use serde_json::Value;

use super::{
    environments,
    report::EnvironmentReport,
    settings::{Found, Settings},
    variables::nearest,
};

/// The binding that the Worker reads the snapshot from.
const KV_BINDING: &str = "SNAPSHOT";

/// The flag that brings Node's modules, which the Worker verifies signatures with.
const NODE_FLAG: &str = "nodejs_compat";

/// From this compatibility date on, Node's modules are there without the flag.
const NODE_BY_DEFAULT: &str = "2026-08-04";

/// From this compatibility date on, the flag brings every module that the Worker needs.
const NODE_COMPLETE: &str = "2024-09-23";

/// Runs the checks of this module.
pub fn check(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    check_entry(settings, report);
    check_runtime(settings, report);
    check_namespace(settings, report);
    check_routes(settings, report);
    check_logs(settings, report);
    check_limits(settings, report);
    environments::check(settings, report);
}

fn check_entry(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    for (key, change) in [
        ("name", "give the Worker a name, such as \"admit\""),
        ("main", "set it to \"build/index.js\", which the build makes"),
    ] {
        if settings.inherited(key).and_then(|name| name.value.as_str()).is_none_or(str::is_empty) {
            report.error(settings, &settings.place(key), format!("{key} is not set"), change);
        }
    }
}

fn check_runtime(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let key = "compatibility_date";
    let date = settings.inherited(key);
    let text = date.as_ref().and_then(|date| date.value.as_str()).filter(|date| is_date(date));
    let Some(text) = text else {
        let place = date.map_or_else(|| settings.place(key), |date| date.place);
        let problem = "compatibility_date is missing or not a date such as 2026-11-17";
        return report.error(
            settings,
            &place,
            problem,
            "set it to the date in the wrangler.toml of this release",
        );
    };
    let flags = settings.inherited("compatibility_flags");
    let has = |name: &str| {
        let flags = flags.iter().flat_map(Found::elements);
        flags.into_iter().any(|flag| flag.value.as_str() == Some(name))
    };
    let place =
        flags.as_ref().map_or_else(|| settings.place("compatibility_flags"), |flags| flags.place.clone());
    let change = format!("set compatibility_flags = [\"{NODE_FLAG}\"]");
    if has("no_nodejs_compat") || (!has(NODE_FLAG) && text < NODE_BY_DEFAULT) {
        let problem = format!("{NODE_FLAG} is missing: the Worker verifies signatures with node:crypto");
        report.error(settings, &place, problem, change);
    } else if text < NODE_COMPLETE {
        let place = date.map_or_else(|| settings.place(key), |date| date.place);
        let problem =
            format!("{text} is before {NODE_COMPLETE}: {NODE_FLAG} lacks modules that the Worker needs");
        report.error(settings, &place, problem, "set it to the date in the wrangler.toml of this release");
    }
}

fn is_date(text: &str) -> bool {
    let is_digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    let mut part = |len| parts.next().is_some_and(|part| is_digits(part, len));
    part(4) && part(2) && part(2) && parts.next().is_none()
}

fn check_namespace(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let own = settings.own("kv_namespaces");
    let namespaces = own.as_ref().map(Found::elements).unwrap_or_default();
    let binding =
        |namespace: &Found<'_>| namespace.get("binding").is_some_and(|name| name.value == KV_BINDING);
    let Some(namespace) = namespaces.iter().find(|namespace| binding(namespace)) else {
        let is_at_the_top = settings.name.is_some()
            && settings.at_the_top("kv_namespaces").is_some_and(|top| top.elements().iter().any(binding));
        let problem = if is_at_the_top {
            format!("no KV namespace is bound to {KV_BINDING}: environments do not inherit kv_namespaces")
        } else {
            format!("no KV namespace is bound to {KV_BINDING}, which holds the snapshot")
        };
        let table =
            settings.name.map_or("kv_namespaces".to_owned(), |name| format!("env.{name}.kv_namespaces"));
        let change =
            format!("add [[{table}]] with binding = \"{KV_BINDING}\"; without an id, the deploy makes one");
        return report.error(settings, &settings.place("kv_namespaces"), problem, change);
    };
    // Without an id wrangler finds or makes the namespace.
    let Some(id) = namespace.get("id") else { return };
    let text = id.value.as_str().unwrap_or_default();
    if text.is_empty() || text.bytes().all(|byte| byte == b'0') {
        report.error(
            settings,
            &id.place,
            format!("the id {text:?} of {KV_BINDING} is a placeholder, not the id of a namespace"),
            "put the id that `npx wrangler kv namespace create SNAPSHOT` prints, or remove the line: the deploy \
             then makes a namespace",
        );
    }
}

/// The routes of an environment, each with its pattern.
fn routes<'d>(settings: &Settings<'d>) -> Vec<(Found<'d>, &'d str)> {
    let one = settings.inherited("route").into_iter();
    let many = settings.inherited("routes").map(|routes| routes.elements()).unwrap_or_default();
    let pattern = |route: Found<'d>| {
        let pattern = route.value.as_str().or_else(|| route.value.get("pattern")?.as_str())?;
        Some((route, pattern))
    };
    one.chain(many).filter_map(pattern).collect()
}

fn check_routes(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let routes = routes(settings);
    if let Some(name) = settings.name {
        let has_own = settings.own("routes").or_else(|| settings.own("route")).is_some();
        if !has_own && let Some((route, pattern)) = routes.first() {
            report.error(
                settings,
                &format!("env.{name}"),
                format!(
                    "inherits {} ({pattern}): deploying {name} would take it from the top level's Worker",
                    route.place
                ),
                format!("set routes in [env.{name}]: its own, or routes = []"),
            );
        }
    }
    let workers_dev = settings.inherited("workers_dev");
    if routes.is_empty() && workers_dev.as_ref().is_some_and(|flag| flag.value == &Value::Bool(false)) {
        report.warn(
            settings,
            &workers_dev.map_or_else(|| settings.place("workers_dev"), |flag| flag.place),
            "workers_dev is false and there are no routes: viewers cannot reach the Worker",
            "add routes = [{ pattern = \"access.example.com\", custom_domain = true }] above the first table",
        );
    }
    let origin = settings.own("vars").and_then(|vars| vars.get("ORIGIN_URL"));
    if let Some((origin, host)) =
        origin.and_then(|origin| Some((origin.clone(), host(origin.value.as_str()?)?)))
        && let Some((route, pattern)) = routes.iter().find(|(_, pattern)| covers(pattern, host))
    {
        report.error(
            settings,
            &origin.place,
            format!("leads back to this Worker: {} is {pattern}", route.place),
            "name a host of the origin that no route of this Worker covers",
        );
    }
}

fn host(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split(['/', '?', ':']).next().filter(|host| !host.is_empty())
}

/// Whether a route sends every path of a host to the Worker.
fn covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
    let (of, path) = pattern.split_once('/').unwrap_or((pattern, "*"));
    let is_host = of.strip_prefix('*').map_or(of == host, |end| host.ends_with(end));
    is_host && matches!(path, "" | "*")
}

fn check_logs(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let Some(observability) = settings.inherited("observability") else { return };
    let logs = observability.get("logs");
    let tables = [Some(observability), logs];
    let tables: Vec<_> = tables.iter().flatten().collect();
    let is_on =
        tables.iter().any(|table| table.get("enabled").is_some_and(|flag| flag.value == &Value::Bool(true)));
    let has_rate = tables.iter().any(|table| table.get("head_sampling_rate").is_some());
    let is_quiet = tables
        .iter()
        .any(|table| table.get("invocation_logs").is_some_and(|flag| flag.value == &Value::Bool(false)));
    if let (true, false, false, Some(table)) = (is_on, has_rate, is_quiet, tables.first()) {
        report.warn(
            settings,
            &table.place,
            "every invocation is logged, whatever LOG_CHECKS says: head_sampling_rate is not set",
            "set head_sampling_rate, such as 0.01, or invocation_logs = false in [observability.logs]",
        );
    }
}

/// Limits by address, each a binding with a name. The Worker ignores names that it does not know.
fn check_limits(settings: &Settings<'_>, report: &mut EnvironmentReport) {
    let known: BTreeSet<_> = Limit::ALL.iter().map(|limit| limit.binding().to_owned()).collect();
    for limit in settings.own("ratelimits").iter().flat_map(Found::elements) {
        let Some(name) = limit.get("name") else { continue };
        let text = name.value.as_str().unwrap_or_default();
        if known.contains(text) {
            continue;
        }
        let mut problem = format!("unknown limit {text:?}, which limits nothing");
        if let Some(meant) = nearest(text, &known) {
            problem = format!("{problem}; did you mean {meant}?");
        }
        let all = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let change = format!("the Worker's limits are {all}: set the name, or remove what nothing else uses");
        report.warn(settings, &name.place, problem, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_ten_characters() {
        assert!(is_date("2026-11-17"));
        for wrong in ["", "2026-11", "2026-1-17", "17.11.2026", "2026-11-17-1", "today"] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_route_covers_a_host_if_nothing_of_it_is_left_out() {
        for (pattern, host, expected) in [
            ("a.example.com", "a.example.com", true),
            ("a.example.com/*", "a.example.com", true),
            ("https://a.example.com/*", "a.example.com", true),
            ("*.example.com/*", "a.example.com", true),
            ("a.example.com/items/*", "a.example.com", false),
            ("b.example.com/*", "a.example.com", false),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
        assert_eq!(host("https://o.example:8443/api"), Some("o.example"));
    }
}
