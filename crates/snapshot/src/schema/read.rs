//! Reads whole numbers and names as exports write them, within the one pass over the line.
//!
//! A column with a gap makes floats of numbers (`5101.0`), a driver of big numbers puts them into quotes (`"5101"`),
//! and a name that consists of digits comes as a number (`88005`). Each of these names one value only.

use std::{any::type_name, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use crate::number;

/// A whole number in any spelling that [`number::whole`] accepts.
pub struct Whole<T>(pub T);

impl<'de, T: TryFrom<i64> + TryFrom<u64>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor(PhantomData)).map(Self)
    }
}

/// Reads a whole number, for `deserialize_with`.
pub(super) fn whole<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<i64> + TryFrom<u64>,
    D: Deserializer<'de>,
{
    Whole::deserialize(deserializer).map(|Whole(number)| number)
}

/// Reads a whole number, for `deserialize_with`. `null` is `None`.
pub(super) fn whole_or_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<i64> + TryFrom<u64>,
    D: Deserializer<'de>,
{
    Option::<Whole<T>>::deserialize(deserializer).map(|number| number.map(|Whole(number)| number))
}

/// Reads a list of whole numbers, for `deserialize_with`.
pub(super) fn wholes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let numbers = Vec::<Whole<i64>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|Whole(number)| number).collect())
}

struct WholeVisitor<T>(PhantomData<T>);

impl<T: TryFrom<i64> + TryFrom<u64>> Visitor<'_> for WholeVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(type_name::<T>())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<T, E> {
        let whole = number::whole_float(float).and_then(|number| T::try_from(number).ok());
        whole.ok_or_else(|| E::invalid_type(Unexpected::Float(float), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let whole = number::whole_text(text).and_then(|number| T::try_from(number).ok());
        whole.ok_or_else(|| E::invalid_type(Unexpected::Str(text), &self))
    }
}

/// A name of the schema on its own, as `name` reads it.
pub struct Name(pub String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        name(deserializer).map(Self)
    }
}

/// Reads text that names something, for `deserialize_with`. A whole number stands for its digits.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(NameVisitor)
}

/// Reads text that names something, or a whole number, for `deserialize_with`. `null` and empty text are `None`.
pub(super) fn name_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = Option::<Name>::deserialize(deserializer)?;
    Ok(name.map(|Name(text)| text).filter(|text| !text.is_empty()))
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<String, E> {
        let whole = number::whole_float(float).map(|number| number.to_string());
        whole.ok_or_else(|| E::invalid_type(Unexpected::Float(float), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
        // From text, and from what a tagged enum has buffered.
        let from_text = serde_json::from_str::<T>(&value.to_string()).map_err(|error| error.to_string());
        assert_eq!(from_text.is_ok(), T::deserialize(value).is_ok(), "{value}");
        from_text
    }

    #[test]
    fn spellings_of_one_number_are_read() {
        for value in [json!(7), json!(7.0), json!("7"), json!(" 7 "), json!("007"), json!(0.7e1)] {
            assert_eq!(read::<Whole<i64>>(&value).unwrap().0, 7, "{value}");
            assert_eq!(read::<Whole<u32>>(&value).unwrap().0, 7, "{value}");
            assert_eq!(read::<Whole<u64>>(&value).unwrap().0, 7, "{value}");
            assert_eq!(number::whole(&value), Some(7));
        }
        assert_eq!(read::<Whole<u64>>(&json!(u64::MAX)).unwrap().0, u64::MAX);
    }

    #[test]
    fn values_other_than_whole_numbers_are_refused() {
        for value in [json!(7.5), json!("7.5"), json!("x"), json!(""), json!(true), json!([7]), json!(null)] {
            assert!(read::<Whole<i64>>(&value).is_err(), "{value}");
        }
        let error = |value: Value| read::<Whole<u32>>(&value).err().unwrap();
        assert!(error(json!(-1)).starts_with("invalid value: integer `-1`, expected u32"));
        assert!(error(json!(1_u64 << 32)).contains("expected u32") && error(json!("-1")).contains("u32"));
    }

    #[test]
    fn names_are_text_or_whole_numbers() {
        for (value, expected) in
            [(json!("88005"), "88005"), (json!(88005), "88005"), (json!(88005.0), "88005"), (json!(-1), "-1")]
        {
            assert_eq!(read::<Name>(&value).unwrap().0, expected, "{value}");
        }
        for value in [json!(1.5), json!(true), json!(null), json!(["a"]), json!(1e300)] {
            assert!(read::<Name>(&value).is_err(), "{value}");
        }
    }
}
