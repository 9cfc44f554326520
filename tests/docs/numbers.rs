//! Numbers in pages are those of the limits, with their units. How a sentence puts them is up to the page.

use admit::limits;

use super::{read, rows, section};

/// Whether `text` has `fact` as words of their own: `30 s` is neither in `130 s` nor in `30 seats`.
fn states(text: &str, fact: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '.';
    text.match_indices(fact).any(|(at, _)| {
        let (before, after) = (text.split_at(at).0, text.split_at(at + fact.len()).1);
        let ends = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
        ends && !before.chars().next_back().is_some_and(is_word)
    })
}

#[test]
fn a_fact_is_a_number_of_its_own() {
    assert!(states("within 30 s.", "30 s") && states("(30 s)", "30 s"));
    for text in ["130 s", "0.30 s", "30 seats", "30s", ""] {
        assert!(!states(text, "30 s"), "{text}");
    }
}

#[test]
fn the_architecture_has_the_ages_and_sizes_of_the_code() {
    let page = read("ARCHITECTURE.md");
    for fact in [
        format!("{} s", limits::HEAD_FRESH_SECS),
        format!("{} s", limits::HEAD_STALE_SECS),
        format!("{} s", limits::HEAD_RETRY_SECS),
        format!("{} MiB", limits::OBJECT_CACHE_BYTES >> 20),
        format!("{} minutes", limits::JWKS_FRESH_SECS / 60),
    ] {
        assert!(states(&page, &fact), "{fact}");
    }
}

#[test]
fn the_configuration_has_the_bounds_of_the_code() {
    let page = read("docs/configuration.md");
    for (heading, facts) in [
        (
            "`ISSUERS`",
            vec![
                limits::ISSUERS_MAX.to_string(),
                limits::LEEWAY_MAX_SECS.to_string(),
                format!("`{}`", limits::LEEWAY_DEFAULT_SECS),
                format!("{} bytes", limits::CUSTOMER_MAX_BYTES),
                limits::JWKS_REDIRECTS_MAX.to_string(),
            ],
        ),
        (
            "Keys",
            vec![
                format!("{} keys", limits::JWKS_MAX_KEYS),
                format!("{} KiB", limits::JWKS_MAX_BYTES >> 10),
                limits::KEYS_TRIED_MAX.to_string(),
                limits::RSA_MIN_BITS.to_string(),
                format!("{} bits", limits::RSA_MAX_BITS),
            ],
        ),
        ("Rotating keys", vec![format!("{} s", limits::JWKS_COOLDOWN_SECS)]),
        ("Log lines", vec![format!("{} bytes", limits::LOGGED_VALUE_MAX_BYTES)]),
    ] {
        let text = section(&page, heading);
        for fact in facts {
            assert!(states(text, &fact), "{heading}: {fact}");
        }
    }
}

#[test]
fn variables_have_the_defaults_of_the_code() {
    let page = read("docs/configuration.md");
    for (variable, default) in [
        ("ORIGIN_TIMEOUT_MS", limits::UPSTREAM_TIMEOUT_MS),
        ("CONFIRM_TIMEOUT_MS", limits::CONFIRM_TIMEOUT_MS),
        ("CONFIRM_DENIED_MS", limits::CONFIRM_DENIED_MS),
        ("CONFIRM_GRANTED_SECS", limits::CONFIRM_GRANTED_SECS),
        ("CONFIRMS_PER_SEC", limits::CONFIRMS_PER_SEC.into()),
    ] {
        let row = rows(&page).into_iter().find(|row| row[0] == format!("`{variable}`")).unwrap();
        assert_eq!(row[2], format!("`{default}`"), "{variable}");
    }
}

#[test]
fn the_api_has_the_limits_of_the_code() {
    let page = read("docs/api.md");
    for (heading, facts) in [
        ("Tokens", vec![format!("{} KiB", limits::TOKEN_MAX_BYTES >> 10)]),
        ("Packages", vec![limits::PAGE_MAX_ITEMS.to_string(), limits::PAGE_DEFAULT_ITEMS.to_string()]),
        (
            "Errors",
            vec![
                limits::PAGE_MAX_ITEMS.to_string(),
                format!("{} MiB", limits::ANSWER_MAX_BYTES >> 20),
                format!("{} s", limits::BREAKER_OPEN_MS / 1_000),
            ],
        ),
        (
            "Writes",
            vec![
                format!("{} KiB", limits::WRITE_MAX_BYTES >> 10),
                format!("{} KiB", limits::WRITE_HELD_MAX_BYTES >> 10),
                format!("{} MiB", limits::UPSTREAM_ANSWER_MAX_BYTES >> 20),
            ],
        ),
        (
            "Publishing",
            vec![
                format!("{} MiB", limits::OBJECT_MAX_BYTES >> 20),
                format!("{} KiB", limits::HEAD_MAX_BYTES >> 10),
                format!("{} s", limits::HEAD_SKEW_SECS),
                format!("{} KiB", limits::LEASE_MAX_BYTES >> 10),
                format!("{} MiB", limits::GARBAGE_MAX_BYTES >> 20),
                format!("{} s", limits::LEASE_MAX_SECS),
                format!("{} objects", limits::PACK_MAX_OBJECTS),
                format!("{} MiB", limits::PACK_MAX_BYTES >> 20),
                format!("{} objects", limits::CHECK_MAX_OBJECTS),
            ],
        ),
        (
            "Confirmed denials",
            vec![
                format!("{} s", limits::CONFIRM_TIMEOUT_MS / 1_000),
                format!("{} s", limits::CONFIRM_GRANTED_SECS),
                format!("{} checks", limits::CUSTOMER_CONFIRMS),
                format!("{} a second", limits::CUSTOMER_CONFIRMS_PER_SEC),
            ],
        ),
    ] {
        let text = section(&page, heading);
        for fact in facts {
            assert!(states(text, &fact), "{heading}: {fact}");
        }
    }
}
