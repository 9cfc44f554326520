//! Tokens of pages. A token says after which record the next page begins. It names no version: the next page is read from
//! the version that is current then, and goes on after the same record, so that a publisher who publishes every second
//! ends no search.

use crate::snapshot::key::EntryKey;

/// The record after which a page begins: the parts of a key, or of a place in a customer's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64, pub u64);

impl Cursor {
    /// The place after the record with this key.
    #[must_use]
    pub const fn of(EntryKey(key): EntryKey) -> Self {
        let key = u128::from_be_bytes(key);
        Self((key >> 64) as u64, key as u64)
    }

    /// The key of the record before this place.
    #[must_use]
    pub fn key(self) -> EntryKey {
        let Self(high, low) = self;
        EntryKey(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// Stands for the question. The standard wants the same question for every page.
    pub question: u64,
    /// Largest number of results of a page.
    pub limit: usize,
    /// Where the page begins.
    pub cursor: Cursor,
}

impl PageToken {
    /// Reads a token.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (question, limit, cursor) = (number()?, number()?, Cursor(number()?, number()?));
        parts.next().is_none().then_some(())?;
        Some(Self { question, limit: usize::try_from(limit).ok()?, cursor })
    }

    /// As answers have it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{:x}.{:x}.{:x}.{:x}", self.question, self.limit, self.cursor.0, self.cursor.1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_are_read_as_they_are_written(question: u64, limit in 0_usize..1000, cursor: (u64, u64)) {
            let token = PageToken { question, limit, cursor: Cursor(cursor.0, cursor.1) };
            prop_assert_eq!(PageToken::parse(&token.text()), Some(token));
            prop_assert_eq!(Cursor::of(token.cursor.key()), token.cursor);
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>(), odd in "[0-9a-f.+]{0,60}") {
            for text in [text, odd] {
                let _ = PageToken::parse(&text);
            }
        }
    }
}
