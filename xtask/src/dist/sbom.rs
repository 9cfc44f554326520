//! The parts that a release is made of, as CycloneDX: crates by `cargo tree`, packages by `package-lock.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use super::archive::sha256;
use crate::{job, paths::Paths};

/// The version of CycloneDX.
const SPEC: &str = "1.6";

/// A part of a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    kind: &'static str,
    name: String,
    version: String,
    license: Option<String>,
    /// Algorithm and digest, as the registry has them.
    hash: Option<(&'static str, String)>,
}

/// The crates that `package` is compiled from for `target`, itself left out.
pub fn crates(paths: &Paths, package: &str, target: &str) -> Result<BTreeSet<Part>> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}|{l}"]);
    tree.args(["--package", package, "--target", target]).current_dir(&paths.root);
    let tree = job::stdout(&mut tree)?;
    let lock = fs::read_to_string(paths.in_root("Cargo.lock")).context("cannot read Cargo.lock")?;
    Ok(read_tree(&tree, &checksums(&lock), package))
}

fn read_tree(tree: &str, checksums: &BTreeMap<(String, String), String>, package: &str) -> BTreeSet<Part> {
    // `serde v1.0.229 (proc-macro)|MIT OR Apache-2.0 (*)`: words in parentheses are not part of the name.
    let part = |line: &str| {
        let (named, license) = line.split_once('|')?;
        let mut words = named.split(' ');
        let (name, version) = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
        let license = license.trim_end_matches(" (*)").replace('/', " OR ");
        let hash = checksums.get(&(name.clone(), version.clone())).map(|hash| ("SHA-256", hash.clone()));
        let license = Some(license).filter(|license| !license.is_empty());
        Some(Part { kind: "cargo", name, version, license, hash })
    };
    tree.lines().filter_map(part).filter(|part| part.name != package).collect()
}

/// The checksums of `Cargo.lock` by name and version. Crates of the workspace have none.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let read = |package: &str| {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    lock.split("[[package]]").filter_map(read).collect()
}

/// Packages of npm that are compiled into the release.
pub fn packages(lock: &Value, names: &[&str]) -> Result<BTreeSet<Part>> {
    let part = |name: &&str| {
        let package = lock.get("packages").and_then(|all| all.get(format!("node_modules/{name}")));
        let package = package.with_context(|| format!("package-lock.json has no {name}"))?;
        let text = |member: &str| package.get(member).and_then(Value::as_str).map(str::to_owned);
        let digest = text("integrity").and_then(|integrity| {
            let bytes = Base64::decode_vec(integrity.strip_prefix("sha512-")?).ok()?;
            Some(("SHA-512", bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
        });
        let version = text("version").with_context(|| format!("{name} has no version"))?;
        Ok(Part { kind: "npm", name: (*name).to_owned(), version, license: text("license"), hash: digest })
    };
    names.iter().map(part).collect()
}

/// The document of `name`, a release of `version` that was made at `time`, an ISO 8601 moment.
pub fn document(name: &str, version: &str, time: &str, parts: &BTreeSet<Part>) -> Result<String> {
    let component = |part: &Part| {
        let purl = format!("pkg:{}/{}@{}", part.kind, part.name.replace('@', "%40"), part.version);
        let licenses = part.license.iter().map(|license| json!({ "expression": license }));
        let hashes = part.hash.iter().map(|(alg, content)| json!({ "alg": alg, "content": content }));
        json!({
            "type": "library", "bom-ref": purl, "name": part.name, "version": part.version, "purl": purl,
            "licenses": licenses.collect::<Vec<_>>(), "hashes": hashes.collect::<Vec<_>>(),
        })
    };
    let components: Vec<_> = parts.iter().map(component).collect();
    let digest = sha256(format!("{name} {version} {}", Value::from(components.clone())).as_bytes());
    let group = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    // A name made of the content, so that the same release has the same.
    let serial = [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)].join("-");
    let document = json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{SPEC}.schema.json"),
        "bomFormat": "CycloneDX", "specVersion": SPEC, "serialNumber": format!("urn:uuid:{serial}"), "version": 1,
        "metadata": {
            "timestamp": time,
            "component": {
                "type": "application", "bom-ref": name, "name": name, "version": version,
                "licenses": [{ "expression": "Apache-2.0" }],
            },
        },
        "components": components,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_tree_is_read_with_licences_and_checksums() {
        let tree = "admit v0.1.0 (/work)|Apache-2.0\nserde v1.0.229|MIT OR Apache-2.0\nserde_derive v1.0.229 (proc-macro)|MIT/Apache-2.0 (*)\nserde v1.0.229|MIT OR Apache-2.0 (*)\n";
        let lock = "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.229\"\nsource = \"registry+x\"\nchecksum = \"ab12\"\ndependencies = [\n \"serde_core\",\n]\n\n[[package]]\nname = \"admit\"\nversion = \"0.1.0\"\n";
        let parts = read_tree(tree, &checksums(lock), "admit");
        let part = |name: &str, license: &str, hash: Option<&str>| Part {
            kind: "cargo",
            name: name.into(),
            version: "1.0.229".into(),
            license: Some(license.into()),
            hash: hash.map(|hash| ("SHA-256", hash.into())),
        };
        let expected = [
            part("serde", "MIT OR Apache-2.0", Some("ab12")),
            part("serde_derive", "MIT OR Apache-2.0", None),
        ];
        assert_eq!(parts, expected.into());
    }

    #[test]
    fn the_same_parts_have_the_same_document() {
        let lock = json!({"packages": {"node_modules/@a/b": {"version": "1.2.3", "license": "MIT", "integrity": "sha512-qrs="}}});
        let parts = packages(&lock, &["@a/b"]).unwrap();
        let text = document("x", "1", "2026-01-01T00:00:00Z", &parts).unwrap();
        assert_eq!(text, document("x", "1", "2026-01-01T00:00:00Z", &parts).unwrap());
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["components"][0]["purl"], "pkg:npm/%40a/b@1.2.3");
        assert_eq!(read["components"][0]["hashes"][0], json!({"alg": "SHA-512", "content": "aabb"}));
        assert!(packages(&lock, &["none"]).is_err());
    }
}
