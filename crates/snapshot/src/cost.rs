//! What records cost those who read them: the lengths of answers, from the lengths of what they repeat.
//!
//! Origin, publisher and reader judge by the same sums: the origin before it stores an item, the publisher before it
//! publishes one, the reader before it allocates an answer. [docs/adr/0021](../../docs/adr/0021-one-budget.md) says why.

use std::fmt;

use super::{item::ItemRecord, object::FormatError};
use crate::limits::{ACCESS_FRAME_BYTES, ANSWER_MAX_BYTES, DETAILS_MAX_BYTES, HELD_FRAME_BYTES};

/// `{"item":{`, a comma, and the brace that a fee's details lack is part of them.
const FEE_FRAME_BYTES: usize = r#"{"item":{,"#.len();

/// What an item costs: lengths in bytes, as answers show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCost {
    /// `details` of its record.
    pub details: usize,
    /// `content` of its record, a JSON string.
    pub content: usize,
    /// How many fees it has.
    pub fees: usize,
    /// `details` of all of its fees.
    pub fees_details: usize,
}

impl ItemCost {
    /// What the item of a record costs.
    ///
    /// # Errors
    /// When the bytes are not an item record.
    pub fn of(item: &ItemRecord<'_>) -> Result<Self, FormatError> {
        let fees = item.fee_list()?;
        Ok(Self {
            details: item.details.len(),
            content: item.content.len(),
            fees: fees.len(),
            fees_details: fees.details_bytes(),
        })
    }

    /// The length of the answer with one fee, whose details have `fee_details` bytes.
    #[must_use]
    pub const fn fee_answer(&self, fee_details: usize) -> usize {
        FEE_FRAME_BYTES.saturating_add(self.details).saturating_add(fee_details)
    }

    /// The length of the answer with all fees, each of which repeats the item.
    #[must_use]
    pub const fn fees_answer(&self) -> usize {
        let frames = self.fees.saturating_mul(FEE_FRAME_BYTES.saturating_add(self.details));
        let commas = self.fees.saturating_sub(1);
        frames.saturating_add(self.fees_details).saturating_add(commas).saturating_add("[]".len())
    }

    /// The length of the answer to a check, at most.
    #[must_use]
    pub const fn access_answer(&self) -> usize {
        ACCESS_FRAME_BYTES.saturating_add(self.content).saturating_add(self.details)
    }

    /// What of the item costs more than it may, if anything does.
    #[must_use]
    pub const fn excess(&self) -> Option<Excess> {
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

/// A part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Title, types and metadata.
    Details,
    /// `content`.
    Content,
    /// The list of fees.
    Fees,
}

/// A part of an item that costs more than it may. Its text says what was found and expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which part.
    pub part: Part,
    /// Its length in bytes, as answers show it.
    pub found: usize,
    /// How long it may be, in bytes.
    pub limit: usize,
}

impl Excess {
    /// The field of the publish schema that makes it so long.
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

/// The length of an entry of `/license`, at most: a subscription named `name`, to a licence that is shown in
/// `license_json` bytes.
#[must_use]
pub fn held_entry(name: &str, license_json: usize) -> usize {
    HELD_FRAME_BYTES.saturating_add(text(name)).saturating_add(license_json)
}

/// The length of a JSON string with its quotes, as it is written here.
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
