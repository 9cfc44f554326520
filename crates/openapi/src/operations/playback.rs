//! Signatures for what a viewer may play.

use admit::api::{
    contract::{Methods, table},
    error::ApiError,
};
use serde_json::{Value, json};

use super::Group;
use crate::{
    describe::{Ask, Caller, Description},
    parameters::{query, required_query},
    schema::{named, pattern, text},
};

const BUYER: Caller = Caller::Sample("item-buyer");
/// The errors of every playback question, beside those of its parameters.
const DENIALS: [ApiError; 3] = [ApiError::NoAccess, ApiError::ItemNotFound, ApiError::NothingToPlay];

/// A written example: the proof depends on the configuration `PLAYBACK`, which the samples do not have.
fn shown(target: &'static str, answer: Value) -> Ask {
    Ask::new("signed", BUYER, target).shows(200, answer)
}

pub fn group() -> Group {
    let sources = Description::of(
        &table::PLAYBACK,
        Methods::READ,
        "Decides as a check does and, if the viewer may play the item, answers with what the server with the media asks for. Nothing is signed for a denial.",
    )
    .answers("At least one source, in the order of the configuration", named("Playback"))
    .errors(&DENIALS)
    .example(shown(
        "/items/5110/playback",
        json!({
            "expires_at": 1_795_494_113,
            "sources": [{
                "type": "cat", "url": "https://media.example.com/meridian/main.m3u8?cat=2D3EhEOhASag", "token": "2D3EhEOhASag",
                "expires_at": 1_795_480_200,
            }],
        }),
    ));
    let signed = Description::of(
        &table::SIGNED_URL,
        Methods::READ,
        "For the vendor's SDK. Everything behind `url=` is the URL, which the SDK does not encode; an encoded one ends at the next `&`.",
    )
    .parameter(required_query(
        "url",
        text(),
        "One of the item's media",
        "https://media.example.com/meridian/main.m3u8",
    ))
    .answers("The URL with its signature", named("SignedUrl"))
    .errors(&DENIALS)
    .errors(&[ApiError::INVALID_MEDIA_URL])
    .example(shown(
        "/items/5110/access/cloudfront?url=https://media.example.com/meridian/main.m3u8",
        json!({ "video_url": "https://media.example.com/meridian/main.m3u8?Policy=eyJTdGF0&Signature=c2ln&Key-Pair-Id=K2JCJMDEHXQW5F" }),
    ));
    let token = Description::of(
        &table::MEDIA_TOKEN,
        Methods::READ,
        "For JW's player. If several items of the merchant have this media, the token is for the first that the viewer may play.",
    )
    .parameter(required_query("media_id", pattern("^[A-Za-z0-9._-]{1,128}$"), "The media at JW", "5tb8rxr7"))
    .parameter(query("app_config_id", text(), "Ignored"))
    .answers("The token", named("MediaToken"))
    .errors(&DENIALS)
    .errors(&[ApiError::INVALID_MEDIA_ID])
    .example(shown(
        "/v2/items/jw-media/token?media_id=5tb8rxr7",
        json!({ "token": "eyJhbGciOiJIUzI1NiJ9.eyJyZXNvdXJjZSI6Ii92Mi9tZWRpYS81dGI4cnhyNyJ9.c2ln" }),
    ));
    Group {
        name: "Playback",
        text: "What opens an item's media, for a check that is granted and for no other",
        operations: vec![sources, signed, token],
    }
}
