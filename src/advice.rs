//! Valid configurations that probably are a mistake. `admit check-config` says so before a deploy, and the edge's report
//! afterwards.

use std::borrow::Cow;

use crate::{
    api::cors::Cors,
    config::Config,
    token::{Capability, IssuerConfig},
};

/// A valid value that is probably a mistake, without any secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The position in `ISSUERS`; `None` if it is about all issuers.
    pub position: Option<usize>,
    /// The suspicious value, and its effect.
    pub problem: Cow<'static, str>,
    /// What to do about it.
    pub change: &'static str,
}

/// The oddities of the issuers.
#[must_use]
pub fn of_issuers(config: &Config) -> Vec<Advice> {
    let any = |capability| config.issuers.iter().any(|issuer| issuer.may.has(capability));
    let mut all = Vec::new();
    let mut add = |position, problem, change| all.push(Advice { position, problem, change });
    if !any(Capability::View) {
        add(
            None,
            Cow::Borrowed(
                "no issuer has the capability \"view\", so every check and every /license is answered 403",
            ),
            "set \"may\": [\"view\"] for the issuer of your viewers' tokens",
        );
    }
    if !any(Capability::Publish) {
        add(
            None,
            Cow::Borrowed(
                "no issuer has the capability \"publish\", so no token can publish through this Worker",
            ),
            "set \"may\": [\"publish\"] for the publisher's issuer, unless you publish only with --to kv:<account>/<namespace>",
        );
    }
    if config.upstream.is_some() && !any(Capability::Write) {
        add(
            None,
            Cow::Borrowed(
                "no issuer has the capability \"write\", so every merchant's write through this Worker is answered 403",
            ),
            "set \"may\": [\"view\", \"write\"] for the issuer of your merchants' tokens, unless this Worker should not pass on writes",
        );
    }
    for (position, issuer) in config.issuers.iter().enumerate() {
        if let Some((problem, change)) = odd(issuer) {
            add(Some(position), problem, change);
        }
        if issuer.test_clients {
            add(
                Some(position),
                Cow::Borrowed(
                    "\"test_clients\" is true: its tokens open test licences by the id of a test-mode client, which is public",
                ),
                "take it out; leave it only if this issuer lets only testers sign in by such a client",
            );
        }
    }
    all
}

/// The oddity of an issuer, if it has one, and the change that is advised.
fn odd(issuer: &IssuerConfig) -> Option<(Cow<'static, str>, &'static str)> {
    let all = [Capability::Publish, Capability::Feed].into_iter().filter(|all| issuer.may.has(*all));
    let names = all.map(Capability::name).collect::<Vec<_>>().join("\" and \"");
    let (may_view, may_write) = (issuer.may.has(Capability::View), issuer.may.has(Capability::Write));
    match (names.is_empty(), issuer.merchants.is_some()) {
        (false, true) => Some((
            Cow::Owned(
                ["\"", &names, "\" with \"merchants\": the data of every merchant would be open, so none of its tokens may"]
                    .concat(),
            ),
            "take \"merchants\" out for the publisher's issuer, or the capability out for a merchant's",
        )),
        (false, false) if may_view || may_write => Some((
            Cow::Owned(
                ["\"", &names, "\" without \"merchants\" for an issuer that also signs tokens of viewers or merchants"]
                    .concat(),
            ),
            "give the publisher an issuer of its own with \"may\": [\"publish\"], whose key signs nothing else",
        )),
        (true, false) if may_write => Some((
            Cow::Borrowed("\"write\" without \"merchants\": its tokens may write in the name of every merchant"),
            "name the merchants that it signs for, such as \"merchants\": [2101]; leave it if it signs for all of them",
        )),
        _ => None,
    }
}

/// The variables and secrets without a value that change what the edge does.
#[must_use]
pub fn unset(config: &Config) -> Vec<&'static str> {
    let upstream = config.upstream.as_ref();
    [
        ("SNAPSHOT_AUDIENCE", config.head_rules.audience.is_none()),
        ("SNAPSHOT_MIN_SEQ", config.head_rules.min_seq == 0),
        ("SNAPSHOT_MAX_AGE_SECS", config.head_max_age_secs.is_none()),
        ("CORS_ORIGINS", config.cors == Cors::Any),
        ("PLAYBACK", config.playback.is_empty()),
        ("ORIGIN_URL", upstream.is_none()),
        ("ORIGIN_SECRET", upstream.is_some_and(|upstream| upstream.secret.is_none())),
        ("JWKS_CACHE_SECRET", config.jwks_cache_secret.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, is_unset)| is_unset.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn config(issuers: &Value, others: &[(&str, &str)]) -> Config {
        let issuers = issuers.to_string();
        let binding = |name: &str| match name {
            "ISSUERS" => Some(issuers.clone()),
            "SNAPSHOT_KEYS" => Some(r#"{"keys":[]}"#.to_owned()),
            "SECRET" => Some("a secret of the tests, long enough for HS256".to_owned()),
            _ => others.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        Config::parse(&binding).unwrap()
    }

    fn issuer(may: &[&str]) -> Value {
        json!({
            "issuer": may.join("-"), "namespace": may.join("-"), "audience": {"any_of": ["a"]}, "may": may,
            "keys": {"secret": "SECRET", "alg": "HS256"},
        })
    }

    #[test]
    fn odd_issuers_are_named_by_position() {
        let advice = |issuers: &Value| -> Vec<_> {
            let all = of_issuers(&config(issuers, &[])).into_iter();
            all.map(|one| (one.position, one.problem.split(':').next().unwrap().to_owned())).collect()
        };
        assert_eq!(advice(&json!([issuer(&["view"]), issuer(&["publish"])])), []);
        let found = advice(&json!([issuer(&["view"]), issuer(&["publish", "view"]), issuer(&["write"])]));
        assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(found[1].1, "\"write\" without \"merchants\"");
        let none = advice(&json!([issuer(&["feed"])]));
        assert_eq!(none.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn what_is_not_set_is_named_without_values() {
        let issuers = json!([issuer(&["view"])]);
        let all = unset(&config(&issuers, &[]));
        assert!(all.contains(&"ORIGIN_URL") && !all.contains(&"ORIGIN_SECRET"), "{all:?}");
        let others = [
            ("ORIGIN_URL", "https://origin.example"),
            ("SNAPSHOT_MIN_SEQ", "7"),
            ("CORS_ORIGINS", "https://a.example"),
        ];
        let some = unset(&config(&issuers, &others));
        assert!(some.contains(&"ORIGIN_SECRET"), "{some:?}");
        for name in ["ORIGIN_URL", "SNAPSHOT_MIN_SEQ", "CORS_ORIGINS"] {
            assert!(!some.contains(&name), "{some:?}");
        }
    }
}
