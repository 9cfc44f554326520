//! The part of `package-lock.json` that some packages need, for `npm ci` elsewhere.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// The manifest and lock file for `packages`, whose versions are those of the repository's lock file.
///
/// Packages keep their places in `node_modules`, so that each finds the version that it found here.
pub fn of(lock: &Value, manifest: &Value, required: &[&str], optional: &[&str]) -> Result<(Value, Value)> {
    let all = lock.get("packages").and_then(Value::as_object).context("the lock file has no packages")?;
    let pinned = |names: &[&str]| {
        let version = |name: &&str| {
            let version = all.get(&format!("node_modules/{name}")).and_then(|package| package.get("version"));
            Ok(((*name).to_owned(), version.with_context(|| format!("the lock file has no {name}"))?.clone()))
        };
        names.iter().map(version).collect::<Result<Map<_, _>>>()
    };
    let mut manifest = manifest.clone();
    let root = manifest.as_object_mut().context("the manifest is not an object")?;
    root.insert("dependencies".into(), Value::Object(pinned(required)?));
    root.insert("optionalDependencies".into(), Value::Object(pinned(optional)?));

    let mut kept = BTreeMap::new();
    let mut open: Vec<_> =
        required.iter().chain(optional).map(|name| format!("node_modules/{name}")).collect();
    while let Some(place) = open.pop() {
        let Some(package) = all.get(&place).and_then(Value::as_object).filter(|_| !kept.contains_key(&place))
        else {
            continue;
        };
        for group in ["dependencies", "optionalDependencies", "peerDependencies"] {
            let names = package.get(group).and_then(Value::as_object).into_iter().flatten();
            open.extend(names.filter_map(|(name, _)| resolve(all, &place, name)));
        }
        kept.insert(place, Value::Object(as_dependency(package)));
    }
    let part = |name: &str| manifest.get(name).cloned().unwrap_or_default();
    let own = json!({
        "name": part("name"), "version": part("version"), "license": part("license"),
        "dependencies": part("dependencies"), "optionalDependencies": part("optionalDependencies"),
    });
    let mut packages = Map::from_iter([(String::new(), own)]);
    packages.extend(kept);
    let lock = json!({
        "name": part("name"), "version": part("version"), "lockfileVersion": 3, "requires": true, "packages": packages,
    });
    Ok((manifest, lock))
}

/// Where a package at `place` finds another one: the closest `node_modules` above it.
fn resolve(all: &Map<String, Value>, place: &str, name: &str) -> Option<String> {
    let mut above = Some(place);
    while let Some(dir) = above {
        let inner = format!("{dir}/node_modules/{name}");
        if all.contains_key(&inner) {
            return Some(inner);
        }
        above = dir.rfind("/node_modules/").and_then(|at| dir.get(..at));
    }
    let outer = format!("node_modules/{name}");
    all.contains_key(&outer).then_some(outer)
}

/// The entry of a package that is no longer for development only.
fn as_dependency(package: &Map<String, Value>) -> Map<String, Value> {
    let mut package = package.clone();
    package.remove("dev");
    if package.remove("devOptional").is_some() {
        package.insert("optional".into(), Value::Bool(true));
    }
    package
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_keeps_the_version_that_it_found() {
        let lock = json!({"packages": {
            "": {"devDependencies": {"a": "1.0.0", "b": "2.0.0"}},
            "node_modules/a": {"version": "1.0.0", "dev": true, "dependencies": {"b": "1.0.0"}},
            "node_modules/a/node_modules/b": {"version": "1.0.0", "dev": true, "optionalDependencies": {"c": "1", "d": "1"}},
            "node_modules/b": {"version": "2.0.0", "dev": true},
            "node_modules/c": {"version": "1.2.0", "devOptional": true},
            "node_modules/e": {"version": "1.0.0", "dev": true},
        }});
        let (manifest, part) = of(&lock, &json!({"name": "x", "version": "3"}), &["a"], &[]).unwrap();
        assert_eq!(manifest["dependencies"], json!({"a": "1.0.0"}));
        let packages = part["packages"].as_object().unwrap();
        let places: Vec<_> = packages.keys().map(String::as_str).collect();
        assert_eq!(places, ["", "node_modules/a", "node_modules/a/node_modules/b", "node_modules/c"]);
        assert_eq!(packages["node_modules/c"], json!({"version": "1.2.0", "optional": true}));
        assert_eq!(packages["node_modules/a"]["dev"], Value::Null);
        assert!(of(&lock, &json!({}), &["none"], &[]).is_err());
    }
}
