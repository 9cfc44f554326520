//! The token in an `Authorization` header.

use std::fmt;

use admit_snapshot::limits::TOKEN_MAX_BYTES;

use super::error::BearerError;

/// The text of a bearer token, not yet parsed or verified. `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a str);

impl<'a> BearerToken<'a> {
    /// Takes the token out of an `Authorization` header's value: `Bearer <token>`, the scheme in any case
    /// and any number of spaces (RFC 7235 §2.1: `1*SP`), or the bare token, as some vendors' samples send it.
    ///
    /// # Errors
    /// The value has no token, a scheme other than `Bearer`, invalid characters, or a token that is too long.
    ///
    /// ```
    /// use admit_token::{BearerError, BearerToken};
    ///
    /// assert_eq!(BearerToken::parse("bearer  a.b.c")?.as_str(), "a.b.c");
    /// assert_eq!(BearerToken::parse("a.b.c")?.as_str(), "a.b.c");
    /// assert_eq!(BearerToken::parse("Basic dTpw"), Err(BearerError::Scheme));
    /// # Ok::<(), BearerError>(())
    /// ```
    pub fn parse(header: &'a str) -> Result<Self, BearerError> {
        let token = Self::find(header)?;
        token.check()?;
        Ok(token)
    }

    /// Finds the token without checking its characters. A token that equals a verified one needs no such
    /// check.
    pub(super) fn find(header: &'a str) -> Result<Self, BearerError> {
        let token = match header.split_once(' ') {
            Some((scheme, token)) if is_bearer(scheme) => token.trim_start_matches(' '),
            Some(_) => return Err(BearerError::Scheme),
            // React Native sends the scheme alone; `fetch` trims the space after it.
            None if is_bearer(header) => return Err(BearerError::Missing),
            None => header,
        };
        if token.is_empty() {
            return Err(BearerError::Missing);
        }
        if token.len() > TOKEN_MAX_BYTES {
            return Err(BearerError::TooLong);
        }
        Ok(Self(token))
    }

    /// Checks the characters of the token, the second half of [`Self::parse`].
    pub(super) fn check(self) -> Result<(), BearerError> {
        if self.0.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(BearerError::Characters) }
    }

    /// The token's text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({} bytes)", self.0.len())
    }
}

const fn is_bearer(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values() {
        let cases = [
            ("Bearer a.b.c", Ok("a.b.c")),
            ("bearer a.b.c", Ok("a.b.c")),
            ("BEARER a.b.c", Ok("a.b.c")),
            ("a.b.c", Ok("a.b.c")),
            ("Bearera.b.c", Ok("Bearera.b.c")),
            ("", Err(BearerError::Missing)),
            ("Bearer", Err(BearerError::Missing)),
            ("bEaReR", Err(BearerError::Missing)),
            ("Bearer ", Err(BearerError::Missing)),
            ("Basic dTpw", Err(BearerError::Scheme)),
            ("DPoP a.b.c", Err(BearerError::Scheme)),
            (" a.b.c", Err(BearerError::Scheme)),
            ("a.b.c ", Err(BearerError::Scheme)),
            ("a.b.c, Bearer d.e.f", Err(BearerError::Scheme)),
            ("Bearer  a.b.c", Ok("a.b.c")),
            ("Bearer a.b.c ", Err(BearerError::Characters)),
            ("Bearer a.b.c d.e.f", Err(BearerError::Characters)),
            ("Bearer a.b\t.c", Err(BearerError::Characters)),
            ("Bearer a.b.c\0", Err(BearerError::Characters)),
            ("Bearer\ta.b.c", Err(BearerError::Characters)),
            ("Bearer a.b.c\r\nX: y", Err(BearerError::Characters)),
            ("Bearer ä.b.c", Err(BearerError::Characters)),
            ("Bearer a.b.c\u{7f}", Err(BearerError::Characters)),
        ];
        for (header, expected) in cases {
            assert_eq!(BearerToken::parse(header).map(BearerToken::as_str), expected, "{header:?}");
        }
    }

    #[test]
    fn longest_token() {
        let token = "a".repeat(TOKEN_MAX_BYTES);
        assert_eq!(BearerToken::parse(&token).map(BearerToken::as_str), Ok(token.as_str()));
        assert_eq!(BearerToken::parse(&format!("Bearer {token}")).map(BearerToken::as_str), Ok(&*token));
        assert_eq!(BearerToken::parse(&format!("{token}a")), Err(BearerError::TooLong));
        assert_eq!(BearerToken::parse(&format!("Bearer {token}a")), Err(BearerError::TooLong));
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let token = BearerToken::parse("Bearer abc.def.ghi").unwrap();
        assert_eq!(format!("{token:?}"), "BearerToken(11 bytes)");
    }
}
