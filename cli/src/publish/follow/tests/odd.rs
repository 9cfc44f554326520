//! Everything that stands between a follower and its peers answers now and then.

use proptest::prelude::*;

/// What comes instead of an answer.
#[derive(Clone, Debug)]
pub enum Odd {
    /// Something else answers, and the request never arrives.
    Instead(u16, &'static [(&'static str, &'static str)], &'static str),
    /// No answer, for this reason; the request never arrives.
    Nothing(&'static str),
    /// The request arrives, and its answer is lost.
    Lost,
    /// The answer breaks off in the middle.
    BrokenOff,
    /// The answer comes after this many seconds.
    Late(u64),
}

impl Odd {
    /// A page for people.
    pub const fn page(status: u16) -> Self {
        Self::Instead(status, &[("content-type", "text/html")], "<!DOCTYPE html><title>Just a moment</title>")
    }

    /// Every kind.
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
            // The Worker's own words, while its issuer's keys are not there.
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

/// From the request of this number on, so many answers are odd.
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
