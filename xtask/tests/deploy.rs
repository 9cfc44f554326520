//! `cargo xtask build --for-wrangler` keeps a configuration from being deployed that the Worker would refuse.

#![expect(clippy::unwrap_used, reason = "a test that fails loudly has done its work")]

use std::{
    path::Path,
    process::{Command, Output},
};

/// The build as wrangler starts it for one of its commands.
fn build(wrangler_command: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build", "--for-wrangler"])
        .current_dir(root)
        .env("WRANGLER_COMMAND", wrangler_command)
        .env_remove("CLOUDFLARE_ENV")
        .output()
        .unwrap()
}

/// The file of this repository has no issuers: `wrangler dev` gets them from `.dev.vars`.
#[test]
fn a_deploy_fails_before_anything_is_built() {
    for command in ["deploy", "versions upload"] {
        let output = build(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        assert!(
            stdout.contains("error: wrangler.toml:") && stdout.contains("ISSUERS is not set"),
            "{stdout}{stderr}"
        );
        assert!(stderr.contains("nothing is deployed"), "{stdout}{stderr}");
    }
}

/// wrangler tells its build command nothing of `--env`. The shell stands for it: its command line looks like that.
#[cfg(unix)]
#[test]
fn the_environment_is_the_one_that_wrangler_deploys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-c", "\"$0\" build --for-wrangler; exit $?", env!("CARGO_BIN_EXE_xtask")])
        .args(["wrangler", "deploy", "--env", "nowhere", "--dry-run"])
        .current_dir(root)
        .env("WRANGLER_COMMAND", "deploy")
        .env_remove("CLOUDFLARE_ENV")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("has no environment \"nowhere\""), "{stderr}");
}
