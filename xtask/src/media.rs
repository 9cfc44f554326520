//! The sample media origin: a server that plays films to viewers with a token that the Worker has signed, and to no
//! others (`samples/media/server.mjs`).

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::{guarded::Guarded, keys::DevKeys, node, paths::Paths, supervise::Part};

/// The key id and the issuer that the server expects.
const KEY_ID: &str = "dev-1";
const ISSUER: &str = "https://admit.example";

/// The secrets of the Worker that hold the signers' keys.
const CAT_SECRET: &str = "MEDIA_CAT_KEY";
const JW_SECRET: &str = "JW_SECRET";

/// The merchant of the sample viewers whose checks are printed.
const MERCHANT: i64 = 2101;

/// The media origin of a run.
pub struct Media {
    /// Where it answers, without a slash at the end.
    pub url: String,
    port: u16,
}

impl Media {
    /// The media origin on `port` of this machine.
    pub fn on(port: u16) -> Self {
        Self { url: format!("http://127.0.0.1:{port}"), port }
    }

    /// The variables by which the Worker signs for it: Common Access Tokens for films of the type that it has, and JW's
    /// tokens, which no server here checks.
    pub fn vars(&self, keys: &DevKeys) -> Result<Vec<(String, String)>> {
        let host = format!("127.0.0.1:{}", self.port);
        let film = json!({
            "merchant": MERCHANT, "item_type": "brightcove_asset", "signer": "cat", "alg": "HS256",
            "secret": CAT_SECRET, "key_id": KEY_ID, "issuer": ISSUER, "hosts": [host],
            "url": format!("{}/films/{{media}}/main.m3u8", self.url), "ttl_secs": 600,
        });
        let jw = json!({"merchant": MERCHANT, "item_type": "jw_asset", "signer": "jw", "secret": JW_SECRET});
        Ok(vec![
            ("PLAYBACK".to_owned(), json!([film, jw]).to_string()),
            (CAT_SECRET.to_owned(), keys.media_secret()?),
            (JW_SECRET.to_owned(), keys.media_secret()?),
        ])
    }

    /// Starts it and keeps it running.
    pub fn start<'a>(&'a self, paths: &'a Paths, keys: &'a DevKeys, dir: &'a Path) -> Result<Part<'a>> {
        let log = dir.join("media.log");
        let start = move || {
            let (program, _) = node::runtime(paths)?;
            Guarded::start(paths, "the media origin", &program, dir.join("media.log"), |command| {
                node::apply(paths, command)?;
                command.args(["samples/media/server.mjs", "--port", &self.port.to_string()]);
                command.env(CAT_SECRET, keys.media_secret()?).current_dir(&paths.root);
                Ok(())
            })
        };
        let mut part = Part::start("media", log, start)?.answering_at(format!("{}/healthz", self.url));
        part.wait()?;
        Ok(part)
    }
}

/// Commands that show what a viewer gets signed, and that the media origin plays with it and not without it.
pub fn commands(playback_url: &str, persona: &str, option: &str) -> String {
    let ask =
        format!("curl -s -H \"Authorization: Bearer $(cargo xtask token {persona}{option})\" {playback_url}");
    let url = "sed 's/.*\"url\":\"\\([^\"]*\\)\".*/\\1/'";
    format!(
        "\nA signed URL, the media origin's answer to it, and the refusal without the token:\n\n{ask}\n\
         curl -i \"$({ask} | {url})\"\n\
         curl -i \"$({ask} | {url} | cut -d? -f1)\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_ask_edge_and_media_origin() {
        let text = commands("http://127.0.0.1:8787/items/5101/playback", "subscriber", " --port 1");
        assert_eq!(text.lines().filter(|line| line.starts_with("curl -i")).count(), 2);
        assert!(
            text.contains("$(cargo xtask token subscriber --port 1)")
                && text.contains("/items/5101/playback")
        );
    }
}
