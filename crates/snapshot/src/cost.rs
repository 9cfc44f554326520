//! What records cost their readers: the lengths of answers, computed from the lengths of the parts that they
//! repeat.
//!
//! Origin, publisher and reader use the same sums: the origin before it stores an item, the publisher before
//! it publishes one, the reader before it allocates an answer. docs/adr/0021-one-budget.md gives the reasons.
//!
//! ```
//! use admit_snapshot::cost::{ItemCost, Part, text};
//!
//! assert_eq!(text("a \"film\""), r#""a \"film\"""#.len());
//!
//! let cost = ItemCost { details: 700, content: 40, fees: 3, fees_details: 900 };
//! assert!(cost.excess().is_none());
//! let cost = ItemCost { content: 2_000_000, ..cost };
//! assert_eq!(cost.excess().map(|excess| excess.part), Some(Part::Content));
//! ```

use std::fmt;

use super::{item::ItemRecord, object::FormatError};
use crate::limits::{ACCESS_FRAME_BYTES, ANSWER_MAX_BYTES, DETAILS_MAX_BYTES, HELD_FRAME_BYTES};

/// What a fee adds besides its own and the item's details: `{"item":{` and a comma. Stored details lack their
/// opening brace, which is counted here.
const FEE_FRAME_BYTES: usize = r#"{"item":{,"#.len();

/// Lengths of an item's parts in bytes, as answers show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCost {
    /// Length of the record's `details`.
    pub details: usize,
    /// Length of the record's `content`, a JSON string with its quotes.
    pub content: usize,
    /// Number of fees.
    pub fees: usize,
    /// Length of the `details` of all fees together.
    pub fees_details: usize,
}

impl ItemCost {
    /// Measures an item's record.
    ///
    /// # Errors
    /// The bytes are not an item record.
    pub fn of(item: &ItemRecord<'_>) -> Result<Self, FormatError> {
        let fees = item.fee_list()?;
        Ok(Self {
            details: item.details.len(),
            content: item.content.len(),
            fees: fees.len(),
            fees_details: fees.details_bytes(),
        })
    }

    /// Length of the answer with one fee, whose details have `fee_details` bytes.
    #[must_use]
    pub const fn fee_answer(&self, fee_details: usize) -> usize {
        FEE_FRAME_BYTES.saturating_add(self.details).saturating_add(fee_details)
    }

    /// Length of the answer with all fees, each of which repeats the item.
    #[must_use]
    pub const fn fees_answer(&self) -> usize {
        let frames = self.fees.saturating_mul(FEE_FRAME_BYTES.saturating_add(self.details));
        let commas = self.fees.saturating_sub(1);
        frames.saturating_add(self.fees_details).saturating_add(commas).saturating_add("[]".len())
    }

    /// Largest length of the answer to a check.
    #[must_use]
    pub const fn access_answer(&self) -> usize {
        ACCESS_FRAME_BYTES.saturating_add(self.content).saturating_add(self.details)
    }

    /// The first part of the item that exceeds its limit, if any does.
    #[must_use]
    pub const fn excess(&self) -> Option<Excess> {
        // The item itself comes first, because answers with content and with fees contain it.
        if self.details > DETAILS_MAX_BYTES {
            let found = self.details;
            return Some(Excess { part: Part::Details, found, limit: DETAILS_MAX_BYTES });
        }
        if self.access_answer() > ANSWER_MAX_BYTES {
            return Some(Excess {
                part: Part::Content,
                found: self.content,
                limit: ANSWER_MAX_BYTES.saturating_sub(ACCESS_FRAME_BYTES).saturating_sub(self.details),
            });
        }
        if self.fees_answer() > ANSWER_MAX_BYTES {
            let found = self.fees_answer();
            return Some(Excess { part: Part::Fees, found, limit: ANSWER_MAX_BYTES });
        }
        None
    }
}

/// A part of an item that has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Title, types and metadata.
    Details,
    /// The item's content.
    Content,
    /// The list of fees.
    Fees,
}

/// A part of an item that exceeds its limit. `Display` names the expected and the found length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The part.
    pub part: Part,
    /// Its length in bytes, as answers show it.
    pub found: usize,
    /// Its limit in bytes.
    pub limit: usize,
}

impl Excess {
    /// The field of the publish schema that determines the length.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self.part {
            Part::Details => "metadata",
            Part::Content => "content",
            Part::Fees => "fees",
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, limit, .. } = self;
        let what = match self.part {
            Part::Details => "of the item as answers show it (metadata twice, as an array and as a map)",
            Part::Content => "of content as answers show it, beside the rest of the item",
            Part::Fees => "of all fees as answers show them (each repeats the item)",
        };
        write!(formatter, "expected at most {limit} bytes {what}, found {found}")
    }
}

/// Largest length of an entry of `/license`: a subscription with this name to a licence whose JSON has
/// `license_json` bytes.
#[must_use]
pub fn held_entry(name: &str, license_json: usize) -> usize {
    HELD_FRAME_BYTES.saturating_add(text(name)).saturating_add(license_json)
}

/// Length of a text as a JSON string, with its quotes and escapes.
#[must_use]
pub fn text(text: &str) -> usize {
    let of_byte = |byte: u8| match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of_byte).sum::<usize>().saturating_add(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_part_has_a_limit_and_says_which() {
        let fits = ItemCost { details: DETAILS_MAX_BYTES, content: 100, fees: 15, fees_details: 1_000 };
        assert_eq!(fits.excess(), None);
        let table = [
            (ItemCost { details: DETAILS_MAX_BYTES + 1, ..fits }, "metadata", DETAILS_MAX_BYTES + 1),
            (ItemCost { content: ANSWER_MAX_BYTES, ..fits }, "content", ANSWER_MAX_BYTES),
            (ItemCost { fees: 1_000, ..fits }, "fees", 65_548_001),
            (ItemCost { fees: usize::MAX, ..fits }, "fees", usize::MAX),
        ];
        for (cost, field, found) in table {
            let excess = cost.excess().unwrap();
            assert_eq!((excess.field(), excess.found), (field, found));
            assert!(excess.to_string().ends_with(&format!("found {found}")), "{excess}");
        }
    }

    proptest! {
        #[test]
        fn the_length_of_text_is_that_of_what_is_written(string in any::<String>(), byte in 0..128_u8) {
            let string = format!("{string}{}", char::from(byte));
            prop_assert_eq!(text(&string), serde_json::to_string(&string).unwrap().len());
        }
    }
}
