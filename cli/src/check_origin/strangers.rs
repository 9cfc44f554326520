//! Checks that what only publishers may read needs a valid token.

use super::{
    checks::Check,
    client::{Ask, OriginClient},
    report::ConformanceReport,
};

/// A bearer that no issuer has signed. It is not a JWT either.
pub const GARBAGE: &str = "admit-check-origin-is-no-token";

/// Requests `url` without a token and with a wrong one.
pub fn check(
    report: &mut ConformanceReport,
    check: &Check,
    client: &OriginClient,
    url: &str,
    token: Option<&str>,
) {
    if token.is_none() {
        return report
            .skip(check, "no --origin-token: everyone who reaches this address can read every customer");
    }
    for (who, token) in [("without a token", None), ("with a wrong token", Some(GARBAGE))] {
        let problem = match client.send(Ask::get(url).bearer(token)) {
            Ok(answer) => answer.other_than(&[401, 403]),
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            return report.fail(check, format!("{who}: {problem}"));
        }
    }
    report.pass(check, "they are refused");
}
