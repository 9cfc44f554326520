//! What kind of body a request has, by its `Content-Type` and `Content-Encoding`.

use super::{Refused, shown};

/// The kinds of bodies that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/json`
    Json,
}

/// Names of UTF-8, and of ASCII, which is part of it.
const CHARSETS: [&str; 4] = ["utf-8", "utf8", "us-ascii", "ascii"];

impl Media {
    /// Reads a `Content-Type`. Parameters other than `charset` mean nothing.
    ///
    /// # Errors
    /// 415 for another type, and for a charset other than UTF-8: text in it would be stored wrongly.
    pub fn of(content_type: &str) -> Result<Self, Refused> {
        let mut parts = content_type.split(';').map(str::trim_ascii);
        let named = parts.next().unwrap_or_default();
        let media = match () {
            () if named.eq_ignore_ascii_case("application/x-www-form-urlencoded") => Self::Form,
            () if named.eq_ignore_ascii_case("application/json") => Self::Json,
            () => return Err(Refused::media_type(named)),
        };
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let charset = value.trim_ascii().trim_matches(['"', '\'']);
            let is_known =
                charset.is_empty() || CHARSETS.iter().any(|known| charset.eq_ignore_ascii_case(known));
            if name.trim_ascii().eq_ignore_ascii_case("charset") && !is_known {
                let problem = format!("The Content-Type names the charset {}: send UTF-8", shown(charset));
                return Err(Refused::header("Content-Type", problem));
            }
        }
        Ok(media)
    }
}

/// Makes sure that the body is sent as it is.
///
/// # Errors
/// 415 for any content coding (RFC 9110 §8.4).
pub fn no_encoding(content_encoding: &str) -> Result<(), Refused> {
    let mut codings = content_encoding.split(',').map(str::trim_ascii);
    match codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")) {
        None => Ok(()),
        Some(coding) => {
            let coding = shown(coding);
            let problem =
                format!("The Content-Encoding {coding} is not supported: send the body without one");
            Err(Refused::header("Content-Encoding", problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_charsets() {
        for (content_type, media) in [
            ("application/x-www-form-urlencoded", Media::Form),
            ("Application/X-WWW-Form-Urlencoded;charset=UTF-8", Media::Form),
            ("application/json; charset=\"utf8\"", Media::Json),
            ("application/json ;Charset = US-ASCII; q=1", Media::Json),
            ("application/json;charset=", Media::Json),
            ("application/json;", Media::Json),
        ] {
            assert_eq!(Media::of(content_type).unwrap(), media, "{content_type}");
        }
        for (content_type, named) in [
            ("", "but is missing"),
            ("text/plain", "text/plain"),
            ("application/jsonp", "application/jsonp"),
            ("application/json, text/plain", "application/json, text/plain"),
            ("multipart/form-data; boundary=x", "multipart/form-data"),
            ("application/json; charset=ISO-8859-1", "ISO-8859-1"),
            ("application/x-www-form-urlencoded;charset=\"windows-1252\"", "windows-1252"),
            ("application/json; charset=utf-8; charset=utf-16", "utf-16"),
        ] {
            let Err(Refused::Named { status, name, problem, .. }) = Media::of(content_type) else {
                panic!("{content_type}");
            };
            assert_eq!((status, name.as_str()), (415, "Content-Type"), "{content_type}");
            assert!(problem.contains(named), "{content_type}: {problem}");
        }
    }

    #[test]
    fn encodings() {
        for content_encoding in ["", "identity", " Identity , identity", ","] {
            assert!(no_encoding(content_encoding).is_ok(), "{content_encoding}");
        }
        for content_encoding in ["gzip", "br", "identity, GZIP", "aes128gcm", "\u{fffd}"] {
            let Err(Refused::Named { status, name, .. }) = no_encoding(content_encoding) else {
                panic!("{content_encoding}");
            };
            assert_eq!((status, name.as_str()), (415, "Content-Encoding"), "{content_encoding}");
        }
    }
}
