//! The images of ops/docker, built and run by a Docker daemon. No registry is asked: the programs of a test are dynamic, so
//! their libraries are the base image.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    in_root,
    programs::{Stage, admit, origin_program, output},
    scrape::{get, wait_for},
};

fn docker(args: &[&str]) -> String {
    output(Command::new("docker").args(args).env("DOCKER_BUILDKIT", "0")).trim().to_owned()
}

/// The libraries that the programs are linked to.
fn libraries(program: &Path) -> Vec<String> {
    let text = output(Command::new("ldd").arg(program));
    let words = text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    words.collect()
}

struct Images {
    names: Vec<String>,
    containers: Vec<String>,
}

impl Drop for Images {
    fn drop(&mut self) {
        let quietly = |args: &[&str], names: &[String]| {
            let mut remove = Command::new("docker");
            let _ended = remove.args(args).args(names).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        quietly(&["rm", "-f"], &self.containers);
        quietly(&["rmi", "-f"], &self.names);
    }
}

#[test]
#[ignore = "needs a Docker daemon: cargo xtask test runs it where there is one"]
fn images_run_without_rights() {
    let stage = Stage::new("containers");
    let context = stage.dir.join("context");
    fs::create_dir_all(context.join("data")).unwrap();
    fs::write(context.join("data/.keep"), "").unwrap();
    let programs = [Path::new(env!("CARGO_BIN_EXE_admit")).to_owned(), origin_program()];
    for program in &programs {
        fs::copy(program, context.join(program.file_name().unwrap())).unwrap();
    }
    let mut files: Vec<_> = programs.iter().flat_map(|program| libraries(program)).collect();
    files.sort();
    files.dedup();
    let tar = stage.path("base.tar");
    output(Command::new("tar").args(["--dereference", "-cPf", &tar]).args(&files));
    let tag = |name: &str| format!("admit-test-{name}-{}", std::process::id());
    let mut images = Images { names: vec![tag("admit"), tag("origin"), tag("base")], containers: Vec::new() };
    docker(&["import", &tar, &tag("base")]);
    let file = in_root("ops/docker/Dockerfile");
    for target in ["admit", "origin"] {
        let base = format!("BASE={}", tag("base"));
        let (file, context) = (file.to_str().unwrap(), context.to_str().unwrap());
        docker(&["build", "--build-arg", &base, "-f", file, "--target", target, "-t", &tag(target), context]);
    }
    let hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    let run =
        [&["run", "-d"], &hardened[..], &["-v", "/data", "-p", "127.0.0.1::8790", "-p", "127.0.0.1::9465"]]
            .concat();
    let issuers = format!("ISSUERS={}", stage.issuers());
    let container = docker(&[&run[..], &["-e", &issuers, &tag("origin")]].concat());
    images.containers.push(container.clone());
    let port = |inside: &str| docker(&["port", &container, inside]).lines().next().unwrap().to_owned();
    let metrics = port("9465/tcp");
    wait_for(&metrics, "the origin", |found| found.value("origin_database_writable") == 1.0);
    assert_eq!(get(&format!("http://{metrics}/readyz")).unwrap().0, 200);
    assert_eq!(get(&format!("http://{}/healthz", port("8790/tcp"))).unwrap().0, 200);
    // The same program as here, as a user without rights.
    let version = docker(
        &[&["run", "--rm"], &hardened[..], &["--network", "none", &tag("admit"), "--version"]].concat(),
    );
    assert_eq!(version, output(admit().arg("--version")).trim());
    docker(&["stop", "-t", "20", &container]);
    let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", &container]);
    assert_eq!(code, "0", "SIGTERM is obeyed");
}
