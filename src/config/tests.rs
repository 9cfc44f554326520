//! Defaults, and a message for each invalid value.

use super::*;

const ISSUER: &str = r#"[{"issuer":"https://i.example","namespace":"n","audience":"none_required","keys":{"jwks_url":"https://i.example/jwks"}}]"#;

fn parse(overrides: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let lookup = |name: &str| {
        let set = overrides.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        set.or_else(|| match name {
            "ISSUERS" => Some(ISSUER.to_owned()),
            "SNAPSHOT_KEYS" => Some(r#"{"keys":[]}"#.to_owned()),
            _ => None,
        })
    };
    Config::parse(&lookup)
}

#[test]
fn defaults() {
    let config = parse(&[]).unwrap();
    assert_eq!((config.cors, config.log_checks, config.console), (Cors::Any, LogChecks::Denied, false));
    let is_on = |value| parse(&[("CONSOLE", value)]).unwrap().console;
    assert_eq!((is_on("on"), is_on("off")), (true, false));
    assert_eq!((config.country_header, config.address_header), (None, None));
    assert_eq!((config.head_rules, config.head_max_age_secs), (HeadRules::default(), None));
}

#[test]
fn fetched_keys_are_kept_if_any_secret_is_configured() {
    let (own, of_origin) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
    let secret = |variables: &[(&str, &str)]| {
        let secret = parse(variables).unwrap().jwks_cache_secret;
        secret.map(|secret| secret.as_str().to_owned())
    };
    let origin = [("ORIGIN_SECRET", of_origin), ("ORIGIN_URL", "https://origin.example")];
    assert_eq!(secret(&[]), None);
    assert_eq!(secret(&origin).as_deref(), Some(of_origin));
    assert_eq!(secret(&[&origin[..], &[("JWKS_CACHE_SECRET", own)]].concat()).as_deref(), Some(own));
}

#[test]
fn a_signers_key_has_no_other_use() {
    const TEXT: &str = "0123456789abcdef0123456789abcdef";
    let issuers = r#"[{"issuer":"https://i.example","namespace":"n","audience":"none_required","keys":{"secret":"VENDOR","alg":"HS256"}}]"#;
    let parse = |secret: &str| {
        let entry = format!(r#"[{{"merchant":1,"item_type":"jw_asset","signer":"jw","secret":"{secret}"}}]"#);
        parse(&[
            ("ISSUERS", issuers),
            ("PLAYBACK", &entry),
            ("VENDOR", TEXT),
            ("ORIGIN_SECRET", TEXT),
            ("JWKS_CACHE_SECRET", TEXT),
            ("JW_SECRET", TEXT),
        ])
    };
    assert!(!parse("JW_SECRET").unwrap().playback.is_empty());
    for secret in ["VENDOR", "ORIGIN_SECRET", "JWKS_CACHE_SECRET"] {
        let error = parse(secret).unwrap_err().to_string();
        assert!(error.starts_with(&format!("PLAYBACK: {secret} has another use")), "{error}");
    }
}

#[test]
fn which_heads_are_accepted() {
    let config = parse(&[
        ("SNAPSHOT_AUDIENCE", "production"),
        ("SNAPSHOT_MIN_SEQ", "41"),
        ("SNAPSHOT_MAX_AGE_SECS", "900"),
    ])
    .unwrap();
    assert_eq!(config.head_rules, HeadRules { audience: Some("production".to_owned()), min_seq: 41 });
    assert_eq!(config.head_max_age_secs, Some(900));
    assert_eq!(parse(&[("SNAPSHOT_MAX_AGE_SECS", "0")]).unwrap().head_max_age_secs, None);
}

#[test]
fn every_wrong_value_names_its_variable() {
    let cases = [
        ("ISSUERS", "{"),
        ("ISSUERS", "[]"),
        ("CORS_ORIGINS", "tv.example.com"),
        ("TRUSTED_COUNTRY_HEADER", "x country"),
        ("TRUSTED_ADDRESS_HEADER", ""),
        ("LOG_CHECKS", "yes"),
        ("CONSOLE", "true"),
        ("ANALYTICS_SAMPLE", "0"),
        ("ANALYTICS_SAMPLE", "1001"),
        ("JWKS_CACHE_SECRET", "short"),
        ("ORIGIN_URL", ""),
        ("ORIGIN_URL", "http://origin.example"),
        ("ORIGIN_URL", "https://"),
        ("ORIGIN_URL", "https://user@origin.example"),
        ("ORIGIN_URL", "https://origin.example/?a=b"),
        ("ORIGIN_URL", "https://origin.example/#a"),
        ("ORIGIN_TIMEOUT_MS", "99"),
        ("CONFIRM_TIMEOUT_MS", "10001"),
        ("CONFIRM_DENIED_MS", "-1"),
        ("CONFIRM_GRANTED_SECS", "a minute"),
        ("CONFIRMS_PER_SEC", ""),
        ("PASS_THROUGH", ""),
        ("PASS_THROUGH", "accounts"),
        ("PASS_THROUGH", "/items"),
        // There is no origin.
        ("PASS_THROUGH", "/accounts"),
        ("PASS_THROUGH_TIMEOUT_MS", "60001"),
        ("SNAPSHOT_AUDIENCE", ""),
        ("SNAPSHOT_AUDIENCE", "my store"),
        ("SNAPSHOT_MIN_SEQ", "-1"),
        ("SNAPSHOT_MIN_SEQ", ""),
        ("SNAPSHOT_MAX_AGE_SECS", "299"),
        ("SNAPSHOT_MAX_AGE_SECS", "4294967296"),
        ("SNAPSHOT_MAX_AGE_SECS", "15m"),
        ("ORIGIN_SECRET", "thirty-one-characters-are-short"),
        ("ORIGIN_SECRET", "a secret with blanks is no header's"),
        ("ORIGIN_SECRET", "ein-Schlüssel-mit-einem-Umlaut-im-Text"),
    ];
    for (variable, value) in cases {
        let error = parse(&[(variable, value)]).unwrap_err();
        assert!(error.variable.starts_with(variable), "{variable}: {error}");
    }
    let error = Config::parse(&|_| None).unwrap_err();
    assert_eq!(error.variable, "ISSUERS");
}

#[test]
fn secrets_stay_out_of_debug_output() {
    let secret = "0123456789abcdef0123456789abcdef";
    let config = parse(&[("JWKS_CACHE_SECRET", secret)]).unwrap();
    assert!(!format!("{config:?}").contains(secret));
    let variables = [("ORIGIN_SECRET", secret), ("ORIGIN_URL", "https://origin.example")];
    let origin = parse(&variables).unwrap().upstream.unwrap();
    assert!(!format!("{origin:?}").contains(secret));
    assert_eq!(origin.secret, Some(token::Secret::new(secret.to_owned())));
    // Not in the message about a wrong one, either.
    let error = parse(&[("ORIGIN_SECRET", "a-short-secret")]).unwrap_err();
    assert!(!error.to_string().contains("a-short-secret"), "{error}");
}

#[test]
fn an_origin_is_a_url_and_numbers() {
    assert_eq!(parse(&[("CONFIRM_DENIED_MS", "0")]).unwrap().upstream, None);
    let origin = |more: &[(&str, &str)]| {
        let variables = [&[("ORIGIN_URL", "https://origin.example/api/")], more].concat();
        parse(&variables).unwrap().upstream.unwrap()
    };
    let defaults = origin(&[]);
    assert_eq!(defaults.url, "https://origin.example/api");
    assert_eq!((defaults.timeout_ms, defaults.confirms_per_sec), (10_000, 100));
    let changed = origin(&[("CONFIRM_GRANTED_SECS", "0"), ("CONFIRM_TIMEOUT_MS", "500")]);
    assert_eq!(changed, UpstreamConfig { granted_secs: 0, confirm_timeout_ms: 500, ..defaults });
    let local = parse(&[("ORIGIN_URL", "http://127.0.0.1:8790")]).unwrap().upstream.unwrap();
    assert_eq!(local.url, "http://127.0.0.1:8790");
}

#[test]
fn header_names_are_lowered() {
    let config = parse(&[("TRUSTED_COUNTRY_HEADER", "X-Country-Code")]).unwrap();
    assert_eq!(config.country_header.as_deref(), Some("x-country-code"));
}
