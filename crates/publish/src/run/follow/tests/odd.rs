//! Faults on the wire between a follower and its peers.

use proptest::prelude::*;

/// What happens instead of a proper answer.
#[derive(Clone, Debug)]
pub enum Odd {
    /// Another machine answers, and the request does not arrive.
    Instead(u16, &'static [(&'static str, &'static str)], &'static str),
    /// The request does not arrive, and fails for this reason.
    Nothing(&'static str),
    /// The request arrives, and its answer is lost.
    Lost,
    /// The answer breaks off in the middle.
    BrokenOff,
    /// The answer arrives after this many seconds.
    Late(u64),
}

impl Odd {
    /// A web page.
    pub const fn page(status: u16) -> Self {
        Self::Instead(status, &[("content-type", "text/html")], "<!DOCTYPE html><title>Just a moment</title>")
    }

    /// One fault of every kind.
    pub fn all() -> Vec<Self> {
        const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
        const LOGIN: &[(&str, &str)] = &[("location", "https://login.example/")];
        const INVALID_TOKEN: &str =
            r#"{"code":401,"message":"Invalid auth token","errors":{"401":"Invalid auth token"}}"#;
        const DATE: &[(&str, &str)] = &[("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")];
        let mut all: Vec<_> = [200, 401, 403, 404, 410, 502].map(Self::page).into();
        all.extend([
            Self::Instead(302, LOGIN, ""),
            Self::Instead(429, DATE, ""),
            Self::Instead(503, &[("retry-after", "2")], ""),
            Self::Instead(400, &[], ""),
            Self::Instead(200, &[], ""),
            Self::Instead(204, &[], ""),
            Self::Instead(404, &[], "default backend - 404"),
            // In the words of another service.
            Self::Instead(403, JSON, r#"{"message":"Forbidden"}"#),
            Self::Instead(403, JSON, r#"{"code":403,"message":"Forbidden"}"#),
            Self::Instead(401, JSON, r#"{"error":"invalid_token"}"#),
            Self::Instead(200, JSON, r#"{"error":"sign in"}"#),
            Self::Instead(200, &[("content-type", "text/plain")], "OK"),
            Self::Instead(200, &[("content-encoding", "br")], "\u{b}"),
            Self::Instead(200, &[("content-encoding", "gzip")], "\u{1f}\u{0}"),
            // The Worker's own words, while its issuer's keys cannot be fetched.
            Self::Instead(401, JSON, INVALID_TOKEN),
            Self::Nothing("dns"),
            Self::Nothing("tls"),
            Self::Nothing("reset"),
            Self::Nothing("timeout"),
            Self::Lost,
            Self::BrokenOff,
            Self::Late(3_600),
        ]);
        all
    }
}

/// From the request `at` on, this number of answers is replaced.
#[derive(Clone, Debug)]
pub struct Fault {
    pub at: usize,
    pub times: usize,
    pub odd: Odd,
}

pub fn faults() -> impl Strategy<Value = Fault> {
    let times = prop_oneof![3 => Just(1_usize), 1 => 2..15_usize];
    (0..70_usize, times, prop::sample::select(Odd::all())).prop_map(|(at, times, odd)| Fault {
        at,
        times,
        odd,
    })
}
