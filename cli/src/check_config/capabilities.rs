//! Issuers' capabilities: combinations that the Worker accepts but that probably are a mistake.

use admit::{advice::of_issuers, config::Config};

use super::{document::member, report::EnvironmentReport, settings::Settings};

/// Warns of issuers that are valid and unusual.
pub fn check(settings: &Settings<'_>, config: &Config, report: &mut EnvironmentReport) {
    let place = member(&settings.place("vars"), "ISSUERS");
    for advice in of_issuers(config) {
        let place = match advice.position {
            Some(position) => format!("{place}[{position}]"),
            None => place.clone(),
        };
        report.warn(settings, &place, advice.problem, advice.change);
    }
}
