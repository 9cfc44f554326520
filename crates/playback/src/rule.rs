//! Which media an entry signs for an item: the rules for ids and for URLs.

use admit_snapshot::media;

use crate::{
    error::{PlaybackError, SignError},
    media::Item,
    members::Members,
    url::{MediaUrl, is_host, is_plain},
};

/// Where a media id stands, for signers that sign ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdRule {
    names: Vec<String>,
}

impl IdRule {
    /// Reads `media`: the member of `content` that holds the id, instead of `defaults`.
    pub fn read(members: &mut Members, defaults: &[&str]) -> Result<Self, PlaybackError> {
        Ok(Self { names: names(members, defaults)? })
    }

    /// The item's media id.
    pub fn id(&self, item: &Item<'_>) -> Result<String, SignError> {
        item.media_id(&self.names)
    }
}

/// How much a signature opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Covers {
    /// The URL alone.
    File,
    /// Everything in the URL's folder and below: a manifest with its segments.
    Folder,
}

/// Which URLs may be signed, for signers that sign URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlRule {
    names: Vec<String>,
    hosts: Vec<String>,
    path_prefix: String,
    /// A URL with `{media}` in the place of the id.
    template: Option<String>,
    /// How much a signature opens.
    pub covers: Covers,
    any_url: bool,
}

/// The place of the media id in templates.
pub(crate) const PLACE: &str = "{media}";

impl UrlRule {
    /// Reads `hosts`, `path_prefix`, `url`, `covers`, `any_url` and `media`.
    pub fn read(members: &mut Members) -> Result<Self, PlaybackError> {
        let hosts = members.texts("hosts")?.ok_or_else(|| {
            members.wrong("hosts", "missing: the names of the CDN's hosts, such as [\"media.example.com\"]")
        })?;
        if !hosts.iter().all(|host| is_host(host)) {
            return Err(
                members.wrong("hosts", "expected names of hosts in lower case, without https:// and path")
            );
        }
        let prefix = members.text("path_prefix")?;
        let has_prefix = prefix.is_some();
        let path_prefix = prefix.unwrap_or_else(|| "/".to_owned());
        let is_folder = path_prefix.starts_with('/') && path_prefix.ends_with('/');
        if !is_folder || !path_prefix.bytes().all(is_plain) || path_prefix.contains("//") {
            return Err(members.wrong("path_prefix", "expected a path that begins and ends with a slash"));
        }
        let covers = members.choice("covers", &[("file", Covers::File), ("folder", Covers::Folder)])?;
        let covers = covers.unwrap_or(Covers::Folder);
        let template = members.text("url")?;
        // Only the prefix tells a film's folder from the folder of all films.
        if covers == Covers::Folder && template.is_none() && !has_prefix {
            return Err(members.wrong(
                "path_prefix",
                "missing: the folder that holds a folder for each item, such as \"/films/\"; or set \"covers\": \"file\"",
            ));
        }
        let defaults = if template.is_some() { media::ANY_HOST } else { media::URL };
        let rule = Self {
            names: names(members, defaults)?,
            hosts,
            path_prefix,
            template,
            covers,
            any_url: members.flag("any_url")?,
        };
        if let Some(template) = &rule.template
            && !rule.takes(template)
        {
            let problem = match covers {
                Covers::File => {
                    "expected a URL on one of hosts, with {media} once, in its path below path_prefix"
                }
                Covers::Folder => {
                    "expected a URL on one of hosts, with {media} once, in a folder below path_prefix, such as \
                     /films/{media}/main.m3u8: a signature opens the URL's folder. Or set \"covers\": \"file\""
                }
            };
            return Err(members.wrong("url", problem));
        }
        Ok(rule)
    }

    /// Whether a template gives each item what its signature opens: a file, or a folder, that no other item has.
    ///
    /// Most signatures name a path and no query, so the place of the id must be in the signed part of the path.
    fn takes(&self, template: &str) -> bool {
        let Some(place) = template.find(PLACE) else { return false };
        // The id changes nothing before it, so that positions up to `place` are those of the template.
        let example = template.replacen(PLACE, "x", 1);
        let Ok(url) = MediaUrl::parse(&example) else { return false };
        let signed = match self.covers {
            Covers::File => url.path(),
            Covers::Folder => url.folder(),
        };
        let first = url.path_at() + self.path_prefix.len();
        let is_signed = (first..url.path_at() + signed.len()).contains(&place);
        is_signed && !example.contains(PLACE) && self.check(url).is_ok()
    }

    /// The item's own URL.
    pub fn own(&self, item: &Item<'_>) -> Result<String, SignError> {
        match &self.template {
            Some(template) => Ok(template.replacen(PLACE, &item.media_id(&self.names)?, 1)),
            None => item
                .url(&self.names)
                .map(|url| url.into_owned())
                .ok_or(SignError::NoMedia("expected a URL in content")),
        }
    }

    /// Checks that this entry may sign `asked`, a URL that the client names, for an item: it is the item's own
    /// URL, or lies in its folder if signatures cover folders. Otherwise a grant for one item would open the
    /// media of another.
    ///
    /// A client cannot add a query to the own URL of a file: CloudFront signs the query, and servers may read from it
    /// what they send. A signature of a folder opens it with every query, so that a query there gains nothing.
    pub fn check_asked(&self, item: &Item<'_>, asked: MediaUrl<'_>) -> Result<(), SignError> {
        self.check(asked)?;
        if self.any_url {
            return Ok(());
        }
        let own = self.own(item)?;
        let own = MediaUrl::parse(&own)?;
        self.check(own)?;
        let is_own = match self.covers {
            Covers::File => asked.text() == own.text(),
            Covers::Folder => {
                asked.authority() == own.authority() && asked.folder().starts_with(own.folder())
            }
        };
        if is_own {
            return Ok(());
        }
        Err(SignError::Foreign("it lies outside the item's own URL"))
    }

    /// Whether a URL is on one of the hosts and below the prefix.
    pub fn check(&self, url: MediaUrl<'_>) -> Result<(), SignError> {
        if !self.hosts.iter().any(|host| host == url.authority()) {
            return Err(SignError::Foreign("its host is not one of hosts"));
        }
        if !url.path().starts_with(&self.path_prefix) {
            return Err(SignError::Foreign("its path is not below path_prefix"));
        }
        match self.covers {
            // One signature would open all media of the merchant.
            Covers::Folder if url.folder() == self.path_prefix => {
                Err(SignError::Malformed("the URL must lie in a folder of its own below path_prefix"))
            }
            // It could be taken for a signature of the folder.
            Covers::File if url.path().ends_with('/') => {
                Err(SignError::Malformed("the URL must name a file, not a folder"))
            }
            _ => Ok(()),
        }
    }

    /// Whether some path is within both rules.
    pub fn shares_paths(&self, other: &Self) -> bool {
        self.path_prefix.starts_with(&other.path_prefix) || other.path_prefix.starts_with(&self.path_prefix)
    }

    /// Whether some host is within both rules.
    pub fn shares_hosts(&self, other: &Self) -> bool {
        self.hosts.iter().any(|host| other.hosts.contains(host))
    }
}

fn names(members: &mut Members, defaults: &[&str]) -> Result<Vec<String>, PlaybackError> {
    let named = members.text("media")?.map(|name| vec![name]);
    Ok(named.unwrap_or_else(|| defaults.iter().map(|name| (*name).to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(members: Value) -> Result<UrlRule, PlaybackError> {
        UrlRule::read(&mut Members::of("PLAYBACK[0]".to_owned(), members).unwrap())
    }

    fn films(overrides: Value) -> UrlRule {
        let mut members = json!({"hosts": ["media.example.com"], "path_prefix": "/films/"});
        members.as_object_mut().unwrap().extend(overrides.as_object().unwrap().clone());
        rule(members).unwrap()
    }

    fn item(content: &str) -> Item<'_> {
        Item { merchant_id: 1, item_type: "film", content, external_id: Some("7") }
    }

    fn check(rule: &UrlRule, path: &str) -> Result<(), SignError> {
        rule.check(MediaUrl::parse(&["https://media.example.com", path].concat()).unwrap())
    }

    #[test]
    fn only_hosts_and_paths_of_the_entry() {
        let folder = films(json!({}));
        assert_eq!(check(&folder, "/films/7/main.m3u8"), Ok(()));
        assert!(matches!(check(&folder, "/series/7/main.m3u8"), Err(SignError::Foreign(_))));
        assert!(matches!(check(&folder, "/filmsx/7/main.m3u8"), Err(SignError::Foreign(_))));
        assert!(
            matches!(check(&folder, "/films/main.m3u8"), Err(SignError::Malformed(_))),
            "it would open all films"
        );
        let others =
            ["MEDIA.example.com", "media.example.com:443", "media.example.com.", "xmedia.example.com"];
        for host in others {
            let url = format!("https://{host}/films/7/main.m3u8");
            assert!(
                matches!(folder.check(MediaUrl::parse(&url).unwrap()), Err(SignError::Foreign(_))),
                "{host}"
            );
        }
        let file = films(json!({"covers": "file"}));
        assert_eq!(check(&file, "/films/main.m3u8"), Ok(()));
        assert!(matches!(check(&file, "/films/7/"), Err(SignError::Malformed(_))));
    }

    #[test]
    fn a_grant_for_one_item_opens_no_other() {
        let own = r#"{"url": "https://media.example.com/films/7/main.m3u8"}"#;
        let asked = |rule: &UrlRule, content: &str, path: &str| {
            let url = ["https://media.example.com", path].concat();
            rule.check_asked(&item(content), MediaUrl::parse(&url).unwrap()).is_ok()
        };
        let (folder, file) = (films(json!({})), films(json!({"covers": "file"})));
        assert!(
            asked(&folder, own, "/films/7/main.m3u8") && asked(&folder, own, "/films/7/en/audio.m3u8?x=1")
        );
        assert!(!asked(&folder, own, "/films/70/main.m3u8") && !asked(&folder, own, "/films/8/main.m3u8"));
        assert!(asked(&file, own, "/films/7/main.m3u8") && !asked(&file, own, "/films/7/other.m3u8"));
        // Without a URL of its own an item has nothing to compare with.
        assert!(!asked(&folder, "{}", "/films/7/main.m3u8"));
        let any = films(json!({"any_url": true}));
        assert!(asked(&any, "{}", "/films/8/main.m3u8") && !asked(&any, "{}", "/series/8/main.m3u8"));
        // An item's content cannot widen the rule.
        let foreign = r#"{"url": "https://media.example.com/series/7/main.m3u8"}"#;
        assert!(!asked(&folder, foreign, "/series/7/main.m3u8"));
    }

    #[test]
    fn an_own_url_is_signed_without_the_query_of_a_client() {
        let asked = |rule: &UrlRule, content: &str, path: &str| {
            let url = ["https://media.example.com", path].concat();
            rule.check_asked(&item(content), MediaUrl::parse(&url).unwrap())
        };
        let (folder, file) = (films(json!({})), films(json!({"covers": "file"})));
        let own = r#"{"url": "https://media.example.com/films/7/main.m3u8"}"#;
        assert_eq!(asked(&file, own, "/films/7/main.m3u8"), Ok(()));
        for query in ["?", "?x=1", "?x=1&y=2"] {
            let path = ["/films/7/main.m3u8", query].concat();
            assert!(matches!(asked(&file, own, &path), Err(SignError::Foreign(_))), "{query}");
            // A signature of the folder opens it with every query.
            assert_eq!(asked(&folder, own, &path), Ok(()), "{query}");
        }
        let with_query = r#"{"url": "https://media.example.com/films/7/main.m3u8?v=2"}"#;
        assert_eq!(asked(&file, with_query, "/films/7/main.m3u8?v=2"), Ok(()));
        assert!(asked(&file, with_query, "/films/7/main.m3u8?v=3").is_err());
    }

    #[test]
    fn a_template_takes_the_media_id() {
        let rule = films(json!({"url": "https://media.example.com/films/{media}/main.m3u8"}));
        assert_eq!(rule.own(&item("{}")).as_deref(), Ok("https://media.example.com/films/7/main.m3u8"));
        for url in [
            "https://media.example.com/films/main.m3u8",
            "https://other.example/films/{media}/a",
            "https://media.example.com/films/{media}.m3u8",
            "https://media.example.com/{media}/x/a",
            "https://media.example.com/films/{media}/{media}/a",
            "https://media.example.com/films/x/a?id={media}",
            "https://{media}/films/x/a",
            "{media}",
        ] {
            let members = json!({"hosts": ["media.example.com"], "path_prefix": "/films/", "url": url});
            assert_eq!(rule_field(members), "PLAYBACK[0].url", "{url}");
        }
    }

    #[test]
    fn a_template_gives_each_item_a_folder_or_a_file_of_its_own() {
        let read = |url: &str, covers: &str, hosts: &str| {
            rule(json!({"hosts": [hosts], "url": url, "covers": covers}))
        };
        for (url, folder, file) in [
            ("https://m.example/films/{media}/main.m3u8", true, true),
            ("https://m.example/{media}/main.m3u8", true, true),
            ("https://m.example/films/f-{media}/hls/main.m3u8?x=1", true, true),
            // One signature would open the folder of all films.
            ("https://m.example/films/{media}.m3u8", false, true),
            // Signatures name the path only.
            ("https://m.example/films/play.m3u8?id={media}", false, false),
            ("https://m.example/films/play.m3u8?id=/{media}/", false, false),
        ] {
            assert_eq!(read(url, "folder", "m.example").is_ok(), folder, "{url}");
            assert_eq!(read(url, "file", "m.example").is_ok(), file, "{url}");
        }
        assert!(read("https://{media}/films/main.m3u8", "folder", "x").is_err(), "a host is not a path");
    }

    #[test]
    fn folders_of_urls_in_content_need_a_prefix() {
        let problem = rule(json!({"hosts": ["m.example"]})).unwrap_err();
        assert_eq!(problem.field, "PLAYBACK[0].path_prefix");
        assert!(problem.problem.starts_with("missing: ") && problem.problem.contains(r#""covers": "file""#));
        assert!(rule(json!({"hosts": ["m.example"], "any_url": true})).is_err());
        // Item 7's signature would open item 8's file.
        let films = rule(json!({"hosts": ["m.example"], "path_prefix": "/films/"})).unwrap();
        let flat = item(r#"{"url": "https://m.example/films/7.m3u8"}"#);
        for url in ["https://m.example/films/8.m3u8", "https://m.example/films/7.m3u8"] {
            assert!(films.check_asked(&flat, MediaUrl::parse(url).unwrap()).is_err(), "{url}");
        }
        let file = rule(json!({"hosts": ["m.example"], "covers": "file"})).unwrap();
        let asked = |url: &str| file.check_asked(&flat, MediaUrl::parse(url).unwrap()).is_ok();
        assert!(asked("https://m.example/films/7.m3u8") && !asked("https://m.example/films/8.m3u8"));
    }

    fn rule_field(members: Value) -> String {
        rule(members).unwrap_err().field
    }

    #[test]
    fn invalid_members_are_named() {
        assert_eq!(rule_field(json!({})), "PLAYBACK[0].hosts");
        for host in ["", "https://a.example", "A.example", "a.example/x", "*"] {
            assert_eq!(rule_field(json!({"hosts": [host]})), "PLAYBACK[0].hosts", "{host}");
        }
        for prefix in ["films/", "/films", "//", "/a*/", "/a~/"] {
            let members = json!({"hosts": ["a.example"], "path_prefix": prefix});
            assert_eq!(rule_field(members), "PLAYBACK[0].path_prefix", "{prefix}");
        }
        assert_eq!(rule_field(json!({"hosts": ["a.example"], "covers": "all"})), "PLAYBACK[0].covers");
    }
}
