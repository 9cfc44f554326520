//! The images and the compose file of ops/docker, built and run by a Docker daemon. No registry is asked: the programs of a
//! test are dynamic, so their libraries are the base image.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    in_root,
    programs::{FEED_SECRET, GRANT, Stage, admit, origin_program, output, send},
    scrape::{get, wait_for},
};

/// The user in the images.
const USER: u32 = 65_532;

fn docker(args: &[&str]) -> String {
    output(Command::new("docker").args(args).env("DOCKER_BUILDKIT", "0")).trim().to_owned()
}

/// Where a port of a container is on this machine.
fn port(container: &str, inside: &str) -> String {
    docker(&["port", container, inside]).lines().next().unwrap().to_owned()
}

/// The libraries that the programs are linked to.
fn libraries(program: &Path) -> Vec<String> {
    let text = output(Command::new("ldd").arg(program));
    let words = text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned);
    words.collect()
}

/// Images of both programs, a network, and the containers of a test. All of them are removed at its end.
struct Images {
    admit: String,
    origin: String,
    base: String,
    network: String,
    containers: Vec<String>,
}

impl Images {
    fn build(stage: &Stage) -> Self {
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
        let name = |part: &str| format!("{}-{part}", stage.dir.file_name().unwrap().to_str().unwrap());
        let images = Self {
            admit: name("admit"),
            origin: name("origin"),
            base: name("base"),
            network: name("network"),
            containers: Vec::new(),
        };
        docker(&["import", &tar, &images.base]);
        docker(&["network", "create", &images.network]);
        let base = format!("BASE={}", images.base);
        let file = in_root("ops/docker/Dockerfile");
        for (target, tag) in [("admit", &images.admit), ("origin", &images.origin)] {
            let (file, context) = (file.to_str().unwrap(), context.to_str().unwrap());
            docker(&["build", "--build-arg", &base, "-f", file, "--target", target, "-t", tag, context]);
        }
        images
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let quietly = |args: &[&str], names: &[&String]| {
            let mut remove = Command::new("docker");
            let _ended = remove.args(args).args(names).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        quietly(&["rm", "-f", "-v"], &self.containers.iter().collect::<Vec<_>>());
        quietly(&["network", "rm"], &[&self.network]);
        quietly(&["rmi", "-f"], &[&self.admit, &self.origin, &self.base]);
    }
}

#[test]
#[ignore = "needs a Docker daemon: cargo xtask test runs it where there is one"]
fn images_run_without_rights() {
    let stage = Stage::new("images");
    let mut images = Images::build(&stage);
    let hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    let ports = ["-p", "127.0.0.1::8790", "-p", "127.0.0.1::9465"];
    let issuers = format!("ISSUERS={}", stage.issuers());
    let run =
        [&["run", "-d"], &hardened[..], &["-v", "/data", "--network", &images.network], &ports].concat();
    let container = docker(&[&run[..], &["-e", &issuers, &images.origin]].concat());
    images.containers.push(container.clone());
    let metrics = port(&container, "9465/tcp");
    wait_for(&metrics, "the origin", |found| found.value("origin_database_writable") == 1.0);
    assert_eq!(get(&format!("http://{metrics}/readyz")).unwrap().0, 200);
    assert_eq!(get(&format!("http://{}/healthz", port(&container, "8790/tcp"))).unwrap().0, 200);
    // The same program as here, as a user without rights.
    let version = docker(
        &[&["run", "--rm"], &hardened[..], &["--network", "none", &images.admit, "--version"]].concat(),
    );
    assert_eq!(version, output(admit().arg("--version")).trim());
    docker(&["stop", "-t", "20", &container]);
    let code = docker(&["inspect", "-f", "{{.State.ExitCode}}", &container]);
    assert_eq!(code, "0", "SIGTERM is obeyed");
}

/// The services of the compose file, with the images of a test. They are removed at its end.
struct Services {
    project: String,
    variables: Vec<(&'static str, String)>,
}

impl Services {
    /// The sample catalogue is the origin's, and the follower publishes to a directory of its own volume.
    fn of(stage: &Stage, images: &Images) -> Self {
        let secrets = stage.dir.join("secrets");
        fs::create_dir(&secrets).unwrap();
        for (key, name) in [("snapshot", "snapshot"), ("merchant", "publisher")] {
            let file = secrets.join(format!("{name}.jwk"));
            fs::copy(stage.dir.join(format!("{key}.jwk")), &file).unwrap();
            // Only root can give them to the user of the images. For another one they are open to all.
            if chown(&file, Some(USER), Some(USER)).is_err() {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
        let origin = format!("ISSUERS={}\nORIGIN_FEED_SECRET={FEED_SECRET}\n", stage.issuers());
        fs::write(stage.dir.join("origin.env"), origin).unwrap();
        fs::write(stage.dir.join("follower.env"), format!("ADMIT_ORIGIN_TOKEN={FEED_SECRET}\n")).unwrap();
        let variables = vec![
            ("ADMIT_IMAGE", images.admit.clone()),
            ("ORIGIN_IMAGE", images.origin.clone()),
            ("ORIGIN_PORT", "0".to_owned()),
            ("ORIGIN_METRICS_PORT", "0".to_owned()),
            ("FOLLOWER_METRICS_PORT", "0".to_owned()),
            ("ORIGIN_ENV", stage.path("origin.env")),
            ("FOLLOWER_ENV", stage.path("follower.env")),
            ("SECRETS", stage.path("secrets")),
            ("TO", "dir:/data/store".to_owned()),
            ("TOKEN_CLAIMS", r#"{"iss":"https://publisher.example.com","aud":"admit"}"#.to_owned()),
        ];
        Self { project: images.admit.clone(), variables }
    }

    fn command(&self, args: &[&str]) -> Command {
        // `docker compose` or `docker-compose`: cargo xtask test says which one is there.
        let words = env::var("ADMIT_COMPOSE").unwrap_or_else(|_| "docker-compose".to_owned());
        let mut words = words.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["-p", &self.project, "-f"]).arg(in_root("ops/docker/compose.yml"));
        command.args(args).envs(self.variables.iter().cloned());
        command
    }

    fn container(&self, service: &str) -> String {
        output(&mut self.command(&["ps", "-q", service])).trim().to_owned()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        let mut down = self.command(&["down", "--volumes", "--timeout", "20"]);
        let _ended = down.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

#[test]
#[ignore = "needs a Docker daemon: cargo xtask test runs it where there is one"]
fn the_follower_goes_on_when_the_origins_container_was_restarted() {
    let stage = Stage::new("compose");
    let images = Images::build(&stage);
    let services = Services::of(&stage, &images);
    let samples = format!("{}:/samples:ro", in_root("samples/catalogue").display());
    let import = ["import", "--db", "/data/origin.db", "--from", "/samples"];
    output(
        &mut services
            .command(&[&["run", "--rm", "--no-deps", "-v", &samples, "origin"][..], &import].concat()),
    );
    output(&mut services.command(&["up", "-d"]));
    let [origin, follower] = ["origin", "follower"].map(|service| services.container(service));
    let metrics = port(&follower, "9464/tcp");
    wait_for(&metrics, "the catalogue", |found| found.value("admit_follower_items") > 0.0);

    docker(&["stop", "-t", "20", &origin]);
    wait_for(&metrics, "the origin's end", |found| {
        found.value(r#"admit_follower_failures_total{kind="unheard",task="feed"}"#) > 0.0
    });
    docker(&["start", &origin]);
    // A port that was not named is another one after a restart.
    let metrics_of_origin = port(&origin, "9465/tcp");
    wait_for(&metrics_of_origin, "the origin", |found| found.value("origin_database_writable") == 1.0);
    let before = wait_for(&metrics, "the follower", |_| true).value("admit_follower_published_origin_seq");
    let write = format!("http://{}/items/access", port(&origin, "8790/tcp"));
    assert_eq!(send(&stage.token(), "POST", &write, GRANT, &[]), 201);
    wait_for(&metrics, "the change after the restart", |found| {
        found.value("admit_follower_published_origin_seq") == before + 1.0
    });
    // It is in the store, too, and not only in the follower's word.
    let inspect =
        ["exec", &follower, "/usr/local/bin/admit", "inspect", "--json", "--from", "dir:/data/store"];
    let store: Value = serde_json::from_str(&docker(&inspect)).unwrap();
    assert_eq!(store["head"]["origin_seq"].as_f64(), Some(before + 1.0), "{store}");
    for line in docker_logs(&follower) {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "with --log json every line is JSON: {line}");
    }
}

/// Everything that a container has written, both streams.
fn docker_logs(container: &str) -> Vec<String> {
    let output = Command::new("docker").args(["logs", container]).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!text.is_empty());
    text.lines().map(str::to_owned).collect()
}
