//! The `PLAYBACK` variable: the signers for each merchant's item types.

use std::rc::Rc;

use admit_snapshot::media;
use serde_json::Value;

use crate::{
    entry::{Entry, MediaRule, SignerKind},
    error::PlaybackError,
    key::{HmacKey, PrivateKey},
    limits::{
        AKAMAI_KEY_MIN_BYTES, ENTRIES_MAX, HMAC_KEY_MIN_BYTES, JW_SECRET_MIN_BYTES, LEEWAY_DEFAULT_SECS,
        LEEWAY_MAX_SECS, ROUND_DEFAULT_SECS, ROUND_MAX_SECS, STREAM_TTL_MAX_SECS, TTL_DEFAULT_SECS,
        TTL_MAX_SECS, TTL_MIN_SECS,
    },
    members::Members,
    ports::{PlatformSigner, SigningAlgorithm},
    rule::{IdRule, UrlRule},
    signers::{
        Signer, akamai::Akamai, cat, cat::Cat, cloudflare_stream::CloudflareStream, cloudfront::CloudFront,
        hmac_url::HmacUrl, jw::Jw, mux::Mux,
    },
    window::WindowRule,
};

/// The validated configuration of playback: entries in the order of `PLAYBACK`. `Debug` shows no secret.
#[derive(Clone, Debug, Default)]
pub struct Playback {
    entries: Vec<Entry>,
}

impl Playback {
    /// Reads the `PLAYBACK` variable, a JSON array. `secret` looks up a secret binding by name.
    ///
    /// # Errors
    /// The JSON is malformed, a member is unknown, missing or invalid, a secret is unbound or of the wrong kind, or two
    /// entries contradict each other.
    ///
    /// ```
    /// use admit_playback::Playback;
    ///
    /// let json = r#"[{"merchant": 2101, "item_type": "jw_asset", "signer": "jw", "secret": "JW_SECRET"}]"#;
    /// let secret = |name: &str| (name == "JW_SECRET").then(|| "uA96CFtJa138E2T5GhKfngml".to_owned());
    /// let playback = Playback::parse(json, &secret)?;
    /// assert_eq!(playback.entries(2101, "jw_asset").count(), 1);
    ///
    /// let error = Playback::parse(json, &|_| None).unwrap_err();
    /// assert_eq!(error.to_string(), "JW_SECRET: PLAYBACK[0].secret names this secret, but it is not bound");
    /// # Ok::<(), admit_playback::PlaybackError>(())
    /// ```
    pub fn parse(json: &str, secret: &dyn Fn(&str) -> Option<String>) -> Result<Self, PlaybackError> {
        let expected = || PlaybackError::new("PLAYBACK", "expected a JSON array");
        let Value::Array(values) = serde_json::from_slice(json.as_bytes()).map_err(|_| expected())? else {
            return Err(expected());
        };
        if values.len() > ENTRIES_MAX {
            let problem = format!("expected at most {ENTRIES_MAX} entries, found {}", values.len());
            return Err(PlaybackError::new("PLAYBACK", problem));
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let at = format!("PLAYBACK[{index}]");
            let entry = read(Members::of(at.clone(), value)?, &at, secret)?;
            for (other_index, other) in entries.iter().enumerate() {
                compatible(&entry, other).map_err(|problem| {
                    PlaybackError::new(&at, format!("PLAYBACK[{other_index}] ({}) {problem}", other.label()))
                })?;
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// The entries for a merchant's items of a type, in the order of `PLAYBACK`.
    pub fn entries<'a>(&'a self, merchant_id: i64, item_type: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.merchant_id == merchant_id && entry.item_type == item_type)
    }

    /// Whether nothing is configured.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names of the secrets that hold the keys, in the order of `PLAYBACK`.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(Entry::secret_name)
    }

    /// Imports every key, to find those that the platform refuses. For checks before a deploy.
    ///
    /// # Errors
    /// The first refused key.
    pub fn check_keys(&self, platform: &dyn PlatformSigner) -> Result<(), PlaybackError> {
        self.entries.iter().try_for_each(|entry| {
            entry.check_key(platform).map_err(|error| {
                PlaybackError::new(entry.secret_name(), format!("the platform refuses the key: {error}"))
            })
        })
    }
}

/// Whether two entries can stand beside each other.
fn compatible(entry: &Entry, other: &Entry) -> Result<(), &'static str> {
    if entry.merchant_id == other.merchant_id {
        let is_same =
            entry.item_type == other.item_type && entry.kind == other.kind && entry.slot == other.slot;
        let is_twice = is_same && entry.overlaps(other);
        return if is_twice { Err("signs the same media in the same way") } else { Ok(()) };
    }
    // A merchant writes its items' content, and could name another merchant's media in it.
    if entry.secret == other.secret && entry.opens(other) && !(entry.is_shared && other.is_shared) {
        return Err(if entry.overlaps(other) {
            "signs with the same secret, so that each merchant could open the other one's media: give them different \
             keys or path prefixes, or set \"shared\": true in both"
        } else {
            "signs with the same secret, so that each merchant could open the other one's media: signatures of akamai \
             and hmac_url name no host. Give them different keys or path prefixes, or set \"shared\": true in both"
        });
    }
    Ok(())
}

fn read(
    mut members: Members,
    at: &str,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<Entry, PlaybackError> {
    let kinds = SignerKind::ALL.map(|kind| (kind.name(), kind));
    let kind = members.choice("signer", &kinds)?.ok_or_else(|| members.wrong("signer", "missing"))?;
    let merchant_id = members.merchant("merchant")?;
    let item_type = members.required("item_type")?;
    if !item_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err(members.wrong("item_type", "expected the name of an item type, such as jw_asset"));
    }
    let is_shared = members.flag("shared")?;
    let window = window(&mut members, kind)?;
    let secret = Bound::read(&mut members, at, secret)?;
    let (media, slot, signer) = signer(&mut members, kind, &secret)?;
    members.finish()?;
    Ok(Entry { merchant_id, item_type, kind, secret: secret.name, slot, is_shared, window, media, signer })
}

fn window(members: &mut Members, kind: SignerKind) -> Result<WindowRule, PlaybackError> {
    let rule = WindowRule {
        ttl_secs: members.number("ttl_secs", TTL_MIN_SECS..=TTL_MAX_SECS, TTL_DEFAULT_SECS)?,
        round_secs: members.number("round_secs", 1..=ROUND_MAX_SECS, ROUND_DEFAULT_SECS)?,
        leeway_secs: members.number("leeway_secs", 0..=LEEWAY_MAX_SECS, LEEWAY_DEFAULT_SECS)?,
    };
    if kind == SignerKind::CloudflareStream && rule.ttl_secs + rule.round_secs > STREAM_TTL_MAX_SECS {
        let problem = format!("expected, with round_secs, at most {STREAM_TTL_MAX_SECS}: Stream's limit");
        return Err(members.wrong("ttl_secs", problem));
    }
    Ok(rule)
}

/// The signer of an entry, the media that it signs, and what tells it from others of its kind.
fn signer(
    members: &mut Members,
    kind: SignerKind,
    secret: &Bound,
) -> Result<(MediaRule, String, Rc<dyn Signer>), PlaybackError> {
    let nothing = String::new;
    Ok(match kind {
        SignerKind::Jw => {
            let media = IdRule::read(members, media::JW)?;
            let signer = Jw::read(members, secret.text(JW_SECRET_MIN_BYTES)?)?;
            (MediaRule::Id(media), signer.slot(), Rc::new(signer))
        }
        SignerKind::CloudflareStream => {
            let media = IdRule::read(members, media::CLOUDFLARE_STREAM)?;
            let key = secret.private(SigningAlgorithm::RsaSha256)?;
            (MediaRule::Id(media), nothing(), Rc::new(CloudflareStream::read(members, key)?))
        }
        SignerKind::Mux => {
            let media = IdRule::read(members, media::MUX)?;
            let signer = Mux::read(members, secret.private(SigningAlgorithm::RsaSha256)?)?;
            (MediaRule::Id(media), signer.slot(), Rc::new(signer))
        }
        SignerKind::CloudFront => {
            let media = UrlRule::read(members)?;
            let signer = CloudFront::read(members, media.covers, |algorithm| secret.private(algorithm))?;
            (MediaRule::Url(media), nothing(), Rc::new(signer))
        }
        SignerKind::Cat => {
            let media = UrlRule::read(members)?;
            let is_mac = members.choice("alg", &[("HS256", true), ("ES256", false)])?;
            let is_mac = is_mac.ok_or_else(|| members.wrong("alg", "missing: HS256 or ES256"))?;
            let key = match is_mac {
                true => cat::Key::Hs256(secret.hex(HMAC_KEY_MIN_BYTES)?),
                false => cat::Key::Es256(secret.private(SigningAlgorithm::Es256)?),
            };
            let signer = Cat::read(members, media.covers, key)?;
            (MediaRule::Url(media), nothing(), Rc::new(signer))
        }
        SignerKind::Akamai => {
            let media = UrlRule::read(members)?;
            let signer = Akamai::read(members, media.covers, secret.hex(AKAMAI_KEY_MIN_BYTES)?)?;
            (MediaRule::Url(media), nothing(), Rc::new(signer))
        }
        SignerKind::HmacUrl => {
            let media = UrlRule::read(members)?;
            let signer = HmacUrl::read(members, media.covers, secret.text(HMAC_KEY_MIN_BYTES)?)?;
            (MediaRule::Url(media), nothing(), Rc::new(signer))
        }
    })
}

/// A secret that is bound, and its name for messages.
struct Bound {
    name: String,
    value: String,
}

impl Bound {
    fn read(
        members: &mut Members,
        at: &str,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PlaybackError> {
        let name = members.required("secret")?;
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if !name.bytes().all(is_name) {
            // The text may be the secret itself.
            let problem =
                "expected the name of a secret, in capitals; not shown, it may be the secret itself";
            return Err(members.wrong("secret", problem));
        }
        match secret(&name) {
            Some(value) => Ok(Self { name, value }),
            None => {
                Err(PlaybackError::new(name, format!("{at}.secret names this secret, but it is not bound")))
            }
        }
    }

    fn text(&self, min_bytes: usize) -> Result<HmacKey, PlaybackError> {
        self.named(HmacKey::from_text(&self.name, &self.value, min_bytes))
    }

    fn hex(&self, min_bytes: usize) -> Result<HmacKey, PlaybackError> {
        self.named(HmacKey::from_hex(&self.name, &self.value, min_bytes))
    }

    fn private(&self, algorithm: SigningAlgorithm) -> Result<PrivateKey, PlaybackError> {
        self.named(PrivateKey::parse(&self.name, &self.value, algorithm))
    }

    fn named<T>(&self, key: Result<T, String>) -> Result<T, PlaybackError> {
        key.map_err(|problem| PlaybackError::new(&self.name, problem))
    }
}

#[cfg(test)]
mod tests;
