//! Origins to test, and clients that ask them.

mod http;
mod origin;
mod process;
mod sign_in;
mod tokens;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use self::{
    http::{Ask, Response},
    origin::Origin,
    process::{Process, command},
    sign_in::{
        CHALLENGE, CLIENT, PASSWORD, REDIRECT, REGISTERED, VERIFIER, authenticate, bearer, by_password,
        check, open_origin, refresh, register, signed_in, with_account, with_account_by,
    },
    tokens::{merchant, part, signed, variables},
};

/// The merchant of the sample catalogue that makes most of the writes.
pub const MERCHANT: i64 = 2101;
pub const MERCHANT_UUID: &str = "3f1c7a52-9be4-4d0a-8a6f-52c0d7e1b934";
pub const OTHER_MERCHANT: i64 = 3407;
/// A customer without accesses, by number and by subject.
pub const CUSTOMER: i64 = 88_005;
pub const CUSTOMER_SUBJECT: &str = "f6421bd1-fb4f-4718-80ed-c6da1d205fa5";
pub const FEED_SECRET: &str = "feed-secret-feed-secret-feed-secret";

pub fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}

/// A test's own directory, removed with it.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("origin-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn db(&self) -> PathBuf {
        self.0.join("origin.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The page `docs/origin.md`.
pub fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/origin.md")).unwrap()
}

/// The section under a heading.
pub fn section<'d>(document: &'d str, heading: &str) -> &'d str {
    let (_, rest) = document.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}
