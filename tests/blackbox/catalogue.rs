//! The sample catalogue, and how it is published.

use std::{fs, io::BufReader, path::Path};

use admit::snapshot::{
    build::{Built, build},
    source::{Lines, Strictness},
};

use super::{
    issuers::{self, Signer},
    subject::Subject,
    wire::Wire,
};

/// The lines of the sample catalogue.
pub fn lines(now: i64) -> Lines {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/catalogue");
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut lines = Lines::default();
    for path in paths {
        let file = BufReader::new(fs::File::open(&path).unwrap());
        lines.read(&path.display().to_string(), file, Strictness::ReadOn).unwrap();
    }
    lines.check(now);
    assert!(lines.errors.is_empty(), "{:?}", lines.errors);
    lines
}

/// A published catalogue: what was published, and when.
pub struct Published {
    pub lines: Lines,
    pub built: Built,
    pub at: i64,
}

/// Publishes the sample catalogue by the service's own routes, as `admit publish` does.
pub fn publish(subject: &dyn Subject, seq: u64) -> Published {
    let at = subject.now();
    let lines = lines(at);
    let built = build(&lines, at).unwrap();
    let token = issuers::publisher_token(at + 86_400);
    for (name, object) in &built.objects {
        let stored = subject.send(&Wire::put(&format!("/snapshot/{name}"), object.clone()).bearer(&token));
        assert_eq!(stored.status, 201, "{name}: {}", stored.text());
    }
    let head = issuers::sign_head(&issuers::head(&built, seq, at), Signer::Publisher);
    let stored = subject.send(&Wire::put("/snapshot/head", head.into_bytes()).bearer(&token));
    assert_eq!(stored.status, 201, "head: {}", stored.text());
    assert_eq!(stored.json()["stored"], "head");
    Published { lines, built, at }
}
