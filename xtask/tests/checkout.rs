//! `cargo xtask` works in the checkout that it is called in: a copied target directory holds the program that was
//! compiled in the other one.

#![expect(clippy::unwrap_used, reason = "a test that fails loudly has done its work")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// Another checkout: the least that Cargo and xtask take for one.
fn checkout(test: &str) -> PathBuf {
    let root = env::temp_dir().join(format!("admit-checkout-{test}-{}", process::id()));
    let _absent = fs::remove_dir_all(&root);
    fs::create_dir_all(root.join("xtask/src/deep")).unwrap();
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"xtask\"]\nresolver = \"3\"\n").unwrap();
    fs::write(root.join("xtask/Cargo.toml"), "[package]\nname = \"xtask\"\nedition = \"2024\"\n").unwrap();
    fs::write(root.join("xtask/src/main.rs"), "fn main() {}\n").unwrap();
    root.canonicalize().unwrap()
}

/// What `xtask keys`, called in `dir`, says of keys that do not exist yet.
fn complaint(dir: &Path, variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // This test runs under Cargo, whose variables are about this checkout.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    let output = command.arg("keys").current_dir(dir).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_checkout_around_the_current_directory_is_meant() {
    let root = checkout("current");
    let keys = root.join("target/dev/keys").display().to_string();
    for dir in [root.clone(), root.join("xtask"), root.join("xtask/src/deep")] {
        let said = complaint(&dir, &[]);
        assert!(said.contains(&format!("{keys} does not exist")), "{said}");
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn the_checkout_that_cargo_names_is_meant() {
    let (root, other) = (checkout("named"), checkout("other"));
    let manifest_dir = root.join("xtask");
    // `cargo run --manifest-path` sets both; a test or build script of another package sets its own.
    let said =
        complaint(&other, &[("CARGO_PKG_NAME", Path::new("xtask")), ("CARGO_MANIFEST_DIR", &manifest_dir)]);
    assert!(said.contains(&root.display().to_string()), "{said}");
    let said =
        complaint(&other, &[("CARGO_PKG_NAME", Path::new("admit")), ("CARGO_MANIFEST_DIR", &manifest_dir)]);
    assert!(said.contains(&other.display().to_string()), "{said}");
    fs::remove_dir_all(root).unwrap();
    fs::remove_dir_all(other).unwrap();
}

#[test]
fn cargos_target_directory_is_used() {
    let root = checkout("target");
    let elsewhere = root.join("elsewhere");
    let said = complaint(&root, &[("CARGO_TARGET_DIR", &elsewhere)]);
    assert!(said.contains(&elsewhere.join("dev/keys").display().to_string()), "{said}");
    fs::create_dir_all(root.join(".cargo")).unwrap();
    fs::write(root.join(".cargo/config.toml"), "[build]\ntarget-dir = \"configured\"\n").unwrap();
    let said = complaint(&root, &[]);
    assert!(said.contains(&root.join("configured/dev/keys").display().to_string()), "{said}");
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn elsewhere_the_command_says_where_it_belongs() {
    let said = complaint(&env::temp_dir(), &[]);
    assert!(said.contains("is not inside a checkout of Admit"), "{said}");
}
