//! The playback routes on the wire: what a client asks to be signed, and the bodies of the answers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::{json::json, query};
use crate::snapshot::time::UnixSecs;
use admit_playback::limits::MEDIA_ID_MAX_BYTES;

/// What a client wants signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaybackForm {
    /// Every source of the item, for players that know Admit.
    Sources,
    /// The token alone, as JW's player asks for it.
    MediaToken,
    /// A URL that the client names, as the vendor's SDK asks for it.
    SignedUrl,
}

/// A granted check that is still to be answered with something signed: the grant and the item, as far as signers read
/// them. It is made from a decision that allows, and from nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playable {
    /// What the client wants.
    pub form: PlaybackForm,
    /// When the grant ends, unix seconds.
    pub ends_at: UnixSecs,
    /// Whether the grant is known to have no end and to need no renewal.
    pub is_unlimited: bool,
    /// The merchant that the item belongs to.
    pub merchant_id: i64,
    /// The name of the item's type.
    pub item_type: String,
    /// The item's `content`.
    pub content: String,
    /// The item's `external_asset_id`.
    pub external_id: Option<String>,
    /// Names the viewer in token ids: a hash.
    pub subject: String,
}

impl Playable {
    /// The grant until `ends_at` of an item of the merchant, whose JSON is `item`, to the viewer that `subject` names. It
    /// is not known to be unlimited.
    #[must_use]
    pub fn new(
        form: PlaybackForm,
        ends_at: UnixSecs,
        merchant_id: i64,
        item: &Value,
        subject: String,
    ) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        Self {
            form,
            ends_at,
            is_unlimited: false,
            merchant_id,
            item_type: text(item.pointer("/item_type/name")).unwrap_or_default(),
            content: text(item.get("content")).unwrap_or_default(),
            external_id: text(item.get("external_asset_id")),
            subject,
        }
    }
}

/// Something that a player can play now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaybackSource {
    /// The name of the signer.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The URL with the proof in it; `null` if only the player knows the platform's URL.
    pub url: Option<String>,
    /// The proof by itself.
    pub token: String,
    /// When the proof ends, unix seconds.
    pub expires_at: UnixSecs,
}

/// The body for `/items/{id}/playback`. `ends_at` is when the grant ends.
#[must_use]
pub fn sources(ends_at: UnixSecs, sources: &[PlaybackSource]) -> String {
    [r#"{"expires_at":"#, &ends_at.to_string(), r#","sources":"#, &json(&sources), "}"].concat()
}

/// The body for `/v2/items/jw-media/token`.
#[must_use]
pub fn media_token(token: &str) -> String {
    [r#"{"token":"#, &json(token), "}"].concat()
}

/// The body for `/items/{id}/access/cloudfront`.
#[must_use]
pub fn signed_url(url: &str) -> String {
    [r#"{"video_url":"#, &json(url), "}"].concat()
}

/// The media id that `media_id` names, if it can be one: any text of 1 to 128 letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn media_id(query: &str) -> Option<Cow<'_, str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_id = |id: &str| (1..=MEDIA_ID_MAX_BYTES).contains(&id.len()) && id.bytes().all(plain);
    query::last(query, "media_id")?.filter(|id| is_id(id))
}

/// The URL that a client wants signed: everything behind `url=`. The vendor's SDK does not encode it, so that `&` and
/// `?` belong to the URL. An encoded one ends at the next parameter. `None` if it is missing, or its encoding is wrong.
#[must_use]
pub fn asked_url(query: &str) -> Option<Cow<'_, str>> {
    let text = match query.strip_prefix("url=") {
        Some(text) => text,
        None => query.split_once("&url=")?.1,
    };
    if text.contains("://") {
        return Some(Cow::Borrowed(text));
    }
    let value = text.split('&').next().unwrap_or_default();
    query::decoded(value).filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_behind_url_is_the_url() {
        for (query, expected) in [
            ("url=https://d1.cloudfront.net/a.m3u8", Some("https://d1.cloudfront.net/a.m3u8")),
            (
                "url=https://d1.cloudfront.net/a.m3u8?x=1&y=2",
                Some("https://d1.cloudfront.net/a.m3u8?x=1&y=2"),
            ),
            ("a=b&url=https://h/a?url=x", Some("https://h/a?url=x")),
            ("url=https://h/a%20b", Some("https://h/a%20b")),
            ("url=https%3A%2F%2Fh%2Fa%3Fx%3D1&y=2", Some("https://h/a?x=1")),
            ("url=/a", Some("/a")),
            ("url=", None),
            ("url=%", None),
            ("curl=https://h/a", None),
            ("", None),
        ] {
            assert_eq!(asked_url(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn bodies() {
        let source = PlaybackSource { kind: "jw", url: None, token: "t\"".to_owned(), expires_at: 7 };
        assert_eq!(
            sources(9, &[source]),
            r#"{"expires_at":9,"sources":[{"type":"jw","url":null,"token":"t\"","expires_at":7}]}"#
        );
        assert_eq!(sources(9, &[]), r#"{"expires_at":9,"sources":[]}"#);
        assert_eq!(media_token("a.b"), r#"{"token":"a.b"}"#);
        assert_eq!(signed_url("https://h/?a&b"), r#"{"video_url":"https://h/?a&b"}"#);
    }
}
