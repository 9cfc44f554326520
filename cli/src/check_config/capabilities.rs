//! Issuers' capabilities: combinations that the Worker accepts but that probably are a mistake.

use admit::config::Config;
use admit_token::{Capability, IssuerConfig};

use super::{document::member, report::EnvironmentReport, settings::Settings};

/// Warns of issuers that are valid and unusual.
pub fn check(settings: &Settings<'_>, config: &Config, report: &mut EnvironmentReport) {
    let place = member(&settings.place("vars"), "ISSUERS");
    let any = |capability| config.issuers.iter().any(|issuer| issuer.may.has(capability));
    if !any(Capability::View) {
        report.warn(
            settings,
            &place,
            "no issuer has the capability \"view\", so every check and every /license is answered 403",
            "set \"may\": [\"view\"] for the issuer of your viewers' tokens",
        );
    }
    if !any(Capability::Publish) {
        report.warn(
            settings,
            &place,
            "no issuer has the capability \"publish\", so no token can publish through this Worker",
            "set \"may\": [\"publish\"] for the publisher's issuer, unless you publish only with --to kv:<account>/<namespace>",
        );
    }
    if config.upstream.is_some() && !any(Capability::Write) {
        report.warn(
            settings,
            &place,
            "no issuer has the capability \"write\", so every merchant's write through this Worker is answered 403",
            "set \"may\": [\"view\", \"write\"] for the issuer of your merchants' tokens, unless this Worker should not pass on writes",
        );
    }
    for (position, issuer) in config.issuers.iter().enumerate() {
        if let Some((problem, change)) = odd(issuer) {
            report.warn(settings, &format!("{place}[{position}]"), problem, change);
        }
        if issuer.test_clients {
            report.warn(
                settings,
                &format!("{place}[{position}]"),
                "\"test_clients\" is true: its tokens open test licences by the id of a test-mode client, which is public",
                "take it out; leave it only if this issuer lets only testers sign in by such a client",
            );
        }
    }
}

/// The oddity of an issuer, if it has one, and the change that is advised.
fn odd(issuer: &IssuerConfig) -> Option<(String, &'static str)> {
    let all = [Capability::Publish, Capability::Feed].into_iter().filter(|all| issuer.may.has(*all));
    let names = all.map(Capability::name).collect::<Vec<_>>().join("\" and \"");
    let (may_view, may_write) = (issuer.may.has(Capability::View), issuer.may.has(Capability::Write));
    match (names.is_empty(), issuer.merchants.is_some()) {
        (false, true) => Some((
            format!(
                "\"{names}\" with \"merchants\": the data of every merchant would be open, so none of its tokens may"
            ),
            "take \"merchants\" out for the publisher's issuer, or the capability out for a merchant's",
        )),
        (false, false) if may_view || may_write => Some((
            format!(
                "\"{names}\" without \"merchants\" for an issuer that also signs tokens of viewers or merchants"
            ),
            "give the publisher an issuer of its own with \"may\": [\"publish\"], whose key signs nothing else",
        )),
        (true, false) if may_write => Some((
            "\"write\" without \"merchants\": its tokens may write in the name of every merchant".to_owned(),
            "name the merchants that it signs for, such as \"merchants\": [2101]; leave it if it signs for all of them",
        )),
        _ => None,
    }
}
