//! Bearer tokens of the command's own calls: given as they are, or in a file that somebody else keeps fresh.

use std::{fs, io, path::PathBuf};

use anyhow::{Result, bail};
use ureq::http::HeaderValue;

/// A token, or where it is.
#[derive(Clone)]
pub enum Bearer {
    /// The value of the header.
    Fixed(String),
    /// A file with the token, read at each call: tokens end, and a follower does not.
    File(PathBuf),
}

impl Bearer {
    /// The token `text`, or for `@FILE` the one in that file.
    ///
    /// # Errors
    /// It cannot stand in a header, or there is no such file.
    pub fn new(text: &str) -> Result<Self> {
        match text.strip_prefix('@') {
            Some(path) => {
                let bearer = Self::File(path.into());
                match bearer.header() {
                    Ok(_) => Ok(bearer),
                    Err(error) => bail!("cannot take the token from {path}: {error}"),
                }
            }
            None => match header(text) {
                Some(header) => Ok(Self::Fixed(header)),
                None => bail!("the token has characters that no token has"),
            },
        }
    }

    /// The value of `Authorization`.
    ///
    /// # Errors
    /// The file cannot be read, or what is in it cannot stand in a header.
    pub fn header(&self) -> io::Result<String> {
        match self {
            Self::Fixed(header) => Ok(header.clone()),
            Self::File(path) => header(&fs::read_to_string(path)?)
                .ok_or_else(|| io::Error::other("it has characters that no token has")),
        }
    }
}

fn header(token: &str) -> Option<String> {
    let header = format!("Bearer {}", token.trim());
    HeaderValue::from_str(&header).is_ok().then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_file_is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let named = format!("@{}", path.display());
        assert!(Bearer::new(&named).err().unwrap().to_string().contains("cannot take the token from"));
        fs::write(&path, "first\n").unwrap();
        let bearer = Bearer::new(&named).unwrap();
        assert_eq!(bearer.header().unwrap(), "Bearer first");
        fs::write(&path, "second").unwrap();
        assert_eq!(bearer.header().unwrap(), "Bearer second");
        fs::write(&path, "se\u{0}cret").unwrap();
        assert!(!bearer.header().unwrap_err().to_string().contains("cret"));
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        assert_eq!(Bearer::new(" a.b.c ").unwrap().header().unwrap(), "Bearer a.b.c");
        let error = Bearer::new("se\ncret").err().unwrap();
        assert!(!format!("{error:#}").contains("cret"));
    }
}
