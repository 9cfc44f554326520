//! The archive of this machine's programs, as `cargo xtask dist` makes it: it is unpacked, and what it promises is tried.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails loudly has done its work"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

const PROGRAMS: [&str; 2] = ["admit", "origin"];

/// An unpacked archive. It goes with the test.
struct Unpacked {
    parent: PathBuf,
    dir: PathBuf,
}

impl Unpacked {
    fn new(test: &str) -> Self {
        let archive = archive();
        let parent = env::temp_dir().join(format!("admit-programs-{test}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&parent);
        fs::create_dir_all(&parent).unwrap();
        tar::Archive::new(GzDecoder::new(fs::File::open(&archive).unwrap())).unpack(&parent).unwrap();
        let name = archive.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap();
        let dir = parent.join(name);
        assert!(dir.is_dir(), "everything is in one directory, named like the archive");
        Self { parent, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What a program of the archive prints, in a directory with nothing in it and without variables. It succeeds.
    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        let empty = self.parent.join("empty");
        fs::create_dir_all(&empty).unwrap();
        let output =
            Command::new(self.path(program)).args(args).env_clear().current_dir(&empty).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// All files, by their names from the archive's directory on.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.dir, &self.dir, &mut files);
        files
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.parent);
    }
}

fn archive() -> PathBuf {
    env::var_os("ADMIT_PROGRAMS").map(PathBuf::from).unwrap()
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The loader that a program asks the system for: the segment `PT_INTERP` of a 64-bit little-endian ELF file.
fn loader(elf: &[u8]) -> Option<String> {
    const PT_INTERP: u64 = 3;
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "a program for 64 bits");
    let number = |at: usize, length: usize| {
        elf[at..at + length].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let index = |at: usize, length: usize| usize::try_from(number(at, length)).unwrap();
    // e_phoff, e_phentsize, e_phnum; and of a segment p_type, p_offset, p_filesz.
    let (table, size, count) = (index(0x20, 8), index(0x36, 2), index(0x38, 2));
    assert!(count > 0);
    let mut segments = (0..count).map(|segment| table + segment * size);
    let interpreter = segments.find(|at| number(*at, 4) == PT_INTERP)?;
    let (offset, length) = (index(interpreter + 8, 8), index(interpreter + 32, 8));
    Some(String::from_utf8_lossy(&elf[offset..offset + length]).into_owned())
}

#[test]
#[ignore = "needs the archive: cargo xtask test makes it"]
fn checksums_hold_and_name_every_file() {
    let archive = archive();
    let name = archive.file_name().unwrap().to_str().unwrap();
    let beside = fs::read_to_string(archive.with_file_name(format!("{name}.sha256"))).unwrap();
    assert_eq!(beside, format!("{}  {name}\n", sha256(&fs::read(&archive).unwrap())));
    let mut files = Unpacked::new("checksums").files();
    let list = String::from_utf8(files.remove("SHA256SUMS").unwrap()).unwrap();
    let found: String = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    assert_eq!(list, found);
    for name in PROGRAMS.into_iter().chain(["LICENSE", "release.json", "sbom.cdx.json"]) {
        assert!(files.contains_key(name), "{name}");
    }
    // What docs/operations.md installs from there.
    for name in ["systemd/admit-follower.service", "prometheus/alerts.yml", "docker/Dockerfile"] {
        assert!(files.contains_key(&format!("ops/{name}")), "{name}");
    }
}

#[test]
#[ignore = "needs the archive: cargo xtask test makes it"]
fn programs_need_no_library_and_run() {
    let unpacked = Unpacked::new("static");
    let files = unpacked.files();
    for program in PROGRAMS {
        assert_eq!(loader(&files[program]), None, "{program} is linked statically");
        assert_eq!(
            unpacked.run(program, &["--version"]),
            format!("{program} {}\n", env!("CARGO_PKG_VERSION"))
        );
        for place in [env!("CARGO_MANIFEST_DIR"), "/.cargo/registry/"] {
            let is_there = files[program].windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!is_there, "{program} names a directory of the machine that built it: {place}");
        }
    }
    // The other answer of the same question: this test is linked to the system's library.
    if cfg!(all(target_env = "gnu", target_pointer_width = "64", target_endian = "little")) {
        assert!(loader(&fs::read(env::current_exe().unwrap()).unwrap()).unwrap().contains("ld-linux"));
    }
    // Signatures and SQLite are C and assembly.
    let key = unpacked.path("key.jwk");
    unpacked.run("admit", &["keygen", "--alg", "EdDSA", "--kid", "k", "--out", key.to_str().unwrap()]);
    let export = unpacked.path("export.ndjson");
    let export = export.to_str().unwrap();
    unpacked.run("admit", &["generate", "--customers", "20", "--out", export]);
    let store = format!("dir:{}", unpacked.path("store").display());
    let key = key.to_str().unwrap();
    unpacked.run("admit", &["publish", "--from", export, "--to", &store, "--key", key]);
    unpacked.run("admit", &["verify", "--from", &store, "--key", key]);
    let database = unpacked.path("origin.db");
    let said = unpacked.run("origin", &["import", "--db", database.to_str().unwrap(), "--from", export]);
    assert!(said.contains("20 customers"), "{said}");
}

#[test]
#[ignore = "needs the archive: cargo xtask test makes it"]
fn completions_and_man_pages_are_those_of_the_programs() {
    let unpacked = Unpacked::new("pages");
    let files = unpacked.files();
    let under = |dir: &str| -> BTreeSet<String> {
        let names = files.keys().filter_map(|name| name.strip_prefix(dir)?.strip_prefix('/'));
        names.map(str::to_owned).collect()
    };
    let mut scripts = BTreeSet::new();
    for program in PROGRAMS {
        for (shell, end) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
            let name = format!("{program}.{end}");
            let script = unpacked.run(program, &["completions", shell]);
            assert!(script.contains(program) && script.lines().count() > 50, "{name}");
            let packed = String::from_utf8(files[&format!("completions/{name}")].clone()).unwrap();
            assert_eq!(packed.trim_end(), script.trim_end(), "{name}");
            scripts.insert(name);
        }
        let mut bash = Command::new("bash");
        bash.arg("-n").arg(unpacked.path(&format!("completions/{program}.bash")));
        assert!(bash.status().unwrap().success(), "bash reads the completions of {program}");
        unpacked.run(program, &["man", unpacked.parent.join("man").to_str().unwrap()]);
    }
    assert_eq!(under("completions"), scripts);
    let mut made = BTreeMap::new();
    let man = unpacked.parent.join("man");
    collect(&man, &man, &mut made);
    assert_eq!(under("man"), made.keys().cloned().collect());
    for (name, page) in &made {
        assert_eq!(files[&format!("man/{name}")], *page, "{name}");
        assert!(String::from_utf8_lossy(page).contains(".TH "), "{name}");
    }
    for name in ["admit.1", "admit-publish.1", "origin.1", "origin-serve.1"] {
        assert!(made.contains_key(name), "{name}: {:?}", made.keys());
    }
}
