//! The question of `GET /snapshot/diff`: two versions, and the place where a page begins.
//!
//! A token names the objects of both versions, so that all pages are about the same data, even if another head is published
//! meanwhile. It is not signed: who may ask may read every object.

use super::{error::ApiError, query};
use crate::snapshot::{head::Head, index::Tree, key::EntryKey, object::Digest};

/// A version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The stored head.
    Head,
    /// A kept version, or the stored head, if that has this `seq`.
    Seq(u64),
}

impl Which {
    fn parse(text: &str) -> Option<Self> {
        if text == "head" {
            return Some(Self::Head);
        }
        number(text, 10).map(Self::Seq)
    }

    /// Whether the version with this `seq` may be meant.
    fn may_be(self, seq: u64) -> bool {
        self == Self::Head || self == Self::Seq(seq)
    }
}

/// A number without a sign.
fn number(text: &str, radix: u32) -> Option<u64> {
    // `from_str_radix` alone would accept a sign.
    u64::from_str_radix(text, radix).ok().filter(|_| !text.starts_with('+'))
}

/// The objects of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The version.
    pub seq: u64,
    /// Name of the index.
    pub index: Digest,
    /// Name of the directory.
    pub directory: Digest,
    /// Name of the delta, if there is one.
    pub delta: Option<Digest>,
}

impl Named {
    /// The objects that a head names.
    #[must_use]
    pub const fn of(head: &Head) -> Self {
        Self { seq: head.seq, index: head.index, directory: head.directory, delta: head.delta }
    }

    /// A head that names these objects and says nothing else.
    #[must_use]
    pub fn head(self) -> Head {
        Head { delta: self.delta, ..Head::new(self.seq, 0, self.index, self.directory) }
    }

    fn push(self, text: &mut String) {
        let delta = self.delta.map_or_else(|| "-".to_owned(), |delta| delta.to_string());
        let Self { seq, index, directory, .. } = self;
        for part in [seq.to_string(), index.to_string(), directory.to_string(), delta] {
            text.push_str(&part);
            text.push('.');
        }
    }

    fn read<'t>(parts: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        let seq = number(parts.next()?, 10)?;
        let (index, directory) = (Digest::parse(parts.next()?)?, Digest::parse(parts.next()?)?);
        let delta = match parts.next()? {
            "-" => None,
            digest => Some(Digest::parse(digest)?),
        };
        Some(Self { seq, index, directory, delta })
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffCursor {
    /// The tree: customers come before items.
    pub tree: Tree,
    /// The key after which the page begins; `None` for the first one of the tree.
    pub after: Option<EntryKey>,
}

impl DiffCursor {
    /// The first page.
    pub const START: Self = Self { tree: Tree::Customers, after: None };
}

/// A token of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffToken {
    /// The version before.
    pub before: Named,
    /// The version after.
    pub after: Named,
    /// Where the page begins.
    pub cursor: DiffCursor,
}

impl DiffToken {
    /// As answers have it.
    #[must_use]
    pub fn text(self) -> String {
        let mut text = String::with_capacity(512);
        self.before.push(&mut text);
        self.after.push(&mut text);
        text.push(if self.cursor.tree == Tree::Customers { 'c' } else { 'i' });
        if let Some(EntryKey(key)) = self.cursor.after {
            text.push_str(&format!("{:032x}", u128::from_be_bytes(key)));
        }
        text
    }

    /// Reads a token.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (before, after) = (Named::read(&mut parts)?, Named::read(&mut parts)?);
        let place = parts.next()?;
        let tree = match place.get(..1)? {
            "c" => Tree::Customers,
            "i" => Tree::Items,
            _ => return None,
        };
        let key = place.get(1..)?;
        let after_key = match key.len() {
            0 => None,
            32 => {
                let (high, low) = key.split_at_checked(16)?;
                let key = (u128::from(number(high, 16)?) << 64) | u128::from(number(low, 16)?);
                Some(EntryKey(key.to_be_bytes()))
            }
            _ => return None,
        };
        parts.next().is_none().then_some(())?;
        Some(Self { before, after, cursor: DiffCursor { tree, after: after_key } })
    }
}

/// The question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffQuestion {
    /// The version before.
    pub from: Which,
    /// The version after.
    pub to: Which,
    /// Where the page begins; `None` for the first one.
    pub token: Option<DiffToken>,
}

impl DiffQuestion {
    /// Reads the parameters of a query.
    ///
    /// # Errors
    /// 422 for a version that is missing or invalid, 400 for a token that is invalid or belongs to other versions.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let which = |name, wrong| {
            query::last(query, name).flatten().and_then(|text| Which::parse(&text)).ok_or(wrong)
        };
        let (from, to) = (which("from", ApiError::INVALID_FROM)?, which("to", ApiError::INVALID_TO)?);
        let token = match query::last(query, "page_token") {
            None => None,
            // An empty one is that of the first page.
            Some(Some(token)) if token.is_empty() => None,
            Some(token) => {
                let token = token.and_then(|token| DiffToken::parse(&token));
                let is_here = |token: &DiffToken| from.may_be(token.before.seq) && to.may_be(token.after.seq);
                Some(token.filter(is_here).ok_or(ApiError::INVALID_DIFF_TOKEN)?)
            }
        };
        Ok(Self { from, to, token })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(seq: u64, delta: Option<u8>) -> Named {
        let digest = |byte| Digest([byte; 32]);
        Named { seq, index: digest(1), directory: digest(2), delta: delta.map(digest) }
    }

    fn token() -> DiffToken {
        DiffToken { before: named(41, None), after: named(42, Some(3)), cursor: DiffCursor::START }
    }

    #[test]
    fn versions_are_numbers_or_the_head() {
        let question = DiffQuestion::parse("from=41&to=head").unwrap();
        assert_eq!((question.from, question.to, question.token), (Which::Seq(41), Which::Head, None));
        for (query, wrong) in [
            ("", ApiError::INVALID_FROM),
            ("from=&to=head", ApiError::INVALID_FROM),
            ("from=+1&to=head", ApiError::INVALID_FROM),
            ("from=-1&to=head", ApiError::INVALID_FROM),
            ("from=HEAD&to=head", ApiError::INVALID_FROM),
            ("from=18446744073709551616&to=head", ApiError::INVALID_FROM),
            ("from=1", ApiError::INVALID_TO),
            ("from=1&to=latest", ApiError::INVALID_TO),
            ("from=1&to=2&page_token=x", ApiError::INVALID_DIFF_TOKEN),
            ("from=1&to=2&page_token=%ff", ApiError::INVALID_DIFF_TOKEN),
        ] {
            assert_eq!(DiffQuestion::parse(query), Err(wrong), "{query}");
        }
        assert_eq!(DiffQuestion::parse("from=1&to=2&page_token=").unwrap().token, None);
    }

    #[test]
    fn a_token_belongs_to_its_versions() {
        let text = token().text();
        for (from, to, is_here) in [
            ("41", "42", true),
            ("41", "head", true),
            ("head", "42", true),
            ("42", "41", false),
            ("41", "43", false),
        ] {
            let query = format!("from={from}&to={to}&page_token={text}");
            let expected = if is_here { Ok(Some(token())) } else { Err(ApiError::INVALID_DIFF_TOKEN) };
            assert_eq!(DiffQuestion::parse(&query).map(|question| question.token), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn tokens_are_read_as_they_are_written(
            key in proptest::option::of(any::<[u8; 16]>()), is_items: bool, seqs: (u64, u64), deltas: (Option<u8>, Option<u8>),
        ) {
            let tree = if is_items { Tree::Items } else { Tree::Customers };
            let cursor = DiffCursor { tree, after: key.map(EntryKey) };
            let token = DiffToken { before: named(seqs.0, deltas.0), after: named(seqs.1, deltas.1), cursor };
            prop_assert_eq!(DiffToken::parse(&token.text()), Some(token));
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), odd in "[0-9a-f.c+-]{0,300}") {
            for text in [text, odd] {
                let _ = DiffToken::parse(&text);
                let _ = DiffQuestion::parse(&format!("from=1&to=2&page_token={text}"));
            }
        }
    }
}
