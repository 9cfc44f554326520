//! Where an item's media id stands in its content: every name of a member that holds one, for the publisher, which makes
//! media ids findable, and for playback, which signs them.
//!
//! `content` is the origin's text for players. For the types of items that a video host plays it is a JSON object, and
//! one member is the id by which the host knows the media. The vendors document no names for these members; the tables
//! below have those that players use, the host's own first.
//!
//! A lookup goes by the item's type ([`media_id`]), because the question names a type. A signature goes by the signer,
//! because the media server defines what it accepts ([`JW`], [`CLOUDFLARE_STREAM`], [`MUX`], [`ANY_HOST`], [`URL`]). Both
//! read a member in the same way ([`member`]).
//!
//! ```
//! use admit_snapshot::media::media_id;
//!
//! assert_eq!(media_id("jw_asset", r#"{"media_id":"5fuf28ng","player_id":"ce56qbgj"}"#).as_deref(), Some("5fuf28ng"));
//! assert_eq!(media_id("brightcove_asset", r#"{"video_id":6301}"#).as_deref(), Some("6301"));
//! assert_eq!(media_id("html_asset", r#"{"media_id":"x"}"#), None, "a page is not media");
//! assert_eq!(media_id("jw_asset", "<p>soon</p>"), None);
//! ```

use serde_json::{Map, Value};

use super::{external_id::is_external_id, item::ItemRecord};

/// The members that hold a media id of JW Player, for lookups of a `jw_asset` and for signatures.
pub const JW: &[&str] = &["media_id", "video_id"];

/// The members that hold a video of Cloudflare Stream, for signatures.
pub const CLOUDFLARE_STREAM: &[&str] = &["video_id", "uid"];

/// The members that hold a playback id of Mux, for signatures.
pub const MUX: &[&str] = &["playback_id", "video_id"];

/// The members that hold the id of media on a CDN, for signed URLs that are made of an id.
pub const ANY_HOST: &[&str] = &["media_id", "video_id"];

/// The members that hold the URL of media on a CDN, for signed URLs.
pub const URL: &[&str] = &["url", "video_url", "src"];

/// Types whose content has no media id.
const WITHOUT_MEDIA: [&str; 2] = ["package", "html_asset"];

/// For each type of item the members of its content that may hold the media id, in the order in which they are tried.
const MEMBERS: &[(&str, &[&str])] = &[
    ("jw_asset", JW),
    ("brightcove_asset", &["video_id"]),
    ("kaltura_asset", &["entry_id"]),
    ("wistia_asset", &["hashed_id", "video_id"]),
    ("ooyala_asset", &["embed_code", "video_id"]),
    ("panopto_asset", &["session_id", "video_id"]),
    ("qbrick_asset", &["media_id", "video_id"]),
    ("dacast_asset", &["content_id", "video_id"]),
    ("sportradar_asset", &["stream_id", "video_id"]),
    ("livestream_asset", &["event_id"]),
    ("wowza_asset", &["stream_name"]),
    ("cloudfront_asset", &["path", "video_id"]),
];

/// The members for types that [`MEMBERS`] does not have, such as those of an origin's own.
const OTHER_MEMBERS: &[&str] = &["media_id", "video_id", "playback_id"];

/// The media id in the content of an item of this type: text of 1 to 256 bytes, or a whole number.
///
/// `None` if the type has no media, or the content does not name it.
#[must_use]
pub fn media_id(item_type: &str, content: &str) -> Option<String> {
    // Most content without a media id is empty or a page: do not parse it.
    if WITHOUT_MEDIA.contains(&item_type) || !content.trim_start().starts_with('{') {
        return None;
    }
    media_id_of(item_type, &serde_json::from_slice(content.as_bytes()).ok()?)
}

fn media_id_of(item_type: &str, content: &Map<String, Value>) -> Option<String> {
    if WITHOUT_MEDIA.contains(&item_type) {
        return None;
    }
    let members =
        MEMBERS.iter().find(|(name, _)| *name == item_type).map_or(OTHER_MEMBERS, |(_, members)| members);
    member(content, members, is_external_id)
}

/// The first of the members `names` of an item's content that is a whole number, or text that `is_valid` accepts.
///
/// ```
/// use admit_snapshot::media::{MUX, member};
///
/// let content = serde_json::json!({"playback_id": "", "video_id": 7});
/// let id = member(content.as_object().unwrap(), MUX, |text| !text.is_empty());
/// assert_eq!(id.as_deref(), Some("7"));
/// ```
#[must_use]
pub fn member(
    content: &Map<String, Value>,
    names: &[impl AsRef<str>],
    is_valid: impl Fn(&str) -> bool,
) -> Option<String> {
    names.iter().find_map(|name| match content.get(name.as_ref())? {
        Value::String(text) if is_valid(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    })
}

/// What an item's record says about its media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Name of the item's type, e.g. `jw_asset`.
    pub item_type: String,
    /// The item's content, if it is a JSON object; empty otherwise.
    pub content: Map<String, Value>,
    /// The id by which the host knows the media, as [`media_id`] finds it.
    pub id: Option<String>,
    /// The item's `external_asset_id`, if it has one.
    pub external_asset_id: Option<String>,
}

impl Media {
    /// Reads type and content of an item. This parses the item's JSON, so it is for answers that need it, not for every
    /// check.
    ///
    /// `None` if the record has no type: its JSON is not that of an item.
    #[must_use]
    pub fn of(item: &ItemRecord<'_>) -> Option<Self> {
        let details: Value = serde_json::from_slice(["{", item.details].concat().as_bytes()).ok()?;
        let item_type = details.get("item_type")?.get("name")?.as_str()?.to_owned();
        let external_asset_id = details.get("external_asset_id").and_then(Value::as_str).map(str::to_owned);
        // Content is a JSON string that usually holds JSON text.
        let text: Value = serde_json::from_slice(item.content.as_bytes()).ok()?;
        let content: Map<String, Value> =
            serde_json::from_slice(text.as_str()?.as_bytes()).unwrap_or_default();
        let id = media_id_of(&item_type, &content);
        Some(Self { item_type, content, id, external_asset_id })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::item::NewItem;

    #[test]
    fn each_type_has_its_member() {
        for (item_type, members) in MEMBERS {
            for member in *members {
                let content = format!(r#"{{"player_id":"p","{member}":"id-1"}}"#);
                assert_eq!(media_id(item_type, &content).as_deref(), Some("id-1"), "{item_type} {member}");
            }
        }
        assert_eq!(media_id("mux_asset", r#"{"playback_id":"a"}"#).as_deref(), Some("a"));
    }

    #[test]
    fn the_members_are_tried_in_order_and_odd_values_are_passed_over() {
        let id = |content: &str| media_id("jw_asset", content);
        assert_eq!(id(r#"{"video_id":"b","media_id":"a"}"#).as_deref(), Some("a"));
        for odd in ["\"\"", "null", "-1", "1.5", "true", "[]", "{}"] {
            let content = format!(r#"{{"media_id":{odd},"video_id":"b"}}"#);
            assert_eq!(id(&content).as_deref(), Some("b"), "{odd}");
        }
        let long = format!(r#"{{"media_id":"{}"}}"#, "x".repeat(257));
        for none in ["", "{", "[]", "\"media_id\"", "{}", long.as_str()] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn a_lookup_and_a_signature_read_one_id_in_the_content_of_jw() {
        for content in [
            json!({"media_id": "m", "video_id": "v"}),
            json!({"media_id": "", "video_id": "v"}),
            json!({"media_id": 7}),
            json!({"media_id": -7}),
            json!({"uid": "u"}),
        ] {
            let signed = member(content.as_object().unwrap(), JW, |text| !text.is_empty());
            assert_eq!(media_id("jw_asset", &content.to_string()), signed, "{content}");
        }
    }

    #[test]
    fn a_record_tells_type_and_media() {
        let details = r#""id":1,"item_type":{"id":52,"name":"jw_asset"},"external_asset_id":"film-1"}"#;
        let content = serde_json::to_string(r#"{"media_id":"abc","url":"https://x"}"#).unwrap();
        let record = NewItem { details, content: &content, ..NewItem::default() }.encode();
        let media = Media::of(&ItemRecord::new(&record).unwrap()).unwrap();
        assert_eq!((media.item_type.as_str(), media.id.as_deref()), ("jw_asset", Some("abc")));
        assert_eq!(media.external_asset_id.as_deref(), Some("film-1"));
        assert_eq!(media.content.get("url").and_then(Value::as_str), Some("https://x"));
        let record = NewItem { details: r#""id":1}"#, content: "\"\"", ..NewItem::default() }.encode();
        assert_eq!(Media::of(&ItemRecord::new(&record).unwrap()), None);
    }
}
