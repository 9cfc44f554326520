//! Checks the variables with the Worker's own parser.
//!
//! The parser stops at its first error. So each error is reported, its value replaced by a valid one, and the
//! parser run again, until nothing is wrong. Secrets that cannot be seen are replaced by stand-ins, so that
//! the rest is checked.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use admit::{
    app::check_keys,
    config::{Config, ConfigError},
};
use admit_playback::SecretForm;
use admit_token::NativeVerifier;
use serde_json::{Value, json};

use super::{
    capabilities,
    document::member,
    report::EnvironmentReport,
    secrets::as_binding,
    settings::{Found, Settings},
};

/// Long enough for every HMAC algorithm and for the cache's MAC.
pub const SECRET_STAND_IN: &str = "stand-in-stand-in-stand-in-stand-in-stand-in-stand-in-stand-in-stand-in";

/// Any Ed25519 key: RFC 8032 §7.1, TEST 1.
const KEYS_STAND_IN: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// The binding by which the Worker reads the console's files.
const ASSETS: &str = "ASSETS";

/// The most errors that are looked for in one environment.
const ERRORS_MAX: usize = 100;

/// What the command knows about secrets.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The file with their values.
    pub file: String,
    /// Values from that file.
    pub values: BTreeMap<String, String>,
    /// Names of secrets that are set at Cloudflare.
    pub elsewhere: BTreeSet<String>,
}

/// The bindings of an environment, as far as they are known here.
struct Bindings<'s> {
    vars: BTreeMap<String, String>,
    secrets: &'s Secrets,
    elsewhere: BTreeSet<String>,
    known: BTreeSet<String>,
    /// Replacements for wrong values that have been reported. `None` removes the variable.
    overrides: BTreeMap<String, Option<String>>,
    /// Secrets that the parser asked for and that cannot be seen.
    unseen: RefCell<BTreeSet<String>>,
}

impl Bindings<'_> {
    fn get(&self, name: &str) -> Option<String> {
        if let Some(instead) = self.overrides.get(name) {
            return instead.clone();
        }
        // A secret replaces a variable of the same name.
        if let Some(value) = self.secrets.values.get(name).or_else(|| self.vars.get(name)) {
            return Some(value.clone());
        }
        let is_elsewhere = self.elsewhere.contains(name);
        // A name that is invalid for a binding may be the secret itself, pasted by mistake: let the parser
        // report it.
        let is_of_an_issuer = !self.known.contains(name) && is_binding_name(name);
        (is_elsewhere || is_of_an_issuer).then(|| {
            self.unseen.borrow_mut().insert(name.to_owned());
            self.stand_in(name)
        })
    }

    /// What replaces a variable or secret: for a signer's key, a text of the form that the signer reads.
    fn stand_in(&self, name: &str) -> String {
        self.form_in_playback(name).map_or_else(|| stand_in(name), SecretForm::stand_in)
    }

    /// The form of a secret that `PLAYBACK` names.
    fn form_in_playback(&self, name: &str) -> Option<SecretForm> {
        let playback = self.secrets.values.get("PLAYBACK").or_else(|| self.vars.get("PLAYBACK"))?;
        SecretForm::named_in(playback, name)
    }

    fn has(&self, name: &str) -> bool {
        self.secrets.values.contains_key(name)
            || self.vars.contains_key(name)
            || self.elsewhere.contains(name)
    }

    fn parse(&self) -> Result<Config, ConfigError> {
        let config = Config::parse(&|name| self.get(name))?;
        check_keys(&config, &NativeVerifier)?;
        Ok(config)
    }
}

/// Checks the variables of an environment as the Worker does at its first request.
pub fn check(settings: &Settings<'_>, secrets: &Secrets, report: &mut EnvironmentReport) {
    let vars = settings.own("vars");
    let values = vars.as_ref().and_then(|vars| vars.value.as_object()).into_iter().flatten();
    let required = settings.own("secrets").and_then(|secrets| secrets.get("required"));
    let required =
        required.iter().flat_map(Found::elements).filter_map(|name| Some(name.value.as_str()?.to_owned()));
    let mut bindings = Bindings {
        vars: values.map(|(name, value)| (name.clone(), as_binding(value))).collect(),
        secrets,
        elsewhere: required.chain(secrets.elsewhere.iter().cloned()).collect(),
        known: known_variables(),
        overrides: BTreeMap::new(),
        unseen: RefCell::default(),
    };
    let mut config = None;
    for _ in 0..ERRORS_MAX {
        match bindings.parse() {
            Ok(parsed) => {
                config = Some(parsed);
                break;
            }
            Err(error) => {
                tell(settings, &bindings, &error, report);
                if !step_over(&mut bindings, &error) {
                    break;
                }
            }
        }
    }
    if let Some(config) = &config
        && bindings.has("ISSUERS")
        && !bindings.overrides.contains_key("ISSUERS")
        && !bindings.unseen.borrow().contains("ISSUERS")
    {
        capabilities::check(settings, config, report);
    }
    let assets = settings.inherited("assets").and_then(|assets| assets.get("binding"));
    if config.as_ref().is_some_and(|config| config.console)
        && assets.is_none_or(|binding| binding.value.as_str() != Some(ASSETS))
    {
        report.error(
            settings,
            &member(&settings.place("vars"), "CONSOLE"),
            format!("the console is on, but its files are not bound to {ASSETS}"),
            format!("keep the table [assets] with binding = \"{ASSETS}\""),
        );
    }
    for position in symmetric_in(bindings.vars.get("ISSUERS")) {
        report.warn(
            settings,
            &format!("{}[{position}].keys.jwks", member(&settings.place("vars"), "ISSUERS")),
            "holds a symmetric key (\"kty\": \"oct\") in a plain variable: everyone who can read this file or the Worker's \
             settings can sign tokens of this issuer",
            "make ISSUERS a secret (`wrangler secret put ISSUERS`), or name a secret by keys.secret, and replace the key",
        );
    }
    for name in bindings.unseen.borrow().iter() {
        let purpose = if bindings.known.contains(name) {
            "its value is not checked".to_owned()
        } else if bindings.form_in_playback(name).is_some() {
            "a signer's key; it is not checked".to_owned()
        } else {
            "an issuer's key; its length is not checked".to_owned()
        };
        report.secrets.insert(name.clone(), purpose);
    }
    check_names(settings, &bindings, config.as_ref(), report);
}

/// The positions of the issuers that have a symmetric key in plain text.
fn symmetric_in(issuers: Option<&String>) -> Vec<usize> {
    let issuers = issuers.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let is_symmetric = |issuer: &Value| {
        let keys = issuer.pointer("/keys/jwks/keys").and_then(Value::as_array);
        keys.into_iter().flatten().any(|key| key.get("kty").and_then(Value::as_str) == Some("oct"))
    };
    let issuers = issuers.as_ref().and_then(Value::as_array).into_iter().flatten().enumerate();
    issuers.filter(|(_, issuer)| is_symmetric(issuer)).map(|(position, _)| position).collect()
}

/// Reports an error of the parser: the variable, its place, and what to change.
fn tell(
    settings: &Settings<'_>,
    bindings: &Bindings<'_>,
    error: &ConfigError,
    report: &mut EnvironmentReport,
) {
    let name = variable(error);
    let key = member(&settings.place("vars"), &error.variable);
    if !bindings.has(name) && bindings.known.contains(name) {
        let is_at_the_top = settings.name.is_some()
            && settings.at_the_top("vars").is_some_and(|vars| vars.get(name).is_some());
        let problem = if is_at_the_top {
            format!("{name} is not set here: environments do not inherit vars from the top level")
        } else {
            format!("{name} is not set, so the Worker would answer every request with 500")
        };
        let change = match name {
            "ISSUERS" => "name your token issuers (docs/configuration.md has examples)",
            "SNAPSHOT_KEYS" => "set it to what `admit keygen --public snapshot.jwk` prints",
            _ => "set it (docs/configuration.md says what it holds)",
        };
        let change = format!(
            "{change}; if it is a secret at Cloudflare, say so with --secret {name}, or with secrets.required"
        );
        return report.error(settings, &key, problem, change);
    }
    let change = "see docs/configuration.md for the values that are accepted";
    if bindings.secrets.values.contains_key(name) {
        report.error_in(&bindings.secrets.file, &error.variable, error.problem.clone(), change);
    } else {
        report.error(settings, &key, error.problem.clone(), change);
    }
}

/// The variable that an error is about, without the place inside it.
fn variable(error: &ConfigError) -> &str {
    error.variable.split(['[', '.']).next().unwrap_or_default()
}

/// Replaces the wrong value by a valid one, so that the next error can be found. Returns whether it could.
fn step_over(bindings: &mut Bindings<'_>, error: &ConfigError) -> bool {
    let name = variable(error).to_owned();
    // One issuer is replaced alone. Other known variables are removed, because they have defaults; unknown
    // names are secrets that an issuer or a signer refers to.
    let instead = match (name.as_str(), issuer_position(error)) {
        ("ISSUERS", Some(position)) => without_issuer(bindings, position),
        ("ISSUERS" | "SNAPSHOT_KEYS", _) => Some(stand_in(&name)),
        (known, _) if bindings.known.contains(known) => None,
        _ => Some(bindings.stand_in(&name)),
    };
    // The same replacement again would not help: stop.
    if bindings.overrides.get(&name) == Some(&instead) {
        return false;
    }
    bindings.overrides.insert(name, instead);
    true
}

fn issuer_position(error: &ConfigError) -> Option<usize> {
    let (number, _) = error.variable.strip_prefix("ISSUERS[")?.split_once(']')?;
    number.parse().ok()
}

/// `ISSUERS` with a stand-in for the issuer at `position`, so that the others keep their positions.
fn without_issuer(bindings: &Bindings<'_>, position: usize) -> Option<String> {
    let mut issuers: Vec<Value> = serde_json::from_str(&bindings.get("ISSUERS")?).ok()?;
    *issuers.get_mut(position)? = issuer_stand_in(position);
    Some(Value::from(issuers).to_string())
}

fn issuer_stand_in(position: usize) -> Value {
    json!({
        "issuer": format!("https://stand-in-{position}.invalid"), "namespace": "stand-in",
        "audience": "none_required", "keys": {"jwks_url": "https://stand-in.invalid/jwks"}
    })
}

fn stand_in(name: &str) -> String {
    match name {
        "ISSUERS" => json!([issuer_stand_in(0)]).to_string(),
        "SNAPSHOT_KEYS" => KEYS_STAND_IN.to_owned(),
        _ => SECRET_STAND_IN.to_owned(),
    }
}

/// The variables that the Worker reads: the names that its parser asks for.
pub fn known_variables() -> BTreeSet<String> {
    let known = RefCell::new(BTreeSet::new());
    let ask = |name: &str| {
        known.borrow_mut().insert(name.to_owned());
        match name {
            "ISSUERS" | "SNAPSHOT_KEYS" => Some(stand_in(name)),
            "ORIGIN_URL" => Some("https://stand-in.invalid".to_owned()),
            _ => None,
        }
    };
    // The result does not matter: `ask` has noted the names.
    let _ = Config::parse(&ask);
    known.into_inner()
}

/// Secrets of the Worker. They should never stand in the file.
const SECRETS: [&str; 2] = ["JWKS_CACHE_SECRET", "ORIGIN_SECRET"];

/// The sample viewers of a local run, which the console shows to everyone. Only `cargo xtask dev` may set it.
const SAMPLES: &str = "CONSOLE_SAMPLES";

fn is_binding_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_letter)
}

/// Warns of variables that the Worker does not read, and reports secrets in the file.
fn check_names(
    settings: &Settings<'_>,
    bindings: &Bindings<'_>,
    config: Option<&Config>,
    report: &mut EnvironmentReport,
) {
    use admit_token::KeysConfig;
    let issuers = config.map(|config| config.issuers.as_slice()).unwrap_or_default();
    let named: BTreeSet<&str> = issuers
        .iter()
        .filter_map(|issuer| match &issuer.keys {
            KeysConfig::Secret { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for name in bindings.vars.keys() {
        let place = member(&settings.place("vars"), name);
        let is_secret = named.contains(name.as_str()) || bindings.form_in_playback(name).is_some();
        if is_secret || SECRETS.contains(&name.as_str()) {
            report.warn(
                settings,
                &place,
                "a secret stands in the file: everyone who reads the file can use it",
                format!("take it out, and run `npx wrangler secret put {name}`"),
            );
        } else if name == SAMPLES {
            report.error(
                settings,
                &place,
                "the console would hand these tokens to everyone who asks; the variable is for local runs only",
                format!("remove {SAMPLES}"),
            );
        } else if !bindings.known.contains(name) {
            match nearest(name, &bindings.known) {
                Some(meant) => report.error(
                    settings,
                    &place,
                    format!("unknown variable, which the Worker would ignore; did you mean {meant}?"),
                    format!("rename it to {meant}, or remove it"),
                ),
                None => report.warn(
                    settings,
                    &place,
                    "unknown variable, which the Worker ignores",
                    "remove it, or see the names in docs/configuration.md",
                ),
            }
        }
    }
}

/// The known name that was probably meant: it differs by a few letters, or is longer or shorter at its end.
pub fn nearest<'k>(name: &str, known: &'k BTreeSet<String>) -> Option<&'k str> {
    let upper = name.to_ascii_uppercase();
    let distance = |known: &&String| strsim::damerau_levenshtein(&upper, known);
    // Two candidates: the known name with the fewest differing letters, and the closest one that only
    // continues or shortens the name.
    let closest = known.iter().min_by_key(distance)?;
    let is_cut = |known: &str| upper.len() >= 5 && (known.starts_with(&upper) || upper.starts_with(known));
    let cut = known.iter().filter(|known| is_cut(known)).min_by_key(distance);
    if distance(&closest) <= 2 { Some(closest) } else { cut.map(String::as_str) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_variables_are_those_that_it_asks_for() {
        let known = known_variables();
        for name in
            ["ISSUERS", "SNAPSHOT_KEYS", "CORS_ORIGINS", "ORIGIN_URL", "CONFIRMS_PER_SEC", "LOG_CHECKS"]
        {
            assert!(known.contains(name), "{name}: {known:?}");
        }
    }

    #[test]
    fn misspelt_names_are_told_from_foreign_ones() {
        let known = known_variables();
        for (name, meant) in [
            ("CORS_ORIGIN", Some("CORS_ORIGINS")),
            ("cors_origins", Some("CORS_ORIGINS")),
            ("ISUSERS", Some("ISSUERS")),
            ("ORIGIN_TIMEOUT", Some("ORIGIN_TIMEOUT_MS")),
            ("ORIGIN_URLS", Some("ORIGIN_URL")),
            ("SENTRY_DSN", None),
            ("A", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
    }
}
