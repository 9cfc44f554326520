//! Which media an entry signs for an item: the rules for ids and for URLs.

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
        let path_prefix = members.text("path_prefix")?.unwrap_or_else(|| "/".to_owned());
        let is_folder = path_prefix.starts_with('/') && path_prefix.ends_with('/');
        if !is_folder || !path_prefix.bytes().all(is_plain) || path_prefix.contains("//") {
            return Err(members.wrong("path_prefix", "expected a path that begins and ends with a slash"));
        }
        let covers = members.choice("covers", &[("file", Covers::File), ("folder", Covers::Folder)])?;
        let template = members.text("url")?;
        let defaults: &[&str] =
            if template.is_some() { &["media_id", "video_id"] } else { &["url", "video_url", "src"] };
        let rule = Self {
            names: names(members, defaults)?,
            hosts,
            path_prefix,
            template,
            covers: covers.unwrap_or(Covers::Folder),
            any_url: members.flag("any_url")?,
        };
        if let Some(template) = &rule.template {
            let example = template.replacen(PLACE, "x", 1);
            let is_usable = template.contains(PLACE)
                && MediaUrl::parse(&example).is_ok_and(|url| rule.check(url).is_ok());
            if !is_usable {
                return Err(members.wrong(
                    "url",
                    "expected a URL with {media} in its path, on one of hosts, in a folder below path_prefix",
                ));
            }
        }
        Ok(rule)
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

    /// Whether this entry may sign `asked`, a URL that the client names, for an item: it is the item's own URL, or lies in
    /// its folder if signatures cover folders. A grant for one item must not open another one's media.
    pub fn check_asked(&self, item: &Item<'_>, asked: MediaUrl<'_>) -> Result<(), SignError> {
        self.check(asked)?;
        if self.any_url {
            return Ok(());
        }
        let own = self.own(item)?;
        let own = MediaUrl::parse(&own)?;
        self.check(own)?;
        let is_own = match self.covers {
            Covers::File => asked.path() == own.path(),
            Covers::Folder => asked.folder().starts_with(own.folder()),
        };
        if is_own && asked.authority() == own.authority() {
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

    /// Whether some URL is within both rules.
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_nested = self.path_prefix.starts_with(&other.path_prefix)
            || other.path_prefix.starts_with(&self.path_prefix);
        is_nested && self.hosts.iter().any(|host| other.hosts.contains(host))
    }
}

fn names(members: &mut Members, defaults: &[&str]) -> Result<Vec<String>, PlaybackError> {
    let named = members.text("media")?.map(|name| vec![name]);
    Ok(named.unwrap_or_else(|| defaults.iter().map(|name| (*name).to_owned()).collect()))
}
