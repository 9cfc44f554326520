//! What of an item is signed: a media id or a URL, from its `content` or its external id.

use std::borrow::Cow;

use admit_snapshot::media::member;
use serde_json::Value;

use crate::{error::SignError, limits::MEDIA_ID_MAX_BYTES, url::MediaUrl};

/// An item, as far as signing needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The merchant that the item belongs to.
    pub merchant_id: i64,
    /// The name of its type, such as `jw_asset`.
    pub item_type: &'a str,
    /// The text of its `content`: usually a JSON object.
    pub content: &'a str,
    /// Its `external_asset_id`.
    pub external_id: Option<&'a str>,
}

impl Item<'_> {
    /// A text or whole number in the JSON object `content`: the first of `names` that is there and not empty.
    pub(crate) fn member(&self, names: &[impl AsRef<str>]) -> Option<String> {
        let Ok(Value::Object(content)) = serde_json::from_slice::<Value>(self.content.as_bytes()) else {
            return None;
        };
        member(&content, names, |text| !text.is_empty())
    }

    /// The media id: the first of `names` in `content`, else the external id.
    pub(crate) fn media_id(&self, names: &[impl AsRef<str>]) -> Result<String, SignError> {
        let id = self.member(names).or_else(|| self.external_id.map(str::to_owned));
        let id = id.ok_or(SignError::NoMedia("expected a media id in content, or an external id"))?;
        if is_media_id(&id) {
            Ok(id)
        } else {
            Err(SignError::Malformed("the media id has unusual characters"))
        }
    }

    /// The URL: the first of `names` in `content`, else `content` itself if it is a URL.
    pub(crate) fn url(&self, names: &[impl AsRef<str>]) -> Option<Cow<'_, str>> {
        let content = self.content.trim();
        self.member(names)
            .map(Cow::Owned)
            .or_else(|| content.starts_with("https://").then_some(Cow::Borrowed(content)))
    }
}

/// Whether an id can stand in paths and claims as it is.
pub(crate) fn is_media_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MEDIA_ID_MAX_BYTES).contains(&id.len())
        && id.bytes().all(plain)
        && id.bytes().any(|byte| byte != b'.')
}

/// The viewer that a signature may be bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewer<'a> {
    /// Names the viewer in token ids, such as `namespace:customer`. Only its hash is signed.
    pub subject: &'a str,
    /// ISO 3166-1 alpha-2, in capitals. `None` if unknown.
    pub country: Option<&'a str>,
    /// IPv4 or IPv6, without a port. `None` if unknown.
    pub address: Option<&'a str>,
}

/// What a signer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media<'a> {
    /// A platform's media id.
    Id(&'a str),
    /// A URL on a CDN.
    Url(MediaUrl<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item<'a>(content: &'a str, external_id: Option<&'a str>) -> Item<'a> {
        Item { merchant_id: 1, item_type: "film", content, external_id }
    }

    #[test]
    fn where_a_media_id_stands() {
        let id = |content, external_id| item(content, external_id).media_id(&["media_id", "video_id"]);
        assert_eq!(id(r#"{"video_id": "v", "media_id": "m"}"#, Some("x")).as_deref(), Ok("m"));
        assert_eq!(id(r#"{"video_id": 6071234567001}"#, None).as_deref(), Ok("6071234567001"));
        for content in
            ["", "text", "[]", "{}", r#"{"video_id": ""}"#, r#"{"video_id": null}"#, r#"{"video_id": {}}"#]
        {
            assert_eq!(id(content, Some("x")).as_deref(), Ok("x"), "{content}");
            assert!(matches!(id(content, None), Err(SignError::NoMedia(_))), "{content}");
        }
    }

    #[test]
    fn ids_that_cannot_stand_in_a_path() {
        let long = "a".repeat(MEDIA_ID_MAX_BYTES + 1);
        for id in ["", ".", "..", "a/b", "a b", "a?b", "a%2f", "é", "{media}", &long] {
            assert!(!is_media_id(id), "{id:?}");
        }
        assert!(["a", "nPripu9l", "a-b_c.d", &long[1..]].into_iter().all(is_media_id));
        assert!(matches!(item("{}", Some("a/b")).media_id(&[""; 0]), Err(SignError::Malformed(_))));
    }

    #[test]
    fn where_a_url_stands() {
        let url = |content| item(content, Some("x")).url(&["url", "src"]).map(Cow::into_owned);
        let both = r#"{"src": "https://b.example/b", "url": "https://a.example/a"}"#;
        assert_eq!(url(both).as_deref(), Some("https://a.example/a"));
        assert_eq!(url(" https://a.example/a\n").as_deref(), Some("https://a.example/a"));
        assert_eq!(url("a text about https://a.example/a"), None);
        assert_eq!(url("{}"), None);
    }
}
